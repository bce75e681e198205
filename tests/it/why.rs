//! `hexapla why`: rules, clusters and evaluation items, told of one row.

use crate::util::{Dir, project, sentence};

/// The id of one row of a table.
fn id(dir: &Dir, table: &str, condition: &str) -> String {
    let sql = format!("SELECT min(doc_id) FROM {table} WHERE {condition}");
    dir.value(&sql).as_u64().unwrap().to_string()
}

#[test]
fn a_dropped_row_comes_with_its_rule_and_what_it_reads() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "kept"]);
    let empty = id(&dir, "kept_dropped", "reason = 'empty'");
    let expected = format!(
        "row {empty} stands in kept_dropped\nreason: empty\n\
         rule: CASE WHEN n_words = 0 THEN 'empty' END (query `kept`)\n  n_words: 0\n"
    );
    for table in ["kept", "kept_dropped"] {
        assert_eq!(dir.ok(&["why", table, &empty]).stdout, expected, "{table}");
    }
    let json = dir.ok(&["why", "kept", &empty, "--json"]).json();
    assert_eq!(json["rule"]["measures"]["n_words"], "0");
    assert_eq!(json["table"], "kept_dropped");
    let kept = id(&dir, "kept", "true");
    let told = dir.ok(&["why", "kept", &kept]).stdout;
    assert_eq!(told, format!("row {kept} stands in kept\nno rule dropped it\n"));

    // A row that an earlier table dropped is told with that table.
    dir.ok(&["run", "deduped"]);
    let done = dir.run(&["why", "deduped", &empty]);
    assert_eq!(done.code, 2);
    let hint = format!("hint: `kept` dropped it: `hexapla why kept {empty}` says why\n");
    assert!(done.stderr.ends_with(&hint), "{}", done.stderr);
}

#[test]
fn a_duplicate_comes_with_the_kept_row_and_what_differs() {
    let dir = Dir::new();
    let long = |lang: usize| -> String { (0..12).map(|n| sentence(lang, n * 7) + " ").collect() };
    let (english, chinese) = (long(0), long(4));
    let near = english.replacen("walked slowly to", "ran to", 1);
    let rows = [&english, &near, &chinese, &format!("{chinese}再见。")];
    let rows: String = rows
        .iter()
        .map(|text| format!("{}\n", serde_json::json!({ "text": text.trim() })))
        .collect();
    dir.write("data.jsonl", rows);
    dir.write(
        "hexapla.toml",
        "[source.web]\npath = \"data.jsonl\"\n[params.kept]\ngopher = false\nmin_confidence = 0.0\n\
         [params.deduped]\nthreshold = 0.5\n",
    );
    dir.ok(&["run", "deduped"]);
    let (dropped, kept) =
        (id(&dir, "deduped_dropped", "doc_id % 4294967296 < 2"), id(&dir, "deduped", "true"));
    let told = dir.ok(&["why", "deduped", &dropped]).stdout;
    let head = format!("row {dropped} stands in deduped_dropped\nreason: near\ncluster: ");
    assert!(told.starts_with(&head), "{told}");
    assert!(told.contains(&format!(" of 2 rows\nkept: {kept}\nsimilarity: 0.")), "{told}");
    assert!(told.contains("text, from the kept row to this one:\n"), "{told}");
    assert!(told.contains("[-walked slowly-] {+ran+} to"), "{told}");
    assert!(told.contains(" words …"), "{told}");
    let told = dir.ok(&["why", "deduped", &kept]).stdout;
    assert!(told.contains(&format!("\nkept: this row\nothers: {dropped}\n")), "{told}");

    // Words by dictionary where there are no spaces.
    let dropped = id(&dir, "deduped_dropped", "doc_id % 4294967296 > 1");
    let told = dir.ok(&["why", "deduped", &dropped, "--json"]).json();
    let changes = told["cluster"]["changes"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.last().unwrap()["removed"], "再见。", "{told}");
    assert!(told["cluster"]["similarity"].as_f64().unwrap() > 0.5, "{told}");
}

#[test]
fn a_contaminated_row_comes_with_the_item() {
    let dir = Dir::new();
    let item = format!("{} {} {}", sentence(3, 1), sentence(3, 33), sentence(3, 65));
    let text = format!("{} {item} {}", sentence(3, 97), sentence(3, 110));
    let rows = [text.as_str(), &sentence(3, 5)];
    let rows: String =
        rows.iter().map(|text| format!("{}\n", serde_json::json!({ "text": text }))).collect();
    dir.write("data.jsonl", rows);
    dir.write(
        "test.jsonl",
        format!("{}\n", serde_json::json!({ "text": item, "label": "a", "split": "test" })),
    );
    dir.write(
        "hexapla.toml",
        "[source.web]\npath = \"data.jsonl\"\n\
         [source.quiz]\npath = \"test.jsonl\"\ninto = \"labelled\"\ncolumns = { split = \"split\" }\n\
         [params.kept]\ngopher = false\nmin_confidence = 0.0\n",
    );
    dir.write(
        "queries/kept.sql",
        "-- kept: what no test holds.\n-- in: kept, contaminated\n-- out: kept\n\
         SELECT k.doc_id, CASE WHEN k.reason IS NOT NULL THEN k.reason \
         WHEN c.doc_id IS NOT NULL THEN 'contaminated' END AS reason\n\
         FROM kept k LEFT JOIN (SELECT DISTINCT doc_id FROM contaminated WHERE containment >= 0.5) c\n\
         ON k.doc_id = c.doc_id\n",
    );
    dir.ok(&["run", "kept"]);
    let dropped = id(&dir, "kept_dropped", "reason = 'contaminated'");
    assert_eq!(dir.value("SELECT count(*) FROM kept_dropped"), 1);
    let start = sentence(3, 97).chars().count() + 2;
    for table in ["kept", "contaminated"] {
        let told = dir.ok(&["why", table, &dropped]).stdout;
        assert!(told.contains("\nitem: quiz "), "{told}");
        assert!(told.contains(" `text`, containment 1.000\n"), "{told}");
        let matched = item.trim_end_matches('.');
        assert!(told.contains(&format!("\n  text from {start}: {matched}\n")), "{told}");
        assert!(told.contains(&format!("\n  the item: {item}\n")), "{told}");
    }
}

#[test]
fn errors_are_those_of_show() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "kept"]);
    let done = dir.run(&["why", "kepd", "1"]);
    assert!(
        done.stderr.starts_with("error: unknown table `kepd`; expected one of:"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.ends_with("hint: did you mean `kept`?\n"), "{}", done.stderr);
    let done = dir.run(&["why", "kept", "x1"]);
    assert_eq!(
        done.stderr,
        "error: `x1` is no id of a row\nhint: give the decimal number of the column `doc_id`\n"
    );
    let done = dir.run(&["why", "kept", "5"]);
    assert!(done.stderr.contains("has no row 5; its ids lie between"), "{}", done.stderr);
    assert!(done.stderr.contains("the nearest id is"), "{}", done.stderr);
    assert_eq!(done.code, 2);
}
