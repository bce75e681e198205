//! Levels: a budget divided among the values of one column, each part among those of the next.
//!
//! With one strategy all columns are one level: every combination of values is a group by itself.
//! With a strategy a column, the first divides the budget among the values of the first column, the
//! second each of these parts among the values of the second column that occur there, and so on.
//! Kinds always stand apart: documents and pairs of one name are two parts.

use std::collections::BTreeMap;

use super::floor::raise;
use super::plan::{Leaf, Options};
use super::{Part, Strategy};
use crate::error::{Error, Result};

/// The weight of each leaf; they sum to 1 if there is any leaf. `share` is the part of the whole
/// budget that is divided here, by which minimum shares are measured.
pub(super) fn weights(
    leaves: &[Leaf<'_>],
    strategies: &[&Strategy],
    budget: f64,
    share: f64,
    options: &Options,
) -> Result<Vec<f64>> {
    let mut weights = vec![0.0; leaves.len()];
    let all: Vec<usize> = (0..leaves.len()).collect();
    let mut level = Level { leaves, strategies, options, share, weights: &mut weights };
    level.divide(&all, 0, budget, 1.0)?;
    Ok(weights)
}

struct Level<'a> {
    leaves: &'a [Leaf<'a>],
    strategies: &'a [&'a Strategy],
    options: &'a Options,
    share: f64,
    weights: &'a mut Vec<f64>,
}

impl Level<'_> {
    fn divide(&mut self, some: &[usize], depth: usize, budget: f64, weight: f64) -> Result<()> {
        let last = depth + 1 == self.strategies.len();
        let mut members: BTreeMap<(&str, &[String]), Vec<usize>> = BTreeMap::new();
        for i in some {
            let size = self.leaves[*i].size;
            let upto = if last { size.group.len() } else { depth + 1 };
            members.entry((&size.kind, &size.group[..upto])).or_default().push(*i);
        }
        let parts: Vec<Part> =
            members.iter().map(|((kind, path), of)| self.part(kind, path, of)).collect();
        let mut shares = (self.strategies[depth].weights)(&parts, budget, self.options)?;
        let sum: f64 = shares.iter().sum();
        // A budget of 0 leaves `unimax` without parts; any division of nothing is right then.
        let even = 1.0 / parts.len() as f64;
        shares.iter_mut().for_each(|s| *s = if sum > 0.0 { *s / sum } else { even });
        if depth == 0 {
            shares = self.raised(&parts, &shares, budget)?;
        }
        let below: Vec<Vec<usize>> = members.into_values().collect();
        for (of, share) in below.iter().zip(shares) {
            match last {
                true => of.iter().for_each(|i| self.weights[*i] = weight * share),
                false => self.divide(of, depth + 1, budget * share, weight * share)?,
            }
        }
        Ok(())
    }

    fn part(&self, kind: &str, path: &[String], of: &[usize]) -> Part {
        let leaves = || of.iter().map(|i| &self.leaves[*i]);
        let nested = self.strategies.len() > 1;
        let decided = self.options.weights.iter();
        let decided = decided
            .filter_map(|(name, weight)| Some((rank(name, kind, path, nested)?, *weight)))
            .max_by_key(|(rank, _)| *rank);
        let own = || leaves().filter_map(|l| l.size.weight).reduce(|a, b| a + b);
        Part {
            name: named(kind, path),
            size: leaves().map(|l| l.size.available as f64 * l.size.repeats).sum(),
            most: leaves().map(|l| l.most).sum(),
            weight: decided.map(|(_, weight)| weight).or_else(own),
        }
    }

    /// The shares with nobody below the minimum, as far as the epoch cap reaches.
    fn raised(&self, parts: &[Part], shares: &[f64], budget: f64) -> Result<Vec<f64>> {
        let Options { min_share, min_shares, .. } = self.options;
        if min_share.is_none() && min_shares.is_empty() {
            return Ok(shares.to_vec());
        }
        let floor = |part: &Part, share: &f64| {
            let given = min_shares.iter().find(|(name, _)| part.is(name)).map(|(_, min)| *min);
            // What `fixed` gives nothing is left out on purpose.
            let left_out = *share == 0.0 && part.weight == Some(0.0);
            let min = given.or(*min_share).filter(|_| part.size > 0.0 && !left_out);
            (min.unwrap_or(0.0) / self.share).min(part.most / budget.max(1.0))
        };
        let floors: Vec<f64> = parts.iter().zip(shares).map(|(p, s)| floor(p, s)).collect();
        let sum: f64 = floors.iter().sum();
        if sum > 1.0 + 1e-9 {
            let needed = floors.iter().filter(|f| **f > 0.0).count();
            let message = format!(
                "the minimum shares of {needed} groups sum to {:.4} of the budget, but there is {:.4}",
                sum * self.share,
                self.share
            );
            return Err(Error::usage(message).hint_with("lower `min_share`"));
        }
        Ok(raise(shares, &floors))
    }
}

impl Part {
    /// Whether a name in the options means this part: with or without its kind.
    fn is(&self, name: &str) -> bool {
        self.name == name || self.name.split_once(':').is_some_and(|(_, bare)| bare == name)
    }
}

/// A part's name in options and errors: `documents:isl_Latn`, deeper `documents:isl_Latn/wiki`.
pub(super) fn named(kind: &str, path: &[String]) -> String {
    format!("{kind}:{}", path.join("/"))
}

/// How exactly a name means a part, if it does: by its path with kind, by its path, and where
/// levels are nested by the value on its own level.
pub(super) fn rank(name: &str, kind: &str, path: &[String], nested: bool) -> Option<u8> {
    let full = named(kind, path);
    if name == full {
        return Some(3);
    }
    if full.split_once(':').is_some_and(|(_, bare)| bare == name) {
        return Some(2);
    }
    (nested && path.last().is_some_and(|last| last == name)).then_some(1)
}
