//! `near_duplicates('table' [, {…}])`: the rows of nearly equal content and which of them to keep.
//!
//! Rows of equal content, and rows whose word 5-grams overlap by the threshold or more, found by
//! MinHash over bands and checked by the exact overlap. Nothing is removed here.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::duplicates::{self, BY, NORMALIZE, ORDER, WITHIN, WITHIN_LANGUAGE};
use super::{Args, TableFunction};
use crate::error::Result;

/// The function.
pub(super) const NEAR_DUPLICATES: TableFunction = TableFunction {
    name: "near_duplicates",
    usage: "near_duplicates('table' [, {threshold: 0.8, bands: 14, rows: 8, permutations: 112, \
            ngram: 5, unit: 'words', tokenizer: 'NAME', verify: true, within_language: false, \
            within: 'column, …', order: 'column desc, …', by: 'both', normalize: 'content', \
            signatures: 'table', previous: 'table', against: 'table', drop: 'new'}])",
    doc: "Every row of a table with its cluster of equal or near rows: `doc_id, cluster_id, \
          cluster_size, keep, kept_id, similarity, content, superseded`, sorted by `doc_id`. Rows \
          are linked when their `content_key` is equal, or when a band of their MinHash signatures \
          is and the Jaccard similarity of their word 5-grams is at least the threshold; clusters \
          are what is linked, however indirectly, whatever else is in the table. Kept is the first \
          row by the order, then the one with the most characters, of these the one of least content \
          key, of these the least `doc_id`; `similarity` is the Jaccard similarity to it. `content` \
          stands for the row's content and the options; by it a later call sees what has changed. \
          With `against`, a column `side` says of which table a row is.",
    options: &[
        ("threshold", "0.8; the least Jaccard similarity of two linked rows, above 0 to 1"),
        ("bands", "14; the bands of a signature: more find more at a lower similarity"),
        ("rows", "8; the numbers in each band: more find less at a lower similarity"),
        ("permutations", "112; bands x rows, another way to say one of them"),
        (
            "ngram",
            "5, of characters 24; the units in a shingle; shorter texts have exact duplicates \
                   alone",
        ),
        ("unit", "'words', by dictionary in scripts without spaces; 'characters'; 'tokens'"),
        ("tokenizer", "none; whose tokens they are, as in `encode(text, 'NAME')`"),
        ("verify", "true; whether the similarity is checked, or sharing a band is enough"),
        WITHIN_LANGUAGE,
        WITHIN,
        ORDER,
        BY,
        NORMALIZE,
        (
            "signatures",
            "none; a table of `doc_id` and `duplicate_signature(…) AS signature`, read in place of \
             the texts; these are then read only for what shares a band",
        ),
        (
            "previous",
            "none; a former result over the same table (with the rows of `…_dropped` beside it): its \
             clusters are taken over where no row has gone or changed, and only new rows are \
             compared; the result is that of doing all at once, and rows that were kept and are not \
             any more are `superseded`; a table that is not there counts as empty",
        ),
        (
            "against",
            "none; a table of texts or signatures with other `doc_id`s: rows are compared with its \
             rows too, but not these with one another, and its best row is the kept one",
        ),
        (
            "drop",
            "'new': rows that have a duplicate in the other table are not kept; 'both': nor are \
             those of the other table, which are then in the result; 'none': all are kept, and \
             `kept_id` says what they match",
        ),
    ],
    tables: 1,
    example: "SELECT cluster_id, count(*) FROM near_duplicates('kept', {threshold: 0.7}) \
              GROUP BY cluster_id ORDER BY cluster_id",
    version: 2,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    duplicates::table(args, true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use arrow::array::{ArrayRef, RecordBatch, StringArray, StructArray, UInt64Array};
    use arrow::datatypes::{DataType, Field};
    use arrow::util::pretty::pretty_format_batches;

    use super::*;
    use crate::sql::{Session, SessionOptions};
    use crate::store::manifest::Manifest;
    use crate::store::part::PartWriter;
    use crate::store::table::Table;

    fn add(session: &mut Session, dir: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) {
        let dir = dir.join(name);
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

    const LONG: &str = "Einu sinni var karl og kerling í koti sínu, þau áttu sér eina dóttur \
                        sem hét Helga og kú sem hét Búkolla";

    /// `documents` and `pairs`, and tables of ids of both.
    fn session(dir: &Path) -> Session {
        let detected = StructArray::from(vec![(
            Arc::new(Field::new("lang", DataType::Utf8, true)),
            texts(&["isl_Latn", "rus_Cyrl", "isl_Latn", "bul_Cyrl", "cmn_Hans", "isl_Latn"]),
        )]);
        let options = SessionOptions { memory_limit: Some(64 << 20), ..SessionOptions::default() };
        let mut session = Session::new(options).unwrap();
        let longer = format!("{LONG}!");
        let near = LONG.replace("Helga", "Ása");
        let documents = [LONG, "Привет мир", &longer, "привет  МИР", "你好，世界", &near];
        let columns = vec![
            ("doc_id", ids(&[1, 2, 3, 4, 5, 6])),
            ("text", texts(&documents)),
            ("lang", Arc::new(StringArray::new_null(6))),
        ];
        add(&mut session, dir, "documents", columns);
        let columns: Vec<(&str, ArrayRef)> =
            vec![("doc_id", ids(&[1, 2, 3, 4, 5, 6])), ("detected", Arc::new(detected))];
        add(&mut session, dir, "measured", columns);
        add(&mut session, dir, "kept", vec![("doc_id", ids(&[1, 2, 3, 4, 6]))]);
        let columns = vec![
            ("doc_id", ids(&[11, 12, 13])),
            ("src_lang", texts(&["eng_Latn"; 3])),
            ("tgt_lang", texts(&["hin_Deva"; 3])),
            ("src", texts(&["Hello", "HELLO ", "Hello"])),
            ("tgt", texts(&["नमस्ते", "नमस्ते", "नमस्कार"])),
        ];
        add(&mut session, dir, "pairs", columns);
        add(&mut session, dir, "pairs_kept", vec![("doc_id", ids(&[11, 12, 13]))]);
        session
    }

    fn table(session: &Session, sql: &str) -> Vec<String> {
        let text = pretty_format_batches(&session.query(sql).unwrap()).unwrap().to_string();
        let rows = text.lines().skip(3).filter(|line| line.starts_with('|'));
        rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>()[1..].join(" ")).collect()
    }

    #[test]
    fn texts_come_from_documents() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let sql = "SELECT doc_id, cluster_id, cluster_size, keep, kept_id, round(similarity, 2) \
                   FROM near_duplicates('kept', {threshold: 0.5, bands: 40, rows: 2})";
        let expected = [
            "1 1 3 false 3 1.0 ",
            "2 2 2 false 4 1.0 ",
            "3 1 3 true 3 1.0 ",
            "4 2 2 true 4 1.0 ",
            "6 1 3 false 3 0.57 ",
        ];
        assert_eq!(table(&session, sql), expected);
        let plan = session.serial([]).unwrap().plan(sql).unwrap();
        assert!(plan.contains("MergeJoin") && !plan.contains("HashJoin"), "{plan}");
        assert_eq!(table(&session.serial([]).unwrap(), sql), expected);
    }

    #[test]
    fn languages_can_be_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        // `documents` declares no language; what was measured is asked for the others.
        for (name, dropped) in [("documents", 3), ("kept", 2), ("measured", 2)] {
            let sql = format!(
                "SELECT doc_id FROM near_duplicates('{name}', {{threshold: 0.5, bands: 40, \
                 rows: 2, within_language: true}}) WHERE NOT keep"
            );
            assert_eq!(table(&session, &sql).len(), dropped, "{name}");
        }
    }

    #[test]
    fn pairs_are_duplicates_on_both_sides() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        for name in ["pairs", "pairs_kept"] {
            let sql = format!("SELECT doc_id, kept_id FROM exact_duplicates('{name}')");
            assert_eq!(table(&session, &sql), ["11 12 ", "12 12 ", "13 13 "], "{name}");
        }
    }

    #[test]
    fn an_order_decides_before_length() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let kept = |order: &str| {
            let sql = format!(
                "SELECT DISTINCT kept_id FROM exact_duplicates('documents', {{order: '{order}'}}) \
                 WHERE cluster_size > 1"
            );
            session.query(&sql).map(|_| table(&session, &sql))
        };
        assert_eq!(kept("doc_id asc").unwrap(), ["2 "]);
        assert_eq!(kept("doc_id").unwrap(), ["4 "]);
        let error = kept("quality desc").unwrap_err().to_string();
        assert!(error.contains("unknown column `quality`"), "{error}");
        let error = kept("lang").unwrap_err().to_string();
        assert!(error.contains("expected a numeric column"), "{error}");
    }

    #[test]
    fn options_out_of_range_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let error = |options: &str| {
            let sql = format!("SELECT * FROM near_duplicates('kept', {options})");
            session.query(&sql).unwrap_err().to_string()
        };
        assert!(error("{threshold: 1.5}").contains("`threshold` must be above 0 and up to 1"));
        assert!(error("{treshold: 0.5}").contains("unknown option `treshold`"));
    }
}
