//! Rankings: nDCG@k, MRR, and hits@k, which lexicon induction calls P@k.
//!
//! The hypothesis is names from best to worst, the reference the relevant ones, each with a gain
//! of 1 or its own (`name=gain`). A name that is ranked twice counts once, at its better place.

use std::collections::HashMap;

use super::options::Choice;
use super::{Metric, Needs, Rows, Scale, Scored, Statistics};
use crate::error::Result;

/// `ndcg`.
pub const NDCG: Metric = Metric {
    name: "ndcg",
    doc: "normalized discounted cumulative gain at k, with linear gains and log2 discounts",
    needs: Needs::Rankings,
    scale: Scale::One,
    lower_is_better: false,
    options: &[Choice::number("k", "10", "the places that count")],
    score: |rows| {
        let k = rows.options.count("k", 1, usize::MAX)?;
        mean(rows, format!("k:{k}"), |ranked, gains| {
            let dcg = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
                gains.take(k).enumerate().map(|(i, gain)| gain / (i as f64 + 2.0).log2()).sum()
            };
            let mut best: Vec<f64> = gains.values().copied().collect();
            best.sort_by(|a, b| b.total_cmp(a));
            let ideal = dcg(&mut best.into_iter());
            let of = |name: &&str| gains.get(*name).copied().unwrap_or(0.0);
            if ideal > 0.0 { dcg(&mut ranked.iter().map(of)) / ideal } else { 0.0 }
        })
    },
};

/// `mrr`.
pub const MRR: Metric = Metric {
    name: "mrr",
    doc: "mean of one over the place of the first relevant name; 0 where none is ranked",
    options: &[],
    score: |rows| {
        mean(rows, "mrr".into(), |ranked, gains| {
            let first = ranked.iter().position(|name| gains.get(name).is_some_and(|g| *g > 0.0));
            first.map_or(0.0, |at| 1.0 / (at as f64 + 1.0))
        })
    },
    ..NDCG
};

/// `hits`.
pub const HITS: Metric = Metric {
    name: "hits",
    doc: "share of rows with a relevant name among the first k; P@k of lexicon induction",
    options: &[Choice::number("k", "1", "the places that count")],
    score: |rows| {
        let k = rows.options.count("k", 1, usize::MAX)?;
        mean(rows, format!("k:{k}"), |ranked, gains| {
            let relevant = |name: &&str| gains.get(*name).is_some_and(|g| *g > 0.0);
            f64::from(ranked.iter().take(k).any(relevant))
        })
    },
    ..NDCG
};

fn mean(
    rows: &Rows<'_>,
    signature: String,
    of: impl Fn(&[&str], &HashMap<&str, f64>) -> f64,
) -> Result<Scored> {
    let mut values = Vec::with_capacity(rows.items.len());
    for item in rows.items {
        let mut ranked: Vec<&str> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        ranked.extend(item.hypothesis.elements().into_iter().filter(|name| seen.insert(*name)));
        let mut gains = HashMap::new();
        for name in item.references.iter().flat_map(|cell| cell.elements()) {
            let (name, gain) = gain_of(name);
            gains.insert(name, gain);
        }
        values.push(of(&ranked, &gains));
    }
    Ok(Scored { statistics: Statistics::mean(values, 1.0), signature, warnings: Vec::new() })
}

/// A name and its gain; 1 where none is written.
fn gain_of(text: &str) -> (&str, f64) {
    let written = text.rsplit_once('=');
    let gain = written.and_then(|(name, gain)| Some((name, gain.parse::<f64>().ok()?)));
    gain.filter(|(_, gain)| gain.is_finite()).unwrap_or((text, 1.0))
}

#[cfg(test)]
mod tests {
    use crate::eval::metric::{Item, find, score};

    fn of(spec: &str, ranked: &str, relevant: &str) -> f64 {
        let (metric, options) = find(spec).unwrap();
        let rows = [Item::texts(ranked, &[relevant])];
        score(metric, &options, None, &rows).unwrap().statistics.value()
    }

    #[test]
    fn places_count_from_one() {
        assert_eq!(of("hits@1", "kot pes", "kot кошка"), 1.0);
        assert_eq!(of("hits@1", "pes kot", "kot"), 0.0);
        assert_eq!(of("hits@5", "pes kot", "kot"), 1.0);
        assert_eq!(of("mrr", "a b c", "c"), 1.0 / 3.0);
        assert_eq!(of("mrr", "", "c"), 0.0);
        assert_eq!(of("ndcg@3", "a b c", "a=3 b=2 c=1"), 1.0);
        let expected = (1.0 / 3f64.log2()) / 1.0;
        assert!((of("ndcg@10", "x a", "a") - expected).abs() < 1e-15);
        assert_eq!(of("ndcg", "a a a", "a=1 b=0"), 1.0);
    }
}
