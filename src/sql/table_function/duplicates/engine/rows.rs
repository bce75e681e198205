//! The first pass: every row gets a number, and what is known of it becomes arrays and records.

use std::cmp::Reverse;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt64Type};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::super::super::Batches;
use super::{Rule, Space};
use crate::error::{Error, Result};
use crate::id;
use crate::store::group::{Sorted, Sorter};
use crate::store::mmap::{Scratch, ScratchWriter};

/// `[content key: high, low, number]` of every row with a text.
pub(super) type Contents = Sorted<3>;
/// `[band key, hash of the set, number]`.
pub(super) type Bands = Sorted<3>;

/// The row is of the table that the other one is compared with.
pub(super) const OLD: u8 = 1;
/// The row has no text.
pub(super) const EMPTY: u8 = 2;
/// The row is in a cluster that was taken over from a former result.
pub(super) const KNOWN: u8 = 4;
/// The row was kept in the former result.
pub(super) const WAS_KEPT: u8 = 8;
/// The shingles of the row are needed.
pub(super) const NEEDED: u8 = 16;

/// All rows, by number: in the order in which they were read, the old ones last.
pub(super) struct Rows {
    pub doc: Scratch<u64>,
    /// The content key, high and low.
    pub key: Scratch<[u64; 2]>,
    pub chars: Scratch<u64>,
    pub flags: Scratch<u8>,
    /// For each column of the order a number of which the largest comes first.
    ranks: Vec<Scratch<u64>>,
    /// `[doc_id, number]` in order of the first, unless numbers have that order themselves.
    by_doc: Option<Scratch<[u64; 2]>>,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.doc.len()
    }

    pub fn has(&self, number: u32, flag: u8) -> bool {
        self.flags[number as usize] & flag != 0
    }

    /// The number at a place in the order of ids.
    pub fn at(&self, place: usize) -> u32 {
        match &self.by_doc {
            Some(by_doc) => by_doc[place][1] as u32,
            None => place as u32,
        }
    }

    /// The number of an id; `near` is where the last one stood, as ids are mostly asked in order.
    pub fn find(&self, doc: u64, near: &mut usize) -> Option<u32> {
        let id = |place: usize| match &self.by_doc {
            Some(by_doc) => by_doc[place][0],
            None => self.doc[place],
        };
        let n = self.len();
        if *near + 1 < n && id(*near + 1) == doc {
            *near += 1;
            return Some(self.at(*near));
        }
        let (mut low, mut high) = (0, n);
        while low < high {
            let middle = low + (high - low) / 2;
            if id(middle) < doc { low = middle + 1 } else { high = middle }
        }
        if low == n || id(low) != doc {
            return None;
        }
        *near = low;
        Some(self.at(low))
    }

    /// The explicit order of what is kept: the greater of two comes first.
    pub fn is_better(&self, a: u32, b: u32) -> bool {
        let of = |row: u32| {
            let i = row as usize;
            (self.chars[i], Reverse(self.key[i]), Reverse(self.doc[i]))
        };
        let ranks = self.ranks.iter().map(|rank| rank[a as usize].cmp(&rank[b as usize]));
        ranks
            .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            .then_with(|| of(a).cmp(&of(b)))
            == std::cmp::Ordering::Greater
    }
}

/// What the first pass finds of one row.
struct Found {
    doc: u64,
    ranks: Vec<u64>,
    content: Option<Text>,
}

struct Text {
    key: u128,
    chars: u64,
    set: u64,
    bands: Vec<u64>,
}

/// The columns of a batch.
pub(super) struct View {
    ids: ArrayRef,
    texts: [Option<ArrayRef>; 2],
    tokens: [Option<ArrayRef>; 2],
    signature: Option<ArrayRef>,
    /// Whether there is a signature, when that is to be checked.
    signed: Option<ArrayRef>,
    apart: Vec<ArrayRef>,
    ranks: Vec<ArrayRef>,
}

impl View {
    pub fn new(batch: &RecordBatch) -> Result<Self> {
        let column = |name: &str, ty: &DataType| -> Result<Option<ArrayRef>> {
            batch.column_by_name(name).map(|c| Ok(cast(c, ty)?)).transpose()
        };
        let several = |name: &str| {
            (0..).map_while(|i| batch.column_by_name(&format!("{name}_{i}"))).collect::<Vec<_>>()
        };
        let text = |name| column(name, &DataType::Utf8View);
        let ids = column("doc_id", &DataType::UInt64)?
            .ok_or_else(|| Error::internal("rows without `doc_id`"))?;
        if ids.null_count() > 0 {
            return Err(Error::usage("a row has no `doc_id`: it is null"));
        }
        let lists = |name: &str| batch.column_by_name(name).cloned();
        Ok(Self {
            ids,
            texts: [text("text")?, text("second")?],
            tokens: [lists("tokens"), lists("tokens_second")],
            signature: lists("signature"),
            signed: column("signed", &DataType::Boolean)?,
            apart: several("apart")
                .into_iter()
                .map(|c| Ok(cast(c, &DataType::Utf8View)?))
                .collect::<Result<_>>()?,
            ranks: several("rank").into_iter().cloned().collect(),
        })
    }

    pub fn ids(&self) -> &[u64] {
        self.ids.as_primitive::<UInt64Type>().values()
    }

    fn text(&self, side: usize, row: usize) -> Option<&str> {
        let column = self.texts[side].as_ref()?.as_string_view();
        column.is_valid(row).then(|| column.value(row))
    }

    /// The distinct shingles of a row with what they were made of; `None` without a text.
    pub fn shingles(
        &self,
        row: usize,
        rule: &Rule,
    ) -> Option<(crate::dedup::recipe::Content, Vec<u64>)> {
        let content = rule.recipe.content(self.text(0, row)?, self.text(1, row));
        if rule.near.is_none() {
            return Some((content, Vec::new()));
        }
        let mut tokens = Vec::new();
        for list in self.tokens.iter().flatten().map(|c| c.as_list::<i32>()) {
            if list.is_valid(row) {
                // No token is negative: the sides do not run together.
                tokens.push(-1);
                tokens.extend(list.value(row).as_primitive::<Int32Type>().values());
            }
        }
        let set = rule.recipe.shingles(&content, tokens.get(1..).unwrap_or_default());
        Some((content, set))
    }

    /// What keeps rows apart, as one number; 0 when nothing does.
    fn apart(&self, row: usize) -> u128 {
        if self.apart.is_empty() {
            return 0;
        }
        let mut bytes = Vec::new();
        for column in self.apart.iter().map(|c| c.as_string_view()) {
            let value = if column.is_valid(row) { column.value(row) } else { "" };
            bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        id::hash128(&bytes)
    }

    /// Errors when a signature was not made as the call asks for.
    fn check_forms(&self, rule: &Rule) -> Result<()> {
        let Some(signature) = self.signature.as_ref().map(|s| s.as_struct()) else {
            return Ok(());
        };
        let form = signature.column_by_name("form").ok_or_else(|| no_field("form"))?;
        let forms = cast(form, &DataType::Utf8View)?;
        let forms = forms.as_string_view();
        let (one, both) = (rule.recipe.name(false), rule.recipe.name(true));
        for row in (0..signature.len()).filter(|row| signature.is_valid(*row)) {
            let form = forms.value(row);
            // A pair without its second side is one text.
            if form != one && !(rule.pair && form == both) {
                let wanted = if rule.pair { &both } else { &one };
                return Err(Error::usage(format!(
                    "the signature of `doc_id` {} was made with `{form}`; the call asks for `{wanted}`",
                    self.ids()[row],
                ))
                .hint_with("make the signatures with the numbers that the call asks for"));
            }
        }
        Ok(())
    }

    fn signed(&self, row: usize) -> Result<Option<Text>> {
        let Some(signature) = self.signature.as_ref().map(|s| s.as_struct()) else {
            return Ok(None);
        };
        if self.signed.as_ref().is_some_and(|s| s.is_null(row) || !s.as_boolean().value(row)) {
            return Err(Error::usage(format!("`doc_id` {} has no signature", self.ids()[row]))
                .hint_with("the table of signatures must have all rows; build it again"));
        }
        if signature.is_null(row) {
            return Ok(None);
        }
        let column = |name: &str| signature.column_by_name(name).ok_or_else(|| no_field(name));
        let number = |name: &str| -> Result<u64> {
            let column = column(name)?.as_primitive_opt::<UInt64Type>();
            Ok(column
                .ok_or_else(|| Error::usage(format!("`signature` has a wrong `{name}`")))?
                .value(row))
        };
        let key = u128::from(number("content_high")?) << 64 | u128::from(number("content_low")?);
        let bands = match column("bands")?.as_list_opt::<i32>() {
            Some(bands) => bands.value(row).as_primitive::<UInt64Type>().values().to_vec(),
            None => return Err(Error::usage("`signature` has wrong `bands`")),
        };
        Ok(Some(Text { key, chars: number("chars")?, set: number("set")?, bands }))
    }

    fn ranks(&self, row: usize, rule: &Rule) -> Vec<u64> {
        let rank = |(column, ascending): (&ArrayRef, &bool)| {
            if column.is_null(row) {
                return 0;
            }
            let value = match column.data_type() {
                DataType::UInt64 => {
                    column.as_primitive::<UInt64Type>().value(row).saturating_add(1)
                }
                DataType::Int64 => {
                    let value = column.as_primitive::<Int64Type>().value(row);
                    (value.cast_unsigned() ^ 1 << 63).saturating_add(1)
                }
                DataType::Float64 => ordered(column.as_primitive::<Float64Type>().value(row)),
                _ => 0,
            };
            // What has no value comes last either way.
            if *ascending && value > 0 { (!value).max(1) } else { value }
        };
        self.ranks.iter().zip(&rule.ascending).map(rank).collect()
    }

    fn found(
        &self,
        row: usize,
        rule: &Rule,
        permutations: Option<&crate::dedup::minhash::Permutations>,
    ) -> Result<Found> {
        let content = if self.signature.is_some() {
            self.signed(row)?
        } else {
            self.shingles(row, rule).map(|(content, set)| {
                let signed = permutations.map(|p| rule.recipe.sign(&set, p));
                let (set, bands) = signed.map_or((0, Vec::new()), |s| (s.set, s.bands));
                Text { key: content.key, chars: content.chars, set, bands }
            })
        };
        let apart = self.apart(row);
        let content = content.map(|mut text| {
            text.key ^= apart;
            // Rows that are kept apart share neither a content key nor a band.
            text.bands.iter_mut().for_each(|band| *band ^= apart as u64);
            text
        });
        Ok(Found { doc: self.ids()[row], ranks: self.ranks(row, rule), content })
    }
}

fn no_field(name: &str) -> Error {
    Error::usage(format!("column `signature` has no field `{name}`"))
        .hint_with("signatures are made by duplicate_signature()")
}

/// Reads all rows.
pub(super) fn read(
    rule: &Rule,
    table: Batches,
    against: Option<Batches>,
    space: &Space,
) -> Result<(Rows, Contents, Option<Bands>)> {
    let (mut doc, mut key, mut chars, mut flags) =
        (space.writer::<u64>(), space.writer(), space.writer(), space.writer::<u8>());
    let mut ranks: Vec<ScratchWriter<u64>> =
        rule.ascending.iter().map(|_| space.writer()).collect();
    let mut contents = Sorter::new(&space.dir, space.memory / 8);
    let mut bands = rule.near.map(|_| Sorter::new(&space.dir, space.memory * 3 / 8));
    let permutations = rule.near.map(|_| rule.recipe.permutations());
    let (mut last, mut ascending) = (None, true);
    for (input, side) in [(Some(table), 0), (against, OLD)] {
        for batch in input.into_iter().flatten() {
            let view = View::new(&batch?)?;
            view.check_forms(rule)?;
            let one = |row| view.found(row, rule, permutations.as_ref());
            let n = view.ids().len();
            let found: Vec<Found> =
                space.threads.install(|| (0..n).into_par_iter().map(one).collect::<Result<_>>())?;
            for row in found {
                let number = doc.len() as u64;
                ascending &= last.replace(row.doc).is_none_or(|last| last < row.doc);
                doc.push(row.doc)?;
                for (ranks, rank) in ranks.iter_mut().zip(row.ranks) {
                    ranks.push(rank)?;
                }
                let Some(text) = row.content else {
                    key.push([0, 0])?;
                    chars.push(0)?;
                    flags.push(side | EMPTY)?;
                    continue;
                };
                let [high, low] = [(text.key >> 64) as u64, text.key as u64];
                key.push([high, low])?;
                chars.push(text.chars)?;
                flags.push(side)?;
                contents.push([high, low, number])?;
                if let Some(bands) = &mut bands {
                    text.bands.iter().try_for_each(|band| bands.push([*band, text.set, number]))?;
                }
            }
        }
    }
    let doc = doc.finish()?;
    let flags = flags.finish()?;
    let by_doc = if ascending { None } else { Some(order(&doc, &flags, space)?) };
    let ranks = ranks.into_iter().map(ScratchWriter::finish).collect::<Result<_>>()?;
    let rows = Rows { doc, key: key.finish()?, chars: chars.finish()?, flags, ranks, by_doc };
    let bands = bands.map(Sorter::finish).transpose()?;
    Ok((rows, contents.finish()?, bands))
}

/// `[doc_id, number]` in order; errors when an id stands twice.
fn order(doc: &[u64], flags: &[u8], space: &Space) -> Result<Scratch<[u64; 2]>> {
    let mut sorter = Sorter::new(&space.dir, space.memory / 8);
    for (doc, number) in doc.iter().zip(0u64..) {
        sorter.push([*doc, number])?;
    }
    let mut ordered = space.writer::<[u64; 2]>();
    let mut last: Option<[u64; 2]> = None;
    for record in sorter.finish()?.iter()? {
        let record = record?;
        if let Some(before) = last.replace(record).filter(|before| before[0] == record[0]) {
            let old = |number: u64| flags[number as usize] & OLD != 0;
            let place = match old(before[1]) == old(record[1]) {
                true => "stands twice in the table",
                false => "stands in both tables",
            };
            return Err(Error::usage(format!("`doc_id` {} {place}", record[0]))
                .hint_with("duplicates are told apart by `doc_id`, which must be unique"));
        }
        ordered.push(record)?;
    }
    ordered.finish()
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
