//! The tables that a session knows by name, each opened when a query first reads it.
//!
//! A damaged table is an error of the queries that read it and of no other. Files that queries
//! name by path are not kept here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::Result as PlanResult;
use datafusion::datasource::TableType;

use super::failure;
use super::provider::StoredTable;
use crate::error::{Error, Result};
use crate::store::table::Table;

/// What stands behind a name.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A table that is open.
    Open(Arc<dyn TableProvider>),
    /// A table of the store that is opened when it is first read.
    Folder {
        /// Its name, for errors.
        name: String,
        /// Its folder.
        dir: PathBuf,
        /// The table once it was read.
        opened: OnceLock<Arc<dyn TableProvider>>,
    },
    /// A table that is not there yet.
    Unbuilt {
        /// Its name.
        name: String,
        /// What makes it.
        hint: String,
    },
}

impl Entry {
    /// A table of the store, which is not read yet.
    pub fn folder(name: &str, dir: &Path) -> Self {
        Entry::Folder { name: name.into(), dir: dir.into(), opened: OnceLock::new() }
    }

    /// Whether there is a table, be it a damaged one.
    pub fn exists(&self) -> bool {
        !matches!(self, Entry::Unbuilt { .. })
    }

    /// The table; errors when its manifest or its first part cannot be read, or when it is not
    /// built.
    pub fn open(&self) -> Result<Arc<dyn TableProvider>> {
        match self {
            Entry::Open(provider) => Ok(provider.clone()),
            Entry::Folder { name, dir, opened } => {
                if let Some(provider) = opened.get() {
                    return Ok(provider.clone());
                }
                let table = Table::open(dir).and_then(|table| StoredTable::new(name, table));
                let table = table.map_err(|e| e.within(format!("table `{name}`")))?;
                // Of two threads that open it at once, one has its table thrown away.
                Ok(opened.get_or_init(|| Arc::new(table)).clone())
            }
            Entry::Unbuilt { name, hint } => {
                Err(Error::usage(format!("table `{name}` is not built yet")).hint_with(hint))
            }
        }
    }

    /// The table if it was opened before.
    pub fn opened(&self) -> Option<&Arc<dyn TableProvider>> {
        match self {
            Entry::Open(provider) => Some(provider),
            Entry::Folder { opened, .. } => opened.get(),
            Entry::Unbuilt { .. } => None,
        }
    }
}

/// The tables of one schema, such as `mix` in `mix.main`.
#[derive(Debug, Default)]
pub(crate) struct Tables(RwLock<BTreeMap<String, Arc<Entry>>>);

impl Tables {
    /// Puts an entry under a name; an earlier one is replaced.
    pub fn put(&self, name: &str, entry: Arc<Entry>) {
        // A map is whole whatever a panicking thread did to it.
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tables.insert(name.into(), entry);
    }

    fn get(&self, name: &str) -> Option<Arc<Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let tables = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tables.iter().filter(|(_, entry)| entry.exists()).map(|(name, _)| name.clone()).collect()
    }

    async fn table(&self, name: &str) -> PlanResult<Option<Arc<dyn TableProvider>>> {
        let found = self.get(name).map(|entry| entry.open().map_err(failure::wrap));
        found.transpose()
    }

    async fn table_type(&self, name: &str) -> PlanResult<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.get(name).is_some_and(|entry| entry.exists())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::{numbers, table};
    use crate::sql::{Session, SessionOptions};
    use crate::store::manifest::MANIFEST;

    /// Four tables of which one is whole: the others lack a manifest's end, their only part, and
    /// the second half of it.
    fn session(dir: &std::path::Path) -> Session {
        let mut session = Session::new(SessionOptions::default()).unwrap();
        for name in ["whole", "torn", "gone", "short"] {
            let made = table(&dir.join(name), &[&[1, 2], &[5]]);
            let part = made.path(&made.manifest.parts[0]);
            match name {
                "torn" => fs::write(made.dir.join(MANIFEST), "{\"node\": \"to").unwrap(),
                "gone" => fs::remove_file(part).unwrap(),
                "short" => {
                    let bytes = fs::read(&part).unwrap();
                    fs::write(&part, &bytes[..bytes.len() / 2]).unwrap();
                }
                _ => {}
            }
            session.add_folder(name, &made.dir).unwrap();
        }
        session.add_unbuilt("kept", "`hexapla run kept` builds it").unwrap();
        session
    }

    #[test]
    fn a_damaged_table_is_an_error_of_its_readers_alone() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        for session in [&session, &session.serial([]).unwrap()] {
            assert_eq!(session.tables(), ["gone", "short", "torn", "whole"]);
            assert_eq!(numbers(&session.query("SELECT doc_id FROM whole").unwrap()), [1, 2, 5]);
            for (name, file) in [("torn", MANIFEST), ("gone", ".parquet"), ("short", ".parquet")] {
                for sql in [
                    format!("SELECT * FROM {name}"),
                    format!("SELECT * FROM exact_duplicates('{name}')"),
                    format!("SELECT w.doc_id FROM whole w JOIN {name} x ON w.doc_id = x.doc_id"),
                ] {
                    let error = session.query(&sql).unwrap_err().to_string();
                    assert!(error.contains(&format!("table `{name}`: ")), "{sql}: {error}");
                    assert!(error.contains(file), "{sql}: {error}");
                }
            }
            session.query("SHOW TABLES").unwrap();
        }
    }

    #[test]
    fn a_table_that_is_not_built_says_how_to_build_it() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        for sql in ["SELECT * FROM kept", "SELECT * FROM exact_duplicates('kept')"] {
            let error = session.query(sql).unwrap_err();
            assert!(error.to_string().ends_with("table `kept` is not built yet"), "{error}");
            assert_eq!(error.hint(), Some("`hexapla run kept` builds it"));
        }
        let sql = "WITH kept AS (SELECT doc_id FROM whole) SELECT * FROM kept";
        assert_eq!(numbers(&session.query(sql).unwrap()), [1, 2, 5]);
        let error = session.query("SELECT * FROM kepd").unwrap_err();
        assert!(!error.to_string().contains("kept"), "{error}");
    }
}
