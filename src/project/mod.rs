//! Projects: `hexapla.toml`, nodes, keys, and building what is out of date.
//!
//! Prints nothing.

pub mod config;
