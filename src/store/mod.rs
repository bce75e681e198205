//! Files: tables of Parquet parts under a manifest, rejected rows, mapped packs, external grouping.
//!
//! Knows nothing of text or SQL.

pub mod group;
pub mod manifest;
pub mod mmap;
pub mod part;
pub mod reject;
pub mod table;
pub mod verify;
pub mod whole;
