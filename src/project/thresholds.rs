//! Thresholds of each language, measured from a table in the manner of FineWeb-2.
//!
//! Medians and deviations are a query; what a threshold is made of them stands with the rules.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use arrow::array::{Array, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use crate::error::{Error, Result};
use crate::identify::tag::{self, Tag};
use crate::measure::thresholds::derive::{Measured, Spread, derive};
use crate::measure::thresholds::{LanguageThresholds, Thresholds};
use crate::sql::session::Session;

/// Documents without which a language is left out.
pub const LEAST: u64 = 100;

/// What the thresholds of all others are compared with.
const ENGLISH: &str = "eng_Latn";

/// The most frequent words that are looked at for stop words.
const WORDS: usize = 200;

/// The measures in the order of [`Measured`].
const MEASURES: &[&str] = &[
    "detected['score']",
    "r['dup_line_frac']",
    "r['top_2_gram']",
    "r['top_3_gram']",
    "r['top_4_gram']",
    "r['duplicated_5_n_grams']",
    "r['duplicated_6_n_grams']",
    "r['duplicated_7_n_grams']",
    "r['duplicated_8_n_grams']",
    "r['duplicated_9_n_grams']",
    "r['duplicated_10_n_grams']",
    "f['line_punct_ratio']",
    "f['list_ratio']",
    "q['mean_word_chars']",
    "q['alpha_ratio']",
];

/// Thresholds, and the languages that have too few documents, with how many they have.
#[derive(Debug)]
pub struct Found {
    /// Those of each language that has enough.
    pub thresholds: Thresholds,
    /// The others.
    pub scarce: Vec<(String, u64)>,
}

/// Measures the documents of a table with `text` and `lang`; scores of languages are those of a
/// model as `detect_lang` names it.
///
/// Errors when a column is missing, or when there are too few English documents to compare with.
pub fn measure(session: &Session, table: &str, model: &str) -> Result<Found> {
    let model = model.replace('\'', "''");
    let rows = format!(
        "SELECT lang, detect_lang(text, '{model}') AS detected, \
         gopher_repetition(text, lang, 'datatrove') AS r, \
         gopher_quality(text, lang, 'datatrove') AS q, \
         fineweb_quality(text, lang, 'datatrove') AS f \
         FROM {table} WHERE lang IS NOT NULL AND text <> ''"
    );
    let asked: Vec<String> = MEASURES
        .iter()
        .map(|m| format!("median(CAST({m} AS DOUBLE)), stddev(CAST({m} AS DOUBLE))"))
        .collect();
    let sql = format!(
        "SELECT lang, count(*), {} FROM ({rows}) AS rows GROUP BY lang ORDER BY lang",
        asked.join(", ")
    );
    let mut measured: BTreeMap<Tag, Measured> = BTreeMap::new();
    let mut scarce = Vec::new();
    session.stream(&sql, &mut |batch| {
        let langs = cast(batch.column(0), &DataType::Utf8)?;
        let counts = batch.column(1).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let lang = langs.as_string::<i32>().value(row);
            let n = counts.value(row) as u64;
            match tag::find(lang) {
                Some(tag) if n >= LEAST => drop(measured.insert(tag, spreads(&batch, row)?)),
                _ => scarce.push((lang.to_string(), n)),
            }
        }
        Ok(())
    })?;
    let english = tag::find(ENGLISH).and_then(|tag| measured.get(&tag)).copied();
    let Some(english) = english else {
        return Err(Error::usage(format!(
            "`{table}` has fewer than {LEAST} documents in `{ENGLISH}`"
        ))
        .hint_with("thresholds are moved from where they stand in English"));
    };
    let mut words = words(session, table)?;
    let mut languages: Vec<(Tag, LanguageThresholds)> = Vec::new();
    for (tag, measures) in measured {
        let words = words.remove(&tag).unwrap_or_default().counts();
        let words: Vec<(&str, u64)> = words.iter().map(|(w, n)| (w.as_str(), *n)).collect();
        let found = derive(&measures, &english, &words).map_err(|e| e.within(tag))?;
        languages.push((tag, found));
    }
    Ok(Found { thresholds: Thresholds::new(languages), scarce })
}

fn spreads(batch: &RecordBatch, row: usize) -> Result<Measured> {
    let number = |column: usize| -> Result<f64> {
        let values = cast(batch.column(column), &DataType::Float64)?;
        let values: &Float64Array = values.as_primitive::<Float64Type>();
        Ok(if values.is_valid(row) { values.value(row) } else { 0.0 })
    };
    let of = |i: usize| -> Result<Spread> {
        Ok(Spread { median: number(2 + 2 * i)?, deviation: number(3 + 2 * i)? })
    };
    Ok(Measured {
        language_score: of(0)?,
        dup_line_frac: of(1)?,
        top_n_grams: [of(2)?, of(3)?, of(4)?],
        dup_n_grams: [of(5)?, of(6)?, of(7)?, of(8)?, of(9)?, of(10)?],
        line_punct_ratio: of(11)?,
        list_ratio: of(12)?,
        mean_word_chars: of(13)?,
        alpha_ratio: of(14)?,
    })
}

/// The most frequent words of a language, and how many there are in all.
#[derive(Default)]
struct Words {
    top: BinaryHeap<(Reverse<u64>, String)>,
    all: u64,
}

impl Words {
    fn add(&mut self, word: &str, n: u64) {
        self.all += n;
        self.top.push((Reverse(n), word.into()));
        if self.top.len() > WORDS {
            self.top.pop();
        }
    }

    /// The words; all others stand together under no word.
    fn counts(self) -> Vec<(String, u64)> {
        let mut counts: Vec<(String, u64)> =
            self.top.into_iter().map(|(Reverse(n), word)| (word, n)).collect();
        let named: u64 = counts.iter().map(|(_, n)| n).sum();
        counts.push((String::new(), self.all - named));
        counts
    }
}

fn words(session: &Session, table: &str) -> Result<BTreeMap<Tag, Words>> {
    let sql = format!(
        "SELECT lang, word, count(*) AS n FROM \
         (SELECT lang, unnest(words(text, lang)) AS word FROM {table} WHERE lang IS NOT NULL) AS w \
         GROUP BY lang, word ORDER BY lang, word"
    );
    let mut found: BTreeMap<Tag, Words> = BTreeMap::new();
    session.stream(&sql, &mut |batch| {
        let (langs, words) =
            (cast(batch.column(0), &DataType::Utf8)?, cast(batch.column(1), &DataType::Utf8)?);
        let counts = batch.column(2).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            if let Some(tag) = tag::find(langs.as_string::<i32>().value(row))
                && words.is_valid(row)
            {
                let word = words.as_string::<i32>().value(row);
                found.entry(tag).or_default().add(word, counts.value(row) as u64);
            }
        }
        Ok(())
    })?;
    Ok(found)
}
