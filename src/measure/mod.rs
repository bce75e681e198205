//! Quality measures of a document and the peers' rule sets.
//!
//! Verdicts are columns; nothing here removes a row.
