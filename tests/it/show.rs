//! `hexapla show`: a row, its document, and the bytes behind both.

use std::fs;
use std::io::Write;

use crate::util::{Dir, project};

/// The id of one row of a table.
fn id(dir: &Dir, table: &str, condition: &str) -> String {
    let sql = format!("SELECT min(doc_id) FROM {table} WHERE {condition}");
    dir.value(&sql).as_u64().unwrap().to_string()
}

#[test]
fn a_row_is_shown_with_the_bytes_that_it_was_read_from() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "kept", "pairs_kept"]);
    let document = id(&dir, "documents", "lang = 'rus_Cyrl' AND source_row = 3");
    let shown = dir.ok(&["show", "documents", &document]).stdout;
    let text = fs::read_to_string(dir.join("data/rus_Cyrl/documents.jsonl")).unwrap();
    let line = text.lines().nth(3).unwrap();
    let offset = text.find(line).unwrap();
    assert!(shown.starts_with(&format!("doc_id: {document}\ntext: ")), "{shown}");
    assert!(shown.contains("\nlang: rus_Cyrl\n"), "{shown}");
    assert!(shown.contains(&format!("\nsource_offset: {offset}\nsource_row: 3\n")), "{shown}");
    let raw = format!("\ndata/rus_Cyrl/documents.jsonl at {offset}\n{line}\n");
    assert!(shown.ends_with(&raw), "{shown}");

    // A table without text shows the document's row too; so does its folder.
    for table in ["measured", "tables/measured"] {
        let shown = dir.ok(&["show", table, &document]).stdout;
        assert!(shown.contains("\nn_words: "), "{shown}");
        assert!(shown.contains(&format!("\ndocuments\ndoc_id: {document}\ntext: ")), "{shown}");
        assert!(shown.ends_with(&raw), "{shown}");
    }
    let path = dir.join("data/rus_Cyrl/documents.jsonl");
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\n").unwrap();
    let shown = dir.ok(&["show", "measured", &document]);
    assert!(shown.stderr.ends_with("the file has changed since it was read\n"), "{}", shown.stderr);
    let pair = id(&dir, "pairs", "tgt_lang = 'cmn_Hans' AND source_row = 7");
    let json = dir.ok(&["show", "pairs_kept", &pair, "--json"]).json();
    assert_eq!(json["document"]["table"], "pairs");
    let src = json["document"]["rows"][0]["src"].as_str().unwrap();
    assert_eq!(json["raw"]["text"], format!("{src}\n"));
    assert_eq!(json["raw"]["path"], "data/made.eng_Latn-cmn_Hans.eng_Latn");
}

#[test]
fn a_source_that_changed_or_went_away_is_told() {
    let dir = Dir::new();
    let path = dir.write("a.jsonl", "{\"text\": \"fyrst\\u0007\"}\n{\"text\": \"síðar\"}\n");
    dir.ok(&["ingest", "a.jsonl", "--out", "t"]);
    let first = id(&dir, "'t/'", "source_row = 0");
    let shown = dir.ok(&["show", "t", &first]);
    assert!(shown.stdout.ends_with("\na.jsonl at 0\n{\"text\": \"fyrst\\u0007\"}\n"));
    // What a terminal would act on is written out.
    assert!(shown.stdout.contains("\ntext: fyrst\\u{7}\n"), "{}", shown.stdout);

    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\n").unwrap();
    let shown = dir.ok(&["show", "t", &first]);
    assert!(shown.stdout.ends_with("source_row: 0\n"), "{}", shown.stdout);
    assert_eq!(shown.stderr, "a.jsonl: the file has changed since it was read\n");
    fs::remove_file(&path).unwrap();
    let shown = dir.ok(&["show", "t", &first, "--json"]).json();
    assert_eq!(shown["note"], "a.jsonl: the file is not there any more");
    assert_eq!(shown["raw"], serde_json::Value::Null);
}

#[test]
fn an_id_that_is_not_there_comes_with_the_nearest() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "kept"]);
    let (first, last) = (id(&dir, "kept", "true"), {
        let last = dir.value("SELECT max(doc_id) FROM kept");
        last.as_u64().unwrap()
    });
    let fails = |args: &[&str], error: &str, hint: &str| {
        let done = dir.run(args);
        assert_eq!(done.code, 2, "{args:?}");
        assert_eq!(done.stderr, format!("error: {error}\nhint: {hint}\n"), "{args:?}");
    };
    fails(
        &["show", "kept", "5"],
        &format!("table `kept` has no row 5; its ids lie between {first} and {last}"),
        &format!("the nearest id is {first}"),
    );
    let dropped = id(&dir, "kept_dropped", "reason = 'empty'");
    fails(
        &["show", "kept", &dropped],
        &format!("table `kept` has no row {dropped}; its ids lie between {first} and {last}"),
        &format!("it was dropped: `hexapla show kept_dropped {dropped}` says why"),
    );
    fails(
        &["show", "kept", "x1"],
        "`x1` is no id of a row",
        "give the decimal number of the column `doc_id`",
    );
    let done = dir.run(&["show", "kepd", "1"]);
    assert!(done.stderr.starts_with("error: unknown table `kepd`; expected one of:"));
    assert!(done.stderr.ends_with("hint: did you mean `kept`?\n"), "{}", done.stderr);
}

#[test]
fn a_row_of_a_pack_is_shown_with_its_documents() {
    let dir = Dir::new();
    project(&dir);
    dir.ok(&["run", "pack.main"]);
    let lang = "rus_Cyrl";
    let json = dir.ok(&["show", "pack.main", &format!("{lang}:0"), "--json"]).json();
    let texts = json["texts"].as_array().unwrap();
    let mut end = 0;
    for text in texts {
        // The ids are those of a piece of the document that is named.
        let sql = format!("SELECT text FROM documents WHERE doc_id = {}", text["doc_id"]);
        let document = dir.value(&sql).as_str().unwrap().to_string();
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&document).contains(&words(text["text"].as_str().unwrap())), "{text}");
        assert_eq!((&text["lang"], text["start"].as_u64()), (&lang.into(), Some(end)));
        end += text["ids"].as_array().unwrap().len() as u64;
    }
    assert!(!texts.is_empty());
    assert_eq!(end + json["padding"].as_u64().unwrap(), 64);

    // Counted through all groups, the first one's rows come first; the folder is the pack too.
    let whole = dir.ok(&["show", "packs/main", "0", "--json"]).json();
    let first = whole["group"].as_str().unwrap();
    let same = dir.ok(&["show", "pack.main", &format!("{first}:0")]).stdout;
    assert!(same.starts_with(&format!("pack.main: row 0 of the {} of {first}\n", whole["rows"])));
    assert!(same.contains(&format!("\ndoc_id {}, ", whole["texts"][0]["doc_id"])), "{same}");
    // Of a pair both sides, in turn.
    let pair = dir.ok(&["show", "pack.main", "eng_Latn-rus_Cyrl:0", "--json"]).json();
    let langs: Vec<&str> =
        pair["texts"].as_array().unwrap().iter().map(|t| t["lang"].as_str().unwrap()).collect();
    assert_eq!(langs[..2], ["eng_Latn", "rus_Cyrl"]);
    assert_eq!(pair["texts"][0]["doc_id"], pair["texts"][1]["doc_id"]);

    let lost = dir.run(&["show", "pack.main", "1000000"]);
    assert_eq!(lost.code, 2, "{}", lost.stderr);
    assert!(lost.stderr.contains("the pack has no row 1000000; it has "), "{}", lost.stderr);
    let lost = dir.run(&["show", "pack.main", "rus_Cyrl:many"]);
    assert!(lost.stderr.contains("`rus_Cyrl:many` is no row of a pack"), "{}", lost.stderr);
}
