//! Languages: tags and their conversion, measured labels.
//!
//! The only place that knows language codes.
