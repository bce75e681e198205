//! Ingest: files of any known format to a table of parts, with rejected rows kept.
