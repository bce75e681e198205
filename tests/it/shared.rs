//! Conformance: every file of shared/data is ingested, and nothing of it is lost.
//!
//! `tests/data/shared.toml` says how each file is read and what a row of the manifest is. Rows,
//! errors and skips of a file have to add up to the rows that the manifest states. The counts are
//! docs/reference/shared-data.md, written anew with `UPDATE_EXPECT=1`. Without the data, which
//! lies beside the checkout of those who develop hexapla, the test says that it is skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::ops::Bound::{Included, Unbounded};
use std::path::{Path, PathBuf};

use hexapla::ingest::{self, Options};
use hexapla::source::SourceSpec;
use hexapla::store::manifest::Part;
use serde::Deserialize;

use crate::reference::{cell, compare};

/// The table of what is read how.
#[derive(Deserialize)]
struct Table {
    group: Vec<Group>,
}

/// Files that are read alike.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    /// What a row of the manifest is.
    unit: String,
    /// Anything that is not as the manifest has it, and why.
    #[serde(default)]
    note: String,
    /// How many of the manifest's rows come of one that it states.
    #[serde(default = "one")]
    times: u64,
    /// Numbers in the place of the manifest's.
    #[serde(default)]
    states: BTreeMap<String, u64>,
    source: SourceSpec,
}

fn one() -> u64 {
    1
}

/// What became of one file.
#[derive(Default, Clone)]
struct Count {
    rows: u64,
    errors: u64,
    skips: BTreeMap<String, u64>,
}

impl Count {
    fn add(&mut self, part: &Part) {
        self.rows += part.rows;
        for (reason, rows) in &part.dropped {
            match reason.as_str() {
                "rejected" => self.errors += rows,
                _ => *self.skips.entry(reason.clone()).or_default() += rows,
            }
        }
    }

    fn all(&self) -> u64 {
        self.rows + self.errors + self.skips.values().sum::<u64>()
    }

    fn words(&self) -> String {
        let skips: Vec<String> =
            self.skips.iter().map(|(reason, rows)| format!("{rows} {reason}")).collect();
        if skips.is_empty() { "0".into() } else { skips.join(", ") }
    }
}

/// The shared data, or `None` with a word about it.
fn data() -> Option<PathBuf> {
    let root = Path::new(".").join("../shared/data");
    if root.join("MANIFEST.tsv").is_file() {
        return Some(root);
    }
    // Past the capture of test output: what is skipped must be seen.
    let note = format!("skipped: {} is not there\n", root.display());
    let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
    None
}

/// The files of the manifest with the rows it states, if it does.
fn manifest(root: &Path) -> BTreeMap<String, Option<u64>> {
    let text = fs::read_to_string(root.join("MANIFEST.tsv")).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        (fields[0].to_string(), fields[3].parse().ok())
    };
    text.lines().skip(1).map(row).collect()
}

/// The file of the manifest that a unit's name means: itself, or the archive it is a member of.
fn file_of<'a>(name: &str, files: &'a BTreeMap<String, Option<u64>>) -> Option<&'a str> {
    let (file, _) = files.range::<str, _>((Unbounded, Included(name))).next_back()?;
    let rest = name.strip_prefix(file.as_str())?;
    (rest.is_empty() || !rest.starts_with(char::is_alphanumeric)).then_some(file)
}

/// Several languages in one folder: the first of them with each of the others.
fn all_languages(spec: &mut SourceSpec, files: &BTreeMap<String, Option<u64>>) {
    let Some((before, after)) = spec.path.all()[0].split_once("{lang}") else { return };
    let several = !before.contains('{') && spec.format.as_deref() == Some("moses");
    if several && spec.langs.is_empty() {
        let lang = |file: &String| {
            Some(file.strip_prefix(before)?.strip_suffix(after)?.to_string())
                .filter(|lang| !lang.ends_with("ids"))
        };
        spec.langs = files.keys().filter_map(lang).collect();
    }
}

/// Each file of a group with what became of it, or why none did. Where a file is a side of
/// several pairs, each of them.
fn read(
    group: &Group,
    root: &Path,
    files: &BTreeMap<String, Option<u64>>,
) -> Result<BTreeMap<String, Vec<Count>>, String> {
    let mut spec = SourceSpec { name: group.name.clone(), ..group.source.clone() };
    all_languages(&mut spec, files);
    let out = tempfile::tempdir().unwrap();
    // One part a file, so that the counts of a part are those of its file.
    let options = Options { part_bytes: 1, ..Options::default() };
    let done = ingest::ingest(&[spec], root, out.path(), &options, &|_, _| {})
        .map_err(|e| format!("{e} ({})", e.hint().unwrap_or_default()))?;
    let mut found: BTreeMap<String, Vec<Count>> = BTreeMap::new();
    let mut archives: BTreeMap<String, Count> = BTreeMap::new();
    for part in &done.manifest.parts {
        let unit = part.sources.keys().next().ok_or("a part without a file")?;
        let unit = unit.split_once(':').map_or(unit.as_str(), |(_, unit)| unit);
        let names: BTreeSet<(&str, bool)> = unit
            .split(" + ")
            .filter_map(|name| file_of(name, files).map(|file| (file, file == name)))
            .collect();
        if names.is_empty() {
            return Err(format!("{unit} is no file of the manifest"));
        }
        for (file, whole) in names {
            if whole {
                let mut count = Count::default();
                count.add(part);
                found.entry(file.into()).or_default().push(count);
            } else {
                archives.entry(file.into()).or_default().add(part);
            }
        }
    }
    found.extend(archives.into_iter().map(|(file, count)| (file, vec![count])));
    Ok(found)
}

#[test]
fn nothing_of_the_shared_data_is_lost() {
    let Some(root) = data() else { return };
    let files = manifest(&root);
    let text = Path::new(".").join("tests/data/shared.toml");
    let table: Table = toml::from_str(&fs::read_to_string(text).unwrap()).unwrap();
    let mut page = String::from(
        "# The shared data\n\nGenerated by `tests/it/shared.rs` with `make docs`; do not edit. \
         What became of every file of `shared/data`, the real samples beside the checkout of those \
         who develop hexapla: rows, errors and skips add up to the rows that their manifest \
         states. A file that is a side of several pairs is counted once.\n\n\
         | group | files | unit | stated | rows | errors | skipped | note |\n\
         | --- | ---: | --- | ---: | ---: | ---: | --- | --- |\n",
    );
    let mut wrong = Vec::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for group in &table.group {
        let found = match read(group, &root, &files) {
            Ok(found) => found,
            Err(error) => {
                wrong.push(format!("{}: {error}", group.name));
                continue;
            }
        };
        let (mut sum, mut all_stated) = (Count::default(), 0);
        for (file, counts) in &found {
            let stated = group.states.get(file).copied().or(files[file]);
            let Some(stated) = stated.map(|rows| rows * group.times) else {
                let all = counts[0].all();
                wrong.push(format!("{file}: the manifest states no rows; found {all}"));
                continue;
            };
            for count in counts {
                if count.all() != stated {
                    let (rows, errors, skips) = (count.rows, count.errors, count.words());
                    wrong.push(format!(
                        "{file}: {stated} {}, but {rows} rows, {errors} errors, skipped: {skips}",
                        group.unit
                    ));
                }
            }
            all_stated += stated;
            sum.rows += counts[0].rows;
            sum.errors += counts[0].errors;
            for (reason, rows) in &counts[0].skips {
                *sum.skips.entry(reason.clone()).or_default() += rows;
            }
        }
        let _ = writeln!(
            page,
            "| {} | {} | {} | {all_stated} | {} | {} | {} | {} |",
            group.name,
            found.len(),
            group.unit,
            sum.rows,
            sum.errors,
            sum.words(),
            cell(&group.note)
        );
        seen.extend(found.into_keys());
    }
    let unread: Vec<&String> = files.keys().filter(|file| !seen.contains(*file)).collect();
    if !unread.is_empty() {
        wrong.push(format!("in no group: {unread:?}"));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    compare("shared-data.md", &page);
}

#[test]
fn a_name_finds_its_file_of_the_manifest() {
    let files = ["a/b.tmx", "a/b.zip", "a/b.zipped"].map(|f| (f.to_string(), None)).into();
    for (name, file) in [
        ("a/b.zip", Some("a/b.zip")),
        ("a/b.zip/c.en", Some("a/b.zip")),
        ("a/b.zip!c.en", Some("a/b.zip")),
        ("a/b.zipped", Some("a/b.zipped")),
        ("a/c", None),
    ] {
        assert_eq!(file_of(name, &files), file, "{name}");
    }
}
