//! Mixing strategies: measured sizes in, a plan out.
//!
//! No sampling: the selection is a query, the order is the feed's.
