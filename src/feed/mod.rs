//! The feed: order, language of each micro-batch, blocks of mapped rows.
//!
//! No tensors: it hands out bytes and their owner.
