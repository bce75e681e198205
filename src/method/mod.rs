//! Cross-lingual methods that work on what a trainer leaves behind.
//!
//! Nothing here trains.

pub mod fuse;
