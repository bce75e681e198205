//! Files and objects: tables of Parquet parts under a manifest, rejected rows, mapped packs,
//! external grouping, object stores.
//!
//! Knows nothing of text or SQL.

mod encode;
pub mod group;
pub mod manifest;
pub mod mmap;
pub mod part;
pub mod publish;
pub mod reject;
pub mod remote;
pub mod spill;
pub mod table;
pub mod verify;
pub mod whole;
