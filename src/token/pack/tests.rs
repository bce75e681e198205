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
    let mut writer = PackWriter::create(dir, tokenizer, options(length), of(&[LANG])).unwrap();
    let rows = docs.iter().enumerate().map(|(i, doc)| Ok((0, i as u64, text(doc))));
    writer.documents(rows).unwrap();
    finish(writer)[LANG]
}

/// Groups of documents.
fn of(langs: &[&str]) -> Vec<(GroupKind, String)> {
    langs.iter().map(|lang| (GroupKind::Documents { lang: lang.to_string() }, "".into())).collect()
}

fn finish(writer: PackWriter<'_>) -> BTreeMap<String, PackStats> {
    writer.finish(Manifest::default(), &mut |_| ()).unwrap()
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
        let group = GroupKind::Pairs { src_lang: "eng_Latn".into(), tgt_lang: "isl_Latn".into() };
        let groups = vec![(group, "".into())];
        let mut writer = PackWriter::create(dir.path(), &tokenizer, options(16), groups).unwrap();
        let rows = pairs.iter().enumerate();
        writer.pairs(rows.map(|(i, (s, t))| Ok((0, i as u64, (text(s), text(t)))))).unwrap();
        let stats = finish(writer)["eng_Latn-isl_Latn"];
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
        let mut writer = PackWriter::create(dir.path(), &tokenizer, options, of(&[LANG])).unwrap();
        writer.documents(docs.iter().map(|(id, t)| Ok((0, *id, t)))).unwrap();
        finish(writer);
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
    let create = |length, langs: &[&str]| {
        PackWriter::create(dir.path(), &tokenizer, options(length), of(langs)).map(|_| ())
    };
    assert!(create(8, &["../up"]).is_err());
    assert!(create(8, &[LANG]).is_ok());
    assert!(create(8, &[LANG, "isl_Latn", LANG]).is_err());
    assert!(create(4, &[LANG]).is_err());
}

#[test]
fn groups_take_their_texts_in_any_order_and_know_whose_they_are() {
    let tokenizer = counting(100);
    let langs = ["hin_Deva", "isl_Latn", "kat_Geor", "swh_Latn"];
    // Document n is of language n % 3 and is the number n; nothing is Swahili.
    let one_pass = tempfile::tempdir().unwrap();
    let mut writer =
        PackWriter::create(one_pass.path(), &tokenizer, options(16), of(&langs)).unwrap();
    let doc = |n: u64| text(&vec![n as u32 % 100; 1 + n as usize % 20]);
    writer.documents((0..3000).map(|n| Ok((n as usize % 3, n, doc(n))))).unwrap();
    finish(writer);
    let apart = tempfile::tempdir().unwrap();
    for (i, lang) in langs.iter().enumerate() {
        let dir = apart.path().join(lang);
        let mut writer = PackWriter::create(&dir, &tokenizer, options(16), of(&[lang])).unwrap();
        let ours = (0..3000).filter(|n| n % 3 == i as u64);
        writer.documents(ours.map(|n| Ok((0, n, doc(n))))).unwrap();
        finish(writer);
        let file = format!("{lang}.arrow");
        let bytes = |dir: &Path| fs::read(dir.join(&file)).unwrap();
        assert_eq!(bytes(one_pass.path()), bytes(&dir), "{lang}");
    }
    for (i, group) in open(one_pass.path()).unwrap().groups.iter().enumerate() {
        let rows = group.rows as usize;
        let (tokens, _) = group.read(0, rows).unwrap();
        let lengths = group.document_lengths(0, rows).unwrap();
        let ids = group.doc_ids(0, rows).unwrap();
        let mut seen = 0;
        for ((row, lengths), ids) in tokens.typed_data::<i32>().chunks(16).zip(lengths).zip(ids) {
            assert_eq!(lengths.len(), ids.len());
            let mut start = 0;
            for (n, id) in lengths.iter().zip(ids) {
                assert_eq!(id % 3, i as u64);
                assert_eq!(row[start + 1], (id % 100) as i32 + 4);
                start += *n as usize;
                seen += 1;
            }
        }
        assert_eq!(seen > 0, i < 3);
    }
}

#[test]
fn pieces_of_a_long_document_may_overlap() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = counting(100);
    let options = PackOptions { overlap: 3, ..options(10) };
    let mut writer = PackWriter::create(dir.path(), &tokenizer, options, of(&[LANG])).unwrap();
    let texts: Vec<Vec<u32>> = vec![(0..20).collect(), (20..28).collect(), (30..39).collect()];
    let rows = texts.iter().enumerate().map(|(i, doc)| Ok((0, i as u64, text(doc))));
    writer.documents(rows).unwrap();
    finish(writer);
    let mut pieces = unpack(&open(dir.path()).unwrap().groups[0]);
    pieces.sort();
    let expected: Vec<Vec<i32>> = [0..8, 5..13, 10..18, 15..20, 20..28, 30..38, 35..39]
        .into_iter()
        .map(|piece| piece.collect())
        .collect();
    assert_eq!(pieces, expected);
    let options = PackOptions { length: 10, overlap: 5, ..PackOptions::default() };
    assert!(PackWriter::create(dir.path(), &tokenizer, options, of(&[LANG])).is_err());
}
