//! Tokenizers and packs.
//!
//! No SQL, no tensors.
