//! Tables with a column a language: which columns those are, and the pairs that a row makes.
//!
//! The first of `langs` is paired with each of the others, as with line-aligned files. All pairs
//! of a row share a group, so that any two of its languages can be joined. Reads no bytes.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::fields::{as_text, contains_nul, flatten, take};
use super::row::{Row, Sink};
use super::spec::{Column, FIELDS, Into};
use super::unit::{Unit, tagged};
use crate::error::{Error, Result};
use crate::id;
use crate::identify::languages::{Language, languages};
use crate::identify::tag::{self, Tag};

/// The columns of a table that hold the languages asked for.
pub struct Wide {
    /// A column and its tag for each of `langs`.
    sides: Vec<(String, String)>,
    /// Columns of other languages, which are in no row.
    others: HashSet<String>,
    group: Option<String>,
}

/// Words before a language in the name of a column.
const PREFIXES: &[&str] = &["sentence_", "text_", "translation."];

impl Wide {
    /// For a unit whose table has columns of these names; `None` where the table has two columns
    /// for the sides instead, or none of the languages. Errors when one of the languages has no
    /// column, or two that fit it equally well.
    pub fn find(unit: &Unit, header: &[String]) -> Result<Option<Self>> {
        let spec = &unit.spec;
        let sides = ["src", "tgt", "src_lang", "tgt_lang"];
        let two = sides.iter().any(|field| spec.columns.contains_key(*field))
            || sides[..2].iter().all(|side| header.iter().any(|name| name == side));
        if unit.into != Into::Pairs || spec.langs.len() < 2 || two {
            return Ok(None);
        }
        let mut found = Vec::new();
        for lang in &spec.langs {
            found.push(column(unit, header, lang)?);
        }
        if found.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut sides = Vec::new();
        for (lang, column) in spec.langs.iter().zip(found) {
            let Some(column) = column else {
                let message = format!("no column is in `{lang}`; there are: {}", header.join(", "));
                return Err(Error::usage(message)
                    .within(unit.source_path())
                    .hint_with(format!("name it: `columns = {{ {lang} = … }}`")));
            };
            sides.push((column, tagged(lang, "option")?));
        }
        // Short names are codes by chance more often than by design.
        let other = |name: &&String| {
            !FIELDS.contains(&name.as_str())
                && name.as_str() != "no"
                && sides.iter().all(|(side, _)| side != *name)
                && language(name).is_some()
        };
        let others = header.iter().filter(other).cloned().collect();
        let group = match spec.columns.get("group") {
            Some(Column::Name(name)) => Some(name.clone()),
            Some(Column::Number(n)) => header.get(n - 1).cloned(),
            None => None,
        };
        Ok(Some(Self { sides, others, group }))
    }

    /// Hands the pairs of a row to the sink; each ends as a row, as rejected, or as skipped
    /// because one of its languages has no text there.
    pub fn row(
        &self,
        unit: &Unit,
        offset: u64,
        mut object: Map<String, Value>,
        raw: &[u8],
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let key = self.group.as_ref().and_then(|column| object.get(column)).and_then(as_text);
        let mut texts = self.sides.iter().map(|(column, _)| match take(&mut object, column) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                Err("contains a NUL byte".to_string())
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{column}` is not a string")),
        });
        let first = texts.next().unwrap_or(Ok(None));
        let others: Vec<Result<Option<String>, String>> = texts.collect();
        object.retain(|name, _| !self.others.contains(name));
        let group = match &key {
            Some(key) => id::hash_fields([unit.spec.name.as_str(), key]),
            None => {
                let offset = offset.to_string();
                id::hash_fields([unit.spec.name.as_str(), unit.source_path(), &offset])
            }
        };
        let meta = flatten(object);
        let fault = meta.values().any(contains_nul).then(|| "contains a NUL byte".to_string());
        for (other, (_, lang)) in others.into_iter().zip(&self.sides[1..]) {
            let texts = match (&fault, &first, other) {
                (Some(fault), _, _) | (_, Err(fault), _) => Err(fault.clone()),
                (_, _, Err(fault)) => Err(fault),
                (_, Ok(Some(text)), Ok(Some(second))) => Ok((text, second)),
                (_, Ok(_), Ok(_)) => {
                    sink.skip("no text in one of the languages");
                    continue;
                }
            };
            let (text, second) = match texts {
                Ok(texts) => texts,
                Err(fault) => {
                    sink.reject(offset, &fault, raw)?;
                    continue;
                }
            };
            let row = Row {
                text: text.clone(),
                second: Some(second),
                lang: self.sides.first().map(|(_, tag)| tag.clone()),
                second_lang: Some(lang.clone()),
                group: Some(group),
                meta: meta.clone(),
                ..Row::default()
            };
            sink.row(offset, row)?;
        }
        Ok(())
    }
}

/// The column in a language: the one that is named, else spelt like it, else meant by it.
fn column(unit: &Unit, header: &[String], lang: &str) -> Result<Option<String>> {
    match unit.spec.columns.get(lang) {
        Some(Column::Name(name)) => return Ok(Some(name.clone())),
        Some(Column::Number(n)) => return Ok(header.get(n - 1).cloned()),
        None => {}
    }
    if let Some(name) = header.iter().find(|name| *name == lang) {
        return Ok(Some(name.clone()));
    }
    let want = tag::tag(lang).map_err(|e| e.within("option"))?;
    let mut meant = header.iter().filter(|name| language(name) == Some(want));
    match (meant.next(), meant.next()) {
        (Some(a), Some(b)) => {
            let message = format!("`{lang}` may be column `{a}` or `{b}`");
            Err(Error::usage(message)
                .within(unit.source_path())
                .hint_with("spell it in `langs` as the column's name does"))
        }
        (name, _) => Ok(name.cloned()),
    }
}

/// The language that a column's name says: a code in any spelling, or the English name.
fn language(name: &str) -> Option<Tag> {
    let name = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    if let Some(tag) = tag::find(name) {
        return Some(tag);
    }
    // Of a macrolanguage, the table has the name of the member: `Coastal Swahili`.
    let named = |language: &&Language| {
        let last = language.name.rsplit(' ').next().unwrap_or_default();
        language.name.eq_ignore_ascii_case(name)
            || (!language.iso639_1.is_empty() && last.eq_ignore_ascii_case(name))
    };
    languages().iter().find(named).map(|language| language.tag)
}

#[cfg(test)]
mod tests {
    use super::super::delimited::{CSV, TSV};
    use super::super::json::JSONL;
    use super::super::unit::tests::read;
    use super::*;

    const FILE: &str = "id,eng,isl,zho-CN,Swahili\n7,yes,já,是,ndiyo\n8,no,,不,hapana\n";

    #[test]
    fn the_first_language_is_paired_with_each_of_the_others() {
        let (kept, result) = read(&CSV, &[FILE.as_bytes()], "langs = ['en', 'is', 'zh', 'sw']");
        result.unwrap();
        let seconds: Vec<_> = kept.rows.iter().filter_map(|(_, r)| r.second.as_deref()).collect();
        assert_eq!(seconds, ["já", "是", "ndiyo", "不", "hapana"]);
        assert_eq!(kept.skipped["no text in one of the languages"], 1);
        let langs = |i: usize| kept.rows[i].1.second_lang.as_deref().unwrap();
        assert_eq!((langs(1), langs(2)), ("cmn_Hans", "swh_Latn"));
        let group = |i: usize| kept.rows[i].1.group.unwrap();
        assert!(group(0) == group(2) && group(0) != group(3));
        assert_eq!(Value::Object(kept.rows[0].1.meta.clone()).to_string(), r#"{"id":"7"}"#);
    }

    #[test]
    fn languages_that_are_not_asked_for_are_in_no_row() {
        let (kept, _) = read(&CSV, &[FILE.as_bytes()], "langs = ['isl', 'swa']");
        assert_eq!(kept.texts(), ["já"]);
        assert_eq!(Value::Object(kept.rows[0].1.meta.clone()).to_string(), r#"{"id":"7"}"#);
        assert_eq!(kept.skipped["no text in one of the languages"], 1);
    }

    #[test]
    fn a_column_may_be_named_or_numbered() {
        let file = "english\tbanjarese\tn\nyes\tinggih\t1\n";
        let options = "langs = ['en', 'bjn']\ncolumns = { bjn = 'banjarese', group = 'n' }";
        let (kept, result) = read(&TSV, &[file.as_bytes()], options);
        result.unwrap();
        assert_eq!(kept.rows[0].1.second.as_deref(), Some("inggih"));
        assert_eq!(kept.rows[0].1.group, Some(id::hash_fields(["s", "1"])));
        let options = "langs = ['en', 'bjn']\ncolumns = { en = 1, bjn = 2 }\nheader = false";
        let (kept, result) = read(&TSV, &[b"yes\tinggih\n"], options);
        result.unwrap();
        assert_eq!(kept.texts(), ["yes"]);
    }

    #[test]
    fn a_language_without_a_column_or_with_two_is_an_error() {
        let (_, result) = read(&CSV, &[FILE.as_bytes()], "langs = ['en', 'de']");
        let error = result.unwrap_err().to_string();
        assert!(error.contains("no column is in `de`; there are: id, eng, isl"), "{error}");
        let file = b"eng-GB,eng,eng-US,isl\na,b,c,d\n";
        let (_, result) = read(&CSV, &[file], "langs = ['en', 'isl']");
        assert!(result.unwrap_err().to_string().contains("`en` may be column `eng-GB` or `eng`"));
        let (kept, _) = read(&CSV, &[file], "langs = ['eng', 'isl']");
        assert_eq!(kept.texts(), ["b"]);
    }

    #[test]
    fn objects_may_hold_a_translation_for_each_language() {
        let file =
            b"{\"id\":1,\"translation\":{\"en\":\"yes\",\"ka\":\"\xe1\x83\xaf\",\"ru\":3}}\n\
                     {\"translation\":{\"en\":\"a\\u0000\",\"ka\":\"b\",\"ru\":\"c\"}}\n";
        let (kept, result) = read(&JSONL, &[file], "langs = ['en', 'ka', 'ru']");
        result.unwrap();
        assert_eq!(kept.texts(), ["yes"]);
        assert_eq!(kept.rejected.len(), 3);
        assert_eq!(kept.reasons()[0], "`translation.ru` is not a string");
        let (kept, _) = read(&JSONL, &[b"{\"en\":\"yes\",\"ka\":\"no\"}"], "langs = ['en', 'ka']");
        assert_eq!(kept.rows[0].1.second.as_deref(), Some("no"));
    }
}
