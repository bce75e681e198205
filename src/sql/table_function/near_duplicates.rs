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
          row of a cluster by the order, then the one with the most characters, of these the one of \
          least content key, of these the least `doc_id`; then each next one that is not near a row \
          that is kept already. So a cluster that is a chain keeps several rows, and a dropped row \
          is near its own `kept_id`: `similarity` is the Jaccard similarity to it. `content` stands \
          for the row's content, its place in the order and the options; by it a later call sees \
          what has changed. \
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
        (
            "verify",
            "true; whether the similarity is checked; if not, sharing a band is enough, and one row of \
             a cluster is kept, as datatrove does",
        ),
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
             rows too, but not these with one another: each stays, and what is near to one is dropped \
             for it",
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
    version: 3,
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

    /// The result of a query as a table of the session.
    fn keep(session: &mut Session, dir: &Path, name: &str, sql: &str) {
        let batches = session.query(sql).unwrap();
        let dir = dir.join(name);
        let schema = batches[0].schema();
        let fields = schema.fields().iter().map(|f| match f.data_type() {
            DataType::Utf8View => f.as_ref().clone().with_data_type(DataType::Utf8),
            _ => f.as_ref().clone(),
        });
        let schema = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
        let mut writer = PartWriter::create(&dir, "", name, &schema).unwrap();
        for batch in batches {
            let columns = batch.columns().iter().zip(schema.fields());
            let columns = columns.map(|(c, f)| arrow::compute::cast(c, f.data_type()).unwrap());
            writer
                .write(&RecordBatch::try_new(schema.clone(), columns.collect()).unwrap())
                .unwrap();
        }
        let parts = vec![writer.finish().unwrap()];
        Manifest { parts, ..Manifest::default() }.commit(&dir).unwrap();
        session.add_table(name, Table::open(&dir).unwrap()).unwrap();
    }

    const WIDE: &str = "threshold: 0.5, bands: 40, rows: 2";

    #[test]
    fn signatures_stand_in_for_texts() {
        let dir = tempfile::tempdir().unwrap();
        let mut session = session(dir.path());
        let sql =
            "SELECT doc_id, duplicate_signature(text, NULL, 5, 40, 2) AS signature FROM documents";
        keep(&mut session, dir.path(), "signatures", sql);
        for more in ["", ", within_language: true"] {
            let sql = |signatures: &str| {
                format!("SELECT * FROM near_duplicates('kept', {{{WIDE}{more}{signatures}}})")
            };
            let found = table(&session, &sql(", signatures: 'signatures'"));
            assert_eq!(found, table(&session, &sql("")));
            assert_eq!(found.len(), 5);
        }
        let other = "SELECT * FROM near_duplicates('kept', {signatures: 'signatures'})";
        let error = session.query(other).unwrap_err().to_string();
        assert!(error.contains("was made with `5 of words in texts, 40 x 2"), "{error}");
        keep(&mut session, dir.path(), "signatures", &format!("{sql} WHERE doc_id <> 2"));
        let other =
            format!("SELECT * FROM near_duplicates('kept', {{{WIDE}, signatures: 'signatures'}})");
        let error = session.query(&other).unwrap_err().to_string();
        assert!(error.contains("`doc_id` 2 has no signature"), "{error}");
    }

    #[test]
    fn a_former_result_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut session = session(dir.path());
        let columns = "doc_id, cluster_id, cluster_size, keep, kept_id, similarity, content";
        let all = |from: &str, options: &str| {
            format!("SELECT {columns} FROM near_duplicates('{from}', {{{WIDE}{options}}})")
        };
        keep(&mut session, dir.path(), "some", "SELECT doc_id FROM kept WHERE doc_id <> 3");
        // As the runner keeps it: what is dropped stands beside.
        let sql = all("some", "");
        keep(&mut session, dir.path(), "before", &format!("SELECT * FROM ({sql}) WHERE keep"));
        keep(
            &mut session,
            dir.path(),
            "before_dropped",
            &format!("SELECT * FROM ({sql}) WHERE NOT keep"),
        );
        let found = table(&session, &all("kept", ", previous: 'before'"));
        assert_eq!(found, table(&session, &all("kept", "")));
        assert_eq!(found, table(&session, &all("kept", ", previous: 'none_yet'")));
        // The longest one came last, and another had been kept.
        let sql = format!(
            "SELECT doc_id, kept_id FROM near_duplicates('kept', {{{WIDE}, previous: 'before'}}) \
             WHERE superseded"
        );
        assert_eq!(table(&session, &sql), ["1 3 "]);
    }

    #[test]
    fn rows_are_compared_with_those_of_another_table() {
        let dir = tempfile::tempdir().unwrap();
        let mut session = session(dir.path());
        keep(&mut session, dir.path(), "new", "SELECT doc_id FROM kept WHERE doc_id <= 2");
        keep(&mut session, dir.path(), "old", "SELECT doc_id FROM documents WHERE doc_id > 2");
        let of = |drop: &str| {
            let sql = format!(
                "SELECT doc_id, keep, kept_id, side FROM near_duplicates('new', \
                 {{{WIDE}, against: 'old', drop: '{drop}'}})"
            );
            table(&session, &sql)
        };
        assert_eq!(of("new"), ["1 false 3 new ", "2 false 4 new "]);
        assert_eq!(of("none"), ["1 true 3 new ", "2 true 4 new "]);
        let both = [
            "1 false 3 new ",
            "2 false 4 new ",
            "3 false 3 old ",
            "4 false 4 old ",
            "6 false 6 old ",
        ];
        assert_eq!(of("both"), both);
        let sql = "SELECT * FROM near_duplicates('kept', {against: 'old'})";
        let error = session.query(sql).unwrap_err().to_string();
        assert!(error.contains("`doc_id` 3 stands in both tables"), "{error}");
    }

    #[test]
    fn one_side_of_a_pair_can_be_enough() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let kept = |by: &str| {
            let sql = format!("SELECT kept_id FROM exact_duplicates('pairs_kept', {{by: '{by}'}})");
            table(&session, &sql)
        };
        assert_eq!(kept("both"), ["12 ", "12 ", "13 "]);
        assert_eq!(kept("source"), ["12 ", "12 ", "12 "]);
        assert_eq!(kept("target"), ["11 ", "11 ", "13 "]);
    }

    #[test]
    fn rows_stay_within_their_group() {
        let dir = tempfile::tempdir().unwrap();
        let mut session = session(dir.path());
        let sql = "SELECT doc_id, text, doc_id % 2 = 0 AS even, doc_id AS n FROM documents";
        keep(&mut session, dir.path(), "grouped", sql);
        let clusters = |options: &str| {
            let sql =
                format!("SELECT kept_id FROM near_duplicates('grouped', {{{WIDE}{options}}})");
            table(&session, &sql)
        };
        assert_eq!(clusters(", within: 'even'"), ["3 ", "4 ", "3 ", "4 ", "5 ", "6 "]);
        assert_eq!(clusters(", order: 'even desc, n asc'"), ["6 ", "2 ", "6 ", "2 ", "5 ", "6 "]);
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        for (options, message) in [
            ("permutations: 100, bands: 14, rows: 8", "100 is not 14 x 8"),
            ("permutations: 100, rows: 8", "100 is not 12 x 8"),
            ("unit: 'tokens'", "`unit: 'tokens'` and `tokenizer: 'NAME'` go together"),
            ("unit: 'tokens', tokenizer: 'main'", "needs the function encode()"),
            ("unit: 'lines'", "unknown unit `lines`"),
            ("normalize: 'letters'", "leaves no words"),
            ("drop: 'both'", "`drop` needs `against"),
            ("against: 'kept', previous: 'x'", "`previous` and `against` do not go together"),
            ("against: 'nowhere'", "unknown table `nowhere`"),
            ("by: 'source'", "has no pairs"),
            ("within: 'town'", "unknown column `town`"),
            ("order: 'a, b, c, d, e'", "4 are the most"),
        ] {
            let sql = format!("SELECT * FROM near_duplicates('documents', {{{options}}})");
            let error = session.query(&sql).unwrap_err().to_string();
            assert!(error.contains(message), "{options}: {error}");
        }
        for options in [
            "permutations: 100, rows: 5",
            "permutations: 128, bands: 16",
            "unit: 'characters', normalize: 'letters'",
        ] {
            let sql = format!("SELECT * FROM near_duplicates('documents', {{{options}}})");
            assert_eq!(table(&session, &sql).len(), 6, "{options}");
        }
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
