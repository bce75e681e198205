//! SQL: session, functions, queries, table functions, the runner. The only place that knows DataFusion.
//!
//! No tokenizer and no model; those are registered from outside.
