//! Which files there are, what they hash to, and which parts they go into.
//!
//! Decodes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::id;
use crate::source::{Into, SourceSpec, Unit, unit};
use crate::store::manifest::Part;

/// Bytes of input that a part holds about; a larger file is a part of its own.
pub const PART_BYTES: u64 = 64 << 20;
/// Counts up when equal files give other parts than before, whatever their format.
const VERSION: u32 = 1;

/// A unit with its identity.
pub struct PlannedFile {
    /// What is read.
    pub unit: Unit,
    /// The upper half of the ids of its rows.
    pub file_id: u32,
    /// Its bytes on disk.
    pub bytes: u64,
    /// xxh3-128 of them in hexadecimal; of two files, both.
    pub hash: String,
}

impl PlannedFile {
    /// What the part it goes into lists it under.
    pub fn label(&self) -> String {
        format!("{}:{}", self.unit.spec.name, self.unit.name())
    }
}

/// All files of an ingest in the order of their ids.
pub struct Plan {
    /// The files.
    pub files: Vec<PlannedFile>,
    /// The table they fill.
    pub into: Into,
    specs: Vec<SourceSpec>,
}

/// The files of one part, by their places in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Ascending.
    pub files: Vec<usize>,
    /// What the part is a function of, hashed.
    pub key: String,
}

impl Plan {
    /// Finds and hashes the files of sources that all fill the same table.
    pub fn new(specs: &[SourceSpec], root: &Path) -> Result<Self> {
        let Some(into) = specs.first().map(SourceSpec::table) else {
            return Err(Error::usage("there is no source to read"));
        };
        let mut units = Vec::new();
        for (i, spec) in specs.iter().enumerate() {
            if specs[..i].iter().any(|other| other.name == spec.name) {
                return Err(Error::usage(format!("two sources are named `{}`", spec.name)));
            }
            if spec.table() != into {
                return Err(Error::usage(format!(
                    "source `{}` fills `{}` and source `{}` fills `{}`; one ingest fills one table",
                    specs[0].name,
                    into.table(),
                    spec.name,
                    spec.table().table()
                )));
            }
            units.extend(unit::units(spec, root)?);
        }
        let mut files = units
            .into_par_iter()
            .map(|unit| {
                let (mut bytes, mut hashes) = (0, Vec::new());
                let beside = unit.format.beside(&unit)?;
                for location in unit.locations.iter().chain(&beside) {
                    let (n, hash) = location.hash()?;
                    bytes += n;
                    hashes.push(hash);
                }
                let file_id = id::file_id(&unit.spec.name, &unit.name());
                Ok(PlannedFile { unit, file_id, bytes, hash: hashes.join("+") })
            })
            .collect::<Result<Vec<_>>>()?;
        files.sort_by_key(|f| (f.file_id, f.label()));
        if let Some([a, b]) = files.array_windows().find(|[a, b]| a.file_id == b.file_id) {
            return Err(Error::usage(format!(
                "`{}` and `{}` of sources `{}` and `{}` would share their row ids",
                a.unit.name(),
                b.unit.name(),
                a.unit.spec.name,
                b.unit.spec.name
            ))
            .hint_with(
                "ids are hashed from the name of the source and the path; change one of them",
            ));
        }
        Ok(Self { files, into, specs: specs.to_vec() })
    }

    /// What the table is a function of, hashed.
    pub fn key(&self) -> String {
        self.key_of((0..self.files.len()).collect::<Vec<_>>().as_slice())
    }

    /// Bytes on disk of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    /// Bytes on disk of the files of a part.
    pub fn bytes_of(&self, part: &Planned) -> u64 {
        part.files.iter().map(|i| self.files[*i].bytes).sum()
    }

    /// The files of a part with their hashes.
    pub fn sources(&self, part: &Planned) -> BTreeMap<String, String> {
        let files = part.files.iter().map(|i| &self.files[*i]);
        files.map(|f| (f.label(), f.hash.clone())).collect()
    }

    /// The content of each source, hashed.
    pub fn inputs(&self) -> BTreeMap<String, String> {
        let of = |spec: &SourceSpec| {
            let files: Vec<usize> = (0..self.files.len())
                .filter(|i| self.files[*i].unit.spec.name == spec.name)
                .collect();
            (format!("source.{}", spec.name), self.key_of(&files))
        };
        self.specs.iter().map(of).collect()
    }

    /// What was said about each source.
    pub fn params(&self) -> BTreeMap<String, serde_json::Value> {
        self.specs
            .iter()
            .filter_map(|spec| Some((spec.name.clone(), serde_json::to_value(spec).ok()?)))
            .collect()
    }

    /// Divides the files into parts. A file that a part of the last commit lists stays with the
    /// others of that part; new ones are packed by their ids into new parts of about `size` bytes.
    pub fn parts(&self, old: &[Part], size: u64) -> Vec<Planned> {
        let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, part) in old.iter().enumerate() {
            owners.extend(part.sources.keys().map(|label| (label.as_str(), i)));
        }
        let mut stay: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let (mut parts, mut fresh, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (i, file) in self.files.iter().enumerate() {
            if let Some(owner) = owners.get(file.label().as_str()) {
                stay.entry(*owner).or_default().push(i);
                continue;
            }
            if !fresh.is_empty() && bytes + file.bytes > size {
                parts.push(std::mem::take(&mut fresh));
                bytes = 0;
            }
            fresh.push(i);
            bytes += file.bytes;
        }
        parts.extend((!fresh.is_empty()).then_some(fresh));
        parts.extend(stay.into_values());
        parts.sort();
        parts.into_iter().map(|files| Planned { key: self.key_of(&files), files }).collect()
    }

    fn key_of(&self, files: &[usize]) -> String {
        let mut text = format!("ingest {VERSION} {}", self.into.table());
        for file in files.iter().map(|i| &self.files[*i]) {
            text.push_str(&format!("\n{}\t{}\t{}", file.label(), file.unit.key(), file.hash));
        }
        id::hex128(id::hash128(text.as_bytes()))
    }
}
