//! The columns of one batch of rows, and what is found in them: keys, bands and ranks.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt64Type};

use super::Rule;
use crate::dedup::minhash::Permutations;
use crate::dedup::recipe::Content;
use crate::error::{Error, Result};
use crate::id;
use crate::sql::table_function::order::ordered;

/// What the first pass finds of one row.
pub(super) struct Found {
    pub doc: u64,
    pub ranks: Vec<u64>,
    pub content: Option<Text>,
}

/// What is known of its text.
pub(super) struct Text {
    pub key: u128,
    pub chars: u64,
    pub set: u64,
    pub bands: Vec<u64>,
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
    pub fn shingles(&self, row: usize, rule: &Rule) -> Option<(Content, Vec<u64>)> {
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
    pub fn check_forms(&self, rule: &Rule) -> Result<()> {
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

    /// What is found of a row.
    pub fn found(
        &self,
        row: usize,
        rule: &Rule,
        permutations: Option<&Permutations>,
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
