//! Labels: accuracy, F1 in three kinds, Matthews' correlation; GLUE's metrics of classes.
//!
//! Labels are compared as text. Classes are those that occur on either side, as scikit-learn has
//! it; in a bootstrap sample those that occur in the sample.

use std::collections::BTreeMap;

use super::options::{ANY, Choice};
use super::{Metric, Needs, Rows, Scale, Scored, Statistics};
use crate::error::{Error, Result};

/// `accuracy`.
pub const ACCURACY: Metric = Metric {
    name: "accuracy",
    doc: "share of right labels",
    needs: Needs::Labels,
    scale: Scale::One,
    lower_is_better: false,
    options: &[],
    score: |rows| {
        let rows = Labels::read(rows)?;
        let right = rows.pairs.iter().map(|(answer, gold)| f64::from(answer == gold));
        Ok(scored(Statistics::mean(right, 1.0), "accuracy"))
    },
};

/// `f1`.
pub const F1: Metric = Metric {
    name: "f1",
    doc: "F1 of one label, as GLUE has it",
    options: &[Choice::one_of("positive", "1", ANY, "the label")],
    score: |rows| {
        let positive = rows.options.get("positive").to_string();
        let labels = Labels::read(rows)?;
        let Some(at) = labels.classes.iter().position(|class| *class == positive) else {
            return Err(Error::usage(format!("no row has the label `{positive}`"))
                .hint_with("name the label that F1 is of: `f1:positive=LABEL`"));
        };
        Ok(scored(
            labels.counts(move |sums| class_f1(&sums[3 * at..3 * at + 3]).unwrap_or(0.0)),
            "f1",
        ))
    },
    ..ACCURACY
};

/// `macro_f1`.
pub const MACRO_F1: Metric = Metric {
    name: "macro_f1",
    doc: "unweighted mean of the F1 of every label",
    score: |rows| {
        let mean = |sums: &[f64]| {
            let of: Vec<f64> = sums.chunks_exact(3).filter_map(class_f1).collect();
            of.iter().sum::<f64>() / of.len().max(1) as f64
        };
        Ok(scored(Labels::read(rows)?.counts(mean), "macro_f1"))
    },
    ..ACCURACY
};

/// `micro_f1`.
pub const MICRO_F1: Metric = Metric {
    name: "micro_f1",
    doc: "F1 of all labels together but one, such as the one for none of them",
    options: &[Choice::one_of("without", "", ANY, "a label that does not count")],
    score: |rows| {
        let without = rows.options.get("without").to_string();
        let labels = Labels::read(rows)?;
        let left_out = labels.classes.iter().position(|class| *class == without);
        let all = move |sums: &[f64]| {
            let mut all = [0.0; 3];
            for (class, counts) in sums.chunks_exact(3).enumerate() {
                if Some(class) != left_out {
                    counts.iter().zip(&mut all).for_each(|(n, sum)| *sum += n);
                }
            }
            class_f1(&all).unwrap_or(0.0)
        };
        Ok(scored(labels.counts(all), "micro_f1"))
    },
    ..ACCURACY
};

/// `matthews`.
pub const MATTHEWS: Metric = Metric {
    name: "matthews",
    doc: "Matthews' correlation of labels, of any number of them (Gorodkin 2004)",
    scale: Scale::Signed,
    score: |rows| {
        let formula = |sums: &[f64]| {
            let (mut right, mut n) = (0.0, 0.0);
            let (mut both, mut answered, mut expected) = (0.0, 0.0, 0.0);
            for class in sums.chunks_exact(3) {
                right += class[0];
                n += class[2];
                both += class[1] * class[2];
                answered += class[1] * class[1];
                expected += class[2] * class[2];
            }
            let below = (n * n - answered) * (n * n - expected);
            if below > 0.0 { (right * n - both) / below.sqrt() } else { 0.0 }
        };
        Ok(scored(Labels::read(rows)?.counts(formula), "matthews"))
    },
    ..ACCURACY
};

/// F1 of a class that was answered rightly, answered and expected so often; `None` for never.
fn class_f1(counts: &[f64]) -> Option<f64> {
    let below = counts[1] + counts[2];
    (below > 0.0).then(|| 2.0 * counts[0] / below)
}

fn scored(statistics: Statistics, signature: &str) -> Scored {
    Scored { statistics, signature: signature.into(), warnings: Vec::new() }
}

/// Answers and right labels as numbers of classes in the order of their names.
struct Labels {
    classes: Vec<String>,
    pairs: Vec<(usize, usize)>,
}

impl Labels {
    fn read(rows: &Rows<'_>) -> Result<Self> {
        let mut texts = Vec::with_capacity(rows.items.len());
        let mut classes = BTreeMap::new();
        for item in rows.items {
            let pair = (item.hypothesis()?, super::text(item.reference()?, "reference")?);
            classes.insert(pair.0, 0);
            classes.insert(pair.1, 0);
            texts.push(pair);
        }
        classes.values_mut().enumerate().for_each(|(i, at)| *at = i);
        let pairs = texts.iter().map(|(answer, gold)| (classes[answer], classes[gold])).collect();
        Ok(Self { classes: classes.into_keys().map(String::from).collect(), pairs })
    }

    /// Per class how often it was answered rightly, answered and expected.
    fn counts(self, formula: impl Fn(&[f64]) -> f64 + Send + Sync + 'static) -> Statistics {
        let cells = |(answer, gold): (usize, usize)| {
            let at = |class: usize, what: usize| ((3 * class + what) as u32, 1.0);
            let mut cells = vec![at(answer, 1), at(gold, 2)];
            cells.extend((answer == gold).then(|| at(answer, 0)));
            cells
        };
        let width = 3 * self.classes.len();
        Statistics::sparse(width, self.pairs.into_iter().map(cells), Box::new(formula))
    }
}
