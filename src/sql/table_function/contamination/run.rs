//! The stages of `contamination` one after another, in bounded memory.
//!
//! 1. [`evals`](super::evals) reads the evaluation sets and sorts their n-grams externally.
//! 2. A filter is made of these n-grams, with as many bits as memory allows.
//! 3. [`scan`](super::scan) reads the training texts once and keeps what the filter lets through.
//! 4. [`matches`](super::matches) joins both by n-gram and groups what agrees by document and item.
//!
//! A smaller filter lets more through and costs disk, not memory, and the result is the same. It is
//! a function of the rows alone: neither their order nor the number of threads changes it.

use std::path::PathBuf;

use arrow::array::RecordBatch;

use super::evals::{self, EvalSet};
use super::matches;
use super::rows::Rows;
use super::scan::{self, Sieve};
use crate::dedup::contamination::filter::Filter;
use crate::dedup::contamination::grams::Width;
use crate::error::{Error, Result};
use crate::sql::table_function::{Batches, Limits};

/// Rows in a batch of the result.
const BATCH_ROWS: usize = 4096;
/// Memory for the sorts and the filter when there is no limit.
const DEFAULT_MEMORY: usize = 1 << 30;

/// What counts as contamination.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Words in an n-gram.
    pub ngram: usize,
    /// Words of the shortest item that is looked for; below `ngram` words it is one n-gram.
    pub min_words: usize,
    /// The least share of an item's n-grams that a document must have.
    pub threshold: f64,
}

/// What the stages work in.
pub(super) struct Space {
    /// Where sorts spill.
    pub dir: PathBuf,
    /// Bytes for one sort or the filter; up to three are held at once.
    pub memory: usize,
    /// The threads of the work.
    pub threads: rayon::ThreadPool,
}

impl Space {
    fn new(limits: &Limits) -> Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(limits.threads.max(1)).build();
        Ok(Self {
            dir: limits.temp.clone().unwrap_or_else(std::env::temp_dir),
            memory: limits.memory.unwrap_or(DEFAULT_MEMORY) / 4,
            threads: threads.map_err(|e| Error::io("starting threads", e))?,
        })
    }
}

/// Reads the training texts from the first input and an evaluation set from each of the others.
pub(super) fn run(
    rule: &Rule,
    columns: &[String],
    sets: &[EvalSet],
    inputs: Vec<Batches>,
    limits: &Limits,
    emit: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let space = Space::new(limits)?;
    let mut inputs = inputs.into_iter();
    let training = inputs.next().ok_or_else(|| Error::internal("no input of training texts"))?;
    let evals = evals::read(sets, inputs, rule, &space)?;
    if evals.grams.is_empty() {
        // Nothing is looked for, as in a project without evaluation sets.
        return Ok(());
    }
    let mut filter = Filter::new(evals.grams.len(), space.memory);
    for gram in evals.grams.iter()? {
        let [hash, .., beginning] = gram?;
        filter.insert(hash, beginning);
    }
    let sieve = Sieve {
        filter,
        beginning: Width::new(rule.min_words),
        widths: evals.widths.iter().map(|words| Width::new(*words)).collect(),
    };
    let (candidates, mut passages) = scan::scan(training, columns.len(), &sieve, &space)?;
    passages.finish()?;
    drop(sieve);
    let matches = matches::join(&candidates, &evals, &space)?;
    drop(candidates);
    let mut rows = Rows::default();
    matches::rows(&matches, &passages, rule, |row| {
        rows.push(&row, columns, &evals);
        if rows.len() == BATCH_ROWS { emit(rows.batch()?) } else { Ok(()) }
    })?;
    if rows.len() == 0 { Ok(()) } else { emit(rows.batch()?) }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, StringArray, UInt64Array};
    use arrow::datatypes::{Float64Type, UInt64Type};
    use proptest::prelude::*;

    use super::*;
    use crate::dedup::contamination::fold::Fold;
    use crate::text::segment;

    const RULE: Rule = Rule { ngram: 4, min_words: 2, threshold: 0.0 };

    fn batches(columns: Vec<(&str, ArrayRef)>) -> Batches {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let halves = [
            batch.slice(0, batch.num_rows() / 2),
            batch.slice(batch.num_rows() / 2, batch.num_rows() - batch.num_rows() / 2),
        ];
        Box::new(halves.into_iter().map(Ok))
    }

    fn texts(texts: &[String]) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(texts))
    }

    /// Of each document and item: n-grams that both have, containment, and the spans.
    type Found = BTreeMap<(u64, u64), (u64, f64, Vec<(u64, u64)>)>;

    fn found(
        docs: &[(u64, String)],
        items: &[String],
        rule: Rule,
        memory: usize,
        threads: usize,
    ) -> Found {
        let (ids, bodies): (Vec<u64>, Vec<String>) = docs.iter().cloned().unzip();
        let training = batches(vec![
            ("doc_id", Arc::new(UInt64Array::from(ids)) as ArrayRef),
            ("lang", Arc::new(StringArray::new_null(docs.len()))),
            ("text_0", texts(&bodies)),
        ]);
        let set = EvalSet {
            name: "made".into(),
            columns: vec!["text".into()],
            first: Vec::new(),
            splits: Vec::new(),
        };
        let inputs = vec![training, batches(vec![("text_0", texts(items))])];
        let limits = Limits { memory: Some(memory), threads, ..Limits::default() };
        let mut all = Found::new();
        run(&rule, &["text".into()], &[set], inputs, &limits, &mut |batch| {
            let uint = |name: &str| {
                batch.column_by_name(name).unwrap().as_primitive::<UInt64Type>().clone()
            };
            let list = |name: &str, row| {
                let lists = batch.column_by_name(name).unwrap().as_list::<i32>().value(row);
                lists.as_primitive::<UInt64Type>().values().to_vec()
            };
            for row in 0..batch.num_rows() {
                let key = (uint("doc_id").value(row), uint("eval_id").value(row));
                let spans: Vec<_> =
                    list("starts", row).into_iter().zip(list("lengths", row)).collect();
                let containment = batch.column_by_name("containment").unwrap();
                let containment = containment.as_primitive::<Float64Type>().value(row);
                assert!(all.last_key_value().is_none_or(|(last, _)| *last < key));
                // What is shown is what stands there, and the longest.
                let body = &docs.iter().find(|(id, _)| *id == key.0).unwrap().1;
                let (start, length) = (uint("start").value(row), uint("length").value(row));
                assert_eq!(Some(&length), spans.iter().map(|(_, length)| length).max());
                let cut: String =
                    body.chars().skip(start as usize - 1).take(length.min(300) as usize).collect();
                assert_eq!(
                    batch.column_by_name("match").unwrap().as_string::<i32>().value(row),
                    cut
                );
                assert_eq!(
                    uint("items").value(row) + uint("too_short").value(row),
                    items.len() as u64
                );
                all.insert(key, (uint("matched").value(row), containment, spans));
            }
            Ok(())
        })
        .unwrap();
        all
    }

    /// Folded words with their places in code points.
    fn words(text: &str) -> Vec<(String, usize, usize)> {
        let (mut at, mut words) = (0, Vec::new());
        for segment in segment::segments(text, None) {
            let length = segment.text.chars().count();
            if segment.is_word {
                let word = Fold::default().word(segment.text).to_vec();
                words.push((String::from_utf8(word).unwrap(), at, at + length));
            }
            at += length;
        }
        words.retain(|(word, _, _)| !word.is_empty());
        words
    }

    /// The textbook way: each document against each item.
    fn naive(docs: &[(u64, String)], items: &[String], rule: Rule) -> Found {
        let mut all = Found::new();
        for (id, text) in docs {
            let doc = words(text);
            for (number, item) in items.iter().enumerate() {
                let item = words(item);
                let width = item.len().min(rule.ngram);
                if width < rule.min_words {
                    continue;
                }
                let of = |words: &[(String, usize, usize)]| -> Vec<String> {
                    words.iter().map(|w| w.0.clone()).collect()
                };
                let grams: BTreeSet<Vec<String>> = item.windows(width).map(of).collect();
                let (mut matched, mut covered) = (BTreeSet::new(), BTreeSet::new());
                for window in doc.windows(width) {
                    let gram = of(window);
                    if grams.contains(&gram) {
                        matched.insert(gram);
                        covered.extend(window[0].1..window[width - 1].2);
                    }
                }
                let mut spans: Vec<(u64, u64)> = Vec::new();
                for at in covered {
                    match spans.last_mut() {
                        Some((start, length)) if *start + *length == at as u64 + 1 => *length += 1,
                        _ => spans.push((at as u64 + 1, 1)),
                    }
                }
                let containment = matched.len() as f64 / grams.len() as f64;
                if !matched.is_empty() && containment >= rule.threshold {
                    all.insert((*id, number as u64), (matched.len() as u64, containment, spans));
                }
            }
        }
        all
    }

    fn text(most: usize) -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "Eitt",
            "два",
            "三人",
            "four",
            "خمسة",
            "छह",
            "è",
            "12",
            "ไทย",
        ]);
        let between = prop::sample::select(vec![" ", ", ", "\n", " — "]);
        prop::collection::vec((word, between), 0..most).prop_map(|words| {
            words.iter().map(|(word, between)| format!("{word}{between}")).collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_comparing_each_with_each_finds(
            bodies in prop::collection::vec(text(30), 1..12),
            items in prop::collection::vec(text(9), 1..8),
            threshold in prop::sample::select(vec![0.0, 0.4, 1.0]),
        ) {
            let mut docs: Vec<(u64, String)> = bodies.into_iter().enumerate()
                .map(|(i, body)| (crate::id::keyed(i as u64, 3), body)).collect();
            let rule = Rule { threshold, ..RULE };
            let first = found(&docs, &items, rule, 0, 2);
            prop_assert_eq!(&first, &naive(&docs, &items, rule));
            // Order, memory and threads change nothing.
            docs.sort();
            prop_assert_eq!(first, found(&docs, &items, rule, 64 << 20, 1));
        }
    }

    #[test]
    fn a_filter_that_lets_all_through_changes_nothing() {
        // More n-grams than the least filter has room for.
        let number = |i: u64| {
            (0..12)
                .map(|at| format!("w{}x ", (b'a' + (i >> (4 * at) & 15) as u8) as char))
                .collect::<String>()
        };
        let item = |i: u64| {
            (0..40).map(|at| number(crate::id::keyed(i * 40 + at, 2) & 0xffff)).collect::<String>()
        };
        let items: Vec<String> = (0..400).map(item).collect();
        let docs: Vec<(u64, String)> =
            (0..40).map(|i| (i, format!("Fyrst. {} Síðast.", item(i * 10)))).collect();
        let rule = Rule { ngram: 24, ..RULE };
        let small = found(&docs, &items, rule, 0, 2);
        assert!(docs.iter().all(|(id, _)| small[&(*id, id * 10)].1 == 1.0));
        assert_eq!(small, found(&docs, &items, rule, 256 << 20, 2));
    }
}
