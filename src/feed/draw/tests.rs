//! The mixture keeps its shares, its cursors and its place.

use super::*;
use proptest::prelude::*;

fn source(name: &str, rows: u64, per_row: u64, batch: usize) -> Source {
    Source {
        name: name.into(),
        rows,
        tokens: rows * per_row,
        order: BlockOrder::new(rows, batch, 17, name),
    }
}

fn stage(until: Option<u64>, weights: &[(&str, f64)]) -> Stage {
    Stage {
        until_tokens: until,
        weights: weights.iter().map(|(n, w)| (n.to_string(), *w)).collect(),
    }
}

proptest! {
    #[test]
    fn every_prefix_is_exact_to_one_micro_batch(
        weights in prop::collection::vec(0.0f64..1.0, 1..30),
        skew in 1i32..6,
        // Empty, tiny and huge groups.
        rows in prop::collection::vec(
            prop_oneof![Just(0u64), 1u64..4, 4u64..60, 1_000_000_000u64..2_000_000_000], 30),
    ) {
        prop_assume!(rows[..weights.len()].iter().any(|n| *n > 0));
        let batch = 4;
        let sources: Vec<Source> = weights.iter().enumerate()
            .map(|(i, _)| source(&format!("l{i:02}"), rows[i], 100 + i as u64, batch)).collect();
        let named: BTreeMap<String, f64> = weights.iter().enumerate()
            .map(|(i, w)| (format!("l{i:02}"), w.powi(skew) + 1e-4)).collect();
        // What an empty group would get the others share.
        let weight = |i: usize| if rows[i] > 0 { named[&format!("l{i:02}")] } else { 0.0 };
        let sum: f64 = (0..weights.len()).map(weight).sum();
        let largest = (batch * 130) as f64;
        let stages = [Stage { until_tokens: None, weights: named.clone() }];
        let mut draw = Draw::new(sources, &stages).unwrap();
        let mut had = vec![0.0; weights.len()];
        let mut all = 0.0;
        for _ in 0..600 {
            let (i, block) = draw.next();
            let tokens = block.rows as f64 * (100 + i as u64) as f64;
            had[i] += tokens;
            all += tokens;
            for (i, had) in had.iter().enumerate() {
                let off = had - weight(i) / sum * all;
                prop_assert!(off.abs() <= largest + 1e-6, "off by {off} of {largest}");
            }
        }
    }

    #[test]
    fn seeking_and_restoring_equal_replaying(at in 0u64..300, from in 0u64..300) {
        let sources = vec![source("a", 33, 90, 4), source("b", 7, 50, 4), source("c", 0, 0, 4)];
        let stages = [
            stage(Some(40_000), &[("a", 3.0), ("b", 1.0), ("c", 2.0)]),
            stage(None, &[("a", 1.0), ("b", 2.0)]),
        ];
        let mut replayed = Draw::new(sources.clone(), &stages).unwrap();
        for _ in 0..at {
            replayed.next();
        }
        let mut sought = Draw::new(sources.clone(), &stages).unwrap();
        sought.seek(from);
        sought.seek(at);
        let json = serde_json::to_string(&replayed.state()).unwrap();
        let mut restored = Draw::new(sources, &stages).unwrap();
        restored.restore(&serde_json::from_str(&json).unwrap()).unwrap();
        for _ in 0..50 {
            let next = replayed.next();
            prop_assert_eq!(next, sought.next());
            prop_assert_eq!(next, restored.next());
        }
    }
}

proptest! {
    #[test]
    fn a_position_is_written_and_read_to_the_bit(value in proptest::num::f64::NORMAL) {
        let balance = BTreeMap::from([("a".to_string(), value)]);
        let state = DrawState { tokens: value, balance, ..DrawState::default() };
        let json = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<DrawState>(&json).unwrap(), state);
    }
}

#[test]
fn cursors_survive_a_change_of_weights() {
    let sources = vec![source("a", 40, 10, 4), source("b", 40, 10, 4)];
    let stages = [
        stage(Some(400), &[("a", 1.0)]),
        stage(Some(800), &[("b", 1.0)]),
        stage(None, &[("a", 1.0)]),
    ];
    let mut draw = Draw::new(sources.clone(), &stages).unwrap();
    let drawn: Vec<(usize, Block)> = (0..30).map(|_| draw.next()).collect();
    assert!(drawn[..10].iter().all(|(i, _)| *i == 0), "{drawn:?}");
    assert!(drawn[10..20].iter().all(|(i, _)| *i == 1), "{drawn:?}");
    let expected: Vec<Block> = (0..20).map(|i| sources[0].order.at(i)).collect();
    let of_a: Vec<Block> = drawn.iter().filter(|(i, _)| *i == 0).map(|(_, b)| *b).collect();
    assert_eq!(of_a, expected);
}

#[test]
fn groups_without_weight_or_rows_are_never_drawn() {
    let sources = vec![source("a", 0, 0, 4), source("b", 9, 10, 4), source("c", 9, 10, 4)];
    let stages = [stage(None, &[("a", 5.0), ("b", 1.0), ("c", 0.0)])];
    let mut draw = Draw::new(sources.clone(), &stages).unwrap();
    assert!((0..100).all(|_| draw.next().0 == 1));
    let error = Draw::new(sources, &[stage(None, &[("a", 1.0)])]).unwrap_err();
    assert!(error.to_string().contains("no language"), "{error}");
}

#[test]
fn nonsense_is_refused_with_the_valid_names() {
    let sources = vec![source("swh_Latn", 9, 10, 4)];
    let error = Draw::new(sources.clone(), &[stage(None, &[("swa_Latn", 1.0)])]).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `swh_Latn`?"));
    for weight in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(Draw::new(sources.clone(), &[stage(None, &[("swh_Latn", weight)])]).is_err());
    }
    assert!(Draw::new(sources, &[]).is_err());
}
