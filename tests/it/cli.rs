//! The command line as a user meets it: results on stdout, words on stderr, exit codes.

use std::fs;

use crate::util::{Dir, project};

#[test]
fn run_builds_everything_once() {
    let dir = Dir::new();
    project(&dir);
    let first = dir.ok(&["run", "--json"]).json();
    let state = |v: &serde_json::Value, node: &str| -> String {
        let nodes = v["nodes"].as_array().unwrap();
        let found = nodes.iter().find(|n| n["node"] == node);
        found.unwrap_or_else(|| panic!("no node {node}"))["state"].as_str().unwrap().into()
    };
    for node in [
        "documents",
        "measured",
        "kept",
        "signatures",
        "deduped",
        "split",
        "tokenizer.main",
        "sized",
        "mix.main",
        "pack.main",
    ] {
        assert_eq!(state(&first, node), "built", "{node}");
    }
    // One line of each file is no JSON: kept with its bytes and counted, the others are there.
    assert_eq!(dir.value("SELECT count(*) FROM documents"), 6 * 42);
    let nodes = first["nodes"].as_array().unwrap();
    assert_eq!(nodes.iter().find(|n| n["node"] == "documents").unwrap()["errors"], 6);
    assert_eq!(
        dir.value("SELECT count(*) FROM deduped_dropped WHERE reason = 'exact'"),
        6,
        "the copies"
    );
    assert_eq!(dir.value("SELECT count(*) FROM kept_dropped WHERE reason = 'empty'"), 6);

    // No text that is held out is trained on, whichever group or table it stands in.
    let of = |parts: &str| {
        format!(
            "SELECT lang, content_key(text) AS k FROM documents d JOIN split s \
             ON d.doc_id = s.doc_id WHERE s.split IN ({parts}) \
             UNION SELECT tgt_lang, content_key(tgt) FROM pairs p JOIN split s \
             ON p.doc_id = s.doc_id WHERE s.split IN ({parts})"
        )
    };
    let held = of("'test', 'validation'");
    assert_ne!(dir.value(&format!("SELECT count(*) FROM ({held})")), 0);
    let seen = format!("SELECT count(*) FROM (({held}) INTERSECT ({}))", of("'train'"));
    assert_eq!(dir.value(&seen), 0);

    let second = dir.ok(&["run"]);
    assert!(second.stdout.is_empty());
    assert!(second.stderr.contains("nodes are up to date"), "{}", second.stderr);

    // One threshold: what stands above it stays, and so does what comes out the same.
    let third = dir.ok(&["run", "--param", "kept.min_confidence=0.7", "--json"]).json();
    for (node, expected) in
        [("documents", "up to date"), ("measured", "up to date"), ("kept", "built")]
    {
        assert_eq!(state(&third, node), expected, "{node}");
    }
}

#[test]
fn a_result_does_not_depend_on_threads() {
    let hashes = |threads: &str| {
        let dir = Dir::new();
        project(&dir);
        dir.ok(&["run", "--threads", threads]);
        ["documents", "measured", "kept", "deduped", "split", "sized", "mix.main", "selection.main"]
            .map(|t| fs::read_to_string(dir.join(&format!("tables/{t}/manifest.json"))).unwrap())
            .into_iter()
            .chain([fs::read_to_string(dir.join("packs/main/manifest.json")).unwrap()])
            .collect::<Vec<_>>()
    };
    assert_eq!(hashes("1"), hashes("4"));
}

#[test]
fn a_project_query_replaces_the_built_in_one() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "kept"]);
    let before = dir.value("SELECT count(*) FROM kept");
    dir.ok(&["queries", "eject", "kept"]);
    let path = dir.join("queries/kept.sql");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("WHEN n_words = 0", "WHEN n_words < 1000")).unwrap();
    let done = dir.ok(&["run", "kept"]);
    assert!(done.stderr.contains("query changed"), "{}", done.stderr);
    assert_ne!(before, 0);
    assert_eq!(dir.value("SELECT count(*) FROM kept"), 0);
    let again = dir.run(&["queries", "eject", "kept"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("comes from the project already"), "{}", again.stderr);
}

#[test]
fn the_table_of_dropped_rows_follows_its_query() {
    let dir = Dir::new();
    project(&dir);
    let query = |reason: &str| {
        let text = format!("-- mine: some.\n-- out: mine\nSELECT doc_id{reason} FROM measured");
        dir.write("queries/mine.sql", text);
    };
    let folder = dir.join("tables/mine_dropped");
    query(", CASE WHEN doc_id % 2 = 0 THEN 'even' END AS reason");
    dir.ok(&["run", "mine"]);
    let even = dir.value("SELECT count(*) FROM mine_dropped");
    assert_ne!(even, 0);
    fs::rename(&folder, dir.join("left")).unwrap();

    // What is missing is made again, though the table itself is up to date.
    let done = dir.ok(&["run", "mine"]);
    assert!(done.stderr.contains("mine_dropped is missing"), "{}", done.stderr);
    assert_eq!(dir.value("SELECT count(*) FROM mine_dropped"), even);

    // A query without reasons has no such table, nor does one that was killed before its removal.
    query("");
    dir.ok(&["run", "mine"]);
    assert!(!folder.exists());
    fs::rename(dir.join("left"), &folder).unwrap();
    let done = dir.ok(&["run", "mine"]);
    assert!(done.stderr.contains("up to date"), "{}", done.stderr);
    assert!(!folder.exists());
    let done = dir.run(&["sql", "-c", "SELECT * FROM mine_dropped"]);
    assert!(done.stderr.contains("unknown table `mine_dropped`"), "{}", done.stderr);
}

#[test]
fn what_comes_out_the_same_changes_nothing_below() {
    let dir = Dir::new();
    project(&dir);
    dir.write(
        "queries/why.sql",
        "-- why: reasons.\n-- out: why\nSELECT doc_id, reason AS word FROM kept_dropped",
    );
    dir.ok(&["run", "deduped", "why"]);
    dir.ok(&["queries", "eject", "kept"]);
    let path = dir.join("queries/kept.sql");
    let text = fs::read_to_string(&path).unwrap();
    // Other words for the same thing: words are counted from 0.
    fs::write(&path, text.replace("n_words = 0", "n_words <= 0")).unwrap();
    let states = |nodes: &[&str]| {
        let args = [&["run", "--json"], nodes].concat();
        let object = dir.ok(&args).json();
        let nodes = object["nodes"].as_array().unwrap().iter();
        let state = |n: &serde_json::Value| n["state"].as_str().unwrap().to_string();
        nodes.map(|n| (n["node"].as_str().unwrap().to_string(), state(n))).collect::<Vec<_>>()
    };
    for (node, state) in states(&["deduped", "why"]) {
        assert_eq!(state == "built", node == "kept", "{node}");
    }
    fs::write(&path, text.replace("'empty'", "'nothing'")).unwrap();
    assert!(states(&["why"]).contains(&("why".into(), "built".into())));
    assert_eq!(dir.value("SELECT min(word) FROM why"), "nothing");
}

#[test]
fn a_parameter_is_keyed_by_source_or_language() {
    let dir = Dir::new();
    project(&dir);
    // Any code of a language will do; the tables have tags.
    dir.ok(&["run", "kept", "--param", "kept.min_confidence={default=0.5, web=0.6, is=0.7}"]);
    let manifest = fs::read_to_string(dir.join("tables/kept/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(
        manifest["params"]["min_confidence"],
        serde_json::json!({ "default": 0.5, "isl_Latn": 0.7, "web": 0.6 })
    );
}

#[test]
fn a_failed_check_is_exit_1() {
    let dir = Dir::new();
    project(&dir);
    dir.write("checks/none_empty.sql", "-- none_empty: no kept document is empty.\n-- in: measured\nSELECT doc_id FROM measured WHERE n_chars = 0");
    let done = dir.run(&["run"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("none_empty"), "{}", done.stderr);
}

#[test]
fn wrong_names_are_one_line_with_the_choices() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "kept"]);
    for (args, error, hint) in [
        (&["run", "dedupped"][..], "unknown node `dedupped`", "did you mean `deduped`?"),
        (
            &["run", "--param", "kept.min_confidense=1"],
            "unknown parameter `min_confidense`",
            "did you mean `min_confidence`?",
        ),
        (
            &["run", "--param", "kept.min_confidence={ default = 0.6, wbe = 0.7 }"],
            "unknown key `wbe`; expected `default`, one of the sources bitext, web, or a language",
            "did you mean `web`?",
        ),
        (
            &["run", "--param", "kept.min_confidence={ default = 0.6, dee_Latm = 0.7 }"],
            "unknown key `dee_Latm`",
            "such as",
        ),
        (
            &["run", "--param", "kept.min_confidence={ default = 0.6, is = 0.7, isl_Latn = 0.5 }"],
            "a value for `isl_Latn` is there twice",
            "",
        ),
        (&["sql", "-c", "SELECT * FROM dokuments"], "dokuments", "documents"),
        (&["sql", "-c", "SELECT txt FROM documents"], "txt", "text"),
        (&["sql", "-c", "SELECT wordcount('a')"], "wordcount", "word_count"),
        (&["functions", "worsd"], "unknown function `worsd`", "words"),
        (&["init", "new", "--template", "dmeo"], "unknown template `dmeo`", "did you mean `demo`?"),
        (&["rnu"], "rnu", "run"),
        (&["run", "--project", "nowhere"], "no project here", "hexapla init"),
        (&["sql", "-c", "DROP TABLE documents"], "", ""),
        (&["sql", "-c", ""], "the query is empty", ""),
        (&["sql", "-c", "SELECT * FROM a.parquet"], "a.parquet", "quotes: 'a.parquet'"),
        (&["sql", "-c", "SELECT 1", "-o", "a.tsv"], "the name tells no format", "--format csv"),
        (&["sql", "-c", "SELECT 1", "-o", "data", "--format", "csv"], "data: a folder", ""),
        (
            &["train", "pretrain", "--set", "stepz=3"],
            "unknown key `stepz`",
            "did you mean `steps`?",
        ),
        (&["sql", "-c", "SELEC 1"], "", ""),
    ] {
        let done = dir.run(args);
        assert_eq!(done.code, 2, "{args:?}: {}", done.stderr);
        assert!(done.stdout.is_empty(), "{args:?}");
        let lines: Vec<&str> = done.stderr.lines().collect();
        assert!(lines[0].starts_with("error: "), "{args:?}: {}", done.stderr);
        assert!(lines[0].contains(error), "{args:?}: {}", done.stderr);
        assert!(lines.len() <= 2, "{args:?}: {}", done.stderr);
        let hinted = hint.is_empty() || done.stderr.contains(hint);
        assert!(hinted, "{args:?}: {}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{args:?}");
    }
}

#[test]
fn tables_are_asked_in_every_format() {
    let dir = Dir::new();
    dir.write("a.jsonl", "{\"n\": 1, \"t\": \"þú\"}\n{\"n\": 2, \"t\": \"你好\"}\n");
    let ask = |format: &str| {
        dir.ok(&["sql", "-c", "SELECT n, t FROM 'a.jsonl' ORDER BY n", "--format", format]).stdout
    };
    assert_eq!(ask("csv"), "n,t\n1,þú\n2,你好\n");
    assert_eq!(ask("ndjson"), "{\"n\":1,\"t\":\"þú\"}\n{\"n\":2,\"t\":\"你好\"}\n");
    assert_eq!(ask("json"), "[{\"n\":1,\"t\":\"þú\"},{\"n\":2,\"t\":\"你好\"}]\n");
    // Columns align although a Chinese character is two columns wide.
    let table = ask("table");
    let width = |line: &str| unicode_width(line);
    let widths: Vec<usize> = table.lines().map(width).collect();
    assert!(widths.iter().all(|w| *w == widths[0]), "{table}");
    dir.ok(&["sql", "-c", "SELECT n, t FROM 'a.jsonl'", "-o", "b.parquet"]);
    assert_eq!(dir.value("SELECT count(*) FROM 'b.parquet'"), 2);
}

#[test]
fn tables_are_described() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "kept"]);
    let all = dir.ok(&["sql", "-c", "\\d"]).stdout;
    assert_eq!(all, "documents\nkept\nkept_dropped\nmeasured\n");
    for table in ["kept", "kept_dropped"] {
        let text = dir.ok(&["sql", "-c", &format!("\\d {table}")]).stdout;
        for words in ["doc_id", "UInt64", "reason", "Utf8", "The rule that dropped it"] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
    let object = dir.ok(&["sql", "--json", "-c", "\\d measured;"]).json();
    assert_eq!(object["columns"][0]["name"], "doc_id");
    let names: Vec<_> = object["columns"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert!(names.contains(&&"detected.score".into()), "{names:?}");
    dir.write("a b.csv", "n,t\n1,x\n");
    assert!(dir.ok(&["sql", "-c", "\\d 'a b.csv'"]).stdout.contains("Int64"));
    for (sql, error, hint) in [
        ("\\d kepd", "unknown table `kepd`", "did you mean `kept`?"),
        ("\\d mix.main", "table `mix.main` is not built yet", "`hexapla run mix.main` builds it"),
        ("SELECT * FROM deduped_dropped", "table `deduped_dropped`", "`hexapla run deduped`"),
        ("SELECT * FROM near_duplicates('pairs')", "table `pairs`", "`hexapla run pairs`"),
        (
            "SELECT detected.scroe FROM measured",
            "unknown field of `detected`: `scroe`; expected one of: lang, script, score, reliable",
            "`score`",
        ),
        (
            "SELECT detcted.score FROM measured",
            "unknown table or struct in `detcted.score`: `detcted`; expected one of: measured,",
            "did you mean `detected`?",
        ),
        ("SELECT lang FROM measured WHERE detected.scroe > 1", "field of `detected`", "`score`"),
        ("SELECT lang.x FROM measured", "only structs have fields; this is Utf8View", ""),
        ("SELECT * FROM splti", "unknown table `splti`", "did you mean `split`? it is not built"),
        ("SELECT m.detected['scroe'] FROM measured m", "field of `detected`: `scroe`", "`score`"),
        ("SELECT detect_lang('a')['scroe']", "expected one of: lang", "`score`"),
        (
            "SELECT d.scroe FROM (SELECT detect_lang('a') AS d) x",
            "expected one of: lang",
            "`score`",
        ),
    ] {
        let done = dir.run(&["sql", "-c", sql]);
        assert_eq!(done.code, 2, "{sql}");
        assert!(
            done.stderr.contains(error) && done.stderr.contains(hint),
            "{sql}: {}",
            done.stderr
        );
    }
}

#[test]
fn a_result_is_written_whole_or_not_at_all() {
    let dir = Dir::new();
    // The last of many rows is no number.
    let lines: String = (0..5000).map(|i| format!("{{\"n\": \"{i}\"}}\n")).collect();
    dir.write("a.jsonl", format!("{lines}{{\"n\": \"níu\"}}\n"));
    for name in ["b.csv", "b.jsonl", "b.json", "b.parquet", "b.txt"] {
        dir.write(name, "as it was");
        let done = dir.run(&["sql", "-c", "SELECT CAST(n AS BIGINT) FROM 'a.jsonl'", "-o", name]);
        assert_eq!(done.code, 2, "{name}");
        assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), "as it was");
        let sql = "SELECT CAST(n AS BIGINT) AS n FROM 'a.jsonl' WHERE n <> 'níu'";
        let done = dir.ok(&["sql", "--json", "-c", sql, "-o", name]);
        assert_eq!(done.json()["rows"], 5000, "{name}");
        // What reads itself is replaced when it has been read.
        if name != "b.txt" && name != "b.json" {
            dir.ok(&["sql", "-c", &format!("SELECT n FROM '{name}' WHERE n < 0"), "-o", name]);
        }
    }
    assert_eq!(fs::read_to_string(dir.join("b.csv")).unwrap(), "n\n");
    assert_eq!(dir.value("SELECT count(n) FROM 'b.parquet'"), 0);
    let table = fs::read_to_string(dir.join("b.txt")).unwrap();
    assert!(table.ends_with("… 200 of 5000 rows; `--format csv` gives all\n"), "{table}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6, "no temporary file stays");

    // Standard output under its name is what it is without one, be it a file.
    let path = dir.write("out", "before\n");
    let out = fs::File::options().append(true).open(&path).unwrap();
    let args = ["sql", "-c", "SELECT 7 AS n", "--format", "csv", "-o", "/dev/stdout"];
    assert!(dir.command(&args).stdout(out).status().unwrap().success());
    assert_eq!(fs::read_to_string(path).unwrap(), "before\nn\n7\n");
}

fn unicode_width(line: &str) -> usize {
    line.chars().map(|c| if ('\u{2e80}'..='\u{9fff}').contains(&c) { 2 } else { 1 }).sum()
}

#[test]
fn verify_finds_a_changed_file() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "kept"]);
    dir.ok(&["verify", "tables"]);
    let part = fs::read_dir(dir.join("tables/measured"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "parquet"))
        .unwrap();
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    let done = dir.run(&["verify", "tables"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("its content changed"), "{}", done.stderr);
}
