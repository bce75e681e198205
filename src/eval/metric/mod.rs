//! Metrics over hypotheses and references: one file a metric, each equal to the peer that defines it.
//!
//! A metric turns rows into [`Statistics`], a few sums a row, and a formula over their total. The
//! score of a corpus is the formula of the sum of all rows; a bootstrap draws rows and adds the
//! same sums again, so that no text is read twice. No model, no file, no SQL.

pub mod bleu;
pub mod chrf;
pub mod ter;

pub mod answer;
pub mod classify;
pub mod correlation;
pub mod entity;
pub mod rank;
pub mod rouge;

pub mod options;
pub mod python;
pub mod resample;
pub mod statistics;
pub mod table;

pub use options::{Choice, Options};
pub use statistics::Statistics;

use crate::error::{Error, Result};
use crate::id;

/// The release of sacreBLEU whose numbers BLEU, chrF and TER are held to; it ends their signatures.
pub const SACREBLEU: &str = "2.6.0";

/// What a row holds on either side.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// One text; tags and ranked names stand in it between white space.
    Text(String),
    /// Several texts.
    List(Vec<String>),
}

impl Cell {
    /// The elements: of a list as they are, of a text between white space.
    pub fn elements(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => python::split(text).collect(),
            Self::List(list) => list.iter().map(String::as_str).collect(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// A hypothesis and what is held against it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What a system said.
    pub hypothesis: Cell,
    /// What it should have said; a list among them is several references to a metric of texts.
    pub references: Vec<Cell>,
}

impl Item {
    /// A row of texts.
    pub fn texts(hypothesis: &str, references: &[&str]) -> Self {
        Self {
            hypothesis: hypothesis.into(),
            references: references.iter().map(|r| Cell::from(*r)).collect(),
        }
    }

    /// A hash of the row's content; rows are put in its order before they are drawn from.
    pub fn key(&self) -> u64 {
        let mut fields = Vec::new();
        for cell in self.references.iter().chain([&self.hypothesis]) {
            match cell {
                Cell::Text(text) => fields.push(text.as_str()),
                Cell::List(list) => fields.extend(list.iter().map(String::as_str)),
            }
            fields.push("\u{0}");
        }
        id::hash_fields(fields)
    }

    /// The hypothesis as one text.
    pub fn hypothesis(&self) -> Result<&str> {
        text(&self.hypothesis, "hypothesis")
    }

    /// Every reference as a text; at least one.
    pub fn references(&self) -> Result<Vec<&str>> {
        let mut texts = Vec::new();
        for cell in &self.references {
            match cell {
                Cell::Text(text) => texts.push(text.as_str()),
                Cell::List(list) => texts.extend(list.iter().map(String::as_str)),
            }
        }
        if texts.is_empty() {
            return Err(Error::usage("a row has no reference")
                .hint_with("leave such rows out: `WHERE reference IS NOT NULL`"));
        }
        Ok(texts)
    }

    /// The only reference, of metrics that know no second one.
    pub fn reference(&self) -> Result<&Cell> {
        match self.references.as_slice() {
            [one] => Ok(one),
            several => Err(Error::usage(format!(
                "a row has {} references where one is wanted",
                several.len()
            ))),
        }
    }
}

fn text<'a>(cell: &'a Cell, what: &str) -> Result<&'a str> {
    match cell {
        Cell::Text(text) => Ok(text),
        Cell::List(_) => Err(Error::usage(format!("`{what}` is a list where one text is wanted"))),
    }
}

/// What a metric reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A text, and one or more texts.
    Texts,
    /// Answers, and all that are right.
    Answers,
    /// A label, and the right one.
    Labels,
    /// Tags of words, and the right ones.
    Tags,
    /// A number, and the right one.
    Numbers,
    /// Names from best to worst, and the relevant ones (`name` or `name=gain`).
    Rankings,
}

impl Needs {
    /// What the two columns hold.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Texts => "a text; one or more references",
            Self::Answers => "an answer; all that are right",
            Self::Labels => "a label; the right one",
            Self::Tags => "tags of the words (list, or spaced); the right ones",
            Self::Numbers => "a number; the right one",
            Self::Rankings => {
                "names, best first (list, or spaced); the relevant ones, or `name=gain`"
            }
        }
    }
}

/// The scale that a metric is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// 0 to 100 (TER may be above).
    Hundred,
    /// 0 to 1.
    One,
    /// −1 to 1.
    Signed,
}

/// A metric of the registry.
pub struct Metric {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, and whose definition.
    pub doc: &'static str,
    /// What it reads.
    pub needs: Needs,
    /// Its scale.
    pub scale: Scale,
    /// Whether a lower score is the better one.
    pub lower_is_better: bool,
    /// Its options.
    pub options: &'static [Choice],
    /// Reads the rows of one language.
    pub score: fn(&Rows<'_>) -> Result<Scored>,
}

/// The rows of one language, and the options.
pub struct Rows<'a> {
    /// The rows.
    pub items: &'a [Item],
    /// Their language as they say it.
    pub lang: Option<&'a str>,
    /// The options in force.
    pub options: &'a Options,
}

impl Rows<'_> {
    /// How many references the rows have, as signatures say it.
    pub(crate) fn reference_count(&self) -> Result<String> {
        let mut counts = Vec::new();
        for item in self.items {
            counts.push(item.references()?.len());
        }
        counts.dedup();
        Ok(match counts.as_slice() {
            [] => "0".into(),
            [one] => one.to_string(),
            _ => "var".into(),
        })
    }
}

/// What a metric found.
pub struct Scored {
    /// Sums of each row with the formula of their total.
    pub statistics: Statistics,
    /// What to quote beside the number, so that another can get the same.
    pub signature: String,
    /// What the reader of the number should know.
    pub warnings: Vec<String>,
}

/// Every metric, in the order of the documentation.
pub const METRICS: &[&Metric] = &[
    &bleu::BLEU,
    &chrf::CHRF,
    &chrf::CHRF_PLUS_PLUS,
    &ter::TER,
    &rouge::ROUGE_1,
    &rouge::ROUGE_2,
    &rouge::ROUGE_L,
    &answer::EXACT_MATCH,
    &answer::ANSWER_F1,
    &classify::ACCURACY,
    &classify::F1,
    &classify::MACRO_F1,
    &classify::MICRO_F1,
    &classify::MATTHEWS,
    &correlation::PEARSON,
    &correlation::SPEARMAN,
    &entity::ENTITY_F1,
    &entity::TAG_ACCURACY,
    &rank::NDCG,
    &rank::MRR,
    &rank::HITS,
];

/// A metric with its options, from `name`, `name@k` or `name:option=value,flag`.
///
/// ```
/// use hexapla::eval::metric::find;
/// let (metric, options) = find("bleu:tokenize=zh,lowercase").unwrap();
/// assert_eq!((metric.name, options.get("tokenize")), ("bleu", "zh"));
/// assert_eq!(find("ndcg@5").unwrap().1.get("k"), "5");
/// assert!(find("blue").is_err());
/// ```
pub fn find(spec: &str) -> Result<(&'static Metric, Options)> {
    let (name, rest) = spec.split_once(':').unwrap_or((spec, ""));
    let (name, at) = match name.split_once('@') {
        Some((name, at)) => (name, Some(at)),
        None => (name, None),
    };
    let metric = METRICS
        .iter()
        .find(|m| m.name == name)
        .ok_or_else(|| Error::unknown("metric", name, METRICS.iter().map(|m| m.name)))?;
    let k = at.map(|at| format!("k={at}"));
    let given = k.as_deref().into_iter().chain(rest.split(',').filter(|part| !part.is_empty()));
    let options = Options::new(metric.options, given).map_err(|e| e.within(metric.name))?;
    Ok((metric, options))
}

/// Scores rows of one language.
pub fn score(
    metric: &Metric,
    options: &Options,
    lang: Option<&str>,
    items: &[Item],
) -> Result<Scored> {
    (metric.score)(&Rows { items, lang, options }).map_err(|e| e.within(metric.name))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
