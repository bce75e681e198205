//! What a person says about a source: where its files are, and what is in them.
//!
//! Opens nothing: `source::pattern` finds the files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::charset;
use crate::error::{Error, Result};

/// The table that a source's rows go into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Into {
    /// One text a row.
    Documents,
    /// Two texts a row, one the translation of the other.
    Pairs,
    /// One annotated example a row.
    Labelled,
}

impl Into {
    /// The name of the table, which is also that of its schema.
    pub fn table(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Pairs => "pairs",
            Self::Labelled => "labelled",
        }
    }
}

/// The table with a name.
pub fn table_named(name: &str) -> Result<Into> {
    let all = [Into::Documents, Into::Pairs, Into::Labelled];
    let found = all.into_iter().find(|into| into.table() == name);
    found.ok_or_else(|| Error::unknown("table", name, all.map(Into::table)))
}

/// One path pattern or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Patterns {
    /// A single pattern.
    One(String),
    /// Several; of Moses text, one a language.
    Many(Vec<String>),
}

impl Patterns {
    /// The patterns in the order they were given in.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl Default for Patterns {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl From<&str> for Patterns {
    fn from(path: &str) -> Self {
        Self::One(path.into())
    }
}

/// A column of the file, by its name or by its number from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// Counted from 1, as `cut` does; for files without a header.
    Number(usize),
    /// As the header, the schema or the object's key has it; `a.b` reaches into an object.
    Name(String),
}

/// The fields of a row that can be given a column.
pub const FIELDS: &[&str] = &[
    "text",
    "id",
    "lang",
    "url",
    "label",
    "text_pair",
    "src",
    "tgt",
    "src_lang",
    "tgt_lang",
    "score",
    "tokens",
    "tags",
    "split",
    "group",
];

/// A source of the project file, or the input of `hexapla ingest`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Its name; the key in the project file.
    #[serde(skip_deserializing)]
    pub name: String,
    /// Where its files are: globs with `{lang}`, `{src}`, `{tgt}`, `{name}`, `{split}`, `{label}`,
    /// each of which matches inside one component of the path; `{a,b}` is either.
    pub path: Patterns,
    /// Globs of files to leave out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The table its rows go into; without it, what the placeholders and columns say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<Into>,
    /// The format; without it, what each file looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The language of every text, in any spelling of its code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// The languages of pairs: source then target; of line-aligned files in more than two
    /// languages, the first is paired with each of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub langs: Vec<String>,
    /// The language that message catalogues translate from; English unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_lang: Option<String>,
    /// The class of every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The part of the data set that every row is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Which column holds which field, or which of `langs` in a table with a column a language; a
    /// field that is not named is looked for under its own name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, Column>,
    /// The encoding of the text, such as `windows-1251`; without it, what the bytes tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Whether TSV and CSV have a header; without it, they have one unless columns are numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// What separates the fields of CSV; a comma unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// The project's languages: files whose path says another one are not read. Empty: all are.
    #[serde(skip)]
    pub languages: Vec<String>,
}

impl SourceSpec {
    /// A source with a name and a pattern, everything else as it comes.
    pub fn new(name: &str, path: impl std::convert::Into<Patterns>) -> Self {
        Self { name: name.into(), path: path.into(), ..Self::default() }
    }

    /// The table its rows go into: as said, else pairs for two languages or sides, labelled for a
    /// label, a split, a second text or tags, else what the format or the ending of the paths is
    /// made for, else documents.
    pub fn table(&self) -> Into {
        let placeholder =
            |name: &str| self.path.all().iter().any(|p| p.contains(&format!("{{{name}}}")));
        let column = |name: &str| self.columns.contains_key(name);
        let given = |names: &[&str]| names.iter().any(|n| column(n) || placeholder(n));
        match self.into {
            Some(into) => into,
            None if !self.langs.is_empty() || given(&["src", "tgt", "src_lang", "tgt_lang"]) => {
                Into::Pairs
            }
            None if self.label.is_some() || self.split.is_some() => Into::Labelled,
            None if given(&["label", "split", "text_pair", "tokens", "tags"]) => Into::Labelled,
            None => self.natural(),
        }
    }

    /// The first table of the format, or of the one that all paths end like.
    fn natural(&self) -> Into {
        let format = match &self.format {
            Some(name) => super::named(name).ok(),
            None => {
                let mut formats = self.path.all().iter().map(|path| super::by_ending(path));
                let first = formats.next().flatten();
                let name = first.map(|f| f.name());
                first.filter(|_| formats.all(|f| f.map(|f| f.name()) == name))
            }
        };
        format.and_then(|f| f.tables().first().copied()).unwrap_or(Into::Documents)
    }

    /// Whether the first record of a delimited file names its columns.
    pub fn has_header(&self) -> bool {
        let numbered = self.columns.values().any(|c| matches!(c, Column::Number(_)));
        self.header.unwrap_or(!numbered)
    }

    /// Checks what can be checked without a file.
    pub fn check(&self) -> Result<()> {
        let place = format!("source `{}`", self.name);
        if self.path.all().is_empty() {
            return Err(Error::usage("`path` is missing").within(place));
        }
        for (field, column) in &self.columns {
            if !FIELDS.contains(&field.as_str()) && !self.langs.contains(field) {
                return Err(Error::unknown("field", field, FIELDS.iter().copied()).within(place));
            }
            if *column == Column::Number(0) {
                let message = format!("column of `{field}` is 0; columns count from 1");
                return Err(Error::usage(message).within(place));
            }
        }
        if let Some(encoding) = &self.encoding {
            charset::named(encoding).map_err(|e| e.within(&place))?;
        }
        if self.langs.len() == 1 {
            let message = format!("`langs` has one language, `{}`; expected two", self.langs[0]);
            return Err(Error::usage(message).within(place));
        }
        if self.delimiter.is_some_and(|d| !d.is_ascii() || d == '"' || d == '\n' || d == '\r') {
            return Err(Error::usage("`delimiter` must be one ASCII character").within(place));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> SourceSpec {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_table_follows_from_what_is_said() {
        let of = |text| spec(text).table();
        assert_eq!(of("path = 'wiki/{lang}wiki.jsonl'"), Into::Documents);
        assert_eq!(of("path = 'opus/{name}/{src}-{tgt}.tsv'"), Into::Pairs);
        assert_eq!(of("path = 'senti/{lang}/{split}.tsv'"), Into::Labelled);
        assert_eq!(of("path = 'a.tsv'\ncolumns = { src = 3, tgt = 4 }"), Into::Pairs);
        assert_eq!(of("path = '{split}.tsv'\ninto = 'documents'"), Into::Documents);
    }

    #[test]
    fn a_field_that_does_not_exist_is_named() {
        let mut spec = spec("path = 'a.tsv'\ncolumns = { txet = 'a' }");
        spec.name = "senti".into();
        let error = spec.check().unwrap_err();
        assert!(error.to_string().starts_with("source `senti`: unknown field `txet`; expected"));
        assert_eq!(error.hint(), Some("did you mean `text`?"));
    }

    #[test]
    fn numbered_columns_mean_no_header() {
        assert!(!spec("path = 'a'\ncolumns = { text = 2 }").has_header());
        assert!(spec("path = 'a'\ncolumns = { text = 'b' }").has_header());
        assert!(!spec("path = 'a'\nheader = false").has_header());
    }
}
