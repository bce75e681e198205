//! The stages together: against the textbook way, and on real duplicates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, StringArray, UInt64Array};
use arrow::datatypes::{Float64Type, UInt64Type};
use proptest::prelude::*;

use super::*;
use crate::dedup::content::content_key;
use crate::dedup::jaccard::{jaccard, of_sets};
use crate::function::Value;

mod real;

const NEAR: Near = Near { threshold: 0.8, verify: true };

fn rule() -> Rule {
    let recipe = Recipe::default();
    Rule { recipe, pair: false, near: Some(NEAR), ascending: Vec::new(), against: None }
}

/// A band of one number misses hardly anything.
fn fine(threshold: f64) -> Rule {
    let recipe = Recipe { bands: 200, rows: 1, ..Recipe::default() };
    Rule { recipe, near: Some(Near { threshold, verify: true }), ..rule() }
}

#[derive(Debug, Clone, PartialEq)]
struct Doc {
    id: u64,
    text: Option<String>,
    lang: String,
}

/// A row of the result.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    cluster: u64,
    size: u64,
    keep: bool,
    kept: u64,
    similarity: f64,
    content: u64,
    superseded: bool,
}

type Found = BTreeMap<u64, Row>;

fn rows_of(docs: &[Doc], within: bool) -> Batches {
    let batches: Vec<Result<RecordBatch>> = docs
        .chunks(100)
        .map(|docs| {
            let mut columns: Vec<(&str, ArrayRef)> = vec![
                ("doc_id", Arc::new(UInt64Array::from_iter_values(docs.iter().map(|d| d.id)))),
                ("text", Arc::new(docs.iter().map(|d| d.text.as_deref()).collect::<StringArray>())),
            ];
            if within {
                let langs = StringArray::from_iter_values(docs.iter().map(|d| &d.lang));
                columns.push(("apart_0", Arc::new(langs)));
            }
            Ok(RecordBatch::try_from_iter(columns)?)
        })
        .collect();
    Box::new(batches.into_iter())
}

/// The same rows with signatures in place of texts.
fn signed(docs: &[Doc], recipe: &Recipe) -> Batches {
    let kernel = &crate::dedup::signature::DUPLICATE_SIGNATURE;
    let ty = (kernel.signature.returns)();
    let mut columns = crate::function::Columns::new(&ty, docs.len()).unwrap();
    for doc in docs {
        let numbers = [recipe.ngram, recipe.bands, recipe.rows].map(Value::UInt);
        let text = doc.text.as_deref().map_or(Value::Null, Value::Text);
        let mut args = vec![text, Value::Null];
        args.extend(numbers);
        args.extend([Value::Null, Value::Null]);
        columns.row(|row| (kernel.body)(&args, row)).unwrap();
    }
    let ids: ArrayRef = Arc::new(UInt64Array::from_iter_values(docs.iter().map(|d| d.id)));
    let columns = [("doc_id", ids), ("signature", columns.finish())];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true)));
    Box::new(std::iter::once(Ok(batch.unwrap())))
}

/// A result as a former one.
fn former(found: &Found) -> Batches {
    let ids = |of: &dyn Fn((&u64, &Row)) -> u64| -> ArrayRef {
        Arc::new(found.iter().map(|row| Some(of(row))).collect::<UInt64Array>())
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("doc_id", ids(&|(id, _)| *id)),
        ("cluster_id", ids(&|(_, row)| row.cluster)),
        ("content", ids(&|(_, row)| row.content)),
        ("size", ids(&|(_, row)| row.size)),
        ("kept_id", ids(&|(_, row)| row.kept)),
        ("kept", Arc::new(found.values().map(|row| Some(row.keep)).collect::<BooleanArray>())),
        (
            "similarity",
            Arc::new(found.values().map(|row| Some(row.similarity)).collect::<Float64Array>()),
        ),
    ];
    Box::new(std::iter::once(Ok(RecordBatch::try_from_iter(columns).unwrap())))
}

#[derive(Default)]
struct With<'a> {
    within: bool,
    signed: bool,
    previous: Option<&'a Found>,
    against: Option<&'a [Doc]>,
}

fn found(docs: &[Doc], rule: &Rule, memory: usize, threads: usize) -> Result<Found> {
    found_with(docs, rule, memory, threads, &With::default())
}

fn found_with(
    docs: &[Doc],
    rule: &Rule,
    memory: usize,
    threads: usize,
    with: &With<'_>,
) -> Result<Found> {
    let limits = Limits { memory: Some(memory), threads, ..Limits::default() };
    let read = |docs| match with.signed {
        true => signed(docs, &rule.recipe),
        false => rows_of(docs, with.within),
    };
    let inputs = Inputs {
        table: read(docs),
        against: with.against.map(read),
        previous: with.previous.map(former),
        texts: &|old, ranges| {
            let docs = if old { with.against.unwrap_or_default() } else { docs };
            let wanted = |doc: &&Doc| {
                ranges.is_none_or(|ranges| ranges.iter().any(|(a, b)| (*a..=*b).contains(&doc.id)))
            };
            let docs: Vec<Doc> = docs.iter().filter(wanted).cloned().collect();
            Ok(rows_of(&docs, false))
        },
    };
    let mut found = Found::new();
    run(rule, inputs, &limits, &mut |batch| {
        let id = |i: usize, row: usize| batch.column(i).as_primitive::<UInt64Type>().value(row);
        for row in 0..batch.num_rows() {
            let made = Row {
                cluster: id(1, row),
                size: id(2, row),
                keep: batch.column(3).as_boolean().value(row),
                kept: id(4, row),
                similarity: batch.column(5).as_primitive::<Float64Type>().value(row),
                content: id(6, row),
                superseded: batch.column(7).as_boolean().value(row),
            };
            assert!(found.last_key_value().is_none_or(|(last, _)| *last < id(0, row)));
            found.insert(id(0, row), made);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Texts that share much: of a few words, or windows of one text, of which neighbours are near each
/// other and the ends of a row of them are not.
fn docs() -> impl Strategy<Value = Vec<Doc>> {
    let some = prop::sample::select(vec!["eitt", "два", "三", "four", "خمسة", "छह"]);
    let few = prop::collection::vec(some, 0..9).prop_map(|words| words.join(" "));
    let window = (100u64..130, 6u64..14)
        .prop_map(|(from, n)| (from..from + n).map(word).collect::<Vec<_>>().join(" "));
    let rows = |text: BoxedStrategy<String>, most| {
        prop::collection::vec((text, 0u8..2, any::<bool>()), 0..most)
    };
    let rows = prop_oneof![rows(few.boxed(), 40), rows(window.boxed(), 50)];
    rows.prop_map(|rows| {
        let doc = |(i, (text, lang, null)): (usize, (String, u8, bool))| Doc {
            id: crate::id::keyed(i as u64, 5) >> 20,
            text: (!(null && i % 9 == 0)).then_some(text),
            lang: format!("l{lang}"),
        };
        rows.into_iter().enumerate().map(doc).collect()
    })
}

/// How near two rows are by the definition; 0 without a text.
fn similarity(a: &Doc, b: &Doc, rule: &Rule) -> f64 {
    let (Some(x), Some(y)) = (&a.text, &b.text) else { return 0.0 };
    let (x, y) = (rule.recipe.content(x, None), rule.recipe.content(y, None));
    match x.key == y.key {
        true => 1.0,
        false => of_sets(&rule.recipe.shingles(&x, &[]), &rule.recipe.shingles(&y, &[])),
    }
}

/// For each row of a cluster the kept one and how near it is, by taking them in order; rows of
/// another table are kept whatever they are near to.
fn kept(cluster: Vec<&Doc>, rule: &Rule, old: impl Fn(u64) -> bool) -> BTreeMap<u64, (u64, f64)> {
    let mut cluster = cluster;
    let threshold = rule.near.map_or(2.0, |near| near.threshold);
    cluster.sort_by_key(|doc| {
        let text = doc.text.as_deref().unwrap_or_default();
        let key = rule.recipe.content(text, None).key;
        (!old(doc.id), std::cmp::Reverse(text.chars().count()), key, doc.id)
    });
    let (mut kept, mut found) = (Vec::<&Doc>::new(), BTreeMap::new());
    for doc in cluster {
        // What is equal to an old row is that row.
        let equal = kept.iter().find(|k| old(k.id) && similarity(doc, k, rule) == 1.0);
        let near = |k: &&&Doc| !old(doc.id) && similarity(doc, k, rule) >= threshold;
        match equal.or_else(|| kept.iter().find(near)) {
            Some(of) => found.insert(doc.id, (of.id, similarity(doc, of, rule))),
            None => {
                kept.push(doc);
                found.insert(doc.id, (doc.id, 1.0))
            }
        };
    }
    found
}

/// The clusters by comparing each with each; `linked` says of which pairs.
fn naive(docs: &[Doc], linked: impl Fn(usize, usize) -> bool) -> BTreeMap<u64, BTreeSet<u64>> {
    let mut clusters: Vec<BTreeSet<u64>> = docs.iter().map(|d| BTreeSet::from([d.id])).collect();
    for i in 0..docs.len() {
        for j in (0..i).filter(|j| linked(i, *j)) {
            let of = |id| clusters.iter().position(|c| c.contains(&id)).unwrap();
            let (one, other) = (of(docs[i].id), of(docs[j].id));
            if one != other {
                let moved = std::mem::take(&mut clusters[one]);
                clusters[other].extend(moved);
            }
        }
    }
    let all = clusters.iter().flat_map(|c| c.iter().map(move |id| (*id, c.clone())));
    all.collect()
}

/// Whether two rows are linked by the definition: by content, or by a band and the similarity.
fn by_definition(a: &Doc, b: &Doc, rule: &Rule) -> bool {
    let (Some(x), Some(y)) = (&a.text, &b.text) else { return false };
    let (x, y) = (rule.recipe.content(x, None), rule.recipe.content(y, None));
    let (s, t) = (rule.recipe.shingles(&x, &[]), rule.recipe.shingles(&y, &[]));
    let bands = |set: &[u64]| rule.recipe.sign(set, &rule.recipe.permutations()).bands;
    let shared = bands(&s).iter().zip(&bands(&t)).any(|(a, b)| a == b);
    x.key == y.key || shared && of_sets(&s, &t) >= rule.near.map_or(2.0, |near| near.threshold)
}

proptest! {
    #[test]
    fn clusters_are_those_of_comparing_each_with_each(docs in docs(), within: bool) {
        let with = With { within, ..With::default() };
        let found = found_with(&docs, &fine(0.5), 0, 2, &with).unwrap();
        let near = |i: usize, j: usize| {
            let (a, b) = (&docs[i], &docs[j]);
            let texts = a.text.as_deref().zip(b.text.as_deref());
            (!within || a.lang == b.lang) && texts.is_some_and(|(x, y)| jaccard(x, y, "") >= 0.5)
        };
        let expected = naive(&docs, near);
        prop_assert_eq!(found.len(), docs.len());
        for doc in &docs {
            let row = &found[&doc.id];
            let members = &expected[&doc.id];
            prop_assert_eq!(Some(&row.cluster), members.first());
            prop_assert_eq!(row.size, members.len() as u64);
            prop_assert_eq!(row.keep, row.kept == doc.id);
            // A dropped row is near its own kept row, and no two kept ones are near each other.
            let other = docs.iter().find(|d| d.id == row.kept).unwrap();
            prop_assert!(found[&row.kept].keep && members.contains(&row.kept));
            if !row.keep {
                prop_assert!(row.similarity >= 0.5);
                prop_assert_eq!(row.similarity, similarity(doc, other, &fine(0.5)));
            }
            for other in docs.iter().filter(|d| d.id != doc.id && members.contains(&d.id)) {
                let both = row.keep && found[&other.id].keep;
                prop_assert!(!both || similarity(doc, other, &fine(0.5)) < 0.5);
            }
            if !within {
                let cluster = docs.iter().filter(|d| members.contains(&d.id)).collect();
                let expected = kept(cluster, &fine(0.5), |_| false)[&doc.id];
                prop_assert_eq!((row.kept, row.similarity), expected);
            }
        }
        // Nothing but the rows counts.
        let mut docs = docs;
        docs.sort_by_key(|d| crate::id::keyed(d.id, 1));
        prop_assert_eq!(&found_with(&docs, &fine(0.5), 64 << 20, 1, &with).unwrap(), &found);
        // What is kept has no duplicates left: idempotent.
        docs.retain(|d| found[&d.id].keep);
        let again = found_with(&docs, &fine(0.5), 0, 1, &with).unwrap();
        prop_assert!(again.values().all(|row| row.keep && row.size == 1));
    }

    #[test]
    fn without_verification_one_row_of_a_cluster_is_kept(docs in docs()) {
        let recipe = Recipe { bands: 6, rows: 2, ngram: 2, ..Recipe::default() };
        let near = Some(Near { threshold: 0.8, verify: false });
        let found = found(&docs, &Rule { recipe, near, ..rule() }, 0, 2).unwrap();
        for row in found.values() {
            let kept = found.iter().filter(|(_, other)| other.cluster == row.cluster && other.keep);
            prop_assert_eq!(kept.map(|(id, _)| *id).collect::<Vec<_>>(), vec![row.kept]);
        }
    }

    #[test]
    fn clusters_are_those_of_the_definition(docs in docs(), bands in 1u64..6, rows in 1u64..4) {
        let recipe = Recipe { bands, rows, ngram: 2, ..Recipe::default() };
        let rule = Rule { recipe, near: Some(Near { threshold: 0.4, verify: true }), ..rule() };
        let found = found(&docs, &rule, 0, 2).unwrap();
        let expected = naive(&docs, |i, j| by_definition(&docs[i], &docs[j], &rule));
        for doc in &docs {
            prop_assert_eq!(Some(&found[&doc.id].cluster), expected[&doc.id].first());
        }
        let with = With { signed: true, ..With::default() };
        prop_assert_eq!(found_with(&docs, &rule, 0, 1, &with).unwrap(), found);
    }

    #[test]
    fn increments_give_what_all_at_once_gives(
        docs in docs(),
        deliveries in prop::collection::vec(0usize..4, 40),
        gone in prop::collection::vec(1usize..9, 40),
        changed in 0usize..40,
        seed: u64,
    ) {
        let recipe = Recipe { bands: 4, rows: 2, ngram: 2, ..Recipe::default() };
        let rule = Rule { recipe, near: Some(Near { threshold: 0.5, verify: true }), ..rule() };
        let mut before = Found::new();
        let mut docs: Vec<(usize, Doc)> = deliveries.into_iter().zip(docs).collect();
        docs.sort_by_key(|(_, d)| d.id);
        for now in 0..4 {
            if now == 2 && let Some((_, doc)) = docs.get_mut(changed) {
                doc.text = Some("eitt два три four eitt".into());
            }
            let there: Vec<Doc> = docs
                .iter()
                .zip(&gone)
                .filter(|((since, _), gone)| *since <= now && **gone > now)
                .map(|((_, doc), _)| doc.clone())
                .collect();
            let whole = found(&there, &rule, 0, 2).unwrap();
            let with = With { previous: Some(&before), signed: seed & 1 == 1, ..With::default() };
            let mut next = found_with(&there, &rule, 0, 2, &with).unwrap();
            for (id, row) in &mut next {
                let was_kept = before.get(id).is_some_and(|before| before.keep);
                prop_assert_eq!(row.superseded, was_kept && !row.keep);
                row.superseded = false;
            }
            prop_assert_eq!(&next, &whole);
            before = next;
        }
    }

    #[test]
    fn old_rows_are_compared_with_new_ones_alone(docs in docs(), old in 0u64..16) {
        let (old, new): (Vec<Doc>, Vec<Doc>) = docs.into_iter().partition(|d| d.id & 15 <= old);
        let both: Vec<Doc> = new.iter().chain(&old).cloned().collect();
        let recipe = Recipe { bands: 6, rows: 1, ngram: 2, ..Recipe::default() };
        let near = Some(Near { threshold: 0.4, verify: true });
        let n = new.len();
        let rule = Rule { recipe, near, ..rule() };
        let linked = |i: usize, j: usize| {
            (i < n || j < n) && by_definition(&both[i], &both[j], &rule)
        };
        let mut expected = naive(&both, linked);
        // Old rows of equal content are one, wherever a new row is with them.
        let content = |d: &Doc| d.text.as_deref().map(content_key);
        expected.retain(|id, _| new.iter().any(|d| d.id == *id));
        let is_old = |id: &u64| old.iter().any(|d| d.id == *id);
        let with = With { against: Some(&old), ..With::default() };
        for drop in [Drop::New, Drop::Both, Drop::None] {
            let rule = Rule { against: Some(drop), ..rule.clone() };
            let found = found_with(&new, &rule, 0, 2, &with).unwrap();
            for doc in &new {
                let (row, members) = (&found[&doc.id], &expected[&doc.id]);
                prop_assert_eq!(Some(&row.cluster), members.first(), "{:?}", content(doc));
                prop_assert_eq!(row.size, members.len() as u64);
                let cluster = both.iter().filter(|d| members.contains(&d.id)).collect();
                let (kept, similarity) = kept(cluster, &rule, |id| is_old(&id))[&doc.id];
                prop_assert_eq!((row.kept, row.similarity), (kept, similarity));
                prop_assert_eq!(row.keep, drop == Drop::None || kept == doc.id);
            }
            let told: BTreeSet<u64> = found.keys().copied().filter(is_old).collect();
            let matched: BTreeSet<u64> =
                expected.values().flatten().copied().filter(is_old).collect();
            prop_assert_eq!(told, if drop == Drop::Both { matched } else { BTreeSet::new() });
            prop_assert!(found.iter().all(|(id, row)| !is_old(id) || !row.keep));
        }
    }

    #[test]
    fn exact_clusters_are_equal_keys(docs in docs()) {
        let rule = Rule { near: None, ..rule() };
        let found = found(&docs, &rule, 0, 1).unwrap();
        for a in &docs {
            for b in &docs {
                let same = match (&a.text, &b.text) {
                    (Some(x), Some(y)) => content_key(x) == content_key(y),
                    _ => a.id == b.id,
                };
                prop_assert_eq!(found[&a.id].cluster == found[&b.id].cluster, same);
            }
        }
    }
}

#[test]
fn clusters_of_documents_in_many_languages() {
    // The number in front is the cluster; the first line of a cluster has its least id.
    let golden = [
        (0, "Það var einu sinni karl og kerling í koti sínu, og þau áttu sér eina kú."),
        (0, "ÞAÐ VAR EINU SINNI KARL OG KERLING Í KOTI SÍNU, OG ÞAU ÁTTU SÉR EINA KÚ."),
        (0, "Thad, Það var einu sinni karl og kerling í koti sínu og þau áttu sér eina kú"),
        (3, "Það var einu sinni kóngur og drottning í ríki sínu, sem áttu sér þrjár dætur."),
        (4, "Жили-были дед да баба в избушке на краю леса, и была у них курочка ряба."),
        (4, "Жили-были дед да баба в избушке на краю леса — и была у них курочка Ряба!"),
        (6, "从前有一座山，山上有一座庙，庙里有一个老和尚在给小和尚讲故事。"),
        (6, "从前有一座山,山上有一座庙,庙里有一个老和尚在给小和尚讲故事"),
        (
            8,
            "昔々あるところにお爺さんとお婆さんが住んでいました。お爺さんは山へ芝刈りに行きました。",
        ),
        (8, "昔々あるところにお爺さんとお婆さんが住んでいました。お爺さんは山へ芝刈りに行きました"),
        (10, "กาลครั้งหนึ่งนานมาแล้วมีชายชราคนหนึ่งอาศัยอยู่ในกระท่อมกลางป่ากับภรรยาของเขา"),
        (10, "กาลครั้งหนึ่งนานมาแล้ว มีชายชราคนหนึ่งอาศัยอยู่ในกระท่อมกลางป่ากับภรรยาของเขา"),
        (12, "كان يا ما كان في قديم الزمان ملك له ثلاث بنات يسكن في قصر كبير"),
        (12, "كَانَ يا ما كان في قديم الزمان ملك له ثلاث بنات يسكن في قصر كبير"),
        (14, "एक समय की बात है एक गाँव में 3 किसान रहते थे और उनके पास बहुत गायें थीं"),
        (14, "एक समय की बात है, एक गाँव में १२ किसान रहते थे और उनके पास बहुत गायें थीं।"),
        (16, "はい"),
        (16, "はい "),
        (18, "いいえ"),
        (19, "Nei takk"),
        (20, "Nei, takk"),
        (21, ""),
        (21, " \n"),
    ];
    let doc = |(id, (_, text)): (usize, &(u64, &str))| Doc {
        id: id as u64,
        text: Some(text.to_string()),
        lang: String::new(),
    };
    let docs: Vec<Doc> = golden.iter().enumerate().map(doc).collect();
    let recipe = Recipe { bands: 28, rows: 4, ..Recipe::default() };
    let near = Some(Near { threshold: 0.75, verify: true });
    let found = found(&docs, &Rule { recipe, near, ..rule() }, 0, 2).unwrap();
    let clusters: Vec<u64> = found.values().map(|row| row.cluster).collect();
    assert_eq!(clusters, golden.map(|(cluster, _)| cluster));
}

#[test]
fn rows_with_one_id_are_refused() {
    let doc = |text: &str| Doc { id: 7, text: Some(text.into()), lang: String::new() };
    let error = found(&[doc("a"), doc("b")], &rule(), 0, 1).unwrap_err();
    assert_eq!(error.to_string(), "`doc_id` 7 stands twice in the table");
    let with = With { against: Some(&[doc("b")]), ..With::default() };
    let rule = Rule { against: Some(Drop::New), ..rule() };
    let error = found_with(&[doc("a")], &rule, 0, 1, &with).unwrap_err();
    assert_eq!(error.to_string(), "`doc_id` 7 stands in both tables");
}

#[test]
fn signatures_of_other_numbers_are_refused() {
    let doc = Doc {
        id: 7, text: Some("один два три четыре пять шесть".into()), lang: "".into()
    };
    let made = signed(std::slice::from_ref(&doc), &Recipe { ngram: 3, ..Recipe::default() });
    let inputs = Inputs {
        table: made,
        against: None,
        previous: None,
        texts: &|_, _| Ok(Box::new(std::iter::empty())),
    };
    let error = run(&rule(), inputs, &Limits::default(), &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("was made with `3 of words"), "{error}");
}

#[test]
fn what_is_near_by_way_of_others_is_kept() {
    // Each text is a word further than the one before: neighbours are near, the ends are not.
    let words: Vec<String> = (100..200).map(word).collect();
    let doc = |i: usize| Doc {
        id: i as u64,
        text: Some(words[i..i + 60].join(" ")),
        lang: "isl_Latn".into(),
    };
    let docs: Vec<Doc> = (0..40).map(doc).collect();
    let found = found(&docs, &rule(), 0, 2).unwrap();
    assert!(found.values().all(|row| row.cluster == 0 && row.size == 40), "{found:?}");
    // Of 56 shingles 50 in common are enough: those of texts up to six words apart.
    assert!(found.iter().all(|(id, row)| id.abs_diff(row.kept) <= 6), "{found:?}");
    assert!(found.values().all(|row| row.similarity >= 0.8));
    let kept: Vec<u64> = found.iter().filter(|(_, row)| row.keep).map(|(id, _)| *id).collect();
    assert!(kept.is_sorted_by(|a, b| a + 6 < *b) && kept.len() > 3, "{kept:?}");
}

#[test]
fn a_former_choice_holds_only_in_its_order() {
    // Neighbours are near; white space is no content, but the longer row comes first.
    let words: Vec<String> = (100..200).map(word).collect();
    let doc = |id: u64, at: usize, spaces: usize| Doc {
        id,
        text: Some(words[at * 5..at * 5 + 60].join(" ") + &" ".repeat(spaces)),
        lang: String::new(),
    };
    let chain = [doc(1, 0, 40), doc(2, 1, 30), doc(3, 2, 20), doc(4, 3, 10)];
    let before = found(&chain, &rule(), 0, 2).unwrap();
    let kept = |found: &Found| found.values().map(|row| row.kept).collect::<Vec<_>>();
    assert_eq!(kept(&before), [1, 1, 3, 3]);
    let [a, b, c, d] = chain;
    for (docs, expected) in [
        // A copy brings the last row before the third.
        (vec![a.clone(), b.clone(), c, d.clone(), doc(5, 3, 25)], vec![1, 1, 5, 5, 5]),
        // So does the third, which is shorter now but says the same.
        (vec![a.clone(), b.clone(), doc(3, 2, 5), d], vec![1, 1, 4, 4]),
        // A copy that comes last changes nothing.
        (vec![a, b, doc(3, 2, 20), doc(4, 3, 10), doc(5, 3, 1)], vec![1, 1, 3, 3, 3]),
    ] {
        let with = With { previous: Some(&before), signed: true, ..With::default() };
        let mut next = found_with(&docs, &rule(), 0, 2, &with).unwrap();
        assert_eq!(kept(&next), expected);
        next.values_mut().for_each(|row| row.superseded = false);
        assert_eq!(next, found(&docs, &rule(), 0, 2).unwrap());
    }
}

#[test]
fn a_long_chain_is_the_same_in_any_memory() {
    // Thousands of survivors: in 16 kB they are found in many rounds.
    let words: Vec<String> = (1000..9000).map(word).collect();
    let doc = |i: usize| Doc {
        id: i as u64,
        text: Some(words[i * 3..i * 3 + 20 + i % 3].join(" ")),
        lang: String::new(),
    };
    let docs: Vec<Doc> = (0..2600).map(doc).collect();
    let recipe = Recipe { bands: 60, rows: 1, ..Recipe::default() };
    let rule = Rule { recipe, near: Some(Near { threshold: 0.6, verify: true }), ..rule() };
    let first = found(&docs, &rule, 64 << 20, 2).unwrap();
    let expected = kept(docs.iter().collect(), &rule, |_| false);
    assert!(first.values().all(|row| row.size == 2600), "{:?}", first.values().next());
    for (id, row) in &first {
        assert_eq!((row.kept, row.similarity), expected[id]);
    }
    assert!(first.values().filter(|row| row.keep).count() > 800);
    assert_eq!(found(&docs, &rule, 1 << 14, 1).unwrap(), first);
    assert_eq!(found(&docs, &rule, 1 << 18, 2).unwrap(), first);
}

#[test]
fn very_many_rows_in_one_band_are_one_cluster() {
    let common = (100..160).map(word).collect::<Vec<_>>().join(" ");
    let doc =
        |i| Doc { id: i, text: Some(format!("{common} þ{}", word(i))), lang: "isl_Latn".into() };
    let found = found(&(0..3000).map(doc).collect::<Vec<_>>(), &rule(), 0, 2);
    assert!(found.unwrap().values().all(|row| row.cluster == 0 && row.size == 3000));
}

#[test]
fn very_many_rows_in_one_band_that_are_not_near_stay_apart() {
    // A frame in common that is not enough, and each twentieth a near copy of the one before.
    let frame = (100..150).map(word).collect::<Vec<_>>().join(" ");
    let doc = |i: u64| {
        let of = if i % 20 == 1 { i - 1 } else { i };
        let own: Vec<String> = (0..40).map(|n| word(1000 + of * 40 + n)).collect();
        let end = if of == i { "" } else { " end" };
        Doc { id: i, text: Some(format!("{frame} {}{end}", own.join(" "))), lang: "".into() }
    };
    let recipe = Recipe { bands: 10, rows: 1, ..Recipe::default() };
    let rule = Rule { recipe, ..rule() };
    for (id, row) in found(&(0..400).map(doc).collect::<Vec<_>>(), &rule, 0, 2).unwrap() {
        let of = if id % 20 == 1 { id - 1 } else { id };
        assert_eq!((row.cluster, row.size), (of, 1 + u64::from(id % 20 < 2)), "{id}");
    }
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
