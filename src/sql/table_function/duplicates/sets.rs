//! The second pass: the shingle sets of the rows that have candidates, in an unnamed file.
//!
//! In memory are 20 bytes a set; the sets themselves, 8 bytes a shingle, are read when two are
//! compared.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::link::{self, Pairs};
use super::{Near, Rule, Space, survey};
use crate::error::{Error, Result};
use crate::sql::table_function::Batches;

/// Shingle sets by row.
pub(super) struct Sets {
    dir: PathBuf,
    file: File,
    /// Ids, ascending, and where the set of each begins and how long it is, in shingles.
    ids: Vec<u64>,
    places: Vec<(u64, u32)>,
}

/// Reads the rows of some pairs from the input, which may come in any order.
pub(super) fn collect(input: Batches, pairs: &Pairs, near: &Near, space: &Space) -> Result<Sets> {
    let ids = link::ids(&[pairs], space)?;
    let io = |e: std::io::Error| Error::io(&space.dir, e);
    let mut out = BufWriter::new(tempfile::tempfile_in(&space.dir).map_err(io)?);
    let mut places = vec![(0, 0); ids.len()];
    // Languages matter to keys alone, which this pass has no use for.
    let rule = Rule { within_language: false, near: Some(*near) };
    let mut written = 0u64;
    for batch in input {
        if ids.is_empty() {
            break;
        }
        let wanted = |doc| ids.binary_search(&doc).is_ok();
        let found = survey::rows(&batch?, &rule, space, wanted, |doc, _, content| {
            (doc, content.map(|c| c.shingles(near)).unwrap_or_default())
        })?;
        for (doc, set) in found {
            if let Ok(i) = ids.binary_search(&doc) {
                places[i] = (written, set.len() as u32);
            }
            for shingle in &set {
                out.write_all(&shingle.to_le_bytes()).map_err(io)?;
            }
            written += set.len() as u64;
        }
    }
    let file = out.into_inner().map_err(|e| Error::io(&space.dir, e.error()))?;
    Ok(Sets { dir: space.dir.clone(), file, ids, places })
}

impl Sets {
    /// The set of a row; empty for a row that has none.
    pub fn get(&self, doc: u64) -> Result<Vec<u64>> {
        let Ok(i) = self.ids.binary_search(&doc) else { return Ok(Vec::new()) };
        let (start, len) = self.places[i];
        let mut bytes = vec![0; len as usize * 8];
        self.file.read_exact_at(&mut bytes, start * 8).map_err(|e| Error::io(&self.dir, e))?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect())
    }
}
