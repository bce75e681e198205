//! Mixing strategies: measured sizes in, a plan out.
//!
//! No sampling: the selection is a query, the order is the feed's.

mod fixed;
mod floor;
mod level;
mod plan;
mod proportional;
mod schedule;
mod temperature;
mod uniform;
mod unimax;

pub use plan::{Options, PlanRow, Size, plan};
pub use schedule::{Planned, Stage, Until, schedule};

use crate::error::{Error, Result};

/// A way to divide a budget among groups.
pub struct Strategy {
    /// Its name in SQL and in project files.
    pub name: &'static str,
    /// What it does, in one sentence, with its source.
    pub doc: &'static str,
    /// The most passes over any group when the options do not say.
    pub max_epochs: Option<f64>,
    /// Which of `alpha` and `weights` it reads; another's is a mistake.
    pub options: &'static [&'static str],
    /// The weight of each group, in the groups' order; non-negative and of any sum. The budget is
    /// that of these groups, and the options have been checked.
    pub weights: fn(&[Part], budget: f64, &Options) -> Result<Vec<f64>>,
}

/// What a strategy knows of one of the groups that it divides a budget among.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its name, for errors.
    pub name: String,
    /// How much there is, upsampled.
    pub size: f64,
    /// The most that may be spent on it under the epoch cap; infinite without one.
    pub most: f64,
    /// The weight that was decided elsewhere, if one was.
    pub weight: Option<f64>,
}

/// All strategies, the plainest first.
pub const STRATEGIES: &[&Strategy] = &[
    &proportional::PROPORTIONAL,
    &temperature::TEMPERATURE,
    &unimax::UNIMAX,
    &uniform::UNIFORM,
    &fixed::FIXED,
];

/// The strategy of that name.
///
/// ```
/// let error = hexapla::mix::strategy("tempreture").err().unwrap();
/// assert_eq!(error.hint(), Some("did you mean `temperature`?"));
/// ```
pub fn strategy(name: &str) -> Result<&'static Strategy> {
    STRATEGIES
        .iter()
        .find(|s| s.name == name)
        .copied()
        .ok_or_else(|| Error::unknown("strategy", name, STRATEGIES.iter().map(|s| s.name)))
}

/// Whether two strategies are the same.
impl PartialEq for Strategy {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
