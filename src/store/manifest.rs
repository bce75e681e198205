//! `manifest.json`: what a table (or pack, or run) is made of. Replacing it is the commit.
//!
//! Readers follow the manifest alone; parts that it does not list do not exist for them and are
//! swept by the next writer. It holds no time and no machine, so equal inputs give equal bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::whole::WholeFile;
use crate::error::{Error, Result};
use crate::id;

/// The file's name in the folder that it describes.
pub const MANIFEST: &str = "manifest.json";

/// What a folder that hexapla wrote is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The node, such as `kept` or `pack.main`.
    pub node: String,
    /// The version of hexapla that wrote it.
    pub version: String,
    /// What the content is a function of, hashed; equal keys need no work.
    pub key: String,
    /// The ingredients of the key by name, so that a change can be told in words.
    pub inputs: BTreeMap<String, String>,
    /// Parameters in force, as JSON values.
    pub params: BTreeMap<String, serde_json::Value>,
    /// The project's seed.
    pub seed: u64,
    /// Rows read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Rows dropped by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Rows that could not be read; they stand in `errors/`.
    pub errors: u64,
    /// The files, in reading order.
    pub parts: Vec<Part>,
    /// Files of `errors/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error_parts: Vec<Part>,
}

/// One file of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its path inside the folder.
    pub file: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// xxh3-128 of its bytes in hexadecimal.
    pub xxh3: String,
    /// The smallest and largest `doc_id` in it, where the table has one and rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<(u64, u64)>,
    /// What the part is a function of, hashed; a part with an equal key is taken over.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Source files read into it with their content hashes (tables of sources only).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
    /// Rows dropped by reason while it was made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
}

impl Manifest {
    /// The manifest of a folder; `None` when there is none.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(MANIFEST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path, e)),
        };
        Self::parse(text.as_bytes(), &path).map(Some)
    }

    /// The manifest that a file's bytes are; errors name `path`.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| {
            Error::input(path, format!("not a manifest of hexapla: {e}"))
                .hint_with("move the folder away; it will be built anew")
        })
    }

    /// The bytes of its file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::internal(format!("manifest of {}: {e}", self.node)))?;
        text.push('\n');
        Ok(text.into_bytes())
    }

    /// The manifest of a folder that must have one.
    pub fn expect(dir: &Path) -> Result<Self> {
        Self::read(dir)?.ok_or_else(|| {
            Error::usage(format!("{}: no table here (no {MANIFEST})", dir.display()))
        })
    }

    /// Replaces the folder's manifest: the commit. Parts must be synced before.
    pub fn commit(&self, dir: &Path) -> Result<()> {
        replace(&dir.join(MANIFEST), &self.to_bytes()?)
    }

    /// A hash of the content: equal for equal rows in equal parts, whatever made them.
    pub fn content(&self) -> String {
        let mut bytes = Vec::new();
        for part in &self.parts {
            bytes.extend_from_slice(part.xxh3.as_bytes());
            bytes.extend_from_slice(&part.rows.to_le_bytes());
        }
        id::hex128(id::hash128(&bytes))
    }
}

/// Writes a file so that it is there whole or not at all; see [`WholeFile`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = WholeFile::create(path)?;
    file.write_all(bytes).map_err(|e| Error::io(path, e))?;
    file.commit()
}

/// Gives a renamed temporary file the permissions that a plain file would have had.
pub fn open_to_all(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))
            .map_err(|e| Error::io(path, e))?;
    }
    Ok(())
}

/// Makes renames in a folder durable.
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| Error::io(dir, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_file_name_lies_in_the_folder_one_is_in() {
        let name = format!(".tmp-bare-{}", std::process::id());
        replace(Path::new(&name), b"x").unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"x");
        fs::remove_file(&name).unwrap();
    }

    #[test]
    fn a_commit_is_read_back_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        let mut manifest = Manifest { node: "kept".into(), ..Manifest::default() };
        manifest.commit(dir.path()).unwrap();
        manifest.rows_out = 3;
        manifest.commit(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
