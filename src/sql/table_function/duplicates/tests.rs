//! The stages together: against the textbook way, and on real duplicates.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::{Float64Type, UInt64Type};
use proptest::prelude::*;

use super::*;
use crate::dedup::content::content_key;
use crate::dedup::jaccard::jaccard;

const NEAR: Near = Near { threshold: 0.8, bands: 14, rows: 8, ngram: 5, verify: true };
const RULE: Rule = Rule { within_language: false, near: Some(NEAR) };

#[derive(Debug)]
struct Doc {
    id: u64,
    text: Option<String>,
    lang: String,
}

/// `(cluster_id, cluster_size, keep, kept_id, similarity)` by `doc_id`.
type Found = BTreeMap<u64, (u64, u64, bool, u64, f64)>;

fn batches(docs: &[Doc]) -> Batches {
    let batches: Vec<Result<RecordBatch>> = docs
        .chunks(100)
        .map(|docs| {
            let columns: Vec<(&str, arrow::array::ArrayRef)> = vec![
                ("doc_id", Arc::new(UInt64Array::from_iter_values(docs.iter().map(|d| d.id)))),
                ("text", Arc::new(docs.iter().map(|d| d.text.as_deref()).collect::<StringArray>())),
                ("second", Arc::new(StringArray::new_null(docs.len()))),
                ("lang", Arc::new(StringArray::from_iter_values(docs.iter().map(|d| &d.lang)))),
                ("rank", Arc::new(Float64Array::new_null(docs.len()))),
            ];
            Ok(RecordBatch::try_from_iter(columns)?)
        })
        .collect();
    Box::new(batches.into_iter())
}

fn found(docs: &[Doc], rule: Rule, memory: usize, threads: usize) -> Result<Found> {
    let limits = Limits { memory: Some(memory), temp: None, threads };
    let mut found = Found::new();
    let inputs = vec![batches(docs), batches(docs)];
    run(&rule, inputs, &limits, &mut |batch| {
        let id = |i: usize| batch.column(i).as_primitive::<UInt64Type>();
        for row in 0..batch.num_rows() {
            let keep = batch.column(3).as_boolean().value(row);
            let similarity = batch.column(5).as_primitive::<Float64Type>().value(row);
            let rest = (id(1).value(row), id(2).value(row), keep, id(4).value(row), similarity);
            assert!(found.last_key_value().is_none_or(|(last, _)| *last < id(0).value(row)));
            found.insert(id(0).value(row), rest);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Texts of a few words that share much.
fn docs() -> impl Strategy<Value = Vec<Doc>> {
    let word = prop::sample::select(vec!["eitt", "два", "三", "four", "خمسة", "छह"]);
    let text = prop::collection::vec(word, 0..9).prop_map(|words| words.join(" "));
    prop::collection::vec((text, 0u8..2, any::<bool>()), 0..40).prop_map(|rows| {
        let doc = |(i, (text, lang, null)): (usize, (String, u8, bool))| Doc {
            id: crate::id::keyed(i as u64, 5) >> 20,
            text: (!(null && i % 9 == 0)).then_some(text),
            lang: format!("l{lang}"),
        };
        rows.into_iter().enumerate().map(doc).collect()
    })
}

/// The clusters by comparing each with each; a band of one row misses hardly anything.
fn naive(docs: &[Doc], threshold: f64, within: bool) -> BTreeMap<u64, BTreeSet<u64>> {
    let mut clusters: Vec<BTreeSet<u64>> = docs.iter().map(|d| BTreeSet::from([d.id])).collect();
    for (i, a) in docs.iter().enumerate() {
        for b in &docs[..i] {
            let (Some(x), Some(y)) = (&a.text, &b.text) else { continue };
            if (!within || a.lang == b.lang) && jaccard(x, y, "") >= threshold {
                let of = |id| clusters.iter().position(|c| c.contains(&id)).unwrap();
                let (one, other) = (of(a.id), of(b.id));
                if one != other {
                    let moved = std::mem::take(&mut clusters[one]);
                    clusters[other].extend(moved);
                }
            }
        }
    }
    let all = clusters.iter().flat_map(|c| c.iter().map(move |id| (*id, c.clone())));
    all.collect()
}

proptest! {
    #[test]
    fn clusters_are_those_of_comparing_each_with_each(docs in docs(), within: bool) {
        let near = Near { threshold: 0.5, bands: 200, rows: 1, ..NEAR };
        let rule = Rule { within_language: within, near: Some(near) };
        let found = found(&docs, rule, 0, 2).unwrap();
        let expected = naive(&docs, 0.5, within);
        prop_assert_eq!(found.len(), docs.len());
        for doc in &docs {
            let (cluster, size, keep, kept, similarity) = found[&doc.id];
            let members = &expected[&doc.id];
            prop_assert_eq!(Some(&cluster), members.first());
            prop_assert_eq!(size, members.len() as u64);
            prop_assert_eq!(keep, kept == doc.id);
            let best = docs.iter().filter(|d| members.contains(&d.id)).min_by_key(|d| {
                let text = d.text.as_deref().unwrap_or_default();
                let lang = if within { crate::id::hash128(d.lang.as_bytes()) } else { 0 };
                (std::cmp::Reverse(text.chars().count()), content_key(text) ^ lang, d.id)
            });
            prop_assert_eq!(Some(kept), best.map(|d| d.id));
            let text = |id: u64| docs.iter().find(|d| d.id == id).and_then(|d| d.text.as_deref());
            let expected = text(doc.id).zip(text(kept)).map_or(1.0, |(a, b)| jaccard(a, b, ""));
            prop_assert_eq!(similarity, expected);
        }
    }

    #[test]
    fn exact_clusters_are_equal_keys(docs in docs()) {
        let rule = Rule { within_language: false, near: None };
        let found = found(&docs, rule, 0, 1).unwrap();
        for a in &docs {
            for b in &docs {
                let same = match (&a.text, &b.text) {
                    (Some(x), Some(y)) => content_key(x) == content_key(y),
                    _ => a.id == b.id,
                };
                prop_assert_eq!(found[&a.id].0 == found[&b.id].0, same);
            }
        }
    }
}

#[test]
fn rows_with_one_id_are_refused() {
    let doc = |text: &str| Doc { id: 7, text: Some(text.into()), lang: String::new() };
    let error = found(&[doc("a"), doc("b")], RULE, 0, 1).unwrap_err();
    assert_eq!(error.to_string(), "`doc_id` 7 stands twice in the table");
}

#[test]
fn very_many_rows_in_one_band_are_one_cluster() {
    let common = (100..160).map(word).collect::<Vec<_>>().join(" ");
    let doc =
        |i| Doc { id: i, text: Some(format!("{common} þ{}", word(i))), lang: "isl_Latn".into() };
    let found = found(&(0..3000).map(doc).collect::<Vec<_>>(), RULE, 0, 2);
    assert!(found.unwrap().values().all(|row| row.0 == 0 && row.1 == 3000));
}

/// A different word without digits for each number.
fn word(mut i: u64) -> String {
    let mut word = String::new();
    while i > 0 {
        word.push(char::from(b'a' + (i % 10) as u8));
        i /= 10;
    }
    word
}

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
    let first = found(&docs, RULE, 64 << 20, 2).unwrap();
    let same = |a: &str, b: &str| first[&hex(a)].0 == first[&hex(b)].0;
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
    assert!(hit * 100 >= all * 90, "{hit} of {all}");
    // Precision: what was linked is similar, so each dropped row has a near one in its cluster.
    let text: BTreeMap<u64, &Doc> = docs.iter().map(|d| (d.id, d)).collect();
    let mut clusters: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (id, row) in &first {
        clusters.entry(row.0).or_default().push(*id);
    }
    for members in clusters.values().filter(|m| m.len() > 1) {
        for a in members {
            let of = |id: &u64| text[id].text.as_deref().unwrap_or_default();
            let best = members.iter().filter(|b| *b != a).map(|b| jaccard(of(a), of(b), ""));
            assert!(best.fold(0.0, f64::max) >= 0.8, "{a:016x}");
        }
    }
    // The answer does not depend on order, memory or threads.
    docs.sort_by_key(|d| crate::id::keyed(d.id, 1));
    assert_eq!(found(&docs, RULE, 0, 1).unwrap(), first);
}

#[test]
fn editions_are_found_by_their_similarity() {
    let Some(path) = shared("real-editions.jsonl.zst") else { return };
    let docs = read_docs(&path);
    let found = found(&docs, RULE, 64 << 20, 2).unwrap();
    let truth = read_truth(&path.with_file_name("real-editions.truth.tsv.gz"));
    let (mut hit, mut all) = (0, 0);
    for row in truth.iter().filter(|row| row[2].parse::<f64>().unwrap() >= 0.9) {
        all += 1;
        hit += usize::from(found[&hex(&row[0])].0 == found[&hex(&row[1])].0);
    }
    assert!(hit * 100 >= all * 97, "{hit} of {all}");
}
