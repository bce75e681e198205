//! The laws of every plan, and what cannot be planned.

use super::*;
use crate::mix::{STRATEGIES, Strategy, strategy};
use proptest::prelude::*;

/// Groups `documents` `l0`, `l1`, … of some sizes.
pub(in crate::mix) fn sizes(available: &[u64]) -> Vec<Size> {
    let size = |(i, n): (usize, &u64)| Size::new("documents", &format!("l{i}"), *n);
    available.iter().enumerate().map(size).collect()
}

pub(in crate::mix) fn planned(
    name: &str,
    available: &[u64],
    set: impl Fn(&mut Options),
) -> Vec<PlanRow> {
    let mut options = Options::default();
    set(&mut options);
    plan(&sizes(available), &[strategy(name).unwrap()], &options).unwrap()
}

pub(in crate::mix) fn weights(
    name: &str,
    available: &[u64],
    set: impl Fn(&mut Options),
) -> Vec<f64> {
    planned(name, available, set).iter().map(|r| r.weight).collect()
}

pub(in crate::mix) fn close(found: &[f64], expected: &[f64], slack: f64) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= slack)
}

fn targets(rows: &[PlanRow]) -> Vec<u64> {
    rows.iter().map(|r| r.target).collect()
}

/// Cells of language × source × bucket; some are pairs.
fn cells(available: &[u64]) -> Vec<Size> {
    let cell = |(i, n): (usize, &u64)| Size {
        kind: if i % 5 == 4 { "pairs" } else { "documents" }.into(),
        group: vec![format!("l{}", i % 3), format!("s{}", i / 3 % 2), format!("q{}", i / 6)],
        repeats: (1 + i % 3) as f64,
        weight: Some(1.0 + i as f64),
        available: *n,
    };
    available.iter().enumerate().map(cell).collect()
}

proptest! {
    #[test]
    fn laws_of_every_strategy(
        mut available in prop::collection::vec(0u64..1_000_000_000_000, 2..25),
        alpha in prop::option::of(0.0f64..=1.0),
        budget in prop::option::of(1u64..10_000_000_000_000),
        max_epochs in prop::option::of(0.1f64..9.0),
        min_share in prop::option::of(0.0f64..0.04),
        pairs in prop::option::of(0.0f64..=1.0),
        (first, second, third) in (0usize..5, 0usize..5, 0usize..5),
        nested: bool,
        key: u64,
    ) {
        available[0] += 1;
        if let Some(pair) = available.get_mut(4) {
            *pair += 1;
        }
        let groups = cells(&available);
        // A small share cannot hold the minimum of a group.
        let pairs = pairs.filter(|_| available.len() > 4 && min_share.is_none());
        let chosen = [first, second, third].map(|i| STRATEGIES[i]);
        let strategies = if nested { &chosen[..] } else { &chosen[..1] };
        let alpha = alpha.filter(|_| strategies.iter().any(|s| s.name == "temperature"));
        let options = Options { alpha, budget, max_epochs, min_share, pairs, ..Options::default() };
        let rows = plan(&groups, strategies, &options).unwrap();

        // The order of the groups is irrelevant, and so is how their sizes are cut up.
        let mut shuffled = groups.clone();
        shuffled.sort_by_key(|s| id_of(s, key));
        prop_assert_eq!(&plan(&shuffled, strategies, &options).unwrap(), &rows);
        let mut cut = groups.clone();
        let half = |n: u64| n / 2;
        cut.iter_mut().for_each(|s| s.available -= half(s.available));
        cut.extend(groups.iter().map(|s| Size { available: half(s.available), ..s.clone() }));
        prop_assert_eq!(&plan(&cut, strategies, &options).unwrap(), &rows);

        let sum: f64 = rows.iter().map(|r| r.weight).sum();
        prop_assert!((sum - 1.0).abs() < 1e-9, "{strategies:?} {sum}");
        let budget = budget.unwrap_or(available.iter().sum());
        let spent: u64 = rows.iter().map(|r| r.target + r.shortfall).sum();
        prop_assert_eq!(spent, budget, "{:?}", strategies);
        let epochs = max_epochs.or(strategies.iter().find_map(|s| s.max_epochs));
        let epochs = epochs.unwrap_or(f64::INFINITY);
        for row in &rows {
            prop_assert!(row.weight >= 0.0 && row.epochs.is_finite());
            prop_assert_eq!(row.first_repeat.is_some(), row.target > row.available);
            if row.available == 0 {
                prop_assert_eq!(row.target, 0);
            } else {
                prop_assert!(row.target as f64 <= row.available as f64 * epochs);
            }
            if row.available > 0 && epochs.is_infinite() {
                prop_assert_eq!(row.shortfall, 0);
            }
        }
        if let (Some(min), false) = (min_share, nested) {
            let most = |r: &PlanRow| min.min(r.available as f64 * epochs.min(1e9) / budget as f64);
            for row in rows.iter().filter(|r| r.available > 0) {
                prop_assert!(row.weight >= most(row) - 1e-9, "{row:?}");
            }
        }
    }
}

fn id_of(size: &Size, key: u64) -> u64 {
    crate::id::keyed(crate::id::hash_fields(size.group.iter().map(String::as_str)), key)
}

#[test]
fn targets_without_a_cap_sum_to_the_budget() {
    let rows = planned("uniform", &[7, 7, 7], |o| o.budget = Some(100));
    assert_eq!(targets(&rows), [34, 33, 33]);
}

#[test]
fn a_cap_takes_without_giving_to_others() {
    let rows = planned("proportional", &[90, 10], |o| {
        o.budget = Some(1000);
        o.max_epochs = Some(1.5);
    });
    assert_eq!((rows[0].target, rows[0].shortfall, rows[0].epochs), (135, 765, 1.5));
    assert_eq!((rows[1].target, rows[1].shortfall, rows[1].weight), (15, 85, 0.1));
    // Both begin again when a hundred of the hundred and fifty are over.
    assert_eq!((rows[0].first_repeat, rows[1].first_repeat), (Some(100), Some(100)));
}

#[test]
fn pairs_get_their_share() {
    let mut groups = sizes(&[900, 100]);
    groups.push(Size::new("pairs", "l0-l1", 10));
    let options = Options { budget: Some(1000), pairs: Some(0.1), ..Options::default() };
    let rows = plan(&groups, &[strategy("proportional").unwrap()], &options).unwrap();
    assert_eq!(targets(&rows), [810, 90, 100]);
    let sum: f64 = rows.iter().map(|r| r.weight).sum();
    assert!((sum - 1.0).abs() < 1e-12);
    let none = plan(&sizes(&[9]), &[strategy("uniform").unwrap()], &options).unwrap_err();
    assert!(none.to_string().contains("but there are none"), "{none}");
    assert_eq!(none.hint(), Some("set `pairs = 0`"));
}

#[test]
fn levels_divide_what_the_level_above_gives() {
    let cell = |lang: &str, source: &str, available| Size {
        group: vec![lang.into(), source.into()],
        ..Size::new("documents", "", available)
    };
    let groups =
        [cell("isl_Latn", "web", 60), cell("isl_Latn", "wiki", 30), cell("yor_Latn", "wiki", 10)];
    let options = Options { budget: Some(600), ..Options::default() };
    let of = |names: &[&str], options: &Options| {
        let strategies: Vec<&Strategy> = names.iter().map(|n| strategy(n).unwrap()).collect();
        targets(&plan(&groups, &strategies, options).unwrap())
    };
    assert_eq!(of(&["uniform"], &options), [200, 200, 200]);
    assert_eq!(of(&["uniform", "proportional"], &options), [200, 100, 300]);
    assert_eq!(of(&["proportional", "uniform"], &options), [270, 270, 60]);
    let weights = vec![("wiki".into(), 3.0), ("isl_Latn/web".into(), 1.0)];
    let weighed = Options { weights, ..options.clone() };
    assert_eq!(of(&["uniform", "fixed"], &weighed), [75, 225, 300]);
    let capped = Options { max_epochs: Some(4.0), ..options };
    // UniMax over languages: 40 of Yoruba, and 360 of the 560 that are left for Icelandic.
    assert_eq!(of(&["unimax", "proportional"], &capped), [240, 120, 40]);
}

#[test]
fn upsampled_groups_count_more_and_are_capped_as_ever() {
    let repeated = |repeats: f64, name: &str| Size { repeats, ..Size::new("documents", name, 100) };
    let groups = [repeated(1.0, "alone"), repeated(5.0, "copied")];
    let plan = |max_epochs| {
        let options = Options { budget: Some(600), max_epochs, ..Options::default() };
        plan(&groups, &[strategy("proportional").unwrap()], &options).unwrap()
    };
    assert_eq!(targets(&plan(None)), [100, 500]);
    assert_eq!(targets(&plan(Some(3.0))), [100, 300]);
    assert_eq!(plan(None)[1].epochs, 5.0);
}

#[test]
fn the_small_get_a_minimum_as_far_as_their_passes_reach() {
    let found = weights("proportional", &[900, 90, 10, 0], |o| o.min_share = Some(0.05));
    assert!(close(&found, &[0.863636, 0.086364, 0.05, 0.0], 1e-6), "{found:?}");
    let rows = planned("proportional", &[900, 90, 10], |o| {
        o.min_share = Some(0.05);
        o.max_epochs = Some(2.0);
    });
    assert_eq!((rows[2].target, rows[2].shortfall), (20, 0));
    let found = weights("proportional", &[900, 90, 10], |o| {
        o.min_shares = vec![("l2".into(), 0.2), ("documents:l1".into(), 0.1)];
    });
    assert!(close(&found, &[0.7, 0.1, 0.2], 1e-12), "{found:?}");
}

#[test]
fn what_cannot_be_planned_is_named() {
    let error = |sizes: &[Size], options: Options| {
        plan(sizes, &[strategy("temperature").unwrap()], &options).unwrap_err().to_string()
    };
    let options = Options::default;
    assert!(error(&sizes(&[0, 0]), options()).contains("nothing to mix"));
    assert!(error(&sizes(&[MOST, 1]), options()).contains("all groups together"));
    let hot = Options { alpha: Some(3.3), ..options() };
    assert!(error(&sizes(&[1]), hot).contains("`alpha` is 3.3; expected a number in 0 to 1"));
    let cold = Options { alpha: Some(-0.1), ..options() };
    assert!(error(&sizes(&[1]), cold).contains("`alpha` is -0.1"));
    for epochs in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let never = Options { max_epochs: Some(epochs), ..options() };
        assert!(error(&sizes(&[1]), never).contains("`max_epochs`"));
    }
    let nothing = Options { budget: Some(0), ..options() };
    assert!(error(&sizes(&[1]), nothing).contains("`budget` is 0"));
    let given = Options { weights: vec![("l0".into(), 1.0)], ..options() };
    assert_eq!(
        error(&sizes(&[1]), given),
        "strategy `temperature` has no use for `weights`; that is an option of `fixed`"
    );
    let much = Options { min_share: Some(0.6), ..options() };
    assert!(error(&sizes(&[1, 1]), much).contains("sum to 1.2000 of the budget"));
    let unknown = Options { min_shares: vec![("l8".into(), 0.1)], ..options() };
    assert!(error(&sizes(&[1, 1]), unknown).starts_with("unknown group `l8`"));
    let differ = [Size { weight: Some(1.0), ..sizes(&[1])[0].clone() }, sizes(&[1])[0].clone()];
    assert!(error(&differ, options()).contains("rows of different weights"));
    assert_eq!(plan(&[], &[strategy("uniform").unwrap()], &options()).unwrap(), []);
    let three = [strategy("uniform").unwrap(); 3];
    let levels = plan(&sizes(&[1]), &three, &options()).unwrap_err().to_string();
    assert_eq!(
        levels,
        "3 strategies for 1 grouping columns; expected one for all, or one for each"
    );
}
