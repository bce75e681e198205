//! Duplicates of a corpus that grows: what is new costs itself, and the answer is that of the whole.

use crate::util::{Dir, sentence};

const PROJECT: &str = "[source.web]\npath = \"in/*.jsonl\"\n\
    [params.kept]\ngopher = false\nmin_confidence = 0.0\n";

/// A text of a dozen sentences in one of five languages.
fn text(lang: usize, n: usize) -> String {
    (0..12).map(|i| sentence(lang, n * 31 + i * 7) + " ").collect()
}

fn delivery(texts: &[String]) -> String {
    texts.iter().map(|text| format!("{}\n", serde_json::json!({ "text": text.trim() }))).collect()
}

/// Three deliveries in which texts of one stand again in another: equal, longer, with other words.
fn deliveries() -> Vec<(&'static str, String)> {
    let longer = |text: String| format!("{text} 12 3");
    let first: Vec<String> = (0..25).map(|n| text(n % 5, n)).collect();
    let second = (0..25).map(|n| match n % 3 {
        0 => longer(text(n % 5, n)),
        1 => text(n % 5, n).to_uppercase(),
        _ => text(n % 5, n + 100),
    });
    let third = (0..25).map(|n| match n % 2 {
        0 => text(n % 5, n + 100).replacen(' ', " og ", 1),
        _ => text(n % 5, n + 200),
    });
    let (second, third): (Vec<String>, Vec<String>) = (second.collect(), third.collect());
    vec![
        ("in/a.jsonl", delivery(&first)),
        ("in/b.jsonl", delivery(&second)),
        ("in/c.jsonl", delivery(&third)),
    ]
}

/// Every row with its cluster, whatever the reason is called.
fn clusters(dir: &Dir) -> String {
    let columns = "doc_id, cluster_id, cluster_size, kept_id, similarity, reason IS NULL AS keep";
    let sql = format!(
        "SELECT {columns} FROM deduped UNION ALL SELECT {columns} FROM deduped_dropped \
         ORDER BY doc_id"
    );
    dir.ok(&["sql", "-c", &sql, "--format", "csv"]).stdout
}

fn superseded(dir: &Dir) -> u64 {
    let sql = "SELECT count(*) FROM deduped_dropped WHERE reason = 'superseded'";
    dir.value(sql).as_u64().unwrap()
}

#[test]
fn deliveries_one_by_one_are_the_whole() {
    let (grown, whole) = (Dir::new(), Dir::new());
    for dir in [&grown, &whole] {
        dir.write("hexapla.toml", PROJECT);
        std::fs::create_dir_all(dir.join("in")).unwrap();
    }
    let compare = |arguments: &[&str]| {
        grown.ok(&[&["run", "deduped"], arguments].concat());
        whole.ok(&[&["run", "deduped", "--force"], arguments].concat());
        let (grown, whole) = (clusters(&grown), clusters(&whole));
        assert_eq!(grown, whole);
        whole
    };
    let mut before = String::new();
    for (name, lines) in deliveries() {
        for dir in [&grown, &whole] {
            dir.write(name, &lines);
        }
        let now = compare(&[]);
        assert_ne!(now, before);
        before = now;
    }
    // Longer texts came, so the ones that were kept before them are not any more.
    assert_eq!(superseded(&whole), 0);

    // A delivery is replaced by its first half: clusters fall apart.
    let (name, lines) = &deliveries()[1];
    let half: String = lines.lines().take(12).map(|line| format!("{line}\n")).collect();
    for dir in [&grown, &whole] {
        dir.write(name, &half);
    }
    assert_ne!(compare(&[]), before);
    // Another threshold asks another question: nothing is taken over.
    compare(&["--param", "deduped.threshold=0.99"]);
}

#[test]
fn a_row_that_was_kept_and_is_not_any_more_is_superseded() {
    let dir = Dir::new();
    dir.write("hexapla.toml", PROJECT);
    std::fs::create_dir_all(dir.join("in")).unwrap();
    let mut deliveries = deliveries().into_iter();
    for (name, lines) in deliveries.by_ref().take(1) {
        dir.write(name, lines);
    }
    dir.ok(&["run", "deduped"]);
    assert_eq!(superseded(&dir), 0);
    for (name, lines) in deliveries.take(1) {
        dir.write(name, lines);
    }
    dir.ok(&["run", "deduped"]);
    // Each third text came again and longer.
    assert!(superseded(&dir) >= 6, "{}", clusters(&dir));
    // A build from nothing knows of no earlier one.
    dir.ok(&["run", "deduped", "--force"]);
    assert_eq!(superseded(&dir), 0);
}

/// Fourteen sentences of a long text from one on: near to those that begin one or two later.
fn window(from: usize) -> String {
    (from..from + 14).map(|n| format!("{} ", sentence(1, n * 97))).collect()
}

#[test]
fn chains_that_grow_keep_what_is_near_to_no_kept_row() {
    let (grown, whole) = (Dir::new(), Dir::new());
    for dir in [&grown, &whole] {
        dir.write("hexapla.toml", PROJECT);
        std::fs::create_dir_all(dir.join("in")).unwrap();
    }
    let several = "SELECT count(*) FROM (SELECT cluster_id FROM deduped GROUP BY cluster_id \
                   HAVING count(*) > 1)";
    // Links between what was apart come later; a copy and a text by itself disturb nothing.
    let deliveries = [
        (0..12).step_by(3).map(window).collect::<Vec<_>>(),
        (1..12).step_by(3).map(window).chain([window(3).to_uppercase()]).collect(),
        vec![text(0, 7), window(7), window(6) + " 12"],
        (2..12).step_by(3).map(window).collect(),
    ];
    for (n, texts) in deliveries.iter().enumerate() {
        for dir in [&grown, &whole] {
            dir.write(&format!("in/{n}.jsonl"), delivery(texts));
        }
        grown.ok(&["run", "deduped"]);
        whole.ok(&["run", "deduped", "--force"]);
        assert_eq!(clusters(&grown), clusters(&whole), "delivery {n}");
    }
    assert_eq!(whole.value(several), 1, "{}", clusters(&whole));
    let far = "SELECT count(*) FROM deduped_dropped WHERE similarity < 0.8";
    assert_eq!(whole.value(far), 0, "{}", clusters(&whole));
}
