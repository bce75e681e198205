//! Clusters of duplicates: how many of which size, and the largest.

use super::dropped::show;
use super::{Section, figure};
use crate::report::chart::histogram;
use crate::report::html::{count, numbers};
use crate::report::model::{Flow, Report};

pub(super) fn section(report: &Report) -> Option<Section> {
    let html: String = report.flows.iter().filter_map(draw).collect();
    (!html.is_empty()).then_some(Section { id: "duplicates", title: "Duplicates", html })
}

fn draw(flow: &Flow) -> Option<String> {
    let clusters = flow.clusters.as_ref().filter(|c| c.alone > 0 || !c.sizes.is_empty())?;
    let kind = flow.kind.name();
    let several: u64 = clusters.sizes.iter().map(|(_, _, n)| n).sum();
    if several == 0 {
        return Some(format!(
            "<p>None of the {} {kind} has a duplicate.</p>",
            count(clusters.alone)
        ));
    }
    let bins: Vec<(String, u64)> = clusters
        .sizes
        .iter()
        .map(|(low, high, n)| match low == high {
            true => (count(*low), *n),
            false => (format!("{}–{}", short_bound(*low), short_bound(*high)), *n),
        })
        .collect();
    let cells: Vec<Vec<String>> =
        bins.iter().map(|(label, n)| vec![label.clone(), count(*n)]).collect();
    let caption = format!(
        "Clusters of <b>{kind}</b> by size: there are {}, and {} {kind} have no duplicate. Of the \
         clusters {} {kind} survive: of each the best, and what is not near a better one that does.",
        count(several),
        count(clusters.alone),
        count(clusters.survivors)
    );
    let chart = histogram(&format!("Sizes of clusters of {kind}"), "clusters", &bins);
    let table = numbers(&format!("Clusters of {kind}"), &["size", "clusters"], &cells);
    let mut html = format!(
        "<div class=\"halves\">{}<div class=\"largest\"><h3>Largest clusters</h3>",
        figure(&caption, &[], &chart, &table)
    );
    for group in &clusters.largest {
        html.push_str(&format!(
            "<div class=\"group\"><span class=\"times\">× {}</span>{}</div>",
            count(group.size),
            show(&group.kept)
        ));
    }
    html.push_str("</div></div>");
    Some(html)
}

fn short_bound(n: u64) -> String {
    if n >= 10_000 { format!("{}k", n / 1000) } else { n.to_string() }
}
