//! Keys, signatures and connected components of duplicates.
//!
//! Kernels only: the external grouping is `store`'s, the table functions are `sql`'s.

pub mod components;
pub mod contamination;
pub mod content;
pub mod diff;
mod fold;
pub mod jaccard;
pub mod minhash;
pub mod recipe;
pub mod shingle;
pub mod signature;
pub mod spans;
mod words;

use crate::function::Function;

/// The SQL functions of the family, in the order of the listing.
pub const FUNCTIONS: &[&Function] =
    &[&content::CONTENT_KEY, &minhash::MINHASH, &jaccard::JACCARD, &signature::DUPLICATE_SIGNATURE];
