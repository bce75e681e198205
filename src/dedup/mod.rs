//! Keys, signatures and connected components of duplicates.
//!
//! Kernels only: the external grouping is `store`'s, the table functions are `sql`'s.
