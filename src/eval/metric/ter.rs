//! TER, the translation edit rate (Snover et al. 2006), as sacreBLEU and Tercom compute it.
//!
//! Insertions, deletions, substitutions and shifts of whole stretches, over the mean length of the
//! references. Which shifts are tried, and how many, is a heuristic of Tercom's that is part of
//! the definition.

pub mod edits;
pub mod tokenize;

use super::options::Choice;
use super::{Metric, Needs, Rows, SACREBLEU, Scale, Scored, Statistics, python};
use crate::error::Result;

/// `ter`.
pub const TER: Metric = Metric {
    name: "ter",
    doc: "TER, equal to sacreBLEU's; lower is better",
    needs: Needs::Texts,
    scale: Scale::Hundred,
    lower_is_better: true,
    options: &[
        Choice::flag("normalized", "entities undone and punctuation apart, as Tercom's `-N`"),
        Choice::flag("no_punct", "without punctuation, as Tercom's `-P`"),
        Choice::flag("asian_support", "the two above know ideographs and full-width marks"),
        Choice::flag("case_sensitive", "letter case counts"),
    ],
    score,
};

fn score(rows: &Rows<'_>) -> Result<Scored> {
    let options = rows.options;
    let how = tokenize::Options {
        normalized: options.flag("normalized"),
        no_punct: options.flag("no_punct"),
        asian_support: options.flag("asian_support"),
        case_sensitive: options.flag("case_sensitive"),
    };
    let mut statistics = Vec::with_capacity(rows.items.len());
    for item in rows.items {
        let hypothesis = tokenize::tokenize(item.hypothesis()?, how);
        let hypothesis: Vec<&str> = python::split(&hypothesis).collect();
        let references = item.references()?;
        let (mut fewest, mut length) = (usize::MAX, 0);
        for reference in &references {
            // sacreBLEU tokenizes references twice, which shows where `normalized` parts anew what it
            // has parted before: a copy can then have edits.
            let reference = tokenize::tokenize(&tokenize::tokenize(reference, how), how);
            let reference: Vec<&str> = python::split(&reference).collect();
            fewest = fewest.min(edits::edits(&hypothesis, &reference));
            length += reference.len();
        }
        statistics.push(vec![fewest as f64, length as f64 / references.len() as f64]);
    }
    let signature = format!(
        "nrefs:{}|case:{}|tok:tercom|norm:{}|punct:{}|asian:{}|version:{SACREBLEU}",
        rows.reference_count()?,
        if how.case_sensitive { "mixed" } else { "lc" },
        options.get("normalized"),
        if how.no_punct { "no" } else { "yes" },
        options.get("asian_support"),
    );
    let statistics = Statistics::dense(2, statistics, Box::new(formula));
    Ok(Scored { statistics, signature, warnings: Vec::new() })
}

/// The rate of edits and length; something held against nothing is wrong throughout.
fn formula(sums: &[f64]) -> f64 {
    100.0
        * match (sums[0], sums[1]) {
            (edits, length) if length > 0.0 => edits / length,
            (edits, _) if edits > 0.0 => 1.0,
            _ => 0.0,
        }
}
