//! Tables that a node makes beside its own: a query's dropped rows, a mixture's selection.
//!
//! They are committed before or after the node's own table, so a killed run may leave one that is
//! of another version, or that should not be there; a hand may remove one. Nothing is built here.

use std::path::{Path, PathBuf};

use super::build::tables_of;
use super::node::Node;
use crate::error::Result;
use crate::sql::runner::{self, REASON};
use crate::store::manifest::Manifest;
use crate::store::table::{Table, sweep};

/// One such table.
pub(super) struct Beside {
    name: String,
    dir: PathBuf,
    /// Whether the node makes it; `None` when its own table cannot tell.
    made: Option<bool>,
    /// The key that it shares with the node's own table.
    key: String,
    manifest: Option<Manifest>,
}

impl Beside {
    /// The tables beside a node's own, whose folder and manifest these are.
    pub fn of(node: &Node, own: &Path, manifest: &Manifest) -> Result<Vec<Self>> {
        let tables = own.parent().unwrap_or(own);
        let others = tables_of(node).into_iter().skip(1).map(|name| {
            let dir = tables.join(&name);
            let made = match node {
                Node::Query(_) => {
                    let table = Table { dir: own.into(), manifest: manifest.clone() };
                    table.schema().ok().map(|s| s.column_with_name(REASON).is_some())
                }
                _ => Some(true),
            };
            let (key, manifest) = (manifest.key.clone(), Manifest::read(&dir)?);
            Ok(Self { name, dir, made, key, manifest })
        });
        others.collect()
    }

    /// Why the node has to be built again for it, if it has.
    pub fn missing(&self) -> Option<String> {
        match &self.manifest {
            _ if self.made != Some(true) => None,
            None => Some(format!("{} is missing", self.name)),
            Some(found) if found.key != self.key => {
                Some(format!("{} is of another version", self.name))
            }
            Some(found) => missing(&self.dir, found, &self.name),
        }
    }

    /// Removes what a killed run left, be it the whole table.
    pub fn sweep(&self) -> Result<()> {
        match (&self.manifest, self.made) {
            (Some(found), Some(true)) => sweep(&self.dir, found),
            (_, Some(false)) => runner::remove(&self.dir),
            _ => Ok(()),
        }
    }
}

/// The first part that a manifest lists and that is not there, in words.
pub(super) fn missing(dir: &Path, manifest: &Manifest, table: &str) -> Option<String> {
    let part = manifest.parts.iter().find(|p| !dir.join(&p.file).is_file())?;
    let file = Path::new(table).join(&part.file);
    Some(format!("{} is missing", file.display()))
}
