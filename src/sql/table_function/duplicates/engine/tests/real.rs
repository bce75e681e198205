//! Real duplicates with truth: injected ones, and editions of the same pages.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{Doc, found, rule};
use crate::dedup::jaccard::jaccard;

/// Real duplicates with truth lie beside the checkout of those who develop hexapla.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(".").join("../shared/data/dedup").join(name);
    if path.exists() {
        return Some(path);
    }
    say(&format!("skipped: {} is not there", path.display()));
    None
}

/// Speaks past the capture of test output: what is skipped must be seen.
fn say(note: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{note}\n").as_bytes());
}

fn read_docs(path: &Path) -> Vec<Doc> {
    let reader = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    let line = |line: std::io::Result<String>| {
        let row: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        Doc {
            id: u64::from_str_radix(row["id"].as_str().unwrap(), 16).unwrap(),
            text: row["text"].as_str().map(str::to_string),
            lang: row["lang"].as_str().unwrap_or_default().into(),
        }
    };
    BufReader::new(reader).lines().map(line).collect()
}

fn read_truth(path: &Path) -> Vec<Vec<String>> {
    let mut text = String::new();
    let mut reader = flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap());
    reader.read_to_string(&mut text).unwrap();
    text.lines().skip(1).map(|l| l.split('\t').map(str::to_string).collect()).collect()
}

fn hex(id: &str) -> u64 {
    u64::from_str_radix(id, 16).unwrap()
}

#[test]
fn injected_duplicates_are_found() {
    let Some(path) = shared("injected.jsonl.zst") else { return };
    let mut docs = read_docs(&path);
    let first = found(&docs, &rule(), 64 << 20, 2).unwrap();
    let same = |a: &str, b: &str| first[&hex(a)].cluster == first[&hex(b)].cluster;
    let truth = read_truth(&path.with_file_name("injected.truth_injected.tsv.gz"));
    let (exact, near): (Vec<_>, Vec<_>) = truth.iter().partition(|row| row[2] == "exact");
    assert!(exact.iter().all(|row| same(&row[0], &row[1])));
    for row in read_truth(&path.with_file_name("injected.truth_exact_real.tsv.gz")) {
        assert!(same(&row[0], &row[1]), "{row:?}");
    }
    // Recall of what is as similar as the threshold by the truth's own measure.
    let (mut hit, mut all) = (0, 0);
    for row in near.iter().filter(|row| row[6].parse::<f64>().unwrap() >= 0.8) {
        all += 1;
        hit += usize::from(same(&row[0], &row[1]));
    }
    assert!(hit * 100 >= all * 96, "{hit} of {all}");
    // Precision: each dropped row is near the one that it is dropped for.
    let text: BTreeMap<u64, &Doc> = docs.iter().map(|d| (d.id, d)).collect();
    for (id, row) in first.iter().filter(|(_, row)| !row.keep) {
        let of = |id: &u64| text[id].text.as_deref().unwrap_or_default();
        assert!(jaccard(of(id), of(&row.kept), "") >= 0.8, "{id:016x}");
    }
    // The answer does not depend on order, memory or threads.
    docs.sort_by_key(|d| crate::id::keyed(d.id, 1));
    assert_eq!(found(&docs, &rule(), 0, 1).unwrap(), first);
}

#[test]
fn editions_are_found_by_their_similarity() {
    let Some(path) = shared("real-editions.jsonl.zst") else { return };
    let docs = read_docs(&path);
    let found = found(&docs, &rule(), 64 << 20, 2).unwrap();
    let truth = read_truth(&path.with_file_name("real-editions.truth.tsv.gz"));
    let (mut hit, mut all) = (0, 0);
    for row in truth.iter().filter(|row| row[2].parse::<f64>().unwrap() >= 0.9) {
        all += 1;
        hit += usize::from(found[&hex(&row[0])].cluster == found[&hex(&row[1])].cluster);
    }
    assert!(hit * 100 >= all * 97, "{hit} of {all}");
}
