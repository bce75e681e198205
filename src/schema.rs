//! The tables' schemas: `schemas/<table>.toml` *is* the schema, this reads it.
//!
//! The reference page of the tables is generated from the same files. Strings are `Utf8` on disk;
//! a check against a schema ignores the width of strings, which varies in memory.

use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};
use serde::Deserialize;

use crate::error::{Error, Result};

/// One table's schema file, read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSchema {
    /// The table's name.
    pub name: String,
    /// What a row is, in one sentence.
    pub doc: String,
    /// The columns in order.
    #[serde(rename = "field")]
    pub fields: Vec<Field>,
}

/// One column.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its Arrow type in printed form.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may be null.
    #[serde(default)]
    pub nullable: bool,
    /// What it holds, with its unit, in one sentence.
    pub doc: String,
    /// The version it first appeared in.
    pub since: String,
}

macro_rules! schemas {
    ($($name:literal),+ $(,)?) => {
        /// The schema files in the order of the flow.
        pub const SCHEMAS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../schemas/", $name, ".toml")))),+];
    };
}

schemas!(
    "documents",
    "pairs",
    "labelled",
    "measured",
    "pairs_measured",
    "kept",
    "pairs_kept",
    "signatures",
    "pairs_signatures",
    "deduped",
    "pairs_deduped",
    "contaminated",
    "split",
    "sized",
    "sizes",
    "mix",
    "selection",
    "eval",
    "errors",
);

static TABLES: LazyLock<Vec<TableSchema>> = LazyLock::new(|| {
    SCHEMAS
        .iter()
        .map(|(name, text)| match toml::from_str::<TableSchema>(text) {
            Ok(schema) => schema,
            // A law test parses every schema, so a release cannot reach this.
            Err(error) => unreachable!("schemas/{name}.toml: {error}"),
        })
        .collect()
});

/// All tables that hexapla itself knows, in the order of the flow.
pub fn tables() -> &'static [TableSchema] {
    &TABLES
}

/// The schema of a table, if hexapla has one for that name.
///
/// ```
/// let documents = hexapla::schema::table("documents").unwrap();
/// assert_eq!(documents.fields[0].name, "doc_id");
/// ```
pub fn table(name: &str) -> Option<&'static TableSchema> {
    tables().iter().find(|t| t.name == name)
}

impl TableSchema {
    /// The Arrow schema.
    pub fn arrow(&self) -> SchemaRef {
        let fields: Vec<ArrowField> = self
            .fields
            .iter()
            .map(|f| match DataType::from_str(&f.data_type) {
                Ok(ty) => ArrowField::new(&f.name, ty, f.nullable),
                Err(error) => unreachable!("schemas/{}.toml: {}: {error}", self.name, f.name),
            })
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// Checks that `found` has these columns in this order, with these types up to the width of
    /// strings. Columns after the last one are the project's own and allowed.
    pub fn check(&self, found: &Schema) -> Result<()> {
        for (i, want) in self.arrow().fields().iter().enumerate() {
            let place = format!("table `{}`", self.name);
            let Some(have) = found.fields().get(i) else {
                let message = format!("column `{}` ({}) is missing", want.name(), want.data_type());
                return Err(Error::usage(message).within(place));
            };
            if have.name() != want.name() {
                return Err(Error::usage(format!(
                    "column {} is `{}`; expected `{}` ({})",
                    i + 1,
                    have.name(),
                    want.name(),
                    want.data_type()
                ))
                .within(place));
            }
            if narrow(have.data_type()) != narrow(want.data_type()) {
                return Err(Error::usage(format!(
                    "column `{}` has type {}; expected {}",
                    want.name(),
                    have.data_type(),
                    want.data_type()
                ))
                .within(place));
            }
        }
        Ok(())
    }
}

/// A type with every string as `Utf8` and every nested field nullable, for comparison and for
/// writing.
pub fn narrow(ty: &DataType) -> DataType {
    match ty {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::List(f) | DataType::LargeList(f) => {
            DataType::List(Arc::new(ArrowField::new("item", narrow(f.data_type()), true)))
        }
        DataType::Struct(fields) => DataType::Struct(
            fields.iter().map(|f| ArrowField::new(f.name(), narrow(f.data_type()), true)).collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_parses_under_its_own_name() {
        for ((name, _), table) in SCHEMAS.iter().zip(tables()) {
            assert_eq!(*name, table.name);
            assert!(!table.arrow().fields().is_empty());
            for field in &table.fields {
                assert!(
                    field.doc.ends_with('.'),
                    "{name}.{}: a sentence ends with a stop",
                    field.name
                );
            }
        }
    }
}
