//! Multilingual and parallel text to balanced training shards with SQL, and to a trained model.
//!
//! A corpus is a chain of Parquet tables. Each step is one read-only `SELECT` (or, where SQL
//! cannot say it, one Rust stage), each table has one schema file, and the trainer only ever sees
//! token ids. The modules stand in the order of the data; each uses only those above it, which
//! `tests/it/tidy.rs` holds them to.

// base
pub mod error;
pub mod function;
pub mod id;
pub mod schema;

// rest
pub mod store;

// kernels: languages and words, and what is built on them
pub mod identify;
pub mod text;

pub mod dedup;
pub mod measure;
pub mod mix;
pub mod pair;

// input
pub mod source;

pub mod ingest;

// surface
pub mod sql;

// tokens and feed
pub mod token;

pub mod feed;

// learn and out
#[cfg(feature = "train")]
pub mod train;
/// What a run is told; what trains it needs the feature `train`.
#[cfg(not(feature = "train"))]
pub mod train {
    pub mod config;
}

pub mod method;

pub mod eval;
pub mod export;
pub mod report;

// whole
pub mod project;
