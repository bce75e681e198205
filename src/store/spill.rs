//! A folder for what queries spill, which vanishes with its process; what a killed process left is
//! removed by the next one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What the names of all such folders begin with.
const PREFIX: &str = "hexapla-spill-";
/// The file in it that is locked as long as somebody uses the folder.
const LOCK: &str = "lock";

/// A folder of this process alone.
#[derive(Debug)]
pub struct SpillDir {
    dir: TempDir,
    // The lock is held as long as the file is open.
    _lock: File,
}

impl SpillDir {
    /// A new folder below another, the system's temporary one by default; `None` when it cannot be
    /// made, which is an error only of a query that spills.
    pub fn create(below: Option<&Path>) -> Option<Self> {
        let below = below.map_or_else(std::env::temp_dir, PathBuf::from);
        sweep(&below);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&below).ok()?;
        // Locked before it has its name: nobody finds it unlocked.
        let lock = File::create_new(dir.path().join(".lock")).ok()?;
        lock.try_lock().ok()?;
        fs::rename(dir.path().join(".lock"), dir.path().join(LOCK)).ok()?;
        Some(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes the folders that nobody uses any more. What cannot be removed is left: it is another
/// user's, or another process was faster.
fn sweep(below: &Path) {
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let below = tempfile::tempdir().unwrap();
        let at = |name: &str| below.path().join(name);
        // A kill leaves the folder with its lock open to anybody.
        fs::create_dir(at("hexapla-spill-dead")).unwrap();
        fs::write(at("hexapla-spill-dead").join(LOCK), "").unwrap();
        fs::write(at("hexapla-spill-dead").join("rows"), "spilled").unwrap();
        fs::create_dir(at("hexapla-spill-new")).unwrap();
        fs::create_dir(at("somebody's")).unwrap();
        let one = SpillDir::create(Some(below.path())).unwrap();
        let other = SpillDir::create(Some(below.path())).unwrap();
        assert!(!at("hexapla-spill-dead").exists());
        assert!(at("hexapla-spill-new").exists() && at("somebody's").exists());
        assert!(one.path().exists() && other.path().exists());
        let path = one.path().to_path_buf();
        drop(one);
        assert!(!path.exists());
    }

    #[test]
    fn a_place_that_is_none_is_nobodys_error_yet() {
        assert!(SpillDir::create(Some(Path::new("/nowhere/at/all"))).is_none());
    }
}
