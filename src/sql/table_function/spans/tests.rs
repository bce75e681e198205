//! The spans against definitions that look at each window, over texts that repeat themselves much.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray};
use arrow::datatypes::UInt64Type;
use proptest::prelude::*;

use super::*;
use crate::dedup::spans::cut;
use crate::sql::table_function::order::RANKS;

#[derive(Debug, Clone, Default)]
struct Doc {
    id: u64,
    text: Option<String>,
    within: Option<String>,
    orders: [Option<f64>; RANKS],
}

fn doc(id: u64, text: &str) -> Doc {
    Doc { id, text: Some(text.into()), ..Doc::default() }
}

/// `[doc_id, start, length]` and the document that keeps a copy.
type Row = ([u64; 3], Option<u64>);

/// The documents as a query gives them, in batches of three.
fn batches(docs: &[Doc]) -> Batches {
    let batches: Vec<Result<RecordBatch>> = docs
        .chunks(3)
        .map(|docs| {
            let mut columns: Vec<(String, ArrayRef)> = vec![
                (
                    "doc_id".into(),
                    Arc::new(UInt64Array::from_iter_values(docs.iter().map(|d| d.id))),
                ),
                (
                    "text".into(),
                    Arc::new(docs.iter().map(|d| d.text.clone()).collect::<StringArray>()),
                ),
                (
                    "within".into(),
                    Arc::new(docs.iter().map(|d| d.within.clone()).collect::<StringArray>()),
                ),
            ];
            for i in 0..RANKS {
                let order: Float64Array = docs.iter().map(|d| d.orders[i]).collect();
                columns.push((format!("order{i}"), Arc::new(order)));
            }
            Ok(RecordBatch::try_from_iter_with_nullable(
                columns.into_iter().map(|(name, column)| (name, column, true)),
            )?)
        })
        .collect();
    Box::new(batches.into_iter())
}

fn found(docs: &[Doc], rule: Rule, memory: Option<usize>, threads: usize) -> Result<Vec<Row>> {
    let limits = Limits { memory, threads, ..Limits::default() };
    let mut rows = Vec::new();
    run(&rule, vec![batches(docs)], &limits, &mut |batch| {
        let column = |i: usize| batch.column(i).as_primitive::<UInt64Type>();
        for row in 0..batch.num_rows() {
            let kept = column(3).is_valid(row).then(|| column(3).value(row));
            rows.push(([0, 1, 2].map(|i| column(i).value(row)), kept));
        }
        Ok(())
    })?;
    Ok(rows)
}

/// The documents with a text, in the order in which they may keep what others have too.
fn ordered(docs: &[Doc]) -> Vec<&Doc> {
    let mut docs: Vec<&Doc> = docs.iter().filter(|d| d.text.is_some()).collect();
    let key =
        |d: &Doc| (crate::id::hash128(d.text.as_deref().unwrap_or_default().as_bytes()), d.id);
    docs.sort_by(|a, b| {
        let order = |d: &Doc| d.orders.map(|v| v.unwrap_or(f64::NEG_INFINITY));
        order(b).partial_cmp(&order(a)).unwrap().then(key(a).cmp(&key(b)))
    });
    docs
}

/// Removed bytes to rows: the copies of what begins at the starts are looked up in `kept`.
fn rows(doc: &Doc, removed: &[bool], kept: impl Fn(usize) -> Option<u64>) -> Vec<Row> {
    let text = doc.text.as_deref().unwrap_or_default();
    let mut rows = Vec::new();
    let mut at = 0;
    for run in removed.chunk_by(|a, b| a == b) {
        let start = at;
        at += run.len();
        if let Some(cut) = run[0].then(|| cut::inside(text, start..at)).flatten() {
            let chars = |part: &str| part.chars().count() as u64;
            let span = [doc.id, chars(&text[..cut.start]) + 1, chars(&text[cut])];
            rows.push((span, kept(start)));
        }
    }
    rows
}

/// The definition: a window goes when an equal one stands earlier and ends before it begins.
fn naive(docs: &[Doc], length: usize, unit: Unit) -> Vec<Row> {
    let mut firsts: BTreeMap<_, (u64, usize)> = BTreeMap::new();
    let mut all = Vec::new();
    for doc in ordered(docs) {
        let text = doc.text.as_deref().unwrap_or_default();
        let places: Vec<usize> = match unit {
            Unit::Bytes => (0..=text.len()).collect(),
            Unit::Characters => text.char_indices().map(|(at, _)| at).chain([text.len()]).collect(),
        };
        let mut removed = vec![false; text.len()];
        let mut copies = BTreeMap::new();
        for (i, window) in places.windows(length + 1).enumerate() {
            let (start, end) = (window[0], window[length]);
            let key = (doc.within.as_deref(), &text.as_bytes()[start..end]);
            match firsts.get(&key) {
                None => {
                    firsts.insert(key, (doc.id, i));
                }
                Some((id, first)) if *id != doc.id || first + length <= i => {
                    removed[start..end].fill(true);
                    copies.insert(start, *id);
                }
                Some(_) => {}
            }
        }
        all.extend(rows(doc, &removed, |start| copies.get(&start).copied()));
    }
    all.sort();
    all
}

fn naive_lines(docs: &[Doc], rule: &Lines) -> Vec<Row> {
    let lines = |doc: &Doc| -> Vec<String> {
        doc.text.iter().flat_map(|t| t.split_inclusive('\n')).map(str::to_string).collect()
    };
    let mut having: BTreeMap<(Option<String>, String), Vec<u64>> = BTreeMap::new();
    for doc in ordered(docs) {
        for line in lines(doc) {
            having.entry((doc.within.clone(), line.trim().into())).or_default().push(doc.id);
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut all = Vec::new();
    for doc in ordered(docs) {
        let (mut removed, mut copies) = (Vec::new(), BTreeMap::new());
        for line in lines(doc) {
            let key = (doc.within.clone(), line.trim().to_string());
            let ids = &having[&key];
            let distinct = ids.iter().collect::<std::collections::BTreeSet<_>>().len() as u64;
            let goes = distinct >= rule.documents
                && key.1.chars().count() as u64 >= rule.least
                && (!seen.insert(key.clone()) || !rule.keep_first);
            copies.insert(removed.len(), ids[0]);
            removed.extend(vec![goes; line.len()]);
        }
        let kept = |start| rule.keep_first.then(|| copies[&start]);
        all.extend(rows(doc, &removed, kept));
    }
    all.sort();
    all
}

/// Documents of few and often repeated pieces in several scripts.
fn docs() -> impl Strategy<Value = Vec<Doc>> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "ab",
        "aaaa",
        "þ",
        "日本",
        "日",
        "नि",
        "e\u{301}",
        "\n",
        " og svo ",
        "мир и ",
    ]);
    let text = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat());
    let order = prop::option::of((0i8..3).prop_map(f64::from));
    let row = (text, 0u8..8, order, any::<bool>());
    prop::collection::vec(row, 0..12).prop_map(|rows| {
        let doc = |(i, (text, odd, order, within)): (usize, (String, u8, Option<f64>, bool))| Doc {
            id: crate::id::keyed(i as u64, 5) >> 20,
            text: (odd != 0).then_some(text),
            within: (odd == 1).then(|| within.to_string()),
            orders: [None, order, None, None],
        };
        rows.into_iter().enumerate().map(doc).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn repeated_spans_are_those_of_the_definition(
        docs in docs(),
        length in 1usize..20,
        gram in 1usize..20,
        bytes: bool,
        threads in 1usize..3,
        turn in 0usize..12,
    ) {
        let unit = if bytes { Unit::Bytes } else { Unit::Characters };
        let rule = Rule::Windows(Windows::with_gram(length, gram), unit);
        let expected = naive(&docs, length, unit);
        prop_assert_eq!(&found(&docs, rule, Some(0), threads).unwrap(), &expected);
        let mut turned = docs;
        let middle = turn % turned.len().max(1);
        turned.rotate_left(middle);
        prop_assert_eq!(&found(&turned, rule, None, 1).unwrap(), &expected);
    }

    #[test]
    fn repeated_lines_are_those_of_the_definition(
        docs in docs(),
        least in 0u64..6,
        documents in 1u64..4,
        keep_first: bool,
        turn in 0usize..12,
    ) {
        let rule = Lines { least, documents, keep_first };
        let expected = naive_lines(&docs, &rule);
        prop_assert_eq!(&found(&docs, Rule::Lines(rule), Some(0), 2).unwrap(), &expected);
        let mut turned = docs;
        let middle = turn % turned.len().max(1);
        turned.rotate_left(middle);
        prop_assert_eq!(&found(&turned, Rule::Lines(rule), None, 1).unwrap(), &expected);
    }
}

/// The windows of a length in bytes as they are looked for by default.
fn by_bytes(length: usize) -> Rule {
    Rule::Windows(Windows::new(length), Unit::Bytes)
}

/// What is left of the documents, in the order of ids.
fn left(docs: &[Doc], rule: Rule) -> Vec<String> {
    let rows = found(docs, rule, None, 2).unwrap();
    let rest = |doc: &Doc| {
        let own = rows.iter().filter(|(span, _)| span[0] == doc.id).map(|(s, _)| (s[1], s[2]));
        crate::text::remove_spans::remove_spans(doc.text.as_deref().unwrap_or_default(), own)
    };
    docs.iter().map(rest).collect()
}

#[test]
fn one_copy_stays_in_every_script() {
    for passage in [
        "Allir menn eru bornir frjálsir og jafnir öðrum að virðingu og réttindum.",
        "Все люди рождаются свободными и равными в своем достоинстве и правах.",
        "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
        "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
        "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق، وقد وهبوا عقلا وضميرا.",
        "มนุษย์ทั้งปวงเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    ] {
        let docs = [
            doc(1, &format!("1 {passage} one")),
            doc(2, &format!("second {passage} два")),
            doc(3, &format!("thrice {passage}")),
        ];
        let left = left(&docs, by_bytes(60));
        let whole: Vec<bool> = left.iter().map(|text| text.contains(passage)).collect();
        assert_eq!(whole.iter().filter(|w| **w).count(), 1, "{left:?}");
        for (text, whole) in left.iter().zip(whole) {
            // What is common to all begins and ends with a space.
            assert!(whole || text.chars().count() < 12, "{text}");
        }
    }
}

#[test]
fn what_repeats_itself_keeps_its_first_copy() {
    assert_eq!(left(&[doc(1, &"a".repeat(1000))], by_bytes(100)), ["a".repeat(100)]);
    let rhyme = "Sól skín á sjó og land, sandur fýkur um strönd og sand. ";
    let docs = [doc(1, &rhyme.repeat(9))];
    let kept = left(&docs, by_bytes(100)).remove(0);
    assert_eq!(kept, rhyme.repeat(2));
    // A copy that overlaps its original is none.
    assert_eq!(left(&[doc(1, &"ab".repeat(50))], by_bytes(60)), ["ab".repeat(50)]);
}

#[test]
fn the_order_says_who_keeps() {
    let text =
        "Hver er sinnar gæfu smiður, sagði smiðurinn og hamraði járnið á meðan það var heitt.";
    let mut docs: Vec<Doc> = (1..5).map(|id| doc(id, text)).collect();
    docs[2].orders[0] = Some(0.5);
    docs[3].orders[0] = Some(-2.0);
    let rows = found(&docs, by_bytes(50), None, 1).unwrap();
    assert_eq!(
        rows.iter().map(|r| (r.0[0], r.1)).collect::<Vec<_>>(),
        [(1, Some(3)), (2, Some(3)), (4, Some(3))]
    );
    // Equal texts: the least id.
    docs[2].orders[0] = None;
    docs[3].orders[0] = None;
    let rows = found(&docs, by_bytes(50), None, 1).unwrap();
    assert!(rows.iter().all(|r| r.1 == Some(1)) && rows.len() == 3, "{rows:?}");
}

#[test]
fn sorts_that_spill_change_nothing() {
    let sentence = |i: u64| {
        format!("Málsgrein númer {} stendur hér. 第{}句。 ", crate::id::keyed(i, 2), i % 97)
    };
    let text = |d: u64| {
        (0..60).map(|i| sentence(crate::id::keyed(d * 60 + i, 1) % 20_000)).collect::<String>()
    };
    let docs: Vec<Doc> = (0..1200).map(|d| doc(d, &text(d))).collect();
    let rule = Rule::Windows(Windows::with_gram(40, 4), Unit::Bytes);
    let expected = found(&docs, rule, None, 2).unwrap();
    assert!(expected.len() > 1000);
    assert_eq!(found(&docs, rule, Some(0), 1).unwrap(), expected);
}

#[test]
fn rows_with_one_id_are_refused() {
    let error = found(&[doc(7, "a"), doc(7, "b")], by_bytes(100), None, 1).unwrap_err();
    assert_eq!(error.to_string(), "`doc_id` 7 stands twice in the table");
}

#[test]
fn rows_count_code_points_and_keep_letters_whole() {
    let rows = |first: &str, second: &str, rule: Rule| {
        let mut docs = [doc(1, first), doc(2, second)];
        docs[0].orders[0] = Some(1.0);
        found(&docs, rule, None, 1).unwrap()
    };
    let chinese = [
        "Sælir: 人人生而自由，在尊严和权利上一律平等。",
        "前言。人人生而自由，在尊严和权利上一律平等。後記",
    ];
    let by_chars = |length| Rule::Windows(Windows::new(length), Unit::Characters);
    for (rule, expected) in [
        (by_bytes(30), vec![([2, 4, 19], Some(1))]),
        (by_chars(19), vec![([2, 4, 19], Some(1))]),
        (by_chars(20), vec![]),
    ] {
        assert_eq!(rows(chinese[0], chinese[1], rule), expected);
    }
    // The vowel sign is common to both, the consonant that it belongs to is not.
    let hindi = ["कि सब लोग स्वतंत्र और समान हैं", "गि सब लोग स्वतंत्र और समान हैं"];
    assert_eq!(rows(hindi[0], hindi[1], by_bytes(40)), [([2, 3, 28], Some(1))]);
    // Greek letters share their first byte.
    let greek = ["Πάντες οἱ ἄνθρωποι", "Οάντες οἱ ἄνθρωποι"];
    assert_eq!(rows(greek[0], greek[1], by_bytes(20)), [([2, 2, 17], Some(1))]);
}
