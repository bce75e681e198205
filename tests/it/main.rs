//! The one integration-test binary.

mod cli;
mod conformance;
mod duplicates;
mod explain;
mod export;
mod faults;
mod hostile;
mod laws;
mod messages;
mod mix;
mod mutations;
mod reference;
mod score;
mod shared;
mod show;
mod slt;
mod tidy;
mod tokenizer;
#[cfg(feature = "train")]
mod train;
mod util;
mod why;
