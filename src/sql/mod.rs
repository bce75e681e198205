//! SQL: sessions over tables and files, kernels as functions, query files and their runs.
//!
//! The only place that names DataFusion; what it gives out is Arrow and hexapla's own types.

mod adapt;
mod catalog;
mod corpus;
mod damage;
mod failure;
mod files;
pub mod functions;
mod json_lines;
mod merge;
pub mod models;
mod params;
mod provider;
pub mod recipe;
mod remote;
mod rowwise;
pub mod rules;
pub mod runner;
pub mod session;
mod share;
mod sink;
mod spread;
mod table_function;

pub use adapt::usage;
pub use functions::FUNCTIONS;
pub use recipe::tables_read;
pub use session::{Rows, Session, SessionOptions};
pub use table_function::TableFunction;

#[cfg(test)]
mod testing;

/// All table functions, in the order of the listing.
pub fn table_functions() -> impl Iterator<Item = &'static TableFunction> {
    table_function::TABLE_FUNCTIONS.iter().copied()
}
