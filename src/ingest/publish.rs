//! Ingest into a table on an object store: parts are made in a local folder, then published.
//!
//! The folder holds only what is not there yet, and is removed in the end; after a kill, the next
//! run finds in it the parts that were finished.

use std::fs;
use std::path::Path;

use super::{Ingested, Options, ingest};
use crate::error::{Error, Result};
use crate::source::SourceSpec;
use crate::store::manifest::{Manifest, replace};
use crate::store::publish::{Published, Target, publish};

/// Reads all files of sources of one kind into the table at a URL, through a folder `stage` that
/// nobody else uses.
///
/// `progress` is told the bytes read, then the bytes sent. Errors as [`ingest`] and [`publish`].
pub fn ingest_to(
    specs: &[SourceSpec],
    root: &Path,
    url: &str,
    stage: &Path,
    options: &Options,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(Ingested, Published)> {
    let _lock = lock(stage, url)?;
    let target = Target::read(url)?;
    // A killed run may have left the manifest that it did not get to publish.
    let manifest = stage.join(crate::store::manifest::MANIFEST);
    match &target.manifest {
        Some(published) => replace(&manifest, &Manifest::to_bytes(published)?)?,
        None if manifest.exists() => {
            fs::remove_file(&manifest).map_err(|e| Error::io(&manifest, e))?;
        }
        None => {}
    }
    let options = Options { published: Some(target.url.clone()), ..options.clone() };
    let mut done = ingest(specs, root, stage, &options, progress)?;
    let published =
        publish(stage, done.manifest.clone(), &target, &|sent, all| progress(sent, all))?;
    fs::remove_dir_all(stage).map_err(|e| Error::io(stage, e))?;
    done.parts_written = published.sent;
    Ok((done, published))
}

/// Keeps a second run of the same table from the folder, until the parts are sent.
fn lock(stage: &Path, url: &str) -> Result<fs::File> {
    fs::create_dir_all(stage).map_err(|e| Error::io(stage, e))?;
    let path = stage.with_extension("lock");
    let file = fs::File::create(&path).map_err(|e| Error::io(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(Error::usage(format!("{url}: another hexapla is writing this table"))
                .hint_with("wait until it has ended"))
        }
        Err(fs::TryLockError::Error(e)) => Err(Error::io(&path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Into;
    use crate::store::remote;

    fn specs(names: &[&str]) -> Vec<SourceSpec> {
        let spec = |name: &&str| SourceSpec {
            into: Some(Into::Documents),
            lang: Some("is".into()),
            ..SourceSpec::new(name, format!("{name}/*.jsonl").as_str())
        };
        names.iter().map(spec).collect()
    }

    #[test]
    fn a_published_table_is_continued_from_what_is_there() {
        let url = "memory://ingested/documents/";
        let dir = tempfile::tempdir().unwrap();
        let stage = dir.path().join("stage");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{{\"text\": \"{text}\"}}\nnot json\n")).unwrap();
        };
        write("a/1.jsonl", "þorn");
        write("b/1.jsonl", "eð");
        // Each file is a part of its own.
        let options = Options { part_bytes: 1, ..Options::default() };
        let run = || {
            let specs = specs(&["a", "b"]);
            ingest_to(&specs, dir.path(), url, &stage, &options, &|_, _| ()).unwrap()
        };
        let (first, published) = run();
        assert_eq!((first.manifest.rows_out, first.manifest.errors), (2, 2));
        assert_eq!((published.sent, published.committed), (4, true));
        assert!(!stage.exists());

        let (again, published) = run();
        assert_eq!((published.sent, published.committed), (0, false));
        assert_eq!(again.manifest, first.manifest);
        assert_eq!(again.sources, first.sources);

        write("b/2.jsonl", "ð");
        // A killed run had made the new part.
        let before = Target::read(url).unwrap().manifest.unwrap();
        fs::create_dir_all(&stage).unwrap();
        before.commit(&stage).unwrap();
        let unpublished = Options { published: Some(url.into()), ..options.clone() };
        ingest(&specs(&["a", "b"]), dir.path(), &stage, &unpublished, &|_, _| ()).unwrap();
        let (third, published) = run();
        assert_eq!((published.sent, published.committed, published.swept), (2, true, 0));
        assert_eq!((third.manifest.rows_out, third.sources["b"].rejected), (3, 2));

        // What is gone from the sources goes from the store.
        fs::remove_file(dir.path().join("a/1.jsonl")).unwrap();
        write("a/2.jsonl", "new");
        assert_eq!(run().1, Published { sent: 2, committed: true, swept: 2 });
        assert_eq!(remote::list(url).unwrap().len(), 7);
    }
}
