//! Runs that are killed, repeated, extended and wrong.

use std::os::unix::fs::MetadataExt;

use super::super::recipe::Origin;
use super::super::testing::{numbers, table};
use super::*;
use crate::sql::SessionOptions;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn session(&self, threads: usize, parts: &[&[u64]]) -> Session {
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        let mut session = Session::new(options).unwrap();
        let dir = self.dir.path().join("documents");
        session.add_table("documents", table(&dir, parts)).unwrap();
        session
    }

    fn run(&self, session: &Session, sql: &str) -> Result<Manifest> {
        let text = format!("-- even: rows.\n{sql}");
        let spec = RunSpec {
            query: &Query::parse(&text, "even.sql", Origin::BuiltIn).unwrap(),
            params: &BTreeMap::new(),
            seed: 17,
            out_dir: self.dir.path().join("even"),
            dropped_dir: self.dir.path().join("even_dropped"),
            threads: session.threads(),
            force: false,
            manifest: Manifest { node: "even".into(), ..Manifest::default() },
        };
        run(session, &spec, &|_, _| ())
    }

    fn ids(&self, name: &str) -> Vec<u64> {
        let mut session = Session::new(SessionOptions::default()).unwrap();
        let table = Table::open(&self.dir.path().join(name)).unwrap();
        session.add_table(name, table).unwrap();
        let session = session.serial([]).unwrap();
        numbers(&session.query(&format!("SELECT doc_id FROM {name}")).unwrap())
    }

    /// Tells a file from one written anew under its name.
    fn written(&self, part: &Part) -> (u64, i64) {
        let path = self.dir.path().join("even").join(&part.file);
        let data = fs::metadata(path).unwrap();
        (data.ino(), data.mtime_nsec())
    }
}

const EVEN: &str = "SELECT doc_id, CASE WHEN doc_id % 2 = 1 THEN 'odd' END AS reason \
                    FROM documents";

#[test]
fn rows_with_a_reason_go_to_the_dropped_table() {
    let place = Place::new();
    let session = place.session(2, &[&[1, 2, 4], &[7, 9], &[10]]);
    assert_eq!(shape(&session, EVEN).unwrap(), Shape::RowWise("documents".into()));
    let manifest = place.run(&session, EVEN).unwrap();
    assert_eq!((manifest.rows_in, manifest.rows_out), (6, 3));
    assert_eq!(manifest.dropped, BTreeMap::from([("odd".to_string(), 3)]));
    assert_eq!(place.ids("even"), [2, 4, 10]);
    assert_eq!(place.ids("even_dropped"), [1, 7, 9]);
    // A query without reasons leaves no dropped rows of the one before.
    place.run(&session, "SELECT doc_id FROM documents").unwrap();
    assert!(!place.dir.path().join("even_dropped").exists());
}

#[test]
fn finished_parts_are_taken_over_after_a_kill() {
    let place = Place::new();
    let session = place.session(1, &[&[1, 2, 4], &[7, 9], &[10]]);
    let first = place.run(&session, EVEN).unwrap();
    let out = place.dir.path().join("even");
    // A kill before the commit: parts are there, the manifest is not, one part is missing.
    fs::remove_file(out.join(MANIFEST)).unwrap();
    fs::remove_file(out.join(&first.parts[1].file)).unwrap();
    let before = (place.written(&first.parts[0]), place.written(&first.parts[2]));
    let second = place.run(&session, EVEN).unwrap();
    assert_eq!(second, first);
    assert_eq!(before, (place.written(&first.parts[0]), place.written(&first.parts[2])));
}

#[test]
fn a_part_without_its_dropped_rows_is_made_again() {
    let place = Place::new();
    let session = place.session(1, &[&[1, 2, 4]]);
    let first = place.run(&session, EVEN).unwrap();
    fs::remove_dir_all(place.dir.path().join("even_dropped")).unwrap();
    assert_eq!(place.run(&session, EVEN).unwrap(), first);
    assert_eq!(place.ids("even_dropped"), [1]);
}

#[test]
fn a_new_input_part_costs_itself_and_another_query_costs_all() {
    let place = Place::new();
    let session = place.session(1, &[&[1, 2, 4], &[7, 9]]);
    let first = place.run(&session, EVEN).unwrap();
    let before: Vec<_> = first.parts.iter().map(|p| place.written(p)).collect();
    let session = place.session(1, &[&[1, 2, 4], &[7, 9], &[20]]);
    let second = place.run(&session, EVEN).unwrap();
    assert_eq!(second.parts.len(), 3);
    let after: Vec<_> = second.parts[..2].iter().map(|p| place.written(p)).collect();
    assert_eq!(before, after);
    let third = place.run(&session, &EVEN.replace("odd", "uneven")).unwrap();
    assert!(third.parts.iter().all(|p| second.parts.iter().all(|q| p.file != q.file)));
}

#[test]
fn threads_do_not_change_a_byte() {
    let many: Vec<Vec<u64>> = (0..8).map(|p| (0..3000).map(|i| p * 10_000 + i).collect()).collect();
    let many: Vec<&[u64]> = many.iter().map(Vec::as_slice).collect();
    let queries = [
        EVEN,
        "SELECT doc_id, uniform(doc_id, $seed) AS u FROM documents WHERE doc_id % 3 = 0",
        "SELECT lang, count(*) AS n, sum(doc_id) AS s FROM documents GROUP BY lang ORDER BY 1",
        "SELECT a.doc_id, b.lang FROM documents a JOIN documents b USING (doc_id)",
    ];
    for sql in queries {
        let (one, two) = (Place::new(), Place::new());
        let a = one.run(&one.session(1, &many), sql).unwrap();
        let b = two.run(&two.session(3, &many), sql).unwrap();
        assert_eq!(a, b, "{sql}");
    }
}

#[test]
fn an_empty_result_is_one_empty_part() {
    let place = Place::new();
    let session = place.session(1, &[&[1, 3]]);
    let none = "SELECT doc_id FROM documents WHERE doc_id > 5";
    let manifest = place.run(&session, none).unwrap();
    assert_eq!((manifest.parts.len(), manifest.rows_out), (1, 0));
    let session = place.session(1, &[&[]]);
    let manifest = place.run(&session, EVEN).unwrap();
    assert_eq!((manifest.parts.len(), manifest.rows_out), (1, 0));
    assert_eq!(place.ids("even_dropped"), Vec::<u64>::new());
}

#[test]
fn what_cannot_be_a_table_is_told_with_advice() {
    let place = Place::new();
    let session = place.session(1, &[&[1, 3]]);
    for (sql, message, hint) in [
        (
            "SELECT doc_id FROM documents ORDER BY doc_id DESC",
            "query `even`: rows are not in order of `doc_id`",
            "end the query with `ORDER BY doc_id`",
        ),
        (
            "SELECT CASE WHEN doc_id > 1 THEN doc_id END AS doc_id FROM documents",
            "query `even`: column `doc_id` must not be null, but it is in 1 rows",
            "",
        ),
        (
            "SELECT doc_id, 1 AS reason FROM documents",
            "query `even`: column `reason` must be text or null; it is Int64",
            "",
        ),
        (
            "SELECT doc_id, random() AS x FROM documents",
            "query `even`: `random` gives another result each time",
            "chance is a function of the row: `uniform(doc_id, $seed)`",
        ),
        (
            "SELECT doc_id, now() AS x FROM documents",
            "query `even`: `now` gives another result each time",
            "chance is a function of the row: `uniform(doc_id, $seed)`",
        ),
    ] {
        let error = place.run(&session, sql).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hint().unwrap_or_default(), hint);
    }
    assert!(Manifest::read(&place.dir.path().join("even")).unwrap().is_none());
}

#[test]
fn what_depends_on_other_rows_is_run_as_a_whole() {
    let place = Place::new();
    let session = place.session(1, &[&[1, 3]]);
    for sql in [
        "SELECT lang, count(*) AS n FROM documents GROUP BY lang",
        "SELECT DISTINCT lang FROM documents",
        "SELECT doc_id FROM documents ORDER BY doc_id LIMIT 1",
        "SELECT doc_id, row_number() OVER (ORDER BY doc_id) AS n FROM documents",
        "SELECT doc_id FROM documents WHERE doc_id IN (SELECT doc_id FROM documents)",
        "SELECT doc_id FROM documents UNION ALL SELECT doc_id FROM documents",
        "SELECT file FROM manifest('documents')",
        "SELECT 1 AS x",
    ] {
        assert_eq!(shape(&session, sql).unwrap(), Shape::Whole, "{sql}");
    }
    let sql = "WITH d AS (SELECT * FROM documents) SELECT doc_id FROM d WHERE lang = 'x'";
    assert_eq!(shape(&session, sql).unwrap(), Shape::RowWise("documents".into()));
}
