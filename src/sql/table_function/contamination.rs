//! `contamination('table', 'eval_table' [, {…}])`: what of evaluation sets stands in training texts.
//!
//! n-gram containment: an item of an evaluation set is its distinct word n-grams, and is found in a
//! document that has one of them. Nothing is removed here.
//!
//! The peers differ in what they call contaminated. GPT-3 (Brown et al., 2020, appendix C), NeMo
//! Curator and datatrove take any shared n-gram (13, 8 to 13, and 12 words): that is threshold 0.
//! PaLM (Chowdhery et al., 2022, section 8) asks for 70 % of an item's 8-grams: that is
//! `{ngram: 8, threshold: 0.7}`.

mod evals;
mod matches;
mod query;
mod rows;
mod run;
mod scan;

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;

use self::evals::EvalSet;
use self::run::{Rule, run};
use super::{Args, Lazy, Named, TableFunction, parse_name};
use crate::dedup::contamination::grams::Words;
use crate::error::Result;
use crate::sql::files;
use crate::store::manifest::MANIFEST;

/// Words in an n-gram, as in GPT-3.
const NGRAM: u64 = 13;
/// Words of the shortest item that is looked for, as in GPT-3 and NeMo Curator.
const MIN_WORDS: u64 = 8;

/// The function.
pub(super) const CONTAMINATION: TableFunction = TableFunction {
    name: "contamination",
    usage: "contamination('table', 'eval_table' [, {ngram: 13, min_words: 8, threshold: 0.0, \
            columns: 'question, context', splits: 'test'}])",
    doc: "Every document that shares a word n-gram with a text of an evaluation set, a row for each \
          such item: `doc_id, benchmark, eval_id, eval_column, column, lang, containment, matched, \
          start, length, starts, lengths, match, items, too_short`, sorted by `doc_id, benchmark, \
          eval_id, eval_column, column`. Words are compared as `near_duplicates` compares them, so \
          case, accents and the digits of numbers do not count. The second argument names one \
          evaluation set or several between commas: tables, files, globs; the benchmark is what a \
          column `benchmark` or `source` says, else the name of the table or file. `eval_id` is \
          the row's `doc_id` in a table, its number from 0 in a file. Each text column of a row is \
          an item by itself. `containment` is the share of the item's distinct n-grams that the \
          document's `column` has, `matched` their number. The spans that they cover are `starts` \
          and `lengths` in code points as `substr` counts them, overlapping ones merged; `start` \
          and `length` are the longest of them, `match` its first 300 code points. `lang` is the \
          item's language, else the document's. `items` are the items of that benchmark and \
          language, `too_short` those that were not looked for.",
    options: &[
        ("ngram", "13; the words in an n-gram"),
        (
            "min_words",
            "8, or `ngram` if that is less; a text of fewer words than this is not looked for, one \
             of fewer words than `ngram` is a single n-gram",
        ),
        ("threshold", "0.0; the least containment, in 0 to 1; any shared n-gram by default"),
        (
            "columns",
            "the text columns of the evaluation sets, between commas; by default `text` and \
             `text_pair`, else `src` and `tgt`, else all columns of text but those about the row, \
             such as `id` and `label`",
        ),
        ("splits", "the splits to look for, between commas, by the column `split`; all by default"),
    ],
    tables: 2,
    example: "SELECT benchmark, count(DISTINCT doc_id) FROM contamination('kept', 'labelled') \
              GROUP BY benchmark ORDER BY benchmark",
    version: 1,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    let table = args.table(0)?;
    let names = list(&args.text(1, "the name of an evaluation set")?);
    if names.is_empty() {
        return Err(args.wrong("argument 2 names no evaluation set"));
    }
    let known = ["ngram", "min_words", "threshold", "columns", "splits"];
    let options = args.options(2, &known)?;
    let ngram = options.uint("ngram", NGRAM)?;
    let min_words = options.uint("min_words", MIN_WORDS.min(ngram))?;
    let threshold = options.float("threshold", 0.0)?;
    let range = |name: &str, valid: bool, expected: &str| match valid {
        true => Ok(()),
        false => Err(args.wrong(format!("option `{name}` must be {expected}"))),
    };
    range("ngram", (1..=64).contains(&ngram), "in 1 to 64")?;
    range("min_words", (1..=ngram).contains(&min_words), "from 1 to `ngram`")?;
    range("threshold", (0.0..=1.0).contains(&threshold), "in 0 to 1")?;
    let text = |key| Ok::<_, crate::error::Error>(options.optional_text(key)?.unwrap_or_default());
    let (columns, splits) = (list(&text("columns")?), list(&text("splits")?));
    let rule = Rule { ngram: ngram as usize, min_words: min_words as usize, threshold };

    let measured = args.known("measured")?.is_some_and(|t| t.require(&["detected"]).is_ok());
    let training = query::training(&table, measured)?;
    let (mut sets, mut inputs) = (Vec::new(), vec![training.sql]);
    for name in &names {
        for name in spread(args, name)? {
            let (set, sql) = eval_set(args, &name, &columns, &splits, &rule)?;
            sets.push(set);
            inputs.push(sql);
        }
    }
    let texts = training.columns;
    Ok(Lazy {
        name: args.function.name,
        schema: rows::schema(),
        sorted: true,
        inputs,
        work: Arc::new(move |inputs, limits, emit| run(&rule, &texts, &sets, inputs, limits, emit)),
    }
    .table())
}

/// The parts of a list between commas.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_string()).filter(|part| !part.is_empty()).collect()
}

/// The files of a glob, each a set of its own; any other name as it is.
fn spread(args: &Args<'_>, name: &str) -> Result<Vec<String>> {
    if !name.contains(['*', '?', '[']) || crate::store::remote::is_url(name) {
        return Ok(vec![name.to_string()]);
    }
    let paths = files::expand(name).map_err(|e| e.within(format!("{}()", args.function.name)))?;
    Ok(paths.iter().map(|path| path.to_string_lossy().into_owned()).collect())
}

/// An evaluation set by its name, and the query for its rows.
fn eval_set(
    args: &Args<'_>,
    name: &str,
    columns: &[String],
    splits: &[String],
    rule: &Rule,
) -> Result<(EvalSet, String)> {
    let mut table = args.named(name)?;
    let schema = table.schema();
    let path = args.find(&parse_name(name))?.is_none() || files::is_path(name);
    let file = path && !Path::new(name).join(MANIFEST).is_file();
    let mut corpus = file && files::format_of(name).is_none();
    // SQuAD's layout is one object; what ingest makes of it has questions and contexts.
    let nested = |column: &str| {
        let field = schema.column_with_name(column);
        field.is_some_and(|(_, field)| matches!(field.data_type(), DataType::List(_)))
    };
    if file && !corpus && nested("data") {
        let sql = format!("read('{}', {{into: 'labelled'}})", name.replace('\'', "''"));
        let spec = crate::source::SourceSpec {
            path: name.into(),
            into: Some(crate::source::spec::table_named("labelled")?),
            ..Default::default()
        };
        table = Named { name: name.into(), sql, provider: crate::sql::corpus::open(spec, 0)? };
        corpus = true;
    }
    if !splits.is_empty() {
        table.require(&["split"])?;
    }
    let schema = table.schema();
    let texts = query::evaluation(&table, &schema, columns, file, corpus)?;
    // A name of so many words is no name: the file has no header, and this is its first row.
    let delimited = matches!(files::format_of(name), Some(("csv" | "tsv", _)));
    let mut words = Words::default();
    let mut is_row = |column: &String| {
        words.read(column);
        words.len() >= rule.min_words.max(MIN_WORDS as usize)
    };
    let first = match delimited && columns.is_empty() && texts.columns.iter().any(&mut is_row) {
        true => texts.columns.clone(),
        false => Vec::new(),
    };
    let numbered = (1..=texts.columns.len()).map(|number| number.to_string());
    let columns = if first.is_empty() { texts.columns } else { numbered.collect() };
    let benchmark = if path { stem(name) } else { name.to_string() };
    Ok((EvalSet { name: benchmark, columns, first, splits: splits.to_vec() }, texts.sql))
}

/// The name of a file or folder without what tells its format.
fn stem(path: &str) -> String {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    let packed = [".gz", ".zst", ".bz2", ".xz"].iter().find_map(|end| name.strip_suffix(end));
    let name = packed.unwrap_or(name);
    let plain =
        name.rsplit_once('.').filter(|(_, end)| files::format_of(&format!("a.{end}")).is_some());
    plain.map_or(name, |(stem, _)| stem).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path as Folder;

    use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
    use arrow::util::pretty::pretty_format_batches;

    use super::*;
    use crate::sql::{Session, SessionOptions};
    use crate::store::manifest::Manifest;
    use crate::store::part::PartWriter;
    use crate::store::table::Table;

    const STORY: &str = "Einu sinni var karl og kerling í koti sínu, þau áttu sér 3 dætur";
    const QUESTION: &str = "小明昨天在北京的图书馆里看到了多少本关于历史的书？";

    fn add(session: &mut Session, dir: &Folder, name: &str, columns: Vec<(&str, ArrayRef)>) {
        let dir = dir.join("tables").join(name);
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = PartWriter::create(&dir, "", name, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        let parts = vec![writer.finish().unwrap()];
        Manifest { parts, ..Manifest::default() }.commit(&dir).unwrap();
        session.add_table(name, Table::open(&dir).unwrap()).unwrap();
    }

    fn ids(ids: &[u64]) -> ArrayRef {
        Arc::new(UInt64Array::from(ids.to_vec()))
    }

    fn texts(texts: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    /// Documents 1 to 3, of which 2 is not kept, pairs, and a table of items.
    fn session(dir: &Folder) -> Session {
        let options = SessionOptions { memory_limit: Some(64 << 20), ..SessionOptions::default() };
        let mut session = Session::new(options).unwrap();
        let one = format!("Sagan hefst: {} og eina kú.", STORY.to_uppercase().replace('3', "12"));
        let two = format!("题目：{QUESTION}答案");
        let columns = vec![
            ("doc_id", ids(&[1, 2, 3])),
            ("text", texts(&[&one, &two, "ekkert að sjá hér"])),
            ("lang", texts(&["isl_Latn", "cmn_Hans", "isl_Latn"])),
        ];
        add(&mut session, dir, "documents", columns);
        add(&mut session, dir, "kept", vec![("doc_id", ids(&[1, 3]))]);
        let columns = vec![
            ("doc_id", ids(&[11])),
            ("src_lang", texts(&["eng_Latn"])),
            ("tgt_lang", texts(&["isl_Latn"])),
            ("src", texts(&["Nothing to see"])),
            ("tgt", texts(&[STORY])),
        ];
        add(&mut session, dir, "pairs", columns);
        let columns = vec![
            ("doc_id", ids(&[21, 22, 23])),
            ("text", texts(&[STORY, QUESTION, "of stutt"])),
            ("lang", texts(&["isl_Latn", "cmn_Hans", "isl_Latn"])),
            ("source", texts(&["sögur", "mgsm", "sögur"])),
            ("split", texts(&["test", "train", "test"])),
        ];
        add(&mut session, dir, "labelled", columns);
        session
    }

    fn table(session: &Session, sql: &str) -> Vec<String> {
        let text = pretty_format_batches(&session.query(sql).unwrap()).unwrap().to_string();
        let rows = text.lines().skip(3).filter(|line| line.starts_with('|'));
        let cells = |line: &str| line.split('|').map(str::trim).collect::<Vec<_>>()[1..].join(" ");
        rows.map(|line| cells(line).trim().to_string()).collect()
    }

    #[test]
    fn documents_are_found_with_the_items_that_they_hold() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let sql = "SELECT doc_id, benchmark, eval_id, eval_column, \"column\", lang, containment, \
                   start, items, too_short FROM contamination('documents', 'labelled')";
        let expected =
            ["1 sögur 21 text text isl_Latn 1.0 14 1 1", "2 mgsm 22 text text cmn_Hans 1.0 4 1 0"];
        assert_eq!(table(&session, sql), expected);
        assert_eq!(table(&session.serial([]).unwrap(), sql), expected);
        let of = |call: &str| table(&session, &format!("SELECT doc_id, match FROM {call}"));
        let upper = STORY.to_uppercase().replace('3', "12");
        assert_eq!(of("contamination('kept', 'labelled')"), [format!("1 {upper}")]);
        assert_eq!(of("contamination('pairs', 'labelled')"), [format!("11 {STORY}")]);
        assert!(of("contamination('kept', 'labelled', {splits: 'train, dev'})").is_empty());
    }

    #[test]
    fn spans_are_cut_as_substr_counts() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let sql = "SELECT substr(text, CAST(start AS BIGINT), CAST(length AS BIGINT)) = match, \
                   starts = [start], lengths = [length] \
                   FROM contamination('documents', 'labelled') c JOIN documents USING (doc_id)";
        assert_eq!(table(&session, sql), ["true true true"; 2]);
    }

    #[test]
    fn files_are_evaluation_sets() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let jsonl = write(
            "qa.jsonl",
            &format!(
                "{{\"question\": \"Hvað?\", \"context\": \"nei\"}}\n{{\"question\": \"{QUESTION}\", \"context\": \"{STORY}.\"}}\n"
            ),
        );
        let bare = write("mgsm_zh.tsv", &format!("{QUESTION}\t18\n{STORY}\t3\n"));
        let squad = write("xquad.is.json", &serde_json::json!({"version": "1.1", "data": [{"title": "t", "paragraphs": [
            {"context": STORY, "qas": [{"id": "q1", "question": "Hver átti þrjár dætur í koti sínu?", "answers": [{"text": "karl", "answer_start": 15}]}]}
        ]}]}).to_string());
        let sql = |sets: &str| {
            format!(
                "SELECT doc_id, benchmark, eval_id, eval_column FROM contamination('documents', '{sets}') \
             ORDER BY doc_id, benchmark, eval_id, eval_column"
            )
        };
        let expected = ["1 qa 1 context", "2 qa 1 question"];
        assert_eq!(table(&session, &sql(&jsonl)), expected);
        assert_eq!(table(&session, &sql(&bare)), ["1 mgsm_zh 1 1", "2 mgsm_zh 0 1"]);
        let found = table(&session, &sql(&squad));
        assert!(found.len() == 1 && found[0].starts_with("1 xquad.is 0 text"), "{found:?}");
        let both =
            table(&session, &sql(&format!("{}/*.jsonl, {bare}, labelled", dir.path().display())));
        assert_eq!(both.len(), 6, "{both:?}");
        let one = format!(
            "SELECT doc_id FROM contamination('documents', '{jsonl}', {{columns: 'question'}})"
        );
        assert_eq!(table(&session, &one), ["2"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let error = |rest: &str| {
            let sql = format!("SELECT * FROM contamination('documents', {rest})");
            session.query(&sql).unwrap_err().to_string()
        };
        assert!(error("'labeled'").contains("unknown table `labeled`"));
        assert!(error("'labelled', {ngram: 0}").contains("`ngram` must be in 1 to 64"));
        assert!(
            error("'labelled', {min_words: 14}").contains("`min_words` must be from 1 to `ngram`")
        );
        assert!(error("'labelled', {columns: 'txt'}").contains("unknown text column `txt`"));
        assert!(error("'kept'").contains("no column of texts to look for"));
        assert!(error("'pairs', {splits: 'test'}").contains("`split`"));
    }
}
