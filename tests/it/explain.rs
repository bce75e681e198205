//! What rules cost, asked of a project that is built, and of thresholds that it does not have.

use crate::util::{Dir, project};

#[test]
fn rules_are_explained_without_building_anything() {
    let dir = Dir::new();
    project(&dir);
    dir.write(
        "queries/kept.sql",
        "-- kept: long enough, and not about one thing.\n-- in: measured\n-- out: kept\n-- param: gopher boolean = false\n\
         -- param: min_words bigint = 8\n\
         SELECT doc_id, CASE WHEN n_words < $min_words THEN 'short'\n\
                WHEN lang = 'isl_Latn' THEN 'icelandic' END AS reason\n\
         FROM measured",
    );
    dir.ok(&["run", "kept", "-q"]);
    let table = |sql: &str| dir.value(sql).as_u64().unwrap();
    let total = table("SELECT count(*) FROM measured");
    let short = table("SELECT count(*) FROM measured WHERE n_words < 8");
    let both = table("SELECT count(*) FROM measured WHERE n_words < 8 AND lang = 'isl_Latn'");
    let icelandic = table("SELECT count(*) FROM measured WHERE lang = 'isl_Latn'");
    let answer = dir.ok(&["explain", "kept", "--json", "--samples", "1"]).json();
    let kept = &answer["queries"][0];
    assert_eq!(kept["total"]["rows"], total);
    assert_eq!(kept["kept"]["rows"], table("SELECT count(*) FROM kept"));
    let rule = |reason: &str| {
        let rules = kept["rules"].as_array().unwrap();
        rules.iter().find(|r| r["reason"] == reason).cloned().unwrap_or_default()
    };
    let icelandic_rule = rule("icelandic");
    assert_eq!(icelandic_rule["all"]["rows"], icelandic);
    assert_eq!(icelandic_rule["alone"]["rows"], icelandic - both);
    assert_eq!(icelandic_rule["first"]["rows"], icelandic - both);
    assert_eq!(rule("short")["all"]["rows"].as_u64().unwrap_or(0), short);
    assert!(!icelandic_rule["samples"][0]["text"].as_str().unwrap().is_empty());
    // Another threshold is asked about, and nothing is built.
    let what_if = ["explain", "kept", "--json", "--param", "kept.min_words=100000"];
    let answer = dir.ok(&what_if).json();
    let kept = &answer["queries"][0];
    assert_eq!((kept["kept"]["rows"].as_u64(), &kept["total"]["rows"]), (Some(0), &total.into()));
    assert_eq!(kept["together"][0]["both"]["rows"], icelandic);
    assert!(dir.ok(&["run", "kept", "--dry-run"]).stderr.contains("up to date"));
    let words = dir.ok(&["explain"]).stdout;
    assert!(words.contains("icelandic") && words.contains("of rows"), "{words}");
    let one = dir.ok(&["explain", "kept", "--json", "--lang", "swh_Latn"]).json();
    assert!(one["queries"][0]["langs"].as_object().unwrap().keys().eq(["swh_Latn"]));
    let wrong = dir.run(&["explain", "measured"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.starts_with("error: unknown query with a `reason` `measured`"));
}

#[test]
fn lists_of_addresses_and_models_are_files_of_the_project() {
    let dir = Dir::new();
    project(&dir);
    dir.write("lists/adult/domains", "bad.example\n");
    let blocked = "SELECT url_blocked('https://www.bad.example/x', 'lists/adult/domains')";
    assert_eq!(dir.value(blocked), true);
    let missing = dir.run(&["sql", "-c", "SELECT url_blocked('http://a.example/', 'nowhere')"]);
    assert!(missing.stderr.contains("nowhere"), "{}", missing.stderr);
    // What is in a list is part of what a table is made from.
    dir.write(
        "queries/kept.sql",
        "-- kept: nothing from bad places.\n-- in: documents\n-- out: kept\n-- param: gopher boolean = false\n\
         SELECT doc_id, CASE WHEN url_blocked(coalesce(url, 'https://bad.example/'), \
         'lists/adult/domains') THEN 'url' END AS reason FROM documents",
    );
    dir.ok(&["run", "kept", "-q"]);
    assert_eq!(dir.value("SELECT count(*) FROM kept"), 0);
    dir.write("lists/adult/domains", "worse.example\n");
    dir.ok(&["run", "kept", "-q"]);
    assert_ne!(dir.value("SELECT count(*) FROM kept"), 0);
    dir.write("lid.bin", b"no model of anything");
    let model = dir.run(&["sql", "-c", "SELECT detect_lang('text', 'fasttext:lid.bin')"]);
    assert_eq!(model.code, 2);
    assert!(model.stderr.contains("lid.bin"), "{}", model.stderr);
}
