//! From rows to the columns of a table's schema, batch by batch.
//!
//! The schema file says which columns there are; here stands only what each is filled with.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Builder, ListBuilder, RecordBatch, StringBuilder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{Field, SchemaRef};

use super::plan::PlannedFile;
use crate::error::{Error, Result};
use crate::source::{Into, Row};
use crate::{id, schema};

/// A batch is handed on at this many rows, or at this many bytes of text.
const ROWS: usize = 4096;
const BYTES: usize = 4 << 20;

/// The columns of a table, being filled.
pub struct Columns {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

/// A column by what it holds.
enum Column {
    DocId(UInt64Builder),
    Group(UInt64Builder),
    Offset(UInt64Builder),
    Number(UInt32Builder),
    Score(Float32Builder),
    Tokens(ListBuilder<StringBuilder>),
    Tags(ListBuilder<StringBuilder>),
    Text(Text, StringBuilder),
}

/// A column of texts by what it holds.
#[derive(Clone, Copy)]
enum Text {
    First,
    Second,
    Lang,
    SecondLang,
    Source,
    Id,
    Path,
    Url,
    Label,
    Split,
    Meta,
}

impl Column {
    fn new(field: &Field) -> Result<Self> {
        let text = |what| Self::Text(what, StringBuilder::new());
        let list = || ListBuilder::new(StringBuilder::new()).with_field(item(field));
        Ok(match field.name().as_str() {
            "doc_id" => Self::DocId(UInt64Builder::new()),
            "group_id" => Self::Group(UInt64Builder::new()),
            "source_offset" => Self::Offset(UInt64Builder::new()),
            "source_row" => Self::Number(UInt32Builder::new()),
            "score" => Self::Score(Float32Builder::new()),
            "tokens" => Self::Tokens(list()),
            "tags" => Self::Tags(list()),
            "text" | "src" => text(Text::First),
            "text_pair" | "tgt" => text(Text::Second),
            "lang" | "src_lang" => text(Text::Lang),
            "tgt_lang" => text(Text::SecondLang),
            "source" => text(Text::Source),
            "source_id" => text(Text::Id),
            "source_path" => text(Text::Path),
            "url" => text(Text::Url),
            "label" => text(Text::Label),
            "split" => text(Text::Split),
            "meta" => text(Text::Meta),
            other => return Err(Error::internal(format!("nothing fills column `{other}`"))),
        })
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::DocId(b) | Self::Group(b) | Self::Offset(b) => Arc::new(b.finish()),
            Self::Number(b) => Arc::new(b.finish()),
            Self::Score(b) => Arc::new(b.finish()),
            Self::Tokens(b) | Self::Tags(b) => Arc::new(b.finish()),
            Self::Text(_, b) => Arc::new(b.finish()),
        }
    }
}

/// The field of the items of a list.
fn item(list: &Field) -> Arc<Field> {
    match list.data_type() {
        arrow::datatypes::DataType::List(item) => item.clone(),
        other => Arc::new(Field::new("item", other.clone(), true)),
    }
}

impl Columns {
    /// The columns of a table.
    pub fn new(into: Into) -> Result<Self> {
        let table = schema::table(into.table())
            .ok_or_else(|| Error::internal(format!("no schema `{}`", into.table())))?;
        let schema = table.arrow();
        let columns = schema.fields().iter().map(|f| Column::new(f)).collect::<Result<_>>()?;
        Ok(Self { schema, columns, rows: 0, bytes: 0 })
    }

    /// Their schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends the row with a number that begins at an offset of a file; whether it is time to
    /// take the batch.
    pub fn push(&mut self, file: &PlannedFile, number: u32, offset: u64, row: Row) -> Result<bool> {
        let unit = &file.unit;
        let mut meta = row.meta;
        if let Some(charset) = unit.charset() {
            meta.entry("encoding").or_insert_with(|| charset.into());
        }
        let meta = (!meta.is_empty())
            .then(|| serde_json::to_string(&meta))
            .transpose()
            .map_err(|e| Error::internal(e.to_string()))?;
        for column in &mut self.columns {
            match column {
                Column::DocId(b) => b.append_value(id::doc_id(file.file_id, number)),
                Column::Group(b) => b.append_option(row.group),
                Column::Offset(b) => b.append_value(offset),
                Column::Number(b) => b.append_value(number),
                Column::Score(b) => b.append_option(row.score),
                Column::Tokens(b) => list(b, row.tokens.as_deref()),
                Column::Tags(b) => list(b, row.tags.as_deref()),
                Column::Text(what, b) => b.append_option(match what {
                    Text::First => Some(row.text.as_str()),
                    Text::Second => row.second.as_deref(),
                    Text::Lang => row.lang.as_deref(),
                    Text::SecondLang => row.second_lang.as_deref(),
                    Text::Source => Some(unit.spec.name.as_str()),
                    Text::Id => row.id.as_deref(),
                    Text::Path => Some(unit.source_path()),
                    Text::Url => row.url.as_deref(),
                    Text::Label => row.label.as_deref(),
                    Text::Split => row.split.as_deref(),
                    Text::Meta => meta.as_deref(),
                }),
            }
        }
        self.rows += 1;
        self.bytes +=
            row.text.len() + row.second.map_or(0, |t| t.len()) + meta.map_or(0, |t| t.len());
        Ok(self.rows >= ROWS || self.bytes >= BYTES)
    }

    /// The rows since the last batch, if there are any.
    pub fn take(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        (self.rows, self.bytes) = (0, 0);
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        Ok(Some(RecordBatch::try_new(self.schema.clone(), columns)?))
    }
}

fn list(builder: &mut ListBuilder<StringBuilder>, items: Option<&[String]>) {
    match items {
        Some(items) => {
            for item in items {
                builder.values().append_value(item);
            }
            builder.append(true);
        }
        None => builder.append(false),
    }
}
