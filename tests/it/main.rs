//! The one integration-test binary.

mod cli;
mod faults;
mod laws;
mod reference;
mod show;
mod slt;
mod tidy;
#[cfg(feature = "train")]
mod train;
mod util;
