//! CoNLL-U: sentences of treebanks as texts, as tagged words, or as pairs of two files.
//!
//! Sentences of two files are paired by their `sent_id`, in whatever order they stand. Trees,
//! lemmas and features are not read.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use serde_json::Map;

use super::spec::Column;
use super::{Into, Row, Sink, Source, Unit};
use crate::error::{Error, Result};
use crate::id;
use sentence::{Block, Sentence, Sentences};

mod sentence;

/// Treebanks.
pub const CONLLU: Conllu = Conllu;

/// The format of treebanks.
pub struct Conllu;

/// Bytes of sentences that wait for their other side. With more, those that wait are given up.
const WAITING: usize = 256 << 20;

/// The columns that tags can come from, with their places from 0.
const TAGS: &[(&str, usize)] = &[("upos", 3), ("xpos", 4), ("deprel", 7), ("lemma", 2)];

impl Source for Conllu {
    fn name(&self) -> &'static str {
        "conllu"
    }

    fn doc(&self) -> &'static str {
        "Treebanks in CoNLL-U: a sentence a row, with its words and their tags when labelled."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["conllu", "conll-u"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Documents, Into::Labelled, Into::Pairs]
    }

    fn sides(&self) -> bool {
        true
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        let tags = tags(unit)?;
        if unit.into == Into::Pairs {
            return pairs(unit, read, sink);
        }
        let tags = (unit.into == Into::Labelled).then_some(tags);
        let mut sentences = Sentences::open(unit, 0, tags, read)?;
        while let Some(block) = sentences.next()? {
            match block {
                Block::Skip(reason) => sink.skip(reason),
                Block::Fault(offset, reason, raw) => sink.reject(offset, &reason, &raw)?,
                Block::Sentence(offset, sentence) => sink.row(offset, row(unit, sentence))?,
            }
        }
        Ok(())
    }
}

/// The place of the column that tags come from.
fn tags(unit: &Unit) -> Result<usize> {
    let mut place = TAGS[0].1;
    for (field, column) in &unit.spec.columns {
        let known = match column {
            Column::Name(name) if field == "tags" => {
                TAGS.iter().find(|(tag, _)| *tag == name.as_str())
            }
            _ => None,
        };
        let Some((_, known)) = known else {
            return Err(Error::usage(format!("a treebank has no such column for `{field}`"))
                .within(unit.source_path())
                .hint_with("`tags` may be \"upos\", \"xpos\", \"deprel\" or \"lemma\""));
        };
        place = *known;
    }
    Ok(place)
}

fn row(unit: &Unit, sentence: Sentence) -> Row {
    let mut meta = meta(&sentence);
    let labelled = unit.into == Into::Labelled;
    if let (true, Some(id)) = (labelled, &sentence.id) {
        meta.insert("sent_id".into(), id.as_str().into());
    }
    meta.extend(sentence.others.into_iter().map(|(key, value)| (key, value.into())));
    let row = Row { text: sentence.text, lang: unit.lang.clone(), meta, ..Row::default() };
    if !labelled {
        return Row { id: sentence.id, ..row };
    }
    Row {
        tags: (!sentence.tags.is_empty()).then_some(sentence.tags),
        tokens: Some(sentence.words),
        label: unit.label.clone(),
        split: unit.split.clone(),
        ..row
    }
}

fn meta(sentence: &Sentence) -> Map<String, serde_json::Value> {
    let mut meta = Map::new();
    meta.extend(sentence.doc.as_deref().map(|doc| ("doc".to_string(), doc.into())));
    meta.insert("position".into(), sentence.position.into());
    meta
}

/// A sentence of one side that has not met its other side.
struct Waiting {
    offset: u64,
    text: String,
    meta: Map<String, serde_json::Value>,
}

/// Reads both files side by side. A sentence waits until the other file comes to its `sent_id`,
/// which of files in the same order is at once.
fn pairs(unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
    let mut files = [Sentences::open(unit, 0, None, read)?, Sentences::open(unit, 1, None, read)?];
    let mut waiting: [HashMap<String, Waiting>; 2] = Default::default();
    let (mut bytes, mut ended) = (0, [false, false]);
    while ended != [true, true] {
        for side in [0, 1] {
            if ended[side] {
                continue;
            }
            let (offset, sentence) = match files[side].next()? {
                None => {
                    ended[side] = true;
                    continue;
                }
                Some(Block::Skip(reason)) => {
                    sink.skip(reason);
                    continue;
                }
                Some(Block::Fault(offset, reason, raw)) => {
                    let reason = format!("{}: {reason}", unit.names[side]);
                    sink.reject(offset, &reason, &raw)?;
                    continue;
                }
                Some(Block::Sentence(offset, sentence)) => (offset, sentence),
            };
            let meta = meta(&sentence);
            let Some(key) = sentence.id else {
                sink.skip("sentence without `sent_id`");
                continue;
            };
            let this = Waiting { offset, text: sentence.text, meta };
            let Some(other) = waiting[1 - side].remove(&key) else {
                bytes += key.len() + this.text.len();
                if waiting[side].insert(key, this).is_some() {
                    sink.skip("`sent_id` once more");
                }
                if bytes > WAITING {
                    give_up(&mut waiting, sink);
                    bytes = 0;
                }
                continue;
            };
            bytes = bytes.saturating_sub(key.len() + other.text.len());
            let (source, target) = if side == 0 { (this, other) } else { (other, this) };
            sink.row(source.offset, pair(unit, &key, source, target.text))?;
        }
    }
    give_up(&mut waiting, sink);
    Ok(())
}

fn give_up(waiting: &mut [HashMap<String, Waiting>; 2], sink: &mut dyn Sink) {
    for side in waiting {
        for _ in 0..side.len() {
            sink.skip("`sent_id` in one file only");
        }
        side.clear();
    }
}

fn pair(unit: &Unit, key: &str, source: Waiting, target: String) -> Row {
    let base = [unit.spec.name.as_str(), unit.aligned.as_deref().unwrap_or_default()];
    let mut meta = source.meta;
    meta.insert("sent_id".into(), key.into());
    Row {
        text: source.text,
        second: Some(target),
        lang: unit.lang.clone(),
        second_lang: unit.second_lang.clone(),
        group: Some(id::hash_fields(base.into_iter().chain([key]))),
        meta,
        ..Row::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::{damaged, read};
    use super::*;

    fn word(id: &str, form: &str, tag: &str, misc: &str) -> String {
        format!("{id}\t{form}\t_\t{tag}\t_\t_\t0\tdep\t_\t{misc}\n")
    }

    fn file() -> String {
        let no = "A=b|SpaceAfter=No";
        let mut file = String::from("# newdoc id = n1\n# sent_id = a\n# text_en = Go to it.\n");
        file += &word("1-2", "Vámonos", "_", "_");
        file += &word("1", "Vamos", "VERB", "_");
        file += &word("2", "nos", "PRON", "_");
        file += &word("3", "al", "ADP", no);
        file += &word("3.1", "lo", "NOUN", "_");
        file += &word("4", "mar", "NOUN", no);
        file += &word("5", ".", "PUNCT", "_");
        file += "\n\n# sent_id = b\n# text = 「東京」へ\n";
        file += &word("1", "東京", "PROPN", no);
        file += "\n# newdoc\n# sent_id = c\n";
        file += &word("1", "x", "X", "_");
        file += &word("3", "y", "X", "_");
        file += "\n# sent_id = d\n1\tno columns\n\n# a comment\n\n";
        file + &word("1", "e", "_", "_")
    }

    #[test]
    fn a_sentence_is_a_text_as_it_was_written() {
        let (kept, result) = read(&CONLLU, &[file().as_bytes()], "lang = 'es'");
        result.unwrap();
        assert_eq!(kept.texts(), ["Vámonos almar.", "「東京」へ", "e"]);
        let meta = |i: usize| serde_json::to_string(&kept.rows[i].1.meta).unwrap();
        assert_eq!(meta(0), r#"{"doc":"n1","position":0,"text_en":"Go to it."}"#);
        assert_eq!(meta(1), r#"{"doc":"n1","position":1}"#);
        assert_eq!(meta(2), r#"{"position":2}"#);
        assert_eq!(kept.rows[1].1.id.as_deref(), Some("b"));
        let want = ["`3` is not the number of the next word", "a line has 2 columns; expected 10"];
        assert_eq!(kept.reasons(), want);
        assert_eq!(kept.skipped["comments alone"], 1);
    }

    #[test]
    fn words_have_tags() {
        let (kept, _) = read(&CONLLU, &[file().as_bytes()], "into = 'labelled'\nlang = 'es'");
        let row = &kept.rows[0].1;
        assert_eq!(row.tokens.as_ref().unwrap().join(" "), "Vamos nos al mar .");
        assert_eq!(row.tags.as_ref().unwrap().join(" "), "VERB PRON ADP NOUN PUNCT");
        assert_eq!((&kept.rows[2].1.tags, row.meta["sent_id"].as_str()), (&None, Some("a")));
        let options = "columns = { tags = 'deprel' }\ninto = 'labelled'";
        let (kept, _) = read(&CONLLU, &[file().as_bytes()], options);
        assert_eq!(kept.rows[1].1.tags.as_ref().unwrap(), &["dep"]);
        let (_, result) = read(&CONLLU, &[b""], "columns = { tags = 'feats' }");
        assert!(result.is_err());
    }

    #[test]
    fn sentences_meet_by_their_ids_in_any_order() {
        let side = |ids: &[&str], lang: &str| -> String {
            let sentence = |id: &&str| {
                format!("# sent_id = {id}\n{}\n", word("1", &format!("{lang}{id}"), "X", "_"))
            };
            ids.iter().map(sentence).collect()
        };
        let (a, b) = (side(&["1", "2", "3", "4"], "a"), side(&["2", "1", "5", "4"], "ბ"));
        let options = "langs = ['en', 'ka']";
        let (kept, result) = read(&CONLLU, &[a.as_bytes(), b.as_bytes()], options);
        result.unwrap();
        assert_eq!(kept.texts(), ["a2", "a1", "a4"]);
        let row = &kept.rows[1].1;
        assert_eq!((row.second.as_deref(), row.lang.as_deref()), (Some("ბ1"), Some("eng_Latn")));
        assert_eq!(row.group, Some(id::hash_fields(["s", "f", "1"])));
        assert_eq!(kept.skipped["`sent_id` in one file only"], 2);
    }

    #[test]
    fn words_that_are_withheld_are_no_text() {
        let file = format!("# text = _ _\n{}{}", word("1", "_", "X", ""), word("2", "_", "X", ""));
        let (kept, _) = read(&CONLLU, &[file.as_bytes()], "");
        assert_eq!(kept.skipped["text withheld"], 1);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let file = file();
        for n in 0..400u64 {
            let bytes = damaged(file.as_bytes(), n);
            let (kept, result) = read(&CONLLU, &[&bytes], "into = 'labelled'");
            result.unwrap();
            assert!(kept.rows.len() + kept.rejected.len() < 20);
        }
    }
}
