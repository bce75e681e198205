//! SQuAD: questions on paragraphs with their answers, as XQuAD, MLQA and many others have them.
//!
//! A paragraph is read at a time, so that a file need not fit into memory. Answers are taken as
//! they are: nothing checks that they stand where they are said to.

use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};

use super::fields::{as_text, contains_nul};
use super::{Into, Row, Sink, Source, Unit};
use crate::error::{Error, Result};
use crate::id;
use paragraphs::{Found, Paragraphs};

mod paragraphs;

/// Reading comprehension in the layout of SQuAD 1.1 and 2.0.
pub const SQUAD: Squad = Squad;

/// The format of SQuAD.
pub struct Squad;

impl Source for Squad {
    fn name(&self) -> &'static str {
        "squad"
    }

    fn doc(&self) -> &'static str {
        "SQuAD's JSON, XQuAD's and MLQA's too: a question a row, or a context."
    }

    fn extensions(&self) -> &'static [&'static str] {
        // Shared with arrays of objects; the content tells.
        &["json"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Labelled, Into::Documents]
    }

    fn content(&self, start: &[u8]) -> bool {
        let has = |key: &str| {
            let mut found = memchr::memmem::find_iter(start, key.as_bytes());
            found.any(|at| {
                let after = start[at + key.len()..].trim_ascii_start();
                after.strip_prefix(b":").is_some_and(|a| a.trim_ascii_start().starts_with(b"["))
            })
        };
        start.trim_ascii_start().starts_with(b"{") && has("\"data\"") && has("\"paragraphs\"")
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        if let Some(field) = unit.spec.columns.keys().next() {
            let message = format!("a file of questions has no column for `{field}`");
            return Err(Error::usage(message).within(unit.source_path()));
        }
        let mut rows = Rows { unit, last: None, faults: false };
        let mut paragraphs = Paragraphs::default();
        let mut each = |found: Found<'_>| rows.take(found, sink);
        let mut empty = true;
        let damage = unit.open(read)?.each_piece(|offset, piece| {
            empty = false;
            paragraphs.piece(offset, piece, &mut each)
        })?;
        paragraphs.finish(damage, &mut each)?;
        match empty || paragraphs.any() || rows.faults {
            true => Ok(()),
            false => sink.refuse("not SQuAD: no list `data`"),
        }
    }
}

/// From paragraphs to rows.
struct Rows<'a> {
    unit: &'a Unit,
    /// The hash of the last context.
    last: Option<u128>,
    faults: bool,
}

impl Rows<'_> {
    fn take(&mut self, found: Found<'_>, sink: &mut dyn Sink) -> Result<()> {
        let (offset, title, raw) = match found {
            Found::Fault { offset, reason, raw } => {
                self.faults = true;
                return sink.reject(offset, reason, raw);
            }
            Found::Paragraph { offset, title, raw } => (offset, title, raw),
        };
        let mut paragraph = match serde_json::from_slice::<Map<String, Value>>(raw) {
            Ok(paragraph) => paragraph,
            Err(e) => return sink.reject(offset, &format!("not a paragraph: {e}"), raw),
        };
        let context = match paragraph.get_mut("context").map(Value::take) {
            Some(Value::String(context)) if context.contains('\0') => {
                return sink.reject(offset, "contains a NUL byte", raw);
            }
            Some(Value::String(context)) => context,
            _ => return sink.reject(offset, "`context` is missing or not a string", raw),
        };
        let questions = match paragraph.get_mut("qas").map(Value::take) {
            Some(Value::Array(questions)) => questions,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return sink.reject(offset, "`qas` is not a list", raw),
        };
        if self.unit.into == Into::Documents {
            return self.context(offset, title, context, &questions, sink);
        }
        if questions.is_empty() {
            sink.skip("context without questions");
        }
        for question in questions {
            match self.question(title, &context, question) {
                Ok(row) => sink.row(offset, row)?,
                Err((reason, question)) => {
                    sink.reject(offset, reason, question.to_string().as_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// The context as a document, unless it is the one before once more.
    fn context(
        &mut self,
        offset: u64,
        title: Option<&str>,
        context: String,
        questions: &[Value],
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let hash = id::hash128(context.as_bytes());
        if self.last.replace(hash) == Some(hash) {
            sink.skip("repeated context");
            return Ok(());
        }
        let first = questions.iter().find_map(|q| as_text(q.get("id")?));
        let mut meta = Map::new();
        meta.extend(title.map(|title| ("title".to_string(), title.into())));
        meta.insert("questions".into(), questions.len().into());
        // The translations of a context come with the translations of its questions.
        let group = first.map(|first| {
            id::hash_fields([self.unit.spec.name.as_str(), "context", first.as_str()])
        });
        let row =
            Row { text: context, lang: self.unit.lang.clone(), group, meta, ..Row::default() };
        sink.row(offset, row)
    }

    /// A question as a row, or why it is none.
    fn question(
        &self,
        title: Option<&str>,
        context: &str,
        question: Value,
    ) -> Result<Row, (&'static str, Value)> {
        let Value::Object(object) = &question else {
            return Err(("a question is not an object", question));
        };
        let Some(text) = object.get("question").and_then(Value::as_str) else {
            return Err(("`question` is missing or not a string", question));
        };
        if contains_nul(&question) {
            return Err(("contains a NUL byte", question));
        }
        let impossible = object.get("is_impossible").and_then(Value::as_bool).unwrap_or(false);
        let answers = match object.get("answers") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(answers)) => answers.as_slice(),
            Some(one @ Value::Object(_)) => std::slice::from_ref(one),
            Some(_) => return Err(("`answers` is not a list", question)),
        };
        let mut label = None;
        for answer in answers {
            match answer.get("text").and_then(Value::as_str) {
                Some(text) => label = label.or(Some(text)),
                None => return Err(("an answer without a text", question)),
            }
        }
        let key = object.get("id").and_then(as_text);
        let mut meta = Map::new();
        meta.extend(key.clone().map(|id| ("id".to_string(), id.into())));
        meta.extend(title.map(|title| ("title".to_string(), title.into())));
        meta.insert("answers".into(), answers.to_vec().into());
        if impossible {
            meta.insert("is_impossible".into(), true.into());
        }
        let known = ["id", "question", "answers", "is_impossible"];
        let others = object.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        meta.extend(others.map(|(name, value)| (name.clone(), value.clone())));
        let unit = self.unit;
        Ok(Row {
            text: context.into(),
            second: Some(text.into()),
            lang: unit.lang.clone(),
            label: unit.label.clone().or(label.filter(|_| !impossible).map(str::to_string)),
            split: unit.split.clone(),
            // The same question in another language has the same id.
            group: key.map(|key| id::hash_fields([unit.spec.name.as_str(), key.as_str()])),
            meta,
            ..Row::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::{MAX_RECORD, too_long};
    use super::super::unit::tests::{damaged, read};
    use super::*;

    const FILE: &str = r#"{"version": "1.1", "data": [{"paragraphs": [
        {"context": "Reykjavík er {höfuðborg}.", "qas": [
            {"answers": [{"answer_start": 0, "text": "Reykjavík"}, {"answer_start": 0, "text": "R"}],
             "id": "a1", "question": "Hvað?"},
            {"id": "a2", "question": "Hvenær?", "is_impossible": true, "answers": [],
             "plausible_answers": [{"text": "í \"dag\"", "answer_start": 3}]},
            {"id": "a3", "question": 4}]},
        {"context": "Reykjavík er {höfuðborg}.", "qas": []}], "title": "Ísland"},
        {"title": "日本", "paragraphs": [{"qas": [{"id": 4, "question": "何?"}], "context": "東京"}]}]}"#;

    const LABELLED: &str = "into = 'labelled'\nlang = 'is'\nsplit = 'test'";

    #[test]
    fn a_question_is_a_row_with_its_first_answer() {
        let (kept, result) = read(&SQUAD, &[FILE.as_bytes()], LABELLED);
        result.unwrap();
        let labels: Vec<_> = kept.rows.iter().map(|(_, r)| r.label.as_deref()).collect();
        assert_eq!(labels, [Some("Reykjavík"), None, None]);
        let row = &kept.rows[0].1;
        assert_eq!((row.second.as_deref(), row.split.as_deref()), (Some("Hvað?"), Some("test")));
        let meta = Value::Object(row.meta.clone()).to_string();
        let want =
            r#"{"id":"a1","title":"Ísland","answers":[{"answer_start":0,"text":"Reykjavík"},"#;
        assert!(meta.starts_with(want), "{meta}");
        assert!(kept.rows[1].1.meta.contains_key("plausible_answers"));
        assert_eq!(kept.reasons(), ["`question` is missing or not a string"]);
        assert_eq!(kept.skipped["context without questions"], 1);
        assert!(FILE[kept.rows[2].0 as usize..].starts_with("{\"qas\""));
        assert!(SQUAD.content(FILE.as_bytes()) && !SQUAD.content(b"{\"data\": 3}"));
    }

    #[test]
    fn a_context_is_a_document_once() {
        let (kept, _) = read(&SQUAD, &[FILE.as_bytes()], "lang = 'is'");
        assert_eq!(kept.texts(), ["Reykjavík er {höfuðborg}.", "東京"]);
        assert_eq!(kept.rows[1].1.meta["title"], "日本");
        assert_eq!(kept.skipped["repeated context"], 1);
    }

    #[test]
    fn damage_costs_its_paragraph() {
        let paragraph = |n: usize| {
            format!("{{\"context\":\"c{n} тут\",\"qas\":[{{\"id\":\"{n}\",\"question\":\"?\"}}]}}")
        };
        let all: Vec<String> = (0..9).map(paragraph).collect();
        let file = format!("{{\"data\":[{{\"paragraphs\":[{}]}}]}}", all.join(","));
        let hit = file.find("c4").unwrap();
        // A quote too many, a brace too few, and the end of the file.
        for (bytes, rows, rejected) in [
            (file.replace("c4 ", "c\"4"), 8, 1),
            (file.replacen("c4 тут\",\"qas\":[{", "c4\",\"qas\":[", 1), 8, 1),
            (file[..hit].to_string(), 4, 1),
        ] {
            let (kept, result) = read(&SQUAD, &[bytes.as_bytes()], LABELLED);
            result.unwrap();
            assert_eq!((kept.rows.len(), kept.rejected.len()), (rows, rejected), "{bytes}");
        }
    }

    #[test]
    fn bombs_are_rejected_in_bounded_memory() {
        let mut file = b"{\"data\":[{\"paragraphs\":[{\"context\":\"a\",\"qas\":".to_vec();
        file.extend(b"[".repeat(1 << 20));
        file.extend(b"]".repeat(1 << 20));
        file.extend(b"},{\"context\":\"");
        file.extend(b"x".repeat(MAX_RECORD));
        file.extend(b"\",\"qas\":[]},{\"context\":\"b\",\"qas\":[]}]}]}");
        let (kept, _) = read(&SQUAD, &[&file], "lang = 'is'");
        assert_eq!(kept.texts(), ["b"]);
        assert!(kept.reasons()[0].contains("recursion limit"));
        assert_eq!(kept.reasons()[1], too_long());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for n in 0..400u64 {
            let bytes = damaged(FILE.as_bytes(), n);
            let (kept, result) = read(&SQUAD, &[&bytes], LABELLED);
            result.unwrap();
            assert!(kept.rows.len() + kept.rejected.len() < 20);
        }
    }
}
