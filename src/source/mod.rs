//! Sources: one file a format, each a stream of rows or rejected rows.
//!
//! Writes nothing.
