//! Tables, files, orders and what a session refuses.

use super::super::testing::{cells, numbers, table};
use super::*;

fn session(dir: &Path, threads: usize) -> Session {
    let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
    let mut session = Session::new(options).unwrap();
    session.add_table("documents", table(&dir.join("a"), &[&[1, 5, 6], &[8, 9]])).unwrap();
    session.add_table("mix.main", table(&dir.join("b"), &[&[5, 8, 11]])).unwrap();
    // Two parts whose ranges overlap.
    session.add_table("mixed", table(&dir.join("c"), &[&[2, 7, 12], &[1, 8, 9]])).unwrap();
    session
}

#[test]
fn tables_are_found_by_their_names_and_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path(), 2).serial([]).unwrap();
    assert_eq!(session.tables(), ["documents", "mix.main", "mixed"]);
    let ids = |sql: &str| numbers(&session.query(sql).unwrap());
    assert_eq!(ids("SELECT doc_id FROM documents"), [1, 5, 6, 8, 9]);
    assert_eq!(ids("SELECT doc_id FROM mix.main"), [5, 8, 11]);
    assert_eq!(ids("SELECT doc_id, text FROM mixed"), [1, 2, 7, 8, 9, 12]);
    assert_eq!(ids("SELECT doc_id FROM mixed WHERE doc_id > 7"), [8, 9, 12]);
    assert_eq!(ids("SELECT doc_id FROM mixed WHERE lang = 'yor_Latn'"), [1, 7]);
    assert_eq!(ids("SELECT doc_id FROM documents LIMIT 2"), [1, 5]);
    assert_eq!(ids("SELECT count(*) FROM mixed"), [6]);
    for table in ["documents", "mixed"] {
        let plan = session.plan(&format!("SELECT doc_id FROM {table} ORDER BY doc_id"));
        assert!(!plan.as_ref().unwrap().contains("SortExec"), "{plan:?}");
    }
}

#[test]
fn the_manifest_is_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path(), 2);
    let sql = "SELECT rows FROM manifest('documents') ORDER BY first_id";
    assert_eq!(numbers(&session.query(sql).unwrap()), [3, 2]);
    let sql = "SELECT last_id FROM manifest('mix.main')";
    assert_eq!(numbers(&session.query(sql).unwrap()), [11]);
}

#[test]
fn files_are_read_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path(), 2);
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    };
    let jsonl = "{\"a\": 1, \"t\": \"þ\"}\n{\"a\": 2}\n";
    let zst = zstd::encode_all(jsonl.as_bytes(), 1).unwrap();
    for path in [
        write("x.jsonl", jsonl.as_bytes()),
        write("x.jsonl.zst", &zst),
        write("x y [1].csv", b"a,t\n1,\"two\nlines\"\n2,\n"),
        write("x.tsv", "a\tt\n1\tþ\n2\t\n".as_bytes()),
    ] {
        let ids = numbers(&session.query(&format!("SELECT a FROM '{path}'")).unwrap());
        assert_eq!(ids, [1, 2], "{path}");
        let sql = format!("SELECT count(t) FROM read('{path}') WHERE a < 2");
        assert_eq!(numbers(&session.query(&sql).unwrap()), [1], "{path}");
    }
    let glob = format!("SELECT doc_id FROM '{}/a/*.parquet' ORDER BY 1", dir.path().display());
    assert_eq!(numbers(&session.query(&glob).unwrap()), [1, 5, 6, 8, 9]);
    let folder = format!("SELECT doc_id FROM '{}/b'", dir.path().display());
    assert_eq!(numbers(&session.query(&folder).unwrap()), [5, 8, 11]);
    let path = dir.path().join("x.jsonl");
    std::fs::write(&path, "{\"a\": 7}\n").unwrap();
    let again = format!("SELECT a FROM '{}'", path.display());
    assert_eq!(numbers(&session.query(&again).unwrap()), [7]);
    assert_eq!(session.tables(), ["documents", "mix.main", "mixed"]);
    let error = session.query("SELECT * FROM 'nowhere.jsonl'").unwrap_err();
    assert_eq!(error.to_string(), "nowhere.jsonl: no such file");
}

#[test]
fn a_session_only_reads() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path(), 1);
    for sql in [
        "CREATE TABLE x AS SELECT 1",
        "DROP TABLE documents",
        "INSERT INTO documents VALUES (1, 'a', 'b')",
        "COPY documents TO 'x.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION 'x.csv'",
    ] {
        let error = session.query(sql).unwrap_err();
        assert!(error.to_string().starts_with("a query only reads"), "{sql}: {error}");
    }
    assert_eq!(session.tables(), ["documents", "mix.main", "mixed"]);
    session.query("SHOW TABLES").unwrap();
    session.query("EXPLAIN SELECT 1").unwrap();
}

#[test]
fn selected_rows_keep_their_order_under_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<Vec<u64>> = (0..6).map(|p| (0..3000).map(|i| p * 10_000 + i).collect()).collect();
    let parts: Vec<&[u64]> = ids.iter().map(Vec::as_slice).collect();
    let options = SessionOptions { threads: Some(4), ..SessionOptions::default() };
    let mut session = Session::new(options).unwrap();
    session.add_table("t", table(dir.path(), &parts)).unwrap();
    let found = session.query("SELECT doc_id, length(text) FROM t WHERE lang <> 'x'").unwrap();
    assert_eq!(numbers(&found), ids.concat());
    let plan = session.plan("SELECT lang, count(*) FROM t GROUP BY lang").unwrap();
    assert!(plan.contains("RepartitionExec"), "{plan}");
}

#[test]
fn a_callback_may_use_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path(), 1);
    let mut inner = 0;
    let each = &mut |batch: RecordBatch| {
        let sql = format!("SELECT count(*) FROM documents LIMIT {}", batch.num_rows());
        inner += cells(&session.query(&sql)?).len();
        Ok(())
    };
    session.stream("SELECT * FROM mix.main", each).unwrap();
    assert_eq!(inner, 1);
}
