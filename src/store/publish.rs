//! A table on an object store: the parts of a local folder are sent, then its manifest.
//!
//! Replacing the manifest is the commit, here a conditional put: of two who write one table at
//! once, the second is told and the first one's table stays. Parts never change under their name,
//! so a reader of the old manifest is not disturbed until its parts are swept. What a killed run
//! had sent is not sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::manifest::{MANIFEST, Manifest, Part};
use super::remote::{self, Version};
use crate::error::{Error, Result};

/// A table's place on an object store, and what is there.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its URL, without a slash at the end.
    pub url: String,
    /// The committed manifest, when there is one.
    pub manifest: Option<Manifest>,
    version: Option<Version>,
}

/// What publishing did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Parts that were sent; the others were there.
    pub sent: usize,
    /// Whether the manifest was replaced.
    pub committed: bool,
    /// Parts that were removed since no manifest lists them.
    pub swept: usize,
}

impl Target {
    /// Looks what is at a URL; errors when it cannot be asked, or has a manifest of others.
    pub fn read(url: &str) -> Result<Self> {
        let url = url.trim_end_matches('/').to_string();
        let at = format!("{url}/{MANIFEST}");
        let Some((bytes, version)) = remote::get(&at)? else {
            return Ok(Self { url, manifest: None, version: None });
        };
        let manifest = Manifest::parse(&bytes, Path::new(&at))?;
        Ok(Self { url, manifest: Some(manifest), version: Some(version) })
    }

    fn at(&self, file: &str) -> String {
        format!("{}/{file}", self.url)
    }

    /// The listed part with a file name.
    fn part(&self, file: &str) -> Option<&Part> {
        self.manifest.iter().flat_map(parts).find(|part| part.file == file)
    }

    fn lost(&self) -> Error {
        Error::usage(format!("{}: another hexapla wrote this table meanwhile", self.url))
            .hint_with("its table stands; run again to write yours")
    }
}

fn parts(manifest: &Manifest) -> impl Iterator<Item = &Part> {
    manifest.parts.iter().chain(&manifest.error_parts)
}

/// Makes the table of a folder the one at a URL, as it was when `target` was read.
///
/// A part that the folder lacks has to be there already. `progress` is told the bytes sent and the
/// bytes to send. Errors when somebody else committed meanwhile, a part is in neither place, or
/// the store refuses.
pub fn publish(
    dir: &Path,
    mut manifest: Manifest,
    target: &Target,
    progress: &dyn Fn(u64, u64),
) -> Result<Published> {
    // What is listed before the commit is what may be swept after it: not what others send then.
    let prefix = target.at("");
    let there: BTreeMap<String, u64> = remote::list(&prefix)?
        .into_iter()
        .filter_map(|entry| Some((entry.url.strip_prefix(&prefix)?.to_string(), entry.size)))
        .collect();
    let mut missing: Vec<(PathBuf, Part)> = Vec::new();
    for part in manifest.parts.iter_mut().chain(&mut manifest.error_parts) {
        let local = dir.join(&part.file);
        if target.part(&part.file).is_some_and(|old| old.xxh3 != part.xxh3) {
            part.file = renamed(part);
        }
        if !present(target, part, &there)? {
            if !local.is_file() {
                let message = "the manifest lists this part, but it is not there";
                return Err(Error::input(target.at(&part.file), message)
                    .hint_with("remove the table's manifest.json to have it written anew"));
            }
            missing.push((local, part.clone()));
        }
    }
    let total = missing.iter().map(|(_, part)| part.bytes).sum();
    let mut sent = 0;
    for (local, part) in &missing {
        progress(sent, total);
        remote::put(&target.at(&part.file), local, Some(&part.xxh3))?;
        sent += part.bytes;
    }
    let mut done = Published { sent: missing.len(), ..Published::default() };
    let mut version = target.version.clone();
    if target.manifest.as_ref() != Some(&manifest) {
        let bytes = manifest.to_bytes()?;
        let put = remote::put_if(&target.at(MANIFEST), bytes, version.as_ref())?;
        version = Some(put.ok_or_else(|| target.lost())?);
        done.committed = true;
    }
    done.swept = sweep(target, &manifest, version, there.into_keys())?;
    Ok(done)
}

/// A name of its own for a part whose name stands for other bytes already.
fn renamed(part: &Part) -> String {
    let stem = part.file.trim_end_matches(".parquet");
    format!("{stem}-{}.parquet", part.xxh3.get(..8).unwrap_or(&part.xxh3))
}

/// Whether a part is there whole with the bytes it should have.
fn present(target: &Target, part: &Part, there: &BTreeMap<String, u64>) -> Result<bool> {
    if there.get(&part.file) != Some(&part.bytes) {
        return Ok(false);
    }
    if target.part(&part.file).is_some_and(|old| old.xxh3 == part.xxh3) {
        return Ok(true);
    }
    // Left by a run that was killed: an object is there whole or not at all, but its bytes may be
    // those of another version of hexapla.
    Ok(remote::noted(&target.at(&part.file))?.as_ref() == Some(&part.xxh3))
}

/// Removes parts that no manifest lists, unless somebody has committed another one since.
fn sweep(
    target: &Target,
    manifest: &Manifest,
    version: Option<Version>,
    there: impl Iterator<Item = String>,
) -> Result<usize> {
    let listed: BTreeSet<&str> = parts(manifest).map(|part| part.file.as_str()).collect();
    let ours = |file: &String| {
        let name = file.strip_prefix("errors/").unwrap_or(file);
        // Only what hexapla wrote: a user's own note is theirs.
        let part = name.starts_with("part-") && name.ends_with(".parquet") && !name.contains('/');
        part && !listed.contains(file.as_str())
    };
    let unlisted: Vec<String> = there.filter(ours).map(|file| target.at(&file)).collect();
    if unlisted.is_empty() || remote::get(&target.at(MANIFEST))?.map(|(_, now)| now) != version {
        return Ok(0);
    }
    remote::delete(&unlisted)?;
    Ok(unlisted.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::id;

    /// A folder with parts of these bytes under a manifest.
    fn folder(parts: &[(&str, &str)]) -> (tempfile::TempDir, Manifest) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("errors")).unwrap();
        let mut manifest = Manifest { node: "documents".into(), ..Manifest::default() };
        for (file, bytes) in parts {
            fs::write(dir.path().join(file), bytes).unwrap();
            let xxh3 = id::hex128(id::hash128(bytes.as_bytes()));
            let bytes = bytes.len() as u64;
            manifest.parts.push(Part { file: file.to_string(), xxh3, bytes, ..Part::default() });
        }
        manifest.error_parts = manifest.parts.extract_if(.., |p| p.file.contains('/')).collect();
        (dir, manifest)
    }

    fn files(url: &str) -> Vec<String> {
        let entries = remote::list(&format!("{url}/")).unwrap().into_iter();
        entries.map(|e| e.url[url.len() + 1..].to_string()).collect()
    }

    fn done(sent: usize, committed: bool, swept: usize) -> Published {
        Published { sent, committed, swept }
    }

    #[test]
    fn only_what_is_missing_is_sent_and_what_nobody_lists_is_swept() {
        let url = "memory://published/a/table";
        let (dir, first) = folder(&[("part-a.parquet", "α"), ("errors/part-a.parquet", "ε")]);
        let put = |manifest: &Manifest, dir: &Path| {
            publish(dir, manifest.clone(), &Target::read(url).unwrap(), &|_, _| ()).unwrap()
        };
        assert_eq!(put(&first, dir.path()), done(2, true, 0));
        assert_eq!(Target::read(url).unwrap().manifest.as_ref(), Some(&first));
        remote::put(&format!("{url}/notes.txt"), &dir.path().join("part-a.parquet"), None).unwrap();
        // The same again; nothing has to be there in the folder any more.
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(put(&first, empty.path()), done(0, false, 0));

        // A killed run has sent the first of two new parts.
        let (dir, mut second) = folder(&[("part-b.parquet", "β"), ("part-c.parquet", "γγ")]);
        let b = &second.parts[0];
        let at = format!("{url}/part-b.parquet");
        remote::put(&at, &dir.path().join("part-b.parquet"), Some(&b.xxh3)).unwrap();
        second.parts.push(first.parts[0].clone());
        assert_eq!(put(&second, dir.path()), done(1, true, 1));
        let want =
            ["manifest.json", "notes.txt", "part-a.parquet", "part-b.parquet", "part-c.parquet"];
        assert_eq!(files(url), want);
    }

    #[test]
    fn a_part_with_other_bytes_gets_another_name() {
        let url = "memory://published/b";
        let (dir, first) = folder(&[("part-a.parquet", "α")]);
        let none = &|_: u64, _: u64| ();
        publish(dir.path(), first, &Target::read(url).unwrap(), none).unwrap();
        let (dir, second) = folder(&[("part-a.parquet", "β")]);
        let before = Target::read(url).unwrap();
        assert_eq!(publish(dir.path(), second, &before, none).unwrap(), done(1, true, 1));
        let now = Target::read(url).unwrap().manifest.unwrap();
        assert_eq!(files(url), ["manifest.json", now.parts[0].file.as_str()]);
        assert_ne!(now.parts[0].file, "part-a.parquet");
    }

    #[test]
    fn of_two_writers_the_second_is_told() {
        let url = "memory://published/c";
        let (dir, first) = folder(&[("part-a.parquet", "α")]);
        let (other, second) = folder(&[("part-b.parquet", "β")]);
        let target = Target::read(url).unwrap();
        publish(dir.path(), first.clone(), &target, &|_, _| ()).unwrap();
        let error = publish(other.path(), second, &target, &|_, _| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("{url}: another hexapla wrote this table meanwhile"));
        assert_eq!(Target::read(url).unwrap().manifest, Some(first));
    }

    #[test]
    fn a_part_that_is_nowhere_is_named() {
        let url = "memory://published/d";
        let (dir, manifest) = folder(&[("part-a.parquet", "α")]);
        fs::remove_file(dir.path().join("part-a.parquet")).unwrap();
        let target = Target::read(url).unwrap();
        let error = publish(dir.path(), manifest, &target, &|_, _| ()).unwrap_err().to_string();
        assert!(error.starts_with("memory://published/d/part-a.parquet: "), "{error}");
        assert_eq!(files(url), Vec::<String>::new());
    }
}
