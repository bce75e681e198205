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
        self.run_text(session, &format!("-- even: rows.\n{sql}"))
    }

    /// What comes of the rows of `documents` behind a command.
    fn command(&self, session: &Session, line: &str) -> Result<Manifest> {
        self.run_text(session, &format!("-- even: rows.\n-- in: documents\n-- run: {line}\n"))
    }

    fn run_text(&self, session: &Session, text: &str) -> Result<Manifest> {
        let query = Query::parse(text, "even.sql", Origin::BuiltIn).unwrap();
        let defaults = query.params.iter().map(|p| (p.name.clone(), p.default.clone()));
        let spec = RunSpec {
            query: &query,
            params: &defaults.collect(),
            seed: 17,
            dir: self.dir.path(),
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

#[test]
fn a_command_gives_back_what_it_was_given_and_is_not_asked_again() {
    let place = Place::new();
    let session = place.session(2, &[&[1, 2, 4], &[7, 9], &[10]]);
    let made = place.command(&session, "cat; echo > asked").unwrap();
    assert_eq!((made.rows_in, made.rows_out, made.parts.len()), (6, 6, 3));
    assert_eq!(place.ids("even"), [1, 2, 4, 7, 9, 10]);
    let asked = place.dir.path().join("asked");
    fs::remove_file(&asked).unwrap();
    assert_eq!(place.command(&session, "cat; echo > asked").unwrap(), made);
    assert!(!asked.exists());
    // New rows are all it is asked about.
    let session = place.session(2, &[&[1, 2, 4], &[7, 9], &[10], &[12]]);
    place.command(&session, "cat; echo > asked").unwrap();
    assert_eq!(place.ids("even"), [1, 2, 4, 7, 9, 10, 12]);
    // Its files and parameters count; the SELECT says what it gets.
    let text = "-- even: rows.\n-- param: least bigint = 4\n-- run: sh score.sh\n\
                SELECT doc_id, lang AS reason FROM documents WHERE doc_id > $least";
    fs::write(place.dir.path().join("score.sh"), "test $least = 4 && cat").unwrap();
    place.run_text(&session, text).unwrap();
    assert_eq!((place.ids("even"), place.ids("even_dropped")), (vec![], vec![7, 9, 10, 12]));
    fs::write(place.dir.path().join("score.sh"), "cat; exit 1").unwrap();
    assert!(place.run_text(&session, text).is_err());
}

#[test]
fn a_command_that_fails_midway_goes_on_behind_its_finished_parts() {
    let place = Place::new();
    let session = place.session(1, &[&[1, 2, 4], &[7, 9], &[10]]);
    let script = "if test -e broken; then cat > all; head -c $(($(wc -c < all) - 500)) all\n\
                  echo 'out of memory' >&2; exit 7; else cat; fi";
    fs::write(place.dir.path().join("score.sh"), script).unwrap();
    fs::write(place.dir.path().join("broken"), "").unwrap();
    let error = place.command(&session, "sh score.sh").unwrap_err();
    let words = error.to_string();
    assert!(words.starts_with("query `even`: `sh score.sh`: "), "{words}");
    assert!(words.ends_with(": out of memory"), "{words}");
    assert!(error.hint().unwrap().contains("goes on behind them"));
    assert!(!place.dir.path().join("even/manifest.json").exists());
    let left: Vec<_> = fs::read_dir(place.dir.path().join("even")).unwrap().collect();
    assert_eq!(left.len(), 2);
    fs::remove_file(place.dir.path().join("broken")).unwrap();
    fs::write(place.dir.path().join("all"), "").unwrap();
    let made = place.command(&session, "sh score.sh").unwrap();
    assert_eq!((made.rows_out, place.ids("even")), (6, vec![1, 2, 4, 7, 9, 10]));
}

#[test]
fn what_a_command_must_not_do_is_told() {
    let place = Place::new();
    let session = place.session(1, &[&[1, 2, 4], &[7, 9]]);
    let error = |line: &str| place.command(&session, line).unwrap_err().to_string();
    let is = |line: &str, what: &str| {
        let found = error(line);
        assert!(found.contains(what), "{line}: {found}");
    };
    is("echo loading the model; cat", "its output is no Arrow IPC stream");
    is("cat > /dev/null", "its output is no Arrow IPC stream");
    is("no-such-scorer", "exit status: 127");
    is("cat > /dev/null; exit 3", "exit status: 3");
    // The same answer twice is one stream and some bytes behind it; half an answer is broken.
    is("cat > all; head -c $(($(wc -c < all) - 500)) all", "its output is broken");
    let lost = "-- even: rows.\n-- in: documents\n-- run: cat other\n";
    let stream = |ids: &[u64]| {
        let column: ArrayRef = std::sync::Arc::new(arrow::array::UInt64Array::from(ids.to_vec()));
        let batch = RecordBatch::try_from_iter([("doc_id", column)]).unwrap();
        let mut out = Vec::new();
        let mut writer =
            arrow::ipc::writer::StreamWriter::try_new(&mut out, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        drop(writer);
        out
    };
    for (ids, what) in [
        (vec![1, 2, 4, 7], "it gave back 4 of 5 rows and no more"),
        (vec![1, 2, 4, 7, 9, 10], "it gave back more than the 5 rows it was given"),
        (vec![2, 1, 4, 7, 9], "row 0 of its answer is `doc_id` 2; expected 1"),
        (vec![1, 2, 4, 7, 8], "row 4 of its answer is `doc_id` 8; expected 9"),
    ] {
        fs::write(place.dir.path().join("other"), stream(&ids)).unwrap();
        let found = place.run_text(&session, lost).unwrap_err().to_string();
        assert!(found.ends_with(what), "{found}");
        assert!(!place.dir.path().join("even/manifest.json").exists());
    }
    // One that reads nothing, not even what is more than a pipe holds, is no deadlock.
    let many: Vec<u64> = (0..200_000).collect();
    let session = place.session(1, &[&many]);
    fs::write(place.dir.path().join("other"), stream(&many)).unwrap();
    assert_eq!(place.run_text(&session, lost).unwrap().rows_out, 200_000);
    let is = |line: &str, what: &str| {
        let found = place.command(&session, line).unwrap_err().to_string();
        assert!(found.contains(what), "{line}: {found}");
    };
    is("exec <&- >&-; sleep 100", "its output is no Arrow IPC stream");
}
