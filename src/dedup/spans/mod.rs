//! Repeated spans: the stretches of text that stand elsewhere too, found by windows.
//!
//! A window is a fixed number of consecutive units (bytes or characters) of one text. [`anchor`]
//! names one place in every window by the window's content alone, so that equal windows meet at
//! equal anchors and all others need never be compared; [`units`] cuts texts into units; [`cut`]
//! keeps cuts away from the inside of characters.
//!
//! Kernels only: sorting what does not fit memory is the business of `sql/table_function/spans`.

pub mod anchor;
pub mod cut;
pub mod units;
