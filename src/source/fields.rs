//! From an object of named values to a row: columns, defaults, languages, everything else.
//!
//! Shared by all formats whose rows have named fields. Knows no bytes; tables with a column a
//! language are `wide`'s.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::row::{Row, Sink};
use super::spec::{Column, Into};
use super::unit::Unit;
use super::wide::Wide;
use crate::error::{Error, Result};
use crate::id;
use crate::identify::tag;

/// Turns the objects of one unit into rows.
pub struct Fields<'a> {
    unit: &'a Unit,
    columns: BTreeMap<&'a str, String>,
    /// The column that a row lacked and the columns it had instead, while no row was complete.
    lacking: Option<(String, String)>,
    complete: bool,
    /// The columns that were asked for and that no row had so far.
    unseen: Vec<String>,
    /// The names in the first row.
    first: Option<Vec<String>>,
    /// The columns of the languages, where each has one.
    wide: Option<Wide>,
}

/// Why an object is no row.
type Fault = String;

impl<'a> Fields<'a> {
    /// For a unit; `header` holds the names of all columns where the file fixes them, be they
    /// their numbers. Errors when a column that is asked for is not among them.
    pub fn new(unit: &'a Unit, header: Option<&[String]>) -> Result<Self> {
        let mut columns = BTreeMap::new();
        for (field, column) in &unit.spec.columns {
            let name = match (column, header) {
                (Column::Name(name), _) => name.clone(),
                (Column::Number(n), Some(header)) => match header.get(n - 1) {
                    Some(name) => name.clone(),
                    None => return Err(missing(unit, &n.to_string(), header)),
                },
                (Column::Number(n), None) => {
                    let message = format!("`{field}` is column {n}, but the columns have names");
                    return Err(Error::usage(message).within(unit.source_path()));
                }
            };
            columns.insert(field.as_str(), name);
        }
        let unseen = columns.values().cloned().collect();
        let (lacking, complete, first) = (None, false, None);
        let wide = header.map_or(Ok(None), |header| Wide::find(unit, header))?;
        let fields = Self { unit, columns, lacking, complete, unseen, first, wide };
        if let Some(header) = header {
            let has = |name: &str| {
                let top = name.split('.').next().unwrap_or(name);
                header.iter().any(|h| h == name || h == top)
            };
            if let Some(name) = fields.columns.values().find(|name| !has(name)) {
                return Err(missing(unit, name, header));
            }
            if fields.wide.is_some() {
                return Ok(fields);
            }
            let alone = |field: &&&str| **field == "text" && has(fields.column("tokens"));
            let required = fields.required();
            let absent = required.iter().find(|f| !has(fields.column(f)) && !alone(f));
            if let Some(field) = absent {
                return Err(missing(unit, fields.column(field), header));
            }
        }
        fields.check_languages()?;
        Ok(fields)
    }

    /// Hands the row that an object holds to the sink, or rejects its bytes.
    pub fn row(
        &mut self,
        offset: u64,
        object: Map<String, Value>,
        raw: &[u8],
        sink: &mut dyn Sink,
    ) -> Result<()> {
        if self.first.is_none() {
            self.first = Some(object.keys().cloned().collect());
        }
        if self.wide.is_none() && !self.complete {
            self.wide = Wide::find(self.unit, &reachable(&object))?;
        }
        if !self.unseen.is_empty() {
            self.unseen.retain(|column| get(&object, column).is_none());
        }
        if let Some(wide) = &self.wide {
            return wide.row(self.unit, offset, object, raw, sink);
        }
        if object.values().any(contains_nul) {
            return sink.reject(offset, "contains a NUL byte", raw);
        }
        let names = if self.complete || self.lacking.is_some() {
            String::new()
        } else {
            object.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        match self.convert(object) {
            Ok(row) => {
                self.complete = true;
                sink.row(offset, row)
            }
            Err((fault, lacks)) => {
                if let (Some(column), false, None) = (lacks, self.complete, &self.lacking) {
                    self.lacking = Some((column, names));
                }
                sink.reject(offset, &fault, raw)
            }
        }
    }

    /// At the end of a file: an error when a column was missing from every row of it, be it one
    /// that a row can do without, if it was asked for.
    pub fn finish(self) -> Result<()> {
        let lacking = self.lacking.filter(|_| !self.complete && self.wide.is_none());
        let lacking = lacking.or_else(|| {
            let names = self.first?.join(", ");
            self.unseen.into_iter().next().map(|column| (column, names))
        });
        match lacking {
            Some((column, names)) => {
                let message = format!("column `{column}` is missing; there are: {names}");
                Err(hinted(self.unit, Error::usage(message)))
            }
            None => Ok(()),
        }
    }

    fn column<'b>(&'b self, field: &'b str) -> &'b str {
        self.columns.get(field).map_or(field, String::as_str)
    }

    fn required(&self) -> &'static [&'static str] {
        match self.unit.into {
            Into::Documents | Into::Labelled => &["text"],
            Into::Pairs => &["src", "tgt"],
        }
    }

    /// Pairs have to know both languages before the first row.
    fn check_languages(&self) -> Result<()> {
        let known =
            |lang: &Option<String>, field: &str| lang.is_some() || self.columns.contains_key(field);
        let unit = self.unit;
        if unit.into == Into::Pairs
            && !(known(&unit.lang, "src_lang") && known(&unit.second_lang, "tgt_lang"))
        {
            return Err(Error::usage("the languages of the pairs are not given")
                .within(unit.source_path())
                .hint_with(
                    "set `langs`, use `{src}` and `{tgt}` in the path, or give the columns \
                     `src_lang` and `tgt_lang`",
                ));
        }
        Ok(())
    }

    fn convert(&self, mut object: Map<String, Value>) -> Result<Row, (Fault, Option<String>)> {
        let (unit, object) = (self.unit, &mut object);
        let plain = |fault: Fault| (fault, None);
        let mut row = Row::default();
        let tables = |into: &[Into]| into.contains(&unit.into);
        if tables(&[Into::Labelled]) {
            row.tokens = self.list(object, "tokens").map_err(plain)?;
            row.tags = self.list(object, "tags").map_err(plain)?;
            if let (Some(tokens), Some(tags)) = (&row.tokens, &row.tags)
                && tokens.len() != tags.len()
            {
                let fault = format!("{} tokens have {} tags", tokens.len(), tags.len());
                return Err((fault, None));
            }
        }
        if tables(&[Into::Pairs]) {
            row.text = self.text(object, "src")?;
            row.second = Some(self.text(object, "tgt")?);
            row.lang = self.language(object, "src_lang", &unit.lang).map_err(plain)?;
            row.second_lang =
                self.language(object, "tgt_lang", &unit.second_lang).map_err(plain)?;
            for (lang, field) in [(&row.lang, "src_lang"), (&row.second_lang, "tgt_lang")] {
                if lang.is_none() {
                    return Err((format!("`{}` is missing", self.column(field)), None));
                }
            }
            row.score = self.score(object).map_err(plain)?;
        } else {
            row.text = match (self.text(object, "text"), &row.tokens) {
                (Err((_, Some(_))), Some(tokens)) => tokens.join(" "),
                (text, _) => text?,
            };
            row.lang = self.language(object, "lang", &unit.lang).map_err(plain)?;
        }
        if tables(&[Into::Documents]) {
            row.id = self.scalar(object, "id", None).map_err(plain)?;
            row.url = self.scalar(object, "url", None).map_err(plain)?;
        }
        if tables(&[Into::Labelled]) {
            row.second = self.scalar(object, "text_pair", None).map_err(plain)?;
            row.label = self.scalar(object, "label", unit.label.as_ref()).map_err(plain)?;
            row.split = self.scalar(object, "split", unit.split.as_ref()).map_err(plain)?;
        }
        if let Some(column) = self.columns.get("group") {
            // What joins the rows is often data too, so it stays in `meta`.
            row.group = get(object, column)
                .and_then(as_text)
                .map(|key| id::hash_fields([unit.spec.name.as_str(), key.as_str()]));
        }
        row.meta = flatten(std::mem::take(object));
        Ok(row)
    }

    /// A text that has to be there; the second half of the error is its column when it is not.
    fn text(
        &self,
        object: &mut Map<String, Value>,
        field: &str,
    ) -> Result<String, (Fault, Option<String>)> {
        let column = self.column(field);
        match take(object, column) {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Null) => Err((format!("`{column}` is null"), None)),
            Some(_) => Err((format!("`{column}` is not a string"), None)),
            None => Err((format!("`{column}` is missing"), Some(column.to_string()))),
        }
    }

    /// A value for the whole unit gives way to a column that was asked for, but not to one that
    /// just has the field's name.
    fn scalar(
        &self,
        object: &mut Map<String, Value>,
        field: &str,
        unit: Option<&String>,
    ) -> Result<Option<String>, Fault> {
        let asked = self.columns.get(field);
        if asked.is_none() && unit.is_some() {
            return Ok(unit.cloned());
        }
        let column = asked.map_or(field, String::as_str);
        let inner = format!("metadata.{field}");
        let value = match take(object, column) {
            None if field == "url" && asked.is_none() => take(object, &inner),
            value => value,
        };
        match value {
            None | Some(Value::Null) => Ok(unit.cloned()),
            Some(value) => match as_text(&value) {
                Some(text) => Ok(Some(text)),
                None => Err(format!("`{column}` is neither a string nor a number")),
            },
        }
    }

    fn language(
        &self,
        object: &mut Map<String, Value>,
        field: &str,
        unit: &Option<String>,
    ) -> Result<Option<String>, Fault> {
        let asked = self.columns.contains_key(field);
        if asked || unit.is_none() {
            match self.scalar(object, field, None)? {
                Some(code) if !undetermined(&code) => {
                    return match tag::find(&code) {
                        Some(tag) => Ok(Some(tag.to_string())),
                        None => Err(format!("unknown language code `{code}`")),
                    };
                }
                _ => {}
            }
        }
        if unit.is_some() || asked {
            return Ok(unit.clone());
        }
        // The layouts of datatrove and dolma keep what they measured in `metadata`; a code that
        // is not known there is a remark, not a declaration.
        let codes = ["metadata.lang", "metadata.language"];
        let known = |column: &&str| {
            let code = get(object, column).and_then(Value::as_str).and_then(tag::find);
            code.map(|tag| tag.to_string())
        };
        Ok(codes.iter().find_map(known))
    }

    fn score(&self, object: &mut Map<String, Value>) -> Result<Option<f32>, Fault> {
        let column = self.column("score");
        match take(object, column) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(value) => {
                let number = match &value {
                    Value::String(text) => text.trim().parse().ok(),
                    other => other.as_f64().map(|x| x as f32),
                };
                number.map(Some).ok_or_else(|| format!("`{column}` is not a number"))
            }
        }
    }

    /// A list, or a string that spaces divide.
    fn list(
        &self,
        object: &mut Map<String, Value>,
        field: &str,
    ) -> Result<Option<Vec<String>>, Fault> {
        let column = self.column(field);
        match take(object, column) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => {
                Ok(Some(text.split_whitespace().map(str::to_string).collect()))
            }
            Some(Value::Array(items)) => items
                .iter()
                .map(as_text)
                .collect::<Option<Vec<_>>>()
                .map(Some)
                .ok_or_else(|| format!("`{column}` is not a list of strings")),
            Some(_) => Err(format!("`{column}` is not a list")),
        }
    }
}

/// A value of an object by its key, else by a path with dots.
fn get<'v>(object: &'v Map<String, Value>, column: &str) -> Option<&'v Value> {
    if let Some(value) = object.get(column) {
        return Some(value);
    }
    let (top, rest) = column.split_once('.')?;
    get(object.get(top)?.as_object()?, rest)
}

/// Takes a value out of an object by its key, else by a path with dots.
pub fn take(object: &mut Map<String, Value>, column: &str) -> Option<Value> {
    if let Some(value) = object.shift_remove(column) {
        return Some(value);
    }
    let (top, rest) = column.split_once('.')?;
    take(object.get_mut(top)?.as_object_mut()?, rest)
}

/// The names of an object and of its object `translation`, with a dot between.
fn reachable(object: &Map<String, Value>) -> Vec<String> {
    let mut names: Vec<String> = object.keys().cloned().collect();
    if let Some(inner) = object.get("translation").and_then(Value::as_object) {
        names.extend(inner.keys().map(|name| format!("translation.{name}")));
    }
    names
}

/// Whether a value says that the language is not known, not one or none, as ISO 639-2 has codes
/// for, or as people write it.
fn undetermined(code: &str) -> bool {
    let code = code.trim().to_ascii_lowercase();
    let code = code.split(['_', '-']).next().unwrap_or_default();
    matches!(code, "" | "und" | "mul" | "mis" | "zxx" | "null" | "none" | "unknown")
}

/// Whether a text in it has a NUL, which no text has; a parser limits how deep it goes.
pub fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(contains_nul),
        Value::Object(object) => object.iter().any(|(k, v)| k.contains('\0') || contains_nul(v)),
        _ => false,
    }
}

/// A string, number or truth value as text.
pub fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// What is left of an object, with the entries of `metadata` beside it.
pub fn flatten(mut object: Map<String, Value>) -> Map<String, Value> {
    match object.shift_remove("metadata") {
        Some(Value::Object(inner)) => {
            for (key, value) in inner {
                let taken = object.contains_key(&key);
                object.insert(if taken { format!("metadata.{key}") } else { key }, value);
            }
        }
        Some(other) => {
            object.insert("metadata".into(), other);
        }
        None => {}
    }
    object
}

fn missing(unit: &Unit, column: &str, header: &[String]) -> Error {
    let message = format!("column `{column}` is missing; there are: {}", header.join(", "));
    hinted(unit, Error::usage(message))
}

fn hinted(unit: &Unit, error: Error) -> Error {
    let fields = if unit.into == Into::Pairs { "src = …, tgt = …" } else { "text = …" };
    let header = if unit.format.extensions().contains(&"tsv") {
        "; of a file without a header, columns are numbers from 1"
    } else {
        ""
    };
    error
        .within(unit.source_path())
        .hint_with(format!("name the columns: `columns = {{ {fields} }}`{header}"))
}
