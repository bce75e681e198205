//! Mixtures from outside: the plan, the rows it selects, and what is said of mistakes.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::util::{Dir, Done, project};

/// A project whose mixture `main` is replaced.
fn mixed(mix: &str) -> Dir {
    let dir = Dir::new();
    project(&dir);
    let text = fs::read_to_string(dir.join("hexapla.toml")).unwrap();
    let (before, rest) = text.split_once("[mix.main]\n").unwrap();
    let (_, after) = rest.split_once("[pack.main]").unwrap();
    dir.write("hexapla.toml", format!("{before}[mix.main]\n{mix}\n[pack.main]{after}"));
    dir
}

fn plan(done: &Done) -> Vec<BTreeMap<String, Value>> {
    let rows = done.json()["mix"]["main"].as_array().unwrap().clone();
    rows.into_iter().map(|row| row.as_object().unwrap().clone().into_iter().collect()).collect()
}

#[test]
fn the_plan_is_a_table_that_a_person_reads() {
    let dir = mixed(
        "stages = [{ until = '2 epochs', strategy = 'unimax', max_epochs = 3, pairs = 0.2 },
                   { until = '20 epochs', strategy = 'uniform', max_epochs = 4 }]",
    );
    let page = dir.ok(&["mix", "main", "--dry-run"]).stdout;
    assert!(page.contains("main, stage 1 of 2: "), "{page}");
    let head = page.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(head, "kind language available share target epochs first repeat shortfall");
    assert!(page.contains("tokens of the budget are not trained on"), "{page}");
    // Aligned: every line of a stage is as wide as its head.
    let widths: Vec<usize> =
        page.lines().skip(1).take(6).map(|line| line.chars().count()).collect();
    assert!(widths.windows(2).all(|two| two[0] == two[1]), "{page}");
    assert!(!dir.join("tables/mix.main").exists());

    let rows = plan(&dir.ok(&["mix", "main", "--dry-run", "--json"]));
    let number = |row: &BTreeMap<String, Value>, name: &str| row[name].as_f64().unwrap();
    for stage in [0, 1] {
        let of: Vec<_> = rows.iter().filter(|row| row["stage"] == stage).collect();
        let shares: f64 = of.iter().map(|row| number(row, "weight")).sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }
    for row in &rows {
        let all: f64 = rows
            .iter()
            .filter(|r| (&r["lang"], &r["kind"]) == (&row["lang"], &row["kind"]))
            .map(|r| number(r, "target"))
            .sum();
        assert!(all <= number(row, "available") * 4.0, "{row:?}");
    }
}

#[test]
fn parts_of_languages_are_selected_and_packed() {
    let dir = mixed(
        "by = ['lang', 'source']\nwithin = ['proportional']\nunit = 'documents'\nupsample = true
         stages = [{ until = '60', strategy = 'uniform', pairs = 0.5, min_share = 0.01 }]",
    );
    dir.ok(&["run", "pack.main"]);
    let wrong = "SELECT count(*) FROM (SELECT lang, part, count(*) AS n FROM selection.main \
                 GROUP BY lang, part) s JOIN mix.main m ON s.lang = m.lang AND s.part = m.part \
                 WHERE s.n <> least(m.target, m.available)";
    assert_eq!(dir.value(wrong), 0);
    assert_eq!(dir.value("SELECT sum(target) FROM mix.main"), 60);
    assert_eq!(dir.value("SELECT min(part) FROM selection.main WHERE lang = 'isl_Latn'"), "web/1");
    assert!(dir.join("packs/main/isl_Latn.web.1.arrow").is_file());
    // Any beginning has the planned proportions, to within one row of each group.
    for share in [0.2, 0.5, 0.9] {
        let off = format!(
            "SELECT count(*) FROM (SELECT lang, part, \
             sum(CASE WHEN place < {share} THEN 1 ELSE 0 END) AS n FROM selection.main \
             GROUP BY lang, part) s JOIN mix.main m ON s.lang = m.lang AND s.part = m.part \
             WHERE m.target <= m.available AND abs(s.n - {share} * m.target) > 1"
        );
        assert_eq!(dir.value(&off), 0, "{share}");
    }
}

#[test]
fn weights_come_from_files_and_validation_has_its_minimum() {
    let dir = mixed("stages = [{ until = '10k', strategy = 'fixed', weights = 'doremi.json' }]");
    dir.write(
        "doremi.json",
        "{\n \"train_domain_weights\": {\n  \"isl_Latn\": 0.75,\n  \"swh_Latn\": 0.25\n }\n}",
    );
    let rows = plan(&dir.ok(&[
        "mix",
        "--dry-run",
        "--json",
        "--param",
        "split.minimum=15",
        "--param",
        "split.validation=0.0",
    ]));
    let shares: Vec<(&str, f64)> = rows
        .iter()
        .map(|row| (row["lang"].as_str().unwrap(), row["weight"].as_f64().unwrap()))
        .filter(|(_, weight)| *weight > 0.0)
        .collect();
    assert_eq!(shares, [("isl_Latn", 0.75), ("swh_Latn", 0.25)]);
    let held = |lang: &str| {
        let sql = format!(
            "SELECT count(*) FROM split s JOIN documents d ON s.doc_id = d.doc_id \
             WHERE s.split = 'validation' AND d.lang = '{lang}'"
        );
        dir.value(&sql).as_u64().unwrap()
    };
    for lang in ["isl_Latn", "eng_Latn", "cmn_Hans"] {
        assert!((15..=25).contains(&held(lang)), "{lang}: {}", held(lang));
    }
    dir.write("doremi.json", "{\"isl_Latm\": 1}");
    let typo = dir.run(&["mix", "--dry-run"]);
    assert_eq!(typo.code, 2);
    assert!(
        typo.stderr.contains("mix `main`: stage 1: unknown group `isl_Latm`"),
        "{}",
        typo.stderr
    );
    assert!(typo.stderr.contains("hint: did you mean `isl_Latn`?"), "{}", typo.stderr);
}
