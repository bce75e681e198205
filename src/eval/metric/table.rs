//! A table of scores: each metric in each language with its interval, and two systems compared.

use std::collections::BTreeMap;

use super::resample::{self, Interval, Paired, Resampling};
use super::{Cell, Item, Metric, Options, Scored};
use crate::error::{Error, Result};
use crate::id;

/// A row with its language and, to compare, what a second system said.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The language; rows without one stand together.
    pub lang: Option<String>,
    /// The hypothesis and the references.
    pub item: Item,
    /// What the second system said.
    pub other: Option<Cell>,
}

/// How two systems are held against one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// Both on the same bootstrap samples.
    Bootstrap,
    /// Rows change sides by a coin.
    Randomization,
}

/// What to compute beside the scores.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Bootstrap samples of an interval; none for no interval.
    pub resampling: Resampling,
    /// The paired test.
    pub test: Test,
    /// Its trials.
    pub trials: usize,
    /// Whether to score each row by itself as well.
    pub each: bool,
}

/// A metric in a language.
#[derive(Debug, Clone)]
pub struct Line {
    /// The metric as it was asked for.
    pub metric: String,
    /// The language; empty for rows without one, `mean` for the unweighted mean over languages.
    pub lang: String,
    /// Rows.
    pub rows: usize,
    /// The score.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
    /// What to quote beside it.
    pub signature: String,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// The second system's score and the test.
    pub other: Option<(f64, Paired)>,
    /// The score of each row in the order in which they came, if it was asked for.
    pub each: Vec<f64>,
}

/// The name of the line that holds the mean over languages.
pub const MEAN: &str = "mean";

/// Scores rows language by language with every metric, in the order of the metrics; the mean over
/// languages follows where there are several.
pub fn table(
    metrics: &[(String, &Metric, Options)],
    rows: &[Row],
    request: Request,
) -> Result<Vec<Line>> {
    if rows.is_empty() {
        return Err(Error::usage("there is no row to score"));
    }
    let mut groups: BTreeMap<Option<&str>, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(row.lang.as_deref()).or_default().push(row);
    }
    let mut lines = Vec::new();
    for (spec, metric, options) in metrics {
        let mut mean = Mean::default();
        for (lang, rows) in &groups {
            let told = lang.map_or(String::new(), String::from);
            let (line, samples) = one(metric, options, *lang, rows, request)
                .map_err(|e| if told.is_empty() { e } else { e.within(&told) })?;
            mean.add(line.value, line.other.map(|o| o.0), rows.len(), &samples);
            lines.push(Line { metric: spec.clone(), lang: told, ..line });
        }
        if groups.len() > 1 {
            lines.push(Line { metric: spec.clone(), ..mean.line() });
        }
    }
    Ok(lines)
}

fn one(
    metric: &Metric,
    options: &Options,
    lang: Option<&str>,
    rows: &[&Row],
    request: Request,
) -> Result<(Line, Vec<f64>)> {
    let items: Vec<Item> = rows.iter().map(|row| row.item.clone()).collect();
    let Scored { statistics, signature, warnings } = super::score(metric, options, lang, &items)?;
    let theirs: Vec<Item> = rows
        .iter()
        .filter_map(|row| {
            let hypothesis = row.other.clone()?;
            Some(Item { hypothesis, references: row.item.references.clone() })
        })
        .collect();
    let compared = theirs.len() == items.len();
    let keys: Vec<u64> = if compared {
        // Which system is called the first must not choose the samples.
        items.iter().zip(&theirs).map(|(a, b)| a.key().wrapping_add(b.key())).collect()
    } else {
        items.iter().map(Item::key).collect()
    };
    let order = resample::arrange(&keys);
    let how = Resampling { seed: id::keyed(0, request.resampling.seed), ..request.resampling };
    let samples = resample::bootstrap(&statistics, &order, how);
    let other = if compared {
        let second = super::score(metric, options, lang, &theirs)?.statistics;
        let how = Resampling { samples: request.trials, seed: how.seed };
        let found = match request.test {
            Test::Bootstrap => resample::paired_bootstrap(&statistics, &second, &order, how),
            Test::Randomization if statistics.can_mix() => {
                resample::paired_randomization(&statistics, &second, &order, how)
            }
            Test::Randomization => {
                return Err(Error::usage(format!(
                    "{}: rows have no part in it to exchange",
                    metric.name
                ))
                .hint_with("ask for `--test bootstrap`"));
            }
        };
        Some((second.value(), found))
    } else {
        None
    };
    let each = if request.each {
        (0..items.len()).map(|i| statistics.row(i)).collect()
    } else {
        Vec::new()
    };
    let line = Line {
        metric: String::new(),
        lang: String::new(),
        rows: items.len(),
        value: statistics.value(),
        interval: resample::interval(&samples),
        signature,
        warnings,
        other,
        each,
    };
    Ok((line, samples))
}

/// The mean over languages, and of each bootstrap sample over languages.
#[derive(Default)]
struct Mean {
    languages: usize,
    rows: usize,
    value: f64,
    other: Option<f64>,
    samples: Vec<f64>,
}

impl Mean {
    fn add(&mut self, value: f64, other: Option<f64>, rows: usize, samples: &[f64]) {
        self.languages += 1;
        self.rows += rows;
        self.value += value;
        self.other = other.map(|v| v + self.other.unwrap_or(0.0));
        self.samples.resize(samples.len(), 0.0);
        samples.iter().zip(&mut self.samples).for_each(|(v, sum)| *sum += v);
    }

    fn line(self) -> Line {
        let n = self.languages as f64;
        let samples: Vec<f64> = self.samples.iter().map(|sum| sum / n).collect();
        let value = self.value / n;
        let other = self.other.map(|sum| {
            let none = Paired { difference: sum / n - value, p: f64::NAN, interval: None };
            (sum / n, none)
        });
        Line {
            metric: String::new(),
            lang: MEAN.into(),
            rows: self.rows,
            value,
            interval: resample::interval(&samples),
            signature: format!("languages:{}", self.languages),
            warnings: Vec::new(),
            other,
            each: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_scored_apart_and_averaged() {
        let row = |lang: &str, a: &str, b: &str, c: &str| Row {
            lang: Some(lang.into()),
            item: Item::texts(a, &[b]),
            other: Some(c.into()),
        };
        let rows =
            [row("isl", "a", "a", "a"), row("swh", "b", "a", "a"), row("swh", "a", "a", "b")];
        let (metric, options) = super::super::find("accuracy").unwrap();
        let request = Request {
            resampling: Resampling { samples: 100, seed: 1 },
            test: Test::Bootstrap,
            trials: 100,
            each: true,
        };
        let metrics = [("accuracy".to_string(), metric, options)];
        let lines = table(&metrics, &rows, request).unwrap();
        let of: Vec<(&str, f64)> = lines.iter().map(|l| (l.lang.as_str(), l.value)).collect();
        assert_eq!(of, [("isl", 1.0), ("swh", 0.5), ("mean", 0.75)]);
        assert_eq!(lines[1].each, [0.0, 1.0]);
        assert_eq!(lines[2].other.unwrap().0, 0.75);
        assert!(lines[2].interval.unwrap().low < 0.75 && lines[0].interval.unwrap().low == 1.0);
        assert!(table(&metrics, &[], request).is_err());
    }
}
