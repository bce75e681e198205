//! The report: one self-contained HTML page about a project's tables, runs and evaluations.
//!
//! [`gather()`] reads what stands on disk, [`render`] turns it into a page that asks for nothing
//! from outside. A section whose tables are not there is left out. Equal inputs give equal bytes:
//! the page carries no time and no machine. It computes no measure of its own and trains nothing.

mod chart;
mod gather;
mod html;
mod metrics;
mod model;
mod page;
mod pick;
mod realised;
mod rows;
mod section;
mod svg;
#[cfg(test)]
mod tests;
pub mod tokens;

pub use gather::gather;
pub use model::{
    Clusters, Cost, Costs, Curve, Dropped, Eval, Flow, Group, Kind, Language, Loss, Mix, Report,
    Run, Sample, Share, Stage, Step,
};
pub use page::render;
