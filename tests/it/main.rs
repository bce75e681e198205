//! The one integration-test binary.

mod cli;
mod faults;
mod laws;
mod reference;
mod slt;
mod tidy;
mod util;
