//! Metrics and fusion from outside: the table, a comparison, models fused, and refusals.

use std::fs;

use serde_json::{Value, json};

use crate::util::Dir;

/// Two systems in three languages; the second is the references themselves.
fn systems() -> Dir {
    let dir = Dir::new();
    let rows = [
        ("isl", "Þetta er stór köttur.", "Þetta er köttur."),
        ("isl", "Hér er hestur", "Hér er hestur"),
        ("cmn", "我非常喜欢猫。", "我喜欢猫。"),
        ("cmn", "", "他来了。"),
        ("arb", "أحب القطط", "أحب الكلاب والقطط"),
    ];
    let mut text = String::from("lang\tours\treference\n");
    for (lang, ours, reference) in rows {
        text.push_str(&format!("{lang}\t{ours}\t{reference}\n"));
    }
    dir.write("rows.tsv", text);
    dir
}

const QUERY: &str =
    "SELECT lang, coalesce(ours, '') AS hypothesis, reference, reference AS gold FROM 'rows.tsv'";

#[test]
fn scores_are_a_table_with_intervals_and_signatures() {
    let dir = systems();
    let page = dir.ok(&["score", "bleu", "chrf++", "-c", QUERY]);
    for words in [
        "95 % interval",
        "mean",
        "isl",
        "bleu  nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
        "chrf++  nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0",
    ] {
        assert!(page.stdout.contains(words), "{words}\n{}", page.stdout);
    }
    assert!(page.stderr.contains("warning: bleu in cmn"), "{}", page.stderr);
    let found =
        dir.ok(&["score", "bleu:tokenize=auto", "-c", QUERY, "--compare", "gold", "--json"]).json();
    let lines = found["score"].as_array().unwrap();
    let langs: Vec<&str> = lines.iter().map(|l| l["lang"].as_str().unwrap()).collect();
    assert_eq!(langs, ["arb", "cmn", "isl", "mean"]);
    assert!(lines[1]["signature"].as_str().unwrap().contains("tok:zh"), "{}", lines[1]);
    for line in lines {
        let of = |key: &str| line[key].as_f64().unwrap();
        let gold = line["compared"]["value"].as_f64().unwrap();
        // The Arabic reference has three words and so no n-gram of order 4.
        assert!(gold > 99.9 || langs.contains(&"arb"), "{line}");
        assert!(of("value") < gold || gold == 0.0, "{line}");
    }
}

#[test]
fn the_order_of_rows_changes_no_number() {
    let dir = systems();
    let of = |order: &str| {
        let query = format!("{QUERY} ORDER BY {order}");
        let done =
            dir.ok(&["score", "chrf", "ter", "rougeL:words=unicode", "-c", &query, "--json"]);
        done.json()["score"].clone()
    };
    assert_eq!(of("reference"), of("reference DESC"));
}

#[test]
fn answers_may_have_several_that_are_right() {
    let dir = Dir::new();
    let rows = [
        json!({ "hypothesis": "der Hund", "reference": ["Hund", "die Katze"], "lang": "de" }),
        json!({ "hypothesis": "", "reference": ["Kind"], "lang": "de" }),
    ];
    dir.write("a.jsonl", rows.map(|r| format!("{r}\n")).concat());
    let query = "SELECT * FROM 'a.jsonl'";
    let found = dir.ok(&[
        "score",
        "exact_match:rules=mlqa",
        "exact_match",
        "-c",
        query,
        "--json",
        "--each",
    ]);
    let lines = found.json()["score"].clone();
    assert_eq!(lines[0]["value"], 50.0);
    assert_eq!(lines[0]["each"], json!([100.0, 0.0]));
    assert_eq!(lines[1]["value"], 0.0);
}

#[test]
fn mistakes_are_told() {
    let dir = systems();
    let fail = |args: &[&str], words: &str| {
        let done = dir.run(args);
        assert_eq!(done.code, 2, "{args:?}");
        assert!(done.stderr.contains(words), "{args:?}\n{}", done.stderr);
    };
    fail(&["score", "blue", "-c", QUERY], "unknown metric `blue`");
    fail(&["score", "bleu"], "no query tells which rows to score");
    fail(&["score", "bleu:tokenize=spm", "-c", QUERY], "unknown tokenize `spm`");
    fail(&["score", "bleu", "-c", "SELECT ours FROM 'rows.tsv'"], "unknown column `hypothesis`");
    fail(
        &["score", "bleu", "-c", "SELECT ours AS hypothesis FROM 'rows.tsv'"],
        "unknown column `reference`",
    );
    fail(&["score", "pearson", "-c", QUERY], "is no number that can be correlated");
    fail(&["score", "answer_f1:rules=mlqa", "-c", QUERY], "unknown language of MLQA `isl`");
    fail(&["score", "bleu", "-c", &format!("{QUERY} WHERE false")], "there is no row to score");
    assert!(dir.ok(&["score"]).stdout.contains("chrf++: "));
}

/// Writes a model with one matrix.
fn model(dir: &Dir, name: &str, values: &[f32]) -> String {
    let shape = json!({ "dtype": "F32", "shape": [values.len() / 2, 2], "data_offsets": [0, values.len() * 4] });
    let header = json!({ "w": shape }).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    dir.write(&format!("{name}/model.safetensors"), bytes);
    dir.write(&format!("{name}/config.json"), "{}");
    name.to_string()
}

fn weights(dir: &Dir, name: &str) -> Vec<f32> {
    let bytes = fs::read(dir.join(name).join("model.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn models_are_fused() {
    let dir = Dir::new();
    let a = model(&dir, "a", &[1.0, 2.0, 3.0, 4.0]);
    let b = model(&dir, "b", &[2.0, 2.0, 3.0, 2.0]);
    let found = dir.ok(&["fuse", "linear", &a, &b, "--weights", "3,1", "-o", "c", "--json"]).json();
    assert_eq!(weights(&dir, "c"), [1.25, 2.0, 3.0, 3.5]);
    assert_eq!((&found["tensors"], &found["warning"]), (&json!(1), &Value::Null));
    dir.ok(&["fuse", "task", &b, "--base", &a, "--lambda", "2", "-o", "d"]);
    assert_eq!(weights(&dir, "d"), [3.0, 2.0, 3.0, 0.0]);
    let stranger = model(&dir, "s", &[-1.0, 2.0, -3.0, 1.5]);
    let told = dir.ok(&["fuse", "slerp", &a, &stranger, "-o", "e"]).stderr;
    assert!(told.contains("warning: these models seem to share no ancestor"), "{told}");
    let long = model(&dir, "long", &[1.0; 6]);
    for (args, words) in [
        (vec!["linear", &a, &long, "-o", "f"], "`w` is [2, 2] in a and [3, 2] in long"),
        (vec!["ties", &a, &b, "-o", "f"], "hint: name it with `--base DIR`"),
        (vec!["linear", &a, "nothing", "-o", "f"], "no `model.safetensors` here"),
        (vec!["linear", &a, &b, "-o", "c"], "there is something already"),
        (vec!["slerp", &a, &b, "--t", "2", "-o", "f"], "`--t 2` is not between 0 and 1"),
        (vec!["last", "nothing", "-o", "f"], "error: nothing"),
    ] {
        let done = dir.run(&[&["fuse"], args.as_slice()].concat());
        assert_eq!(done.code, 2, "{args:?}");
        assert!(done.stderr.contains(words), "{args:?}\n{}", done.stderr);
        assert!(!dir.join("f").exists());
    }
}
