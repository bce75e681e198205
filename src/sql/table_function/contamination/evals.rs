//! Reading evaluation sets: each text becomes an item, each item its distinct n-grams.
//!
//! The n-grams are narrow records in an external sort; in memory are the names of benchmarks,
//! languages and columns, and two counts for each benchmark and language.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::run::{Rule, Space};
use crate::dedup::contamination::grams::{Width, Words};
use crate::error::{Error, Result};
use crate::sql::table_function::Batches;
use crate::store::group::{Sorted, Sorter};

/// `[hash, check | n-grams of the item, benchmark | language | column, eval_id, hash of the first
/// words]`.
pub(super) type Grams = Sorted<5>;

/// An evaluation set as it is read.
#[derive(Debug, Clone)]
pub(super) struct EvalSet {
    /// The benchmark's name where no column says it.
    pub name: String,
    /// The columns of its texts.
    pub columns: Vec<String>,
    /// The texts of a first row that stood where a header is wanted; none when there is a header.
    pub first: Vec<String>,
    /// The splits to read; all when empty.
    pub splits: Vec<String>,
}

/// Items of a benchmark in a language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Those that are looked for.
    pub items: u64,
    /// Those that have too few words.
    pub too_short: u64,
}

/// What is looked for.
pub(super) struct Evals {
    pub grams: Grams,
    pub benchmarks: Names,
    pub languages: Names,
    pub columns: Names,
    /// By benchmark and language.
    pub counts: BTreeMap<(u16, u16), Count>,
    /// The numbers of words of n-grams that there are.
    pub widths: BTreeSet<usize>,
}

/// Names by number.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u16>,
}

impl Names {
    /// The number of a name; errors when there are too many.
    fn number(&mut self, name: &str, what: &str) -> Result<u16> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        let number = u16::try_from(self.names.len())
            .map_err(|_| Error::usage(format!("more than {} {what}", u16::MAX)))?;
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        Ok(number)
    }

    /// The name of a number.
    pub fn name(&self, number: u16) -> &str {
        self.names.get(usize::from(number)).map_or("", String::as_str)
    }

    /// For each number its place among the names in their order.
    pub fn ranks(&self) -> Vec<u16> {
        let mut order: Vec<u16> = (0..self.names.len() as u16).collect();
        order.sort_by_key(|number| self.name(*number));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in order.iter().enumerate() {
            ranks[usize::from(*number)] = rank as u16;
        }
        ranks
    }
}

/// A row of an evaluation set.
struct Row {
    id: Option<u64>,
    benchmark: Option<String>,
    lang: Option<String>,
    items: Vec<Item>,
}

/// One text of a row.
struct Item {
    /// The place of its column.
    column: usize,
    /// The words of its n-grams and their hashes, or nothing when it has too few words.
    grams: Option<(usize, Vec<Gram>)>,
}

/// Both hashes of an n-gram, and the hash of its first words.
type Gram = (u64, u32, u64);

/// Reads all evaluation sets, each from its input.
pub(super) fn read(
    sets: &[EvalSet],
    inputs: impl Iterator<Item = Batches>,
    rule: &Rule,
    space: &Space,
) -> Result<Evals> {
    let mut reader = Reader {
        grams: Sorter::new(&space.dir, space.memory),
        benchmarks: Names::default(),
        languages: Names::default(),
        columns: Names::default(),
        counts: BTreeMap::new(),
        widths: BTreeSet::new(),
    };
    for (set, input) in sets.iter().zip(inputs) {
        let mut next = 0;
        if !set.first.is_empty() {
            let texts = set.first.iter().map(|text| Some(text.as_str()));
            let items = items(&mut Words::default(), texts, rule);
            reader.take(set, next, &Row { id: None, benchmark: None, lang: None, items })?;
            next += 1;
        }
        for batch in input {
            for row in rows(&batch?, set, rule, space)? {
                if let Some(row) = row {
                    reader.take(set, next, &row)?;
                }
                next += 1;
            }
        }
    }
    let Reader { grams, benchmarks, languages, columns, counts, widths } = reader;
    Ok(Evals { grams: grams.finish()?, benchmarks, languages, columns, counts, widths })
}

struct Reader {
    grams: Sorter<5>,
    benchmarks: Names,
    languages: Names,
    columns: Names,
    counts: BTreeMap<(u16, u16), Count>,
    widths: BTreeSet<usize>,
}

impl Reader {
    fn take(&mut self, set: &EvalSet, number: u64, row: &Row) -> Result<()> {
        let name = row.benchmark.as_deref().unwrap_or(&set.name);
        let benchmark = self.benchmarks.number(name, "benchmarks")?;
        let lang = self.languages.number(row.lang.as_deref().unwrap_or(""), "languages")?;
        let count = self.counts.entry((benchmark, lang)).or_default();
        let id = row.id.unwrap_or(number);
        for item in &row.items {
            let Some((width, grams)) = &item.grams else {
                count.too_short += 1;
                continue;
            };
            count.items += 1;
            self.widths.insert(*width);
            let column = self.columns.number(&set.columns[item.column], "columns of texts")?;
            let of = u64::from(benchmark) << 32 | u64::from(lang) << 16 | u64::from(column);
            for (hash, check, beginning) in grams {
                let about = u64::from(*check) << 32 | grams.len() as u64;
                self.grams.push([*hash, about, of, id, *beginning])?;
            }
        }
        Ok(())
    }
}

/// The rows of a batch in their order; `None` for one of a split that is not asked for.
fn rows(
    batch: &RecordBatch,
    set: &EvalSet,
    rule: &Rule,
    space: &Space,
) -> Result<Vec<Option<Row>>> {
    let column = |name: &str, ty: &DataType| {
        batch.column_by_name(name).map(|column| cast(column, ty)).transpose()
    };
    let text = |name: &str| column(name, &DataType::Utf8View);
    let ids = column("eval_id", &DataType::UInt64)?;
    let (benchmarks, langs, splits) = (text("benchmark")?, text("lang")?, text("split")?);
    let texts = (0..set.columns.len())
        .map(|i| match text(&format!("text_{i}"))? {
            Some(texts) => Ok(texts),
            None => Err(Error::internal(format!("`{}` comes without text {i}", set.name))),
        })
        .collect::<Result<Vec<_>>>()?;
    let value = |column: &Option<ArrayRef>, row: usize| -> Option<String> {
        let column = column.as_ref()?;
        column.is_valid(row).then(|| column.as_string_view().value(row).to_string())
    };
    let one = |words: &mut Words, row: usize| {
        if !set.splits.is_empty()
            && !value(&splits, row).is_some_and(|split| set.splits.contains(&split))
        {
            return None;
        }
        let texts = texts
            .iter()
            .map(|column| column.is_valid(row).then(|| column.as_string_view().value(row)));
        let items = items(words, texts, rule);
        let ids = ids.as_ref().filter(|ids| ids.is_valid(row));
        Some(Row {
            id: ids.map(|ids| ids.as_primitive::<UInt64Type>().value(row)),
            benchmark: value(&benchmarks, row),
            lang: value(&langs, row),
            items,
        })
    };
    let rows = (0..batch.num_rows()).into_par_iter().map_init(Words::default, one);
    Ok(space.threads.install(|| rows.collect()))
}

/// The items of a row's texts; nulls are none.
fn items<'t>(
    words: &mut Words,
    texts: impl Iterator<Item = Option<&'t str>>,
    rule: &Rule,
) -> Vec<Item> {
    let texts = texts.enumerate().filter_map(|(column, text)| Some((column, text?)));
    texts
        .map(|(column, text)| {
            words.read(text);
            let width = words.len().min(rule.ngram);
            let grams = (width >= rule.min_words).then(|| {
                let beginnings = words.grams(&Width::new(rule.min_words));
                let grams = words.grams(&Width::new(width)).zip(beginnings).enumerate();
                let mut grams: Vec<Gram> = grams
                    .map(|(i, (gram, beginning))| (gram, words.check(i, width), beginning))
                    .collect();
                grams.sort_unstable();
                grams.dedup();
                (width, grams)
            });
            Item { column, grams }
        })
        .collect()
}
