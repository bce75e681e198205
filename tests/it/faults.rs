//! Damaged inputs, refusals of the system, and kill -9 at any moment.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crate::util::{Dir, LANGUAGES, project, sentence};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn lines(n: usize) -> String {
    (0..n).map(|i| format!("{}\n", serde_json::json!({ "text": sentence(1, i) }))).collect()
}

/// Ingests one file into `out` and gives rows and unreadable rows.
fn ingest(dir: &Dir, args: &[&str]) -> (i64, i64) {
    let mut all = vec!["ingest"];
    all.extend(args);
    all.extend(["--out", "out", "--json"]);
    let object = dir.ok(&all).json();
    (object["rows"].as_i64().unwrap(), object["errors"].as_i64().unwrap())
}

#[test]
fn a_truncated_gzip_keeps_what_was_read_and_says_so() {
    let dir = Dir::new();
    let bytes = gzip(lines(5000).as_bytes());
    dir.write("a.jsonl.gz", &bytes[..bytes.len() / 2]);
    let (rows, errors) = ingest(&dir, &["a.jsonl.gz", "--lang", "is"]);
    assert!(rows > 0 && rows < 5000, "{rows}");
    assert_eq!(errors, 1);
    let why = dir.value("SELECT reason FROM read('out/errors/*.parquet')");
    assert!(why.as_str().unwrap().contains("truncated"), "{why}");
}

#[test]
fn invalid_utf8_and_invalid_json_are_kept_as_errors() {
    let dir = Dir::new();
    let mut bytes = lines(3).into_bytes();
    bytes.extend(b"{\"text\": \"caf\xe9\"}\n{\"text\": \n");
    bytes.extend(lines(2).into_bytes());
    dir.write("a.jsonl", bytes);
    assert_eq!(ingest(&dir, &["a.jsonl", "--lang", "is"]), (5, 2));
}

#[test]
fn unusable_inputs_are_one_line() {
    let dir = Dir::new();
    dir.write("a.en", "one\ntwo\nthree\n");
    dir.write("a.is", "einn\ntveir\n");
    dir.write("b.csv", "id,body\n1,hello\n");
    dir.write("c.jsonl", lines(2));
    for (args, words) in [
        (&["a.en", "a.is", "--langs", "en,is"][..], "3"),
        (&["b.csv", "--lang", "en"], "body"),
        (&["c.jsonl", "--lang", "klingonese"], "klingonese"),
        (&["missing.jsonl", "--lang", "en"], "missing.jsonl"),
        (&["c.jsonl", "--lang", "en", "--format", "jsonll"], "jsonl"),
    ] {
        let mut all = vec!["ingest"];
        all.extend(args);
        all.extend(["--out", "out"]);
        let done = dir.run(&all);
        assert_eq!(done.code, 2, "{args:?}: {}", done.stderr);
        assert!(done.stderr.starts_with("error: "), "{args:?}: {}", done.stderr);
        assert!(done.stderr.lines().count() <= 2, "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(words), "{args:?}: {}", done.stderr);
    }
}

#[test]
fn an_empty_file_is_an_empty_table() {
    let dir = Dir::new();
    dir.write("a.jsonl", "");
    assert_eq!(ingest(&dir, &["a.jsonl", "--lang", "is"]), (0, 0));
    assert_eq!(
        dir.value("SELECT count(*) FROM read('out/*.parquet')"),
        0,
        "an empty table is a table"
    );
}

#[test]
fn a_damaged_table_is_an_error_of_its_readers_alone() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "tokenizer.main"]);
    dir.write("tables/measured/manifest.json", "{\"node\": ");
    let part = fs::read_dir(dir.join("tables/kept")).unwrap().map(|e| e.unwrap().path());
    let part = part.into_iter().find(|p| p.extension().is_some_and(|e| e == "parquet")).unwrap();
    fs::remove_file(&part).unwrap();
    dir.write("tokenizers/main/tokenizer.json", "{");
    assert_eq!(dir.value("SELECT count(*) FROM documents"), 6 * 42);
    let part = part.file_name().unwrap().to_string_lossy();
    for (sql, table, file) in [
        ("SELECT * FROM measured", "table `measured`", "manifest.json"),
        ("SELECT d.text FROM kept k JOIN documents d ON k.doc_id = d.doc_id", "`kept`", &part),
        ("SELECT token_count(text) FROM documents", "tokenizers/main", "tokenizer.json"),
    ] {
        let done = dir.run(&["sql", "-c", sql]);
        assert_eq!(done.code, 2, "{sql}: {}", done.stdout);
        assert!(done.stderr.contains(table) && done.stderr.contains(file), "{}", done.stderr);
        assert!(done.stderr.lines().count() <= 2, "{}", done.stderr);
    }
    let done = dir.run(&["report"]);
    assert_eq!(done.code, 1, "the page is there, but not all of it: {}", done.stderr);
    let page = fs::read_to_string(dir.join("report.html")).unwrap();
    for table in ["table `measured`", "table `kept`"] {
        assert!(page.contains(table) && done.stderr.contains(table), "{}", done.stderr);
    }
    assert!(page.contains("id=\"mixture\""));
}

#[test]
fn a_damaged_part_is_made_anew_and_never_taken_over() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "kept"]);
    let before = snapshot(&dir);
    for table in ["documents", "measured"] {
        let files =
            fs::read_dir(dir.join("tables").join(table)).unwrap().map(|e| e.unwrap().path());
        let part =
            files.into_iter().find(|p| p.extension().is_some_and(|e| e == "parquet")).unwrap();
        let mut bytes = fs::read(&part).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 200].fill(0xa5);
        fs::write(&part, bytes).unwrap();
        assert_eq!(dir.run(&["verify", "tables"]).code, 1, "{table}");
        dir.ok(&["run", "--force", table]);
        dir.ok(&["verify", "tables"]);
        assert_eq!(snapshot(&dir), before, "{table}");
        dir.ok(&["sql", "--quiet", "--format", "csv", "-c", &format!("SELECT * FROM {table}")]);
    }
}

#[test]
fn an_unwritable_output_is_one_line() {
    let dir = Dir::new();
    dir.write("a.jsonl", lines(2));
    dir.write("file", "not a folder");
    let done = dir.run(&["ingest", "a.jsonl", "--lang", "is", "--out", "file/out"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.starts_with("error: ") && done.stderr.contains("file"), "{}", done.stderr);
}

#[test]
fn kill_leaves_the_old_table_or_the_new_one() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run"]);
    let before = snapshot(&dir);
    // More data, so that every table changes; then kill at ever later moments.
    for (lang, (tag, _)) in LANGUAGES.iter().enumerate() {
        let more: String = (0..400)
            .map(|i| {
                let text = format!("{} {}", sentence(lang, i), sentence(lang, i * 3 + 1));
                format!("{}\n", serde_json::json!({ "text": text }))
            })
            .collect();
        dir.write(&format!("data/{tag}/more.jsonl"), more);
    }
    let reference = Dir::new();
    copy(dir.path(), reference.path());
    reference.ok(&["run"]);
    let after = snapshot(&reference);
    for delay in [5, 20, 40, 80, 120, 200, 300, 450, 700, 1000, 1500] {
        let mut child =
            dir.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        for ((table, now), (old, new)) in snapshot(&dir).into_iter().zip(before.iter().zip(&after))
        {
            assert!(
                now == old.1 || now == new.1,
                "{table} after {delay} ms is neither old nor new"
            );
        }
        dir.ok(&["verify", "tables"]);
    }
    dir.ok(&["run"]);
    assert_eq!(snapshot(&dir), after, "killed and continued, it is what it would have been");
}

/// Each table's manifest, which lists its parts by content.
fn snapshot(dir: &Dir) -> Vec<(String, String)> {
    [
        "documents",
        "measured",
        "kept",
        "deduped",
        "split",
        "sized",
        "sizes",
        "mix.main",
        "selection.main",
    ]
    .into_iter()
    .map(|table| {
        let path = dir.join(&format!("tables/{table}/manifest.json"));
        (table.to_string(), fs::read_to_string(path).unwrap_or_default())
    })
    .collect()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
