//! The one integration-test binary.

mod cli;
mod faults;
mod laws;
mod tidy;
mod util;
