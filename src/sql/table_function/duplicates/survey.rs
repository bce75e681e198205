//! The first pass: each row's text becomes narrow records, and is forgotten.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt64Type};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::{Near, Rule, Space};
use crate::dedup::content::folded;
use crate::dedup::minhash::{self, Permutations};
use crate::dedup::shingle::shingles_of;
use crate::error::{Error, Result};
use crate::id;
use crate::sql::table_function::Batches;
use crate::store::group::{Sorted, Sorter};

/// `[doc_id, rank, characters, content key: high, low]` of every row.
pub(super) type Rows = Sorted<5>;
/// `[content key: high, low, doc_id]` of every row with a text.
pub(super) type Contents = Sorted<3>;
/// `[band key: high, low, order, doc_id]`; the order is a function of the band and the content.
pub(super) type Bands = Sorted<4>;

/// What is known of the rows after the first pass.
pub(super) struct Survey {
    pub rows: Rows,
    pub contents: Contents,
    pub bands: Bands,
}

/// A text as it is compared: folded, of a pair both sides.
pub(super) struct Content {
    folded: String,
    /// The hash that stands for equality.
    pub key: u128,
    /// Characters of the text as it is.
    pub chars: u64,
    lang: String,
}

impl Content {
    fn new(text: &str, second: Option<&str>, lang: Option<&str>, rule: &Rule) -> Self {
        let mut both = folded(text);
        let mut chars = text.chars().count();
        if let Some(second) = second {
            // As in `dedup::content::pair_key`.
            both.push('\n');
            both.push_str(&folded(second));
            chars += second.chars().count();
        }
        let mut key = id::hash128(both.as_bytes());
        let lang = lang.unwrap_or_default().to_string();
        if rule.within_language {
            key ^= id::hash128(lang.as_bytes());
        }
        Self { folded: both, key, chars: chars as u64, lang }
    }

    /// The distinct shingles, ascending.
    pub fn shingles(&self, near: &Near) -> Vec<u64> {
        // Words of a pair are cut by script: the tag names two languages.
        let lang = if self.lang.contains('-') { "" } else { &self.lang };
        shingles_of(&self.folded, lang, near.ngram as usize)
    }
}

/// Hands the rows of a batch that `wanted` wants to `each`, in parallel: id, rank and content,
/// which is `None` for a null text. The results are in the order of the rows.
pub(super) fn rows<T: Send>(
    batch: &RecordBatch,
    rule: &Rule,
    space: &Space,
    wanted: impl Fn(u64) -> bool + Sync,
    each: impl Fn(u64, u64, Option<Content>) -> T + Sync,
) -> Result<Vec<T>> {
    let column = |name: &str, ty| match batch.column_by_name(name) {
        Some(column) => Ok(cast(column, &ty)?),
        None => Err(Error::internal(format!("the texts come without `{name}`"))),
    };
    let ids = column("doc_id", DataType::UInt64)?;
    let ids = ids.as_primitive::<UInt64Type>();
    if ids.null_count() > 0 {
        return Err(Error::usage("a row has no `doc_id`: it is null"));
    }
    let ranks = column("rank", DataType::Float64)?;
    let ranks = ranks.as_primitive::<Float64Type>();
    let texts = ["text", "second", "lang"]
        .iter()
        .map(|name| column(name, DataType::Utf8View))
        .collect::<Result<Vec<_>>>()?;
    let text = |column: usize, row: usize| {
        let column = texts[column].as_string_view();
        column.is_valid(row).then(|| column.value(row))
    };
    let one = |row: usize| {
        let rank = if ranks.is_valid(row) { ordered(ranks.value(row)) } else { 0 };
        let content =
            text(0, row).map(|first| Content::new(first, text(1, row), text(2, row), rule));
        each(ids.value(row), rank, content)
    };
    let rows = (0..batch.num_rows()).into_par_iter().filter(|row| wanted(ids.value(*row)));
    Ok(space.threads.install(|| rows.map(one).collect()))
}

/// Reads all rows.
pub(super) fn survey(input: Batches, rule: &Rule, space: &Space) -> Result<Survey> {
    let mut all: Sorter<5> = Sorter::new(&space.dir, space.memory);
    let mut contents = Sorter::new(&space.dir, space.memory);
    let mut bands = Sorter::new(&space.dir, space.memory * 2);
    let permutations = rule.near.map(|near| Permutations::new((near.bands * near.rows) as usize));
    for batch in input {
        let found = rows(
            &batch?,
            rule,
            space,
            |_| true,
            |doc, rank, content| {
                let Some(content) = content else { return (doc, rank, None) };
                let keys: Vec<u128> = match (&rule.near, &permutations) {
                    (Some(near), Some(permutations)) => {
                        let signature = permutations.signature(&content.shingles(near));
                        // Rows of different languages do not meet; their content keys differ likewise.
                        let apart = match rule.within_language {
                            true => id::hash128(content.lang.as_bytes()),
                            false => 0,
                        };
                        minhash::bands(&signature, near.rows as usize)
                            .map(|key| key ^ apart)
                            .collect()
                    }
                    _ => Vec::new(),
                };
                (doc, rank, Some((content.chars, content.key, keys)))
            },
        )?;
        for (doc, rank, content) in found {
            let Some((chars, key, keys)) = content else {
                all.push([doc, rank, 0, 0, 0])?;
                continue;
            };
            let [high, low] = halves(key);
            all.push([doc, rank, chars, high, low])?;
            contents.push([high, low, doc])?;
            for band in keys {
                let [band_high, band_low] = halves(band);
                bands.push([band_high, band_low, id::keyed(low, band_low), doc])?;
            }
        }
    }
    let rows = all.finish()?;
    let mut last = None;
    for row in rows.iter()? {
        let [doc, ..] = row?;
        if last.replace(doc) == Some(doc) {
            return Err(Error::usage(format!("`doc_id` {doc} stands twice in the table"))
                .hint_with("duplicates are told apart by `doc_id`, which must be unique"));
        }
    }
    Ok(Survey { rows, contents: contents.finish()?, bands: bands.finish()? })
}

fn halves(key: u128) -> [u64; 2] {
    [(key >> 64) as u64, key as u64]
}

/// A number as an integer of the same order, above 0; not-a-number is 0, as a null is.
fn ordered(value: f64) -> u64 {
    if value.is_nan() {
        return 0;
    }
    // Both zeros are one; negative numbers have their bits in reverse order.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::ordered;

    #[test]
    fn ranks_order_as_numbers_do() {
        let numbers = [f64::NAN, f64::NEG_INFINITY, -2.5, -1e-300, 0.0, 1e-300, 3.0, f64::INFINITY];
        let ranks: Vec<u64> = numbers.iter().map(|n| ordered(*n)).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert_eq!(ordered(-0.0), ordered(0.0));
    }
}
