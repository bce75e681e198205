//! The feed: order, language of each micro-batch, blocks of mapped rows.
//!
//! Position in the data is a number: the same pack, options and micro-batch index give the same
//! batch, on any machine. No tensors: it hands out bytes and their owner.

pub mod batch;
pub mod draw;
mod due;
pub mod loader;
pub mod order;

mod exact;

pub use batch::{Batch, Feed, FeedCounters, FeedOptions};
pub use draw::{Draw, DrawState, Stage};
pub use loader::Loader;
