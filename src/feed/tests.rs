//! The feed over packs that count, so that a wrong order shows as a wrong number.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::feed::Loader;
use crate::store::manifest::Manifest;
use crate::token::pack::{self, GroupKind, PackOptions, PackWriter};
use crate::token::tokenizer::tests::counting;

/// A pack in which each row is one document of six tokens; `sizes` are documents by language.
fn packed(dir: &Path, sizes: &[(&str, u64)]) -> Arc<Pack> {
    let tokenizer = counting(100);
    let options = PackOptions { length: 8, seed: 17, ..PackOptions::default() };
    let kind = |lang: &str| GroupKind::Documents { lang: lang.into() };
    let groups = sizes.iter().map(|(lang, _)| (kind(lang), "".into())).collect();
    let mut writer = PackWriter::create(dir, &tokenizer, options, groups).unwrap();
    for (group, (_, size)) in sizes.iter().enumerate() {
        // The number of the document in base 100, twice.
        let text = |n: u64| format!("{0} {1} {2} {0} {1} {2}", n / 10_000, n / 100 % 100, n % 100);
        writer.documents((0..*size).map(|n| Ok((group, n, text(n))))).unwrap();
    }
    writer.finish(Manifest::default(), &mut |_| ()).unwrap();
    Arc::new(pack::open(dir).unwrap())
}

fn options(batch_rows: usize, weights: &[(&str, f64)]) -> FeedOptions {
    let weights: BTreeMap<String, f64> =
        weights.iter().map(|(name, weight)| (name.to_string(), *weight)).collect();
    let stages = match weights.is_empty() {
        true => vec![],
        false => vec![Stage { until_tokens: None, weights }],
    };
    FeedOptions { batch_rows, seed: 17, stages }
}

fn documents(batch: &Batch) -> Vec<u64> {
    let ids = batch.ids().chunks(batch.length);
    ids.map(|row| row[1..4].iter().fold(0, |n, id| n * 100 + (*id as u64 - 4))).collect()
}

#[test]
fn batches_alias_the_mapping() {
    let dir = tempfile::tempdir().unwrap();
    let pack = packed(dir.path(), &[("isl_Latn", 3000)]);
    let mut feed = Feed::new(pack.clone(), &options(64, &[])).unwrap();
    let mapping = pack.groups[0].mapping();
    let inside = mapping.as_ptr() as usize..mapping.as_ptr() as usize + mapping.len();
    let mut seen = Vec::new();
    for _ in 0..3000u64.div_ceil(64) {
        let batch = feed.next().unwrap();
        assert!(batch.aliased && inside.contains(&(batch.tokens.as_ptr() as usize)));
        assert_eq!(batch.tokens.as_ptr() as usize % 64, 0);
        assert_eq!(batch.tokens.len(), batch.rows * batch.length * 4);
        assert_eq!((batch.epoch, batch.n_tokens), (0, batch.rows as u64 * 8));
        seen.extend(documents(&batch));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..3000).collect::<Vec<_>>());
    assert_eq!(feed.counters().bytes_aliased, 3000 * 8 * 4);
    assert_eq!(feed.counters().bytes_gathered, 0);
    assert_eq!(feed.next().unwrap().epoch, 1);
}

#[test]
fn a_batch_outlives_its_pack() {
    let dir = tempfile::tempdir().unwrap();
    let mut feed = Feed::new(packed(dir.path(), &[("isl_Latn", 10)]), &options(4, &[])).unwrap();
    let batch = feed.next().unwrap();
    let before = documents(&batch);
    drop(feed);
    drop(dir);
    assert_eq!(documents(&batch), before);
}

#[test]
fn blocks_across_record_batches_are_gathered_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let pack = packed(dir.path(), &[("isl_Latn", 2500)]);
    let mut feed = Feed::new(pack, &options(100, &[])).unwrap();
    let mut seen: Vec<u64> = Vec::new();
    let mut gathered = 0;
    for _ in 0..25 {
        let batch = feed.next().unwrap();
        gathered += usize::from(!batch.aliased);
        seen.extend(documents(&batch));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..2500).collect::<Vec<_>>());
    // Rows 1,000 to 1,099 and 2,000 to 2,099 cross.
    assert_eq!(gathered, 2);
    assert_eq!(feed.counters().bytes_gathered, 2 * 100 * 8 * 4);
    assert!(divides_records(64) && !divides_records(100));
}

#[test]
fn small_and_empty_languages_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let pack = packed(dir.path(), &[("swh_Latn", 0), ("yor_Latn", 3), ("eng_Latn", 500)]);
    assert_eq!(pack.groups.len(), 3);
    let weights = [("swh_Latn", 1.0), ("yor_Latn", 1.0), ("eng_Latn", 1.0)];
    let mut feed = Feed::new(pack.clone(), &options(16, &weights)).unwrap();
    let mut tokens: BTreeMap<usize, u64> = BTreeMap::new();
    for _ in 0..400 {
        let batch = feed.next().unwrap();
        *tokens.entry(batch.group).or_default() += batch.n_tokens;
    }
    let (eng, swh, yor) = (
        pack.group("eng_Latn").unwrap(),
        pack.group("swh_Latn").unwrap(),
        pack.group("yor_Latn").unwrap(),
    );
    assert!(!tokens.contains_key(&swh));
    assert!(tokens[&eng].abs_diff(tokens[&yor]) <= 2 * 16 * 8, "{tokens:?}");
    assert!(feed.draw().epochs(yor) > 100.0);
}

#[test]
fn seeking_and_restoring_give_the_same_batches() {
    let dir = tempfile::tempdir().unwrap();
    let pack = packed(dir.path(), &[("isl_Latn", 100), ("eng_Latn", 300)]);
    let options = options(8, &[("isl_Latn", 1.0), ("eng_Latn", 2.0)]);
    let list = |feed: &mut Feed| -> Vec<(u64, usize, Vec<u64>)> {
        let batches = (0..40).map(|_| feed.next().unwrap());
        batches.map(|b| (b.index, b.group, documents(&b))).collect()
    };
    let mut feed = Feed::new(pack.clone(), &options).unwrap();
    let start = list(&mut feed);
    let state = feed.state();
    let rest = list(&mut feed);

    let mut sought = Feed::new(pack.clone(), &options).unwrap();
    sought.seek(40);
    assert_eq!(sought.counters().batches, 0);
    assert_eq!(list(&mut sought), rest);
    // Resuming the resumed one, and going back.
    sought.seek(0);
    assert_eq!(list(&mut sought), start);

    let mut restored = Feed::new(pack.clone(), &options).unwrap();
    restored.restore(&state).unwrap();
    assert_eq!(list(&mut restored), rest);

    let mut feed = Feed::new(pack, &options).unwrap();
    feed.seek(40);
    let mut loader = Loader::new(feed, 4).unwrap();
    for (index, group, numbers) in &rest[..20] {
        let batch = loader.next().unwrap();
        assert_eq!((&batch.index, &batch.group, &documents(&batch)), (index, group, numbers));
    }
    assert_eq!(loader.state().drawn, 60);
    assert_eq!(loader.counters().batches, 20);
}

/// The numbers of all documents of a whole epoch of every group, by group.
fn counted(batches: impl Iterator<Item = Batch>) -> BTreeMap<(usize, u64), Vec<u64>> {
    let mut seen: BTreeMap<(usize, u64), Vec<u64>> = BTreeMap::new();
    for batch in batches {
        seen.entry((batch.group, batch.epoch)).or_default().extend(documents(&batch));
    }
    seen.values_mut().for_each(|numbers| numbers.sort_unstable());
    seen
}

#[test]
fn every_token_once_an_epoch_for_any_number_of_workers_and_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [("isl_Latn", 97), ("eng_Latn", 301), ("yor_Latn", 1), ("swh_Latn", 0)];
    let pack = packed(dir.path(), &sizes);
    let options = options(8, &[("isl_Latn", 1.0), ("eng_Latn", 2.0), ("yor_Latn", 0.1)]);
    let feed = || Feed::new(pack.clone(), &options).unwrap();
    let rounds = 60;
    let mut alone = feed();
    let whole: Vec<(u64, Vec<u64>)> = (0..rounds * 10)
        .map(|_| alone.next().unwrap())
        .map(|batch| (batch.index, documents(&batch)))
        .collect();
    let seen = counted({
        let mut feed = feed();
        (0..rounds * 10).map(move |_| feed.next().unwrap())
    });
    for (name, size) in sizes {
        let group = pack.group(name).unwrap();
        let epochs: Vec<&Vec<u64>> =
            seen.iter().filter(|((g, _), _)| *g == group).map(|(_, numbers)| numbers).collect();
        let done = epochs.len().saturating_sub(1);
        assert!(done >= 2 || size == 0, "{name}: {done} epochs");
        for numbers in &epochs[..done] {
            assert_eq!(**numbers, (0..size).collect::<Vec<_>>(), "{name}");
        }
    }
    for workers in [1, 2, 5] {
        let mut together: Vec<(u64, Vec<u64>)> = Vec::new();
        let mut state = feed().state();
        // A run, its resume, and the resume of that, each with another number of steps.
        for steps in [rounds * 3 / workers, rounds * 4 / workers, rounds * 3 / workers] {
            let mut ends = Vec::new();
            for worker in 0..workers {
                let mut feed = feed().shared(worker, workers).unwrap();
                feed.restore(&state).unwrap();
                let mut loader = Loader::new(feed, 3).unwrap();
                for _ in 0..steps {
                    let batch = loader.next().unwrap();
                    together.push((batch.index, documents(&batch)));
                }
                ends.push(loader.state().clone());
            }
            // Whoever writes the checkpoint, it says the same; text keeps it to the bit.
            assert!(ends.windows(2).all(|two| two[0] == two[1]));
            let json = serde_json::to_string(&ends[0]).unwrap();
            state = serde_json::from_str(&json).unwrap();
        }
        together.sort();
        assert_eq!(together.len(), rounds * 10);
        assert_eq!(together, whole, "{workers} workers");
    }
    let error = feed().shared(2, 2).unwrap_err();
    assert_eq!(error.to_string(), "worker 2 of 2");
}

#[test]
fn weights_that_change_on_the_way_drop_and_repeat_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = [("isl_Latn", 200), ("eng_Latn", 400), ("yor_Latn", 30)];
    let pack = packed(dir.path(), &sizes);
    let before = [("isl_Latn", 1.0), ("eng_Latn", 5.0), ("yor_Latn", 0.2)];
    let after = [("isl_Latn", 6.0), ("eng_Latn", 1.0), ("yor_Latn", 1.0)];
    let mut first = Feed::new(pack.clone(), &options(8, &before)).unwrap();
    let mut batches: Vec<Batch> = (0..50).map(|_| first.next().unwrap()).collect();
    let mut second = Feed::new(pack.clone(), &options(8, &after)).unwrap();
    second.restore(&first.state()).unwrap();
    let tokens: Vec<Batch> = (0..300).map(|_| second.next().unwrap()).collect();
    // The new shares hold from the change on, to one micro-batch.
    let all: u64 = tokens.iter().map(|b| b.n_tokens).sum();
    for (name, weight) in after {
        let group = pack.group(name).unwrap();
        let had: u64 = tokens.iter().filter(|b| b.group == group).map(|b| b.n_tokens).sum();
        let off = had as f64 - weight / 8.0 * all as f64;
        assert!(off.abs() <= 2.0 * 64.0, "{name} is off by {off}");
    }
    batches.extend(tokens);
    let seen = counted(batches.into_iter());
    for ((group, epoch), numbers) in &seen {
        let last = seen.range((*group, epoch + 1)..(*group, u64::MAX)).next().is_none();
        let rows = pack.groups[*group].rows;
        match last {
            false => assert_eq!(*numbers, (0..rows).collect::<Vec<_>>()),
            true => assert!(numbers.windows(2).all(|two| two[0] < two[1])),
        }
    }
}

#[test]
fn another_text_leaves_all_others_where_they_are() {
    let tokenizer = counting(100);
    let options = PackOptions { length: 16, seed: 3, ..PackOptions::default() };
    let rows = |changed: &str| {
        let dir = tempfile::tempdir().unwrap();
        let groups = vec![(GroupKind::Documents { lang: "isl_Latn".into() }, "".into())];
        let mut writer =
            PackWriter::create(dir.path(), &tokenizer, options.clone(), groups).unwrap();
        let text = |n: u64| match n {
            7 => changed.to_string(),
            n => format!("{n} {n} {n}"),
        };
        writer.documents((0..60).map(|n| Ok((0, n, text(n))))).unwrap();
        writer.finish(Manifest::default(), &mut |_| ()).unwrap();
        let pack = Arc::new(pack::open(dir.path()).unwrap());
        let feed_options = FeedOptions { batch_rows: 4, seed: 17, stages: Vec::new() };
        let mut feed = Feed::new(pack.clone(), &feed_options).unwrap();
        let batches = pack.groups[0].rows.div_ceil(4);
        let batches: Vec<Batch> = (0..batches).map(|_| feed.next().unwrap()).collect();
        let mut documents = Vec::new();
        for batch in &batches {
            for (row, lengths) in batch.ids().chunks(16).zip(&batch.document_lengths) {
                let mut start = 0;
                for n in lengths {
                    documents.push((batch.index, start, row[start..start + *n as usize].to_vec()));
                    start += *n as usize;
                }
                assert!(row[start..].iter().all(|id| *id == 1));
            }
        }
        documents
    };
    let (one, other) = (rows("1 2 3"), rows("50 51 52"));
    let differ: Vec<_> = one.iter().zip(&other).filter(|(a, b)| a != b).collect();
    assert_eq!(one.len(), other.len());
    assert_eq!(differ.len(), 1, "{differ:?}");
    let (a, b) = differ[0];
    assert_eq!((a.0, a.1, a.2.len()), (b.0, b.1, b.2.len()));
}
