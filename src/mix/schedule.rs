//! Stages: several plans one after the other, as in a curriculum.
//!
//! A stage ends at an amount that counts from the beginning of training, or when all groups or one
//! of them were gone through so many times. Passes count over all stages: what an earlier stage
//! used of a group, a later one cannot use again under its epoch cap. What a cap leaves unspent is
//! left out of training; no later stage gets it.

use super::level::rank;
use super::plan::{self, MOST, after, summed, total};
use super::{Options, PlanRow, Size, Strategy};
use crate::error::{Error, Result};

/// When a stage ends, counted from the beginning of training.
#[derive(Debug, Clone, PartialEq)]
pub enum Until {
    /// So much was planned in all, shortfalls included, in the unit of the sizes.
    Amount(u64),
    /// So many passes over everything there is, or over the groups of a name.
    Epochs {
        /// Passes; parts of one count.
        passes: f64,
        /// The name, such as `isl_Latn`; absent for everything.
        of: Option<String>,
    },
}

/// One stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its end.
    pub until: Until,
    /// One strategy for all grouping columns, or one for each.
    pub strategies: Vec<&'static Strategy>,
    /// What it is made under; the budget follows from `until`.
    pub options: Options,
}

/// A stage as it was planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// How much was to be spent by its end, shortfalls of all stages included.
    pub until: u64,
    /// How much is trained on by its end.
    pub spent: u64,
    /// Its groups, ordered by kind and values.
    pub rows: Vec<PlanRow>,
}

/// The plans of all stages; empty stages' rows for no groups.
///
/// Errors as [`plan::plan`] does, naming the stage, and for a stage that ends before it begins or
/// never.
///
/// ```
/// use hexapla::mix::{Options, Size, Stage, Until, schedule, strategy};
/// let sizes = [Size::new("documents", "eng_Latn", 900), Size::new("documents", "isl_Latn", 100)];
/// let stage = |until, name| -> Result<Stage, hexapla::error::Error> {
///     Ok(Stage { until, strategies: vec![strategy(name)?], options: Options::default() })
/// };
/// let once = Until::Epochs { passes: 1.0, of: Some("isl_Latn".into()) };
/// let planned = schedule(&sizes, &[stage(once, "uniform")?, stage(Until::Amount(1000), "proportional")?])?;
/// assert_eq!(planned.iter().map(|p| p.until).collect::<Vec<_>>(), [200, 1000]);
/// # Ok::<(), hexapla::error::Error>(())
/// ```
pub fn schedule(sizes: &[Size], stages: &[Stage]) -> Result<Vec<Planned>> {
    let sizes = summed(sizes)?;
    let mut course = Course { used: vec![0; sizes.len()], sizes, until: 0, spent: 0 };
    let mut planned = Vec::with_capacity(stages.len());
    for (i, stage) in stages.iter().enumerate() {
        let place = |e: Error| e.within(format!("stage {}", i + 1));
        planned.push(course.stage(stage).map_err(place)?);
    }
    for (group, size) in course.sizes.iter().enumerate() {
        repeats(&mut planned, group, size.available);
    }
    Ok(planned)
}

struct Course {
    sizes: Vec<Size>,
    used: Vec<u64>,
    until: u64,
    spent: u64,
}

impl Course {
    fn stage(&mut self, stage: &Stage) -> Result<Planned> {
        plan::check(&self.sizes, &stage.strategies, &stage.options)?;
        let until = match &stage.until {
            Until::Amount(amount) => *amount,
            Until::Epochs { passes, .. } if !(passes.is_finite() && *passes > 0.0) => {
                return Err(Error::usage(format!("`{passes}` epochs; expected a number above 0")));
            }
            Until::Epochs { passes, of: None } => {
                // Everything is what the stage may take: without pairs, the documents.
                let pairs = stage.options.pairs;
                let left_out = |s: &Size| pairs == Some(if s.kind == "pairs" { 0.0 } else { 1.0 });
                let taken = self.sizes.iter().filter(|s| !left_out(s)).cloned();
                let all = total(&taken.collect::<Vec<_>>())?;
                (all as f64 * passes).min(MOST as f64).round() as u64
            }
            Until::Epochs { passes, of: Some(name) } => self.passes(stage, *passes, name)?,
        };
        if until <= self.until {
            let message =
                format!("it ends at {until}, where the stage before ends at {}", self.until);
            let message = if self.until == 0 { "it ends at 0".to_string() } else { message };
            return Err(
                Error::usage(message).hint_with("`until` counts from the beginning of training")
            );
        }
        let rows = self.rows(stage, until - self.until)?;
        for (used, row) in self.used.iter_mut().zip(&rows) {
            *used += row.target;
            self.spent += row.target;
        }
        self.until = until;
        Ok(Planned { until, spent: self.spent, rows })
    }

    fn rows(&self, stage: &Stage, budget: u64) -> Result<Vec<PlanRow>> {
        let options = Options { budget: Some(budget), ..stage.options.clone() };
        after(&self.sizes, &self.used, &stage.strategies, &options)
    }

    /// The least amount at which the groups of a name were gone through so often.
    fn passes(&self, stage: &Stage, passes: f64, name: &str) -> Result<u64> {
        let meant: Vec<usize> = (0..self.sizes.len())
            .filter(|i| {
                let size = &self.sizes[*i];
                (1..=size.group.len())
                    .any(|depth| rank(name, &size.kind, &size.group[..depth], true).is_some())
            })
            .collect();
        if meant.is_empty() {
            let paths = |s: &Size| (1..=s.group.len()).map(|n| s.group[..n].join("/")).collect();
            let mut known: Vec<String> = self.sizes.iter().flat_map::<Vec<_>, _>(paths).collect();
            known.sort();
            known.dedup();
            return Err(Error::unknown("group", name, known.iter().map(String::as_str)));
        }
        let available: u64 = meant.iter().map(|i| self.sizes[*i].available).sum();
        let wanted = (available as f64 * passes).ceil() as u64;
        let had: u64 = meant.iter().map(|i| self.used[*i]).sum();
        let reaches = |budget: u64| -> Result<bool> {
            let rows = self.rows(stage, budget)?;
            Ok(had + meant.iter().map(|i| rows[*i].target).sum::<u64>() >= wanted)
        };
        if available == 0 {
            return Err(Error::usage(format!("`{name}` has nothing to go through")));
        }
        if had >= wanted {
            return Err(Error::usage(format!(
                "`{name}` was gone through {:.2} times before it begins",
                had as f64 / available as f64
            )));
        }
        let (mut low, mut high) = (0, MOST - self.until);
        if !reaches(high)? {
            return Err(Error::usage(format!(
                "it never ends: `{name}` is never gone through {passes} times"
            ))
            .hint_with("its share is 0, or `max_epochs` allows fewer passes"));
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match reaches(middle)? {
                true => high = middle,
                false => low = middle,
            }
        }
        Ok(self.until + high)
    }
}

/// Notes where a group first begins again: in the stage where it does, and in all after it.
fn repeats(planned: &mut [Planned], group: usize, available: u64) {
    let (mut used, mut before, mut first) = (0, 0, None);
    for stage in planned {
        let (spent, row) = (stage.spent - before, &mut stage.rows[group]);
        if first.is_none() && row.target > 0 && used + row.target > available {
            let share = (available - used) as f64 / row.target as f64;
            first = Some(before + (spent as f64 * share) as u64);
        }
        row.first_repeat = first;
        used += row.target;
        before = stage.spent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::strategy;
    use proptest::prelude::*;

    fn stage(until: Until, name: &str, set: impl Fn(&mut Options)) -> Stage {
        let mut options = Options::default();
        set(&mut options);
        Stage { until, strategies: vec![strategy(name).unwrap()], options }
    }

    fn sizes(available: &[u64]) -> Vec<Size> {
        let named = available.iter().enumerate().map(|(i, n)| (format!("l{i}"), n));
        named.map(|(name, n)| Size::new("documents", &name, *n)).collect()
    }

    fn of(passes: f64, name: &str) -> Until {
        Until::Epochs { passes, of: Some(name.into()) }
    }

    #[test]
    fn a_stage_until_a_group_was_gone_through() {
        let sizes = sizes(&[900, 90, 10]);
        for name in ["proportional", "temperature", "uniform", "unimax"] {
            let planned = schedule(&sizes, &[stage(of(2.0, "l1"), name, |_| {})]).unwrap();
            assert_eq!(planned[0].rows[1].target, 180, "{name}");
        }
        let planned = schedule(
            &sizes,
            &[
                stage(of(1.0, "l2"), "uniform", |_| {}),
                stage(of(3.0, "l2"), "proportional", |_| {}),
                stage(Until::Epochs { passes: 4.0, of: None }, "uniform", |_| {}),
            ],
        );
        let planned = planned.unwrap();
        assert_eq!(planned.iter().map(|p| p.until).collect::<Vec<_>>()[0], 30);
        assert_eq!(planned[1].rows[2].target, 20);
        assert_eq!(planned[2].until, 4000);
        // Ten tokens of the third are over after 30 in all; the second lasts longer.
        assert_eq!(planned[2].rows[2].first_repeat, Some(30));
        assert!(planned[0].rows.iter().all(|r| r.first_repeat.is_none()));
        assert!(planned[2].rows[1].first_repeat > Some(30));
    }

    #[test]
    fn passes_count_over_all_stages() {
        let twice = |o: &mut Options| o.max_epochs = Some(2.0);
        let planned = schedule(
            &sizes(&[1000, 10]),
            &[
                stage(Until::Amount(30), "uniform", twice),
                stage(Until::Amount(60), "uniform", twice),
            ],
        );
        let planned = planned.unwrap();
        let small: Vec<(u64, u64)> =
            planned.iter().map(|p| (p.rows[1].target, p.rows[1].shortfall)).collect();
        assert_eq!(small, [(15, 0), (5, 10)]);
        assert_eq!((planned[1].until, planned[1].spent), (60, 50));
        assert_eq!(planned[0].rows[1].first_repeat, Some(20));
    }

    #[test]
    fn an_epoch_of_everything_is_of_what_the_stage_takes() {
        let mut sizes = sizes(&[900, 100]);
        sizes.push(Size::new("pairs", "l0-l1", 50));
        let until = |pairs: Option<f64>| {
            let once = Until::Epochs { passes: 2.0, of: None };
            let stage = stage(once, "proportional", |o| o.pairs = pairs);
            schedule(&sizes, &[stage]).unwrap()[0].until
        };
        assert_eq!([until(None), until(Some(0.0)), until(Some(1.0))], [2100, 2000, 100]);
        assert_eq!(until(Some(0.5)), 2100);
    }

    #[test]
    fn stages_that_cannot_be_are_named() {
        let error =
            |stages: &[Stage]| schedule(&sizes(&[900, 90, 0]), stages).unwrap_err().to_string();
        let until = |amount| stage(Until::Amount(amount), "uniform", |_| {});
        assert_eq!(error(&[until(0)]), "stage 1: it ends at 0");
        assert_eq!(
            error(&[until(10), until(10)]),
            "stage 2: it ends at 10, where the stage before ends at 10"
        );
        let capped = stage(of(3.0, "l1"), "unimax", |o| o.max_epochs = Some(2.0));
        assert!(error(&[capped]).contains("never gone through 3 times"));
        let unknown = stage(of(3.0, "l9"), "unimax", |_| {});
        assert!(error(&[unknown]).starts_with("stage 1: unknown group `l9`"));
        assert!(
            error(&[stage(of(1.0, "l2"), "uniform", |_| {})]).contains("nothing to go through")
        );
        assert!(error(&[stage(of(-1.0, "l1"), "uniform", |_| {})]).contains("above 0"));
        let again =
            [stage(of(2.0, "l1"), "uniform", |_| {}), stage(of(1.0, "l1"), "uniform", |_| {})];
        assert!(error(&again).contains("was gone through 2.00 times before it begins"));
        let hot = stage(Until::Amount(5), "temperature", |o| o.alpha = Some(7.0));
        assert!(error(&[hot]).starts_with("stage 1: option `alpha` is 7"));
    }

    proptest! {
        #[test]
        fn stages_spend_what_they_say(
            available in prop::collection::vec(1u64..100_000, 1..8),
            ends in prop::collection::vec(1u64..1_000_000, 1..5),
            epochs in 0.5f64..6.0,
        ) {
            let mut ends = ends;
            ends.sort_unstable();
            ends.dedup();
            let names = ["unimax", "uniform", "temperature", "proportional"];
            let stages: Vec<Stage> = ends.iter().enumerate()
                .map(|(i, end)| stage(Until::Amount(*end), names[i % 4], |o| o.max_epochs = Some(epochs)))
                .collect();
            let planned = schedule(&sizes(&available), &stages).unwrap();
            let mut begin = 0;
            let mut spent = 0;
            for stage in &planned {
                let sum: u64 = stage.rows.iter().map(|r| r.target + r.shortfall).sum();
                prop_assert_eq!(sum, stage.until - begin);
                spent += stage.rows.iter().map(|r| r.target).sum::<u64>();
                prop_assert_eq!(stage.spent, spent);
                begin = stage.until;
            }
            for (i, available) in available.iter().enumerate() {
                let all: u64 = planned.iter().map(|p| p.rows[i].target).sum();
                prop_assert!(all as f64 <= *available as f64 * epochs);
                let last = planned.last().unwrap().rows[i].first_repeat;
                prop_assert_eq!(last.is_some(), all > *available);
                prop_assert!(last.is_none_or(|at| at <= spent));
            }
        }
    }
}
