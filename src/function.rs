//! What a kernel is, and how its results become columns.
//!
//! A kernel is a plain function of one row's values: no I/O, no clock, no thread, no randomness.
//! `sql/adapt.rs` is the only place that turns a kernel into a SQL function; it deals with nulls,
//! string widths, slices and scalars, so that no kernel ever does. A kernel that needs a model or
//! a tokenizer is a value that implements [`Kernel`]; all others are [`Function`] constants in the
//! registry `sql::functions::FUNCTIONS`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    ListArray, ListBuilder, StringBuilder, StructArray, UInt32Builder, UInt64Builder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};

use crate::error::{Error, Result};

/// The subject a function is listed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Text in, text or counts out.
    Text,
    /// Quality measures of a document.
    Measure,
    /// Languages and their tags.
    Language,
    /// Measures of a translation pair.
    Pair,
    /// Keys, signatures, draws.
    Identity,
    /// Tokenizers.
    Tokens,
}

impl Family {
    /// The heading of the family in listings.
    pub fn name(self) -> &'static str {
        match self {
            Family::Text => "text",
            Family::Measure => "measure",
            Family::Language => "language",
            Family::Pair => "pair",
            Family::Identity => "identity",
            Family::Tokens => "tokens",
        }
    }
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `BOOLEAN`.
    Bool,
    /// Any signed integer.
    Int,
    /// Any unsigned integer; a plain literal is taken too.
    UInt,
    /// Any floating-point number; an integer is taken too.
    Float,
    /// Any string.
    Text,
    /// A list of `UInt64`, such as a MinHash signature.
    UIntList,
}

/// One argument of a function.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// Its name in the documentation.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// `Some(words)`: may be left out or null, then the kernel sees `Value::Null`, and this says
    /// what it does about it. `None`: a null makes the whole result null.
    pub default: Option<&'static str>,
}

impl Arg {
    /// A text argument that must be there.
    pub const fn text(name: &'static str) -> Self {
        Self { name, ty: Type::Text, default: None }
    }

    /// An argument of any type that must be there.
    pub const fn of(name: &'static str, ty: Type) -> Self {
        Self { name, ty, default: None }
    }

    /// An argument that may be left out or null.
    pub const fn optional(name: &'static str, ty: Type, default: &'static str) -> Self {
        Self { name, ty, default: Some(default) }
    }
}

/// What a function is called, takes, gives and means.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Its SQL name.
    pub name: &'static str,
    /// The heading it is listed under.
    pub family: Family,
    /// Its arguments; optional ones last.
    pub args: &'static [Arg],
    /// The type of its result.
    pub returns: fn() -> DataType,
    /// The result in one sentence, with units and the source of the definition.
    pub doc: &'static str,
    /// Expressions with the text of their value, each executed by a law test. In more than one
    /// script where text is involved.
    pub examples: &'static [(&'static str, &'static str)],
    /// Counts the changes of its results; part of the key of every node that calls it.
    pub version: u32,
}

/// One value of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Absent; only for optional arguments.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// A list of unsigned integers without nulls.
    UIntList(&'a [u64]),
}

impl<'a> Value<'a> {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&'a str> {
        match *self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is a whole number within `i64`.
    pub fn int(&self) -> Option<i64> {
        match *self {
            Value::Int(v) => Some(v),
            Value::UInt(v) => i64::try_from(v).ok(),
            _ => None,
        }
    }

    /// The unsigned integer, if it is a whole number within `u64`.
    pub fn uint(&self) -> Option<u64> {
        match *self {
            Value::UInt(v) => Some(v),
            Value::Int(v) => u64::try_from(v).ok(),
            _ => None,
        }
    }

    /// The number as `f64`, if it is one.
    pub fn float(&self) -> Option<f64> {
        match *self {
            Value::Float(v) => Some(v),
            Value::Int(v) => Some(v as f64),
            Value::UInt(v) => Some(v as f64),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(v) => Some(v),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn uints(&self) -> Option<&'a [u64]> {
        match *self {
            Value::UIntList(v) => Some(v),
            _ => None,
        }
    }
}

/// A row-wise function; `args` is as long as the signature's arguments.
pub trait Kernel: Send + Sync + 'static {
    /// What it is called, takes and gives.
    fn signature(&self) -> &Signature;

    /// Writes the cells of one row: one for a plain result, one per field for a struct.
    fn call(&self, args: &[Value<'_>], out: &mut Row<'_>) -> Result<()>;

    /// Identifies the model or file that the results depend on; part of node keys.
    fn fingerprint(&self) -> u64 {
        u64::from(self.signature().version)
    }
}

/// A kernel without state.
pub struct Function {
    /// What it is called, takes and gives.
    pub signature: Signature,
    /// Writes the cells of one row.
    pub body: fn(&[Value<'_>], &mut Row<'_>) -> Result<()>,
}

impl Kernel for Function {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn call(&self, args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
        (self.body)(args, out)
    }
}

/// A struct type of nullable fields.
pub fn struct_of(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect())
}

/// A list type as kernels return it.
pub fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// Builds the result column of a function, row by row.
pub struct Columns {
    data_type: DataType,
    cells: Vec<Cells>,
    valid: Vec<bool>,
}

/// The place where a kernel writes one row.
pub struct Row<'a> {
    cells: &'a mut [Cells],
    next: usize,
    null: bool,
}

enum Cells {
    Bool(BooleanBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt32(UInt32Builder),
    UInt64(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    Int32List(ListBuilder<Int32Builder>),
    UInt64List(ListBuilder<UInt64Builder>),
    TextList(ListBuilder<StringBuilder>),
    StructList(Structs),
}

/// A list of structs in each row.
struct Structs {
    item: FieldRef,
    items: Columns,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl Structs {
    fn append(&mut self, length: usize, valid: bool) {
        self.lengths.push(length);
        self.valid.push(valid);
    }

    fn finish(&mut self) -> ArrayRef {
        let empty =
            Columns { data_type: self.item.data_type().clone(), cells: vec![], valid: vec![] };
        let items = std::mem::replace(&mut self.items, empty).finish();
        let offsets = OffsetBuffer::from_lengths(self.lengths.drain(..));
        let nulls = Some(NullBuffer::from(std::mem::take(&mut self.valid)));
        // The lengths are those of what was written, so that they agree with the items.
        Arc::new(ListArray::new(self.item.clone(), offsets, items, nulls))
    }
}

impl Columns {
    /// Room for `rows` rows of a result type; errors for a type that no kernel may return.
    pub fn new(data_type: &DataType, rows: usize) -> Result<Self> {
        let cells = match data_type {
            DataType::Struct(fields) => {
                fields.iter().map(|f| Cells::new(f.data_type(), rows)).collect::<Result<_>>()?
            }
            other => vec![Cells::new(other, rows)?],
        };
        Ok(Self { data_type: data_type.clone(), cells, valid: Vec::with_capacity(rows) })
    }

    /// Writes one row through `write`; the row must be complete afterwards.
    pub fn row(&mut self, write: impl FnOnce(&mut Row<'_>) -> Result<()>) -> Result<()> {
        let width = self.cells.len();
        let mut row = Row { cells: &mut self.cells, next: 0, null: false };
        write(&mut row)?;
        if row.next != width {
            let written = row.next;
            return Err(Error::internal(format!("a kernel wrote {written} of {width} cells")));
        }
        let valid = !row.null;
        self.valid.push(valid);
        Ok(())
    }

    /// The finished column.
    pub fn finish(mut self) -> ArrayRef {
        let mut arrays: Vec<ArrayRef> = self.cells.iter_mut().map(Cells::finish).collect();
        match self.data_type {
            DataType::Struct(fields) => {
                let nulls = NullBuffer::from(self.valid);
                let nulls = (nulls.null_count() > 0).then_some(nulls);
                // The fields come from the same list as the builders, so lengths and types agree.
                Arc::new(StructArray::new(nullable(fields), arrays, nulls))
            }
            _ => arrays.remove(0),
        }
    }
}

fn nullable(fields: Fields) -> Fields {
    fields.iter().map(|f| f.as_ref().clone().with_nullable(true)).collect()
}

macro_rules! put {
    ($(#[$doc:meta])* $name:ident, $value:ty, $($variant:ident => $convert:expr),+) => {
        $(#[$doc])*
        pub fn $name(&mut self, value: impl Into<Option<$value>>) {
            let value: Option<$value> = value.into();
            match self.cell() {
                $(Some(Cells::$variant(b)) => b.append_option(value.map($convert)),)+
                _ => self.mismatch(stringify!($name)),
            }
        }
    };
}

impl Row<'_> {
    /// A null result: for a struct, the struct itself is null.
    pub fn null(&mut self) {
        while let Some(cell) = self.cell() {
            cell.append_null();
        }
        self.null = true;
    }

    put!(/** The next cell, a truth value. */ bool, bool, Bool => |v| v);
    put!(
        /** The next cell, a signed integer. */
        int, i64, Int64 => |v| v, Int32 => |v| v as i32
    );
    put!(
        /** The next cell, an unsigned integer or count. */
        uint, u64, UInt64 => |v| v, UInt32 => |v| v as u32
    );
    put!(
        /** The next cell, a number. */
        float, f64, Float64 => |v| v, Float32 => |v| v as f32
    );

    /// The next cell, a text.
    pub fn text<'v>(&mut self, value: impl Into<Option<&'v str>>) {
        match self.cell() {
            Some(Cells::Text(b)) => b.append_option(value.into()),
            _ => self.mismatch("text"),
        }
    }

    /// The next cell, a list of unsigned integers.
    pub fn uints(&mut self, values: &[u64]) {
        match self.cell() {
            Some(Cells::UInt64List(b)) => {
                b.values().append_slice(values);
                b.append(true);
            }
            _ => self.mismatch("uints"),
        }
    }

    /// The next cell, a list of token ids.
    pub fn ids(&mut self, values: &[i32]) {
        match self.cell() {
            Some(Cells::Int32List(b)) => {
                b.values().append_slice(values);
                b.append(true);
            }
            _ => self.mismatch("ids"),
        }
    }

    /// The next cell, a list of texts.
    pub fn texts<'v>(&mut self, values: impl IntoIterator<Item = &'v str>) {
        match self.cell() {
            Some(Cells::TextList(b)) => {
                for value in values {
                    b.values().append_value(value);
                }
                b.append(true);
            }
            _ => self.mismatch("texts"),
        }
    }

    /// The next cell, a list of structs: `write` writes the cells of each.
    pub fn structs<T>(
        &mut self,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Row<'_>),
    ) -> Result<()> {
        let Some(Cells::StructList(list)) = self.cell() else {
            self.mismatch("structs");
            return Ok(());
        };
        let mut length = 0;
        for value in values {
            list.items.row(|row| {
                write(value, row);
                Ok(())
            })?;
            length += 1;
        }
        list.append(length, true);
        Ok(())
    }

    fn cell(&mut self) -> Option<&mut Cells> {
        let cell = self.cells.get_mut(self.next)?;
        self.next += 1;
        Some(cell)
    }

    /// Makes the row's count of cells wrong, so that `Columns::row` reports the kernel.
    fn mismatch(&mut self, _wrote: &str) {
        self.next = usize::MAX / 2;
    }
}

impl Cells {
    fn new(data_type: &DataType, rows: usize) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Cells::Bool(BooleanBuilder::with_capacity(rows)),
            DataType::Int32 => Cells::Int32(Int32Builder::with_capacity(rows)),
            DataType::Int64 => Cells::Int64(Int64Builder::with_capacity(rows)),
            DataType::UInt32 => Cells::UInt32(UInt32Builder::with_capacity(rows)),
            DataType::UInt64 => Cells::UInt64(UInt64Builder::with_capacity(rows)),
            DataType::Float32 => Cells::Float32(Float32Builder::with_capacity(rows)),
            DataType::Float64 => Cells::Float64(Float64Builder::with_capacity(rows)),
            DataType::Utf8 => Cells::Text(StringBuilder::with_capacity(rows, rows * 16)),
            DataType::List(item) => match item.data_type() {
                DataType::Int32 => Cells::Int32List(ListBuilder::new(Int32Builder::new())),
                DataType::UInt64 => Cells::UInt64List(ListBuilder::new(UInt64Builder::new())),
                DataType::Utf8 => Cells::TextList(ListBuilder::new(StringBuilder::new())),
                DataType::Struct(fields) => {
                    let ty = DataType::Struct(nullable(fields.clone()));
                    Cells::StructList(Structs {
                        items: Columns::new(&ty, rows)?,
                        item: Arc::new(Field::new(item.name(), ty, true)),
                        lengths: Vec::with_capacity(rows),
                        valid: Vec::with_capacity(rows),
                    })
                }
                other => return Err(Error::internal(format!("no list of {other} in kernels"))),
            },
            other => return Err(Error::internal(format!("no {other} in kernels"))),
        })
    }

    fn append_null(&mut self) {
        match self {
            Cells::Bool(b) => b.append_null(),
            Cells::Int32(b) => b.append_null(),
            Cells::Int64(b) => b.append_null(),
            Cells::UInt32(b) => b.append_null(),
            Cells::UInt64(b) => b.append_null(),
            Cells::Float32(b) => b.append_null(),
            Cells::Float64(b) => b.append_null(),
            Cells::Text(b) => b.append_null(),
            Cells::Int32List(b) => b.append(false),
            Cells::UInt64List(b) => b.append(false),
            Cells::TextList(b) => b.append(false),
            Cells::StructList(b) => b.append(0, false),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Cells::Bool(b) => Arc::new(b.finish()),
            Cells::Int32(b) => Arc::new(b.finish()),
            Cells::Int64(b) => Arc::new(b.finish()),
            Cells::UInt32(b) => Arc::new(b.finish()),
            Cells::UInt64(b) => Arc::new(b.finish()),
            Cells::Float32(b) => Arc::new(b.finish()),
            Cells::Float64(b) => Arc::new(b.finish()),
            Cells::Text(b) => Arc::new(b.finish()),
            Cells::Int32List(b) => Arc::new(b.finish()),
            Cells::UInt64List(b) => Arc::new(b.finish()),
            Cells::TextList(b) => Arc::new(b.finish()),
            Cells::StructList(b) => b.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    #[test]
    fn a_struct_may_be_null_as_a_whole() {
        let ty = struct_of(&[("lang", DataType::Utf8), ("score", DataType::Float64)]);
        let mut columns = Columns::new(&ty, 2).unwrap();
        columns
            .row(|row| {
                row.text("isl");
                row.float(0.5);
                Ok(())
            })
            .unwrap();
        columns
            .row(|row| {
                row.null();
                Ok(())
            })
            .unwrap();
        let column = columns.finish();
        assert!(column.is_valid(0) && column.is_null(1));
    }

    #[test]
    fn lists_of_structs_are_written_item_by_item() {
        let ty = list_of(struct_of(&[("lang", DataType::Utf8), ("n", DataType::UInt64)]));
        let mut columns = Columns::new(&ty, 3).unwrap();
        for spans in [Some(vec![("isl", 1), ("yor", 2)]), None, Some(vec![])] {
            let write = |row: &mut Row<'_>| match spans {
                None => {
                    row.null();
                    Ok(())
                }
                Some(spans) => row.structs(spans, |(lang, n), row| {
                    row.text(lang);
                    row.uint(n);
                }),
            };
            columns.row(write).unwrap();
        }
        let column = columns.finish();
        assert_eq!((column.data_type(), column.len(), column.is_null(1)), (&ty, 3, true));
        let lists = column.as_any().downcast_ref::<ListArray>().unwrap();
        assert_eq!((lists.value(0).len(), lists.value(2).len()), (2, 0));
    }

    #[test]
    fn a_kernel_that_forgets_a_cell_is_reported() {
        let ty = struct_of(&[("a", DataType::Utf8), ("b", DataType::Utf8)]);
        let mut columns = Columns::new(&ty, 1).unwrap();
        let error = columns.row(|row| {
            row.text("only one");
            Ok(())
        });
        assert_eq!(error.unwrap_err().to_string(), "a kernel wrote 1 of 2 cells");
    }
}
