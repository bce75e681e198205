//! The report: one self-contained HTML page.
//!
//! Reads tables and runs; computes no measure of its own.
