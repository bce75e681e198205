//! The trainer: models, objectives, optimizer, checkpoints, the loop.
//!
//! Reads packs and labelled batches; never SQL.
