//! Multilingual and parallel text to balanced training shards with SQL, and to a trained model.
//!
//! A corpus is a chain of Parquet tables. Each step is one read-only `SELECT` (or, where SQL
//! cannot say it, one Rust stage), each table has one schema file, and the trainer only ever sees
//! token ids. The modules stand in the order of the data; each uses only those above it.

// base
pub mod error;
pub mod function;
pub mod id;
pub mod schema;

// rest
pub mod store;

// kernels
pub mod dedup;
pub mod identify;
pub mod measure;
pub mod mix;
pub mod pair;
pub mod text;

// input
pub mod ingest;
pub mod source;

// surface
pub mod sql;

// tokens and feed
pub mod feed;
pub mod token;

// learn and out
pub mod eval;
pub mod report;
pub mod train;

// whole
pub mod project;
