//! Measures of a translation pair.
//!
//! No alignment models.
