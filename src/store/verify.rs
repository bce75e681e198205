//! Verifying: the files under manifests, hashed again.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::manifest::{MANIFEST, Manifest};
use crate::error::{Error, Kind, Result};
use crate::id;

/// What a verification found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Files hashed.
    pub files: u64,
    /// Files that are not what their manifest says.
    pub wrong: Vec<Wrong>,
}

/// A file that is not what its manifest says.
#[derive(Debug, PartialEq)]
pub struct Wrong {
    /// Which.
    pub path: PathBuf,
    /// In which way.
    pub problem: String,
}

/// Checks every manifest in a folder and below; errors when there is none.
pub fn verify(dir: &Path) -> Result<Verified> {
    let mut found = Verified::default();
    let mut manifests = 0;
    walk(dir, &mut found, &mut manifests)?;
    if manifests == 0 {
        return Err(Error::usage(format!("{}: nothing to verify (no {MANIFEST})", dir.display())));
    }
    Ok(found)
}

fn walk(dir: &Path, found: &mut Verified, manifests: &mut u64) -> Result<()> {
    let manifest = match Manifest::read(dir) {
        // A manifest that is none is what is looked for, and hides nothing of the others.
        Err(e) if e.kind() == Kind::Input => {
            *manifests += 1;
            let problem = "not a manifest of hexapla".to_string();
            found.wrong.push(Wrong { path: dir.join(MANIFEST), problem });
            None
        }
        other => other?,
    };
    if let Some(manifest) = manifest {
        *manifests += 1;
        for part in manifest.parts.iter().chain(&manifest.error_parts) {
            let path = dir.join(&part.file);
            found.files += 1;
            let problem = match hash_file(&path) {
                Ok((_, bytes)) if bytes != part.bytes => {
                    Some(format!("{bytes} bytes instead of {}", part.bytes))
                }
                Ok((hash, _)) if hash != part.xxh3 => Some("its content changed".to_string()),
                Ok(_) => None,
                Err(e) => Some(e.to_string()),
            };
            found.wrong.extend(problem.map(|problem| Wrong { path, problem }));
        }
    }
    let entries = fs::read_dir(dir).map_err(|e| Error::io(dir, e))?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.is_dir() && !p.is_symlink())
        .collect();
    folders.sort();
    folders.iter().try_for_each(|folder| walk(folder, found, manifests))
}

/// The xxh3-128 of a file in hexadecimal, and its size, read in constant memory.
pub fn hash_file(path: &Path) -> Result<(String, u64)> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let n = file.read(&mut buffer).map_err(|e| Error::io(path, e))?;
        if n == 0 {
            return Ok((id::hex128(hash.digest128()), bytes));
        }
        hash.update(&buffer[..n]);
        bytes += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Part;
    use super::*;

    #[test]
    fn a_changed_byte_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part-a.parquet");
        fs::write(&path, b"Heimskringla").unwrap();
        let (xxh3, bytes) = hash_file(&path).unwrap();
        let part = Part { file: "part-a.parquet".into(), xxh3, bytes, ..Part::default() };
        Manifest { parts: vec![part], ..Manifest::default() }.commit(dir.path()).unwrap();
        assert!(verify(dir.path()).unwrap().wrong.is_empty());
        fs::write(&path, b"Heimskringlo").unwrap();
        assert_eq!(verify(dir.path()).unwrap().wrong[0].problem, "its content changed");
        fs::remove_file(&path).unwrap();
        assert_eq!(verify(dir.path()).unwrap().wrong.len(), 1);
    }
}
