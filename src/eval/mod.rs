//! Evaluation of runs: classification and retrieval.
//!
//! Trains nothing.
