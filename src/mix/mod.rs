//! Mixing strategies: measured sizes in, a plan out.
//!
//! No sampling: the selection is a query, the order is the feed's.

mod fixed;
mod plan;
mod proportional;
mod temperature;
mod uniform;
mod unimax;

pub use plan::{Options, PlanRow, Size, plan};

use crate::error::{Error, Result};

/// A way to divide a budget among groups.
pub struct Strategy {
    /// Its name in SQL and in project files.
    pub name: &'static str,
    /// What it does, in one sentence, with its source.
    pub doc: &'static str,
    /// The most passes over any group when the options do not say.
    pub max_epochs: Option<f64>,
    /// The weight of each group, in the groups' order; non-negative, with a positive sum. The
    /// budget is that of these groups, and the options have been checked.
    pub weights: fn(&[Size], budget: u64, &Options) -> Result<Vec<f64>>,
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
