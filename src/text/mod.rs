//! Kernels on one text: normal forms, words, scripts, counts.
//!
//! No language identification, no quality verdicts.
