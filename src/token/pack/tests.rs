//! Packs are written and read back; tokens count, so that a wrong order shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::store::manifest::Manifest;
use crate::token::Tokenizer;
use crate::token::tokenizer::tests::counting;

const LANG: &str = "swh_Latn";

fn options(length: usize) -> PackOptions {
    PackOptions { length, seed: 17, window: 50, ..PackOptions::default() }
}

fn text(tokens: &[u32]) -> String {
    tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

fn pack_documents(
    dir: &Path,
    tokenizer: &Tokenizer,
    length: usize,
    docs: &[Vec<u32>],
) -> PackStats {
    let mut writer = PackWriter::create(dir, tokenizer, options(length)).unwrap();
    let rows = docs.iter().enumerate().map(|(i, doc)| Ok((i as u64, text(doc))));
    let stats = writer.documents(LANG, rows).unwrap();
    assert_eq!(writer.finish(Manifest::default()).unwrap()[LANG], stats);
    stats
}

/// The pieces of a group, each without the token before and after it.
fn unpack(group: &Group) -> Vec<Vec<i32>> {
    let (tokens, _) = group.read(0, group.rows as usize).unwrap();
    let tokens: &[i32] = tokens.typed_data();
    let lengths = group.document_lengths(0, group.rows as usize).unwrap();
    assert_eq!(tokens.len(), group.rows as usize * group.length);
    let mut pieces = Vec::new();
    for (row, lengths) in tokens.chunks(group.length).zip(&lengths) {
        let mut rest = row;
        for (i, n) in lengths.iter().enumerate() {
            let (piece, after) = rest.split_at(*n as usize);
            let second = matches!(group.kind, GroupKind::Pairs { .. }) && i % 2 == 1;
            assert_eq!(piece[0], if second { 2 } else { 0 });
            assert_eq!(piece[piece.len() - 1], 2);
            pieces.push(piece[1..piece.len() - 1].iter().map(|id| id - 4).collect());
            rest = after;
        }
        assert!(rest.iter().all(|id| *id == group.pad));
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn unpacking_gives_back_the_documents(
        docs in prop::collection::vec(prop::collection::vec(0u32..50, 0..40), 0..120),
        length in 8usize..20,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let tokenizer = counting(50);
        let stats = pack_documents(dir.path(), &tokenizer, length, &docs);
        let pack = open(dir.path()).unwrap();
        let group = &pack.groups[0];
        let mut expected: Vec<Vec<i32>> = docs.iter()
            .flat_map(|doc| doc.chunks(length - 2))
            .map(|piece| piece.iter().map(|n| *n as i32).collect())
            .collect();
        let mut found = unpack(group);
        prop_assert_eq!(stats.tokens as usize, found.iter().map(|p| p.len() + 2).sum::<usize>());
        prop_assert_eq!(stats.tokens + stats.padding, stats.rows * length as u64);
        let empty = docs.iter().filter(|doc| doc.is_empty()).count();
        prop_assert_eq!(stats.empty as usize, empty);
        prop_assert_eq!(stats.documents as usize, docs.len() - empty);
        expected.sort();
        found.sort();
        prop_assert_eq!(expected, found);
    }

    #[test]
    fn pairs_stay_together_and_are_cut_in_proportion(
        pairs in prop::collection::vec(
            (prop::collection::vec(0u32..50, 0..15), prop::collection::vec(0u32..50, 0..15)), 0..80,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let tokenizer = counting(50);
        let mut writer = PackWriter::create(dir.path(), &tokenizer, options(16)).unwrap();
        let rows = pairs.iter().enumerate().map(|(i, (s, t))| Ok((i as u64, text(s), text(t))));
        let stats = writer.pairs("eng_Latn", "isl_Latn", rows).unwrap();
        writer.finish(Manifest::default()).unwrap();
        let pack = open(dir.path()).unwrap();
        let group = &pack.groups[0];
        prop_assert_eq!(&group.name, "eng_Latn-isl_Latn");
        let full: Vec<_> = pairs.iter().filter(|(s, t)| !s.is_empty() && !t.is_empty()).collect();
        let long = full.iter().filter(|(s, t)| s.len() + t.len() > 12).count();
        prop_assert_eq!((stats.documents as usize, stats.truncated as usize), (full.len(), long));
        let pieces = unpack(group);
        prop_assert_eq!(pieces.len(), 2 * full.len());
        let mut found: Vec<(Vec<i32>, Vec<i32>)> =
            pieces.chunks(2).map(|p| (p[0].clone(), p[1].clone())).collect();
        let mut expected: Vec<(Vec<i32>, Vec<i32>)> = full.iter().map(|(s, t)| {
            let both = s.len() + t.len();
            let kept = if both > 12 { (12 * s.len() / both).clamp(1, 11) } else { s.len() };
            let other = if both > 12 { 12 - kept } else { t.len() };
            let side = |side: &[u32], n: usize| side[..n].iter().map(|n| *n as i32).collect();
            (side(s, kept), side(t, other))
        }).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let tokenizer = counting(100);
    let docs: Vec<(u64, String)> =
        (0..2000u32).map(|n| (n.into(), text(&vec![n % 100; 1 + n as usize % 7]))).collect();
    let bytes = |docs: &[(u64, String)], seed: u64| {
        let dir = tempfile::tempdir().unwrap();
        let options = PackOptions { seed, ..options(16) };
        let mut writer = PackWriter::create(dir.path(), &tokenizer, options).unwrap();
        writer.documents(LANG, docs.iter().map(|(id, t)| Ok((*id, t)))).unwrap();
        writer.finish(Manifest::default()).unwrap();
        fs::read(dir.path().join("swh_Latn.arrow")).unwrap()
    };
    let reversed: Vec<(u64, String)> = docs.iter().rev().cloned().collect();
    assert_eq!(bytes(&docs, 17), bytes(&reversed, 17));
    assert_ne!(bytes(&docs, 17), bytes(&docs, 18));
}

#[test]
fn a_document_longer_than_a_row_is_cut_and_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = counting(100);
    let stats = pack_documents(dir.path(), &tokenizer, 10, &[(0..95).collect()]);
    assert_eq!((stats.documents, stats.rows, stats.tokens), (1, 12, 95 + 24));
    let pack = open(dir.path()).unwrap();
    let mut pieces = unpack(&pack.groups[0]);
    pieces.sort();
    assert_eq!(pieces.concat(), (0..95).collect::<Vec<i32>>());
}

#[test]
fn files_are_aligned_named_and_described() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = counting(10);
    fs::write(dir.path().join(".tmp-killed"), "left over").unwrap();
    fs::write(dir.path().join("old_Latn.arrow"), "of an earlier pack").unwrap();
    let docs: Vec<Vec<u32>> = (0..3000).map(|n| vec![n % 10; 6]).collect();
    pack_documents(dir.path(), &tokenizer, 8, &docs);
    let mut names: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["manifest.json", "swh_Latn.arrow"]);
    let pack = open(dir.path()).unwrap();
    assert_eq!((pack.length, pack.pad, pack.vocab_size), (8, 1, 15));
    assert_eq!(pack.tokenizer, tokenizer.fingerprint());
    let group = &pack.groups[0];
    let (base, size) = (group.mapping().as_ptr() as usize, group.mapping().len());
    for first in [0, 1024, 2048] {
        let (tokens, aliased) = group.read(first, 900).unwrap();
        let at = tokens.as_ptr() as usize;
        assert!(aliased && base <= at && at + tokens.len() <= base + size);
        assert_eq!(at % 64, 0);
    }
    assert!(!group.read(1000, 100).unwrap().1);
    // Written again, it is the same to the byte.
    let before = fs::read(dir.path().join("manifest.json")).unwrap();
    pack_documents(dir.path(), &tokenizer, 8, &docs);
    assert_eq!(fs::read(dir.path().join("manifest.json")).unwrap(), before);
}

#[test]
fn an_empty_language_is_an_empty_group() {
    let dir = tempfile::tempdir().unwrap();
    let stats = pack_documents(dir.path(), &counting(10), 8, &[]);
    assert_eq!(stats, PackStats::default());
    let pack = open(dir.path()).unwrap();
    assert_eq!(pack.groups[0].rows, 0);
    assert!(unpack(&pack.groups[0]).is_empty());
}

#[test]
fn damaged_files_are_errors_that_name_them() {
    let dir = tempfile::tempdir().unwrap();
    let docs: Vec<Vec<u32>> = (0..1500).map(|n| vec![n % 10; 5]).collect();
    pack_documents(dir.path(), &counting(10), 8, &docs);
    let path = dir.path().join("swh_Latn.arrow");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 7]).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("bytes where the manifest says"), "{error}");

    // The same size with other bytes: refused when opened or when read, never a panic.
    let mut refused = 0;
    for at in (0..whole.len()).step_by(whole.len() / 400) {
        let mut bytes = whole.clone();
        for byte in bytes.iter_mut().skip(at).take(24) {
            *byte ^= 0xa5;
        }
        fs::write(&path, &bytes).unwrap();
        let read = open(dir.path()).and_then(|pack| {
            let group = &pack.groups[0];
            group.read(0, group.rows as usize)?;
            group.document_lengths(0, group.rows as usize).map(|_| ())
        });
        if let Err(error) = read {
            refused += 1;
            assert!(error.to_string().contains("swh_Latn"), "{error}");
        }
    }
    assert!(refused > 0);
    fs::remove_file(&path).unwrap();
    assert!(open(dir.path()).unwrap_err().to_string().contains("swh_Latn.arrow"));
    fs::remove_file(dir.path().join("manifest.json")).unwrap();
    assert!(open(dir.path()).unwrap_err().to_string().contains("no pack here"));
}

#[test]
fn names_that_are_no_file_names_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = counting(10);
    let mut writer = PackWriter::create(dir.path(), &tokenizer, options(8)).unwrap();
    let none = || Vec::<Result<(u64, &str)>>::new();
    assert!(writer.documents("../up", none()).is_err());
    assert!(writer.documents(LANG, none()).is_ok());
    assert!(writer.documents(LANG, none()).is_err());
    assert!(PackWriter::create(dir.path(), &tokenizer, options(4)).is_err());
    let unused: BTreeMap<String, PackStats> = writer.finish(Manifest::default()).unwrap();
    assert_eq!(unused.len(), 1);
}
