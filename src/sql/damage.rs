//! Which file a query stumbled over: what the Parquet reader says of damage names none.
//!
//! The files of the plan are read once more, and the first that cannot be is the one; that takes
//! as long as the query did, but only where it has failed already.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::physical_plan::ExecutionPlan;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::failure;
use super::provider::beneath;
use crate::error::{Error, Result};
use crate::store::table::{ADVICE, check_parquet};

/// The error of a running plan, with the damaged file where it comes from one.
pub(super) fn located(error: DataFusionError, plan: &Arc<dyn ExecutionPlan>) -> DataFusionError {
    if !is_of_parquet(&error) {
        return error;
    }
    let mut paths = Vec::new();
    files(plan, &mut paths);
    paths.sort();
    paths.dedup();
    match paths.iter().find_map(|path| check(path).err()) {
        Some(found) => failure::wrap(found.hint_with(ADVICE)),
        None => error,
    }
}

fn is_of_parquet(error: &DataFusionError) -> bool {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = at {
        let found = error.is::<ParquetError>()
            || matches!(error.downcast_ref(), Some(ArrowError::ParquetError(_)))
            || matches!(error.downcast_ref(), Some(DataFusionError::ParquetError(_)));
        if found {
            return true;
        }
        at = error.source();
    }
    false
}

/// The Parquet files that a plan reads.
fn files(plan: &Arc<dyn ExecutionPlan>, paths: &mut Vec<PathBuf>) {
    let source = plan.downcast_ref::<DataSourceExec>().map(DataSourceExec::data_source);
    if let Some(scan) = source.and_then(|s| s.downcast_ref::<FileScanConfig>())
        && scan.file_source().file_type() == "parquet"
    {
        let store = LocalFileSystem::new();
        let found = scan.file_groups.iter().flat_map(|group| group.iter());
        paths.extend(found.filter_map(|file| store.path_to_filesystem(file.path()).ok()));
    }
    beneath(plan).into_iter().for_each(|below| files(below, paths));
}

/// Reads all of a file.
fn check(path: &Path) -> Result<()> {
    check_parquet(path)?;
    let damaged = |e: &dyn std::fmt::Display| Error::input(path, format!("damaged: {e}"));
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.build());
    for batch in reader.map_err(|e| damaged(&e))? {
        batch.map_err(|e| damaged(&e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::super::testing::table;
    use crate::sql::{Session, SessionOptions};

    #[test]
    fn a_damaged_page_names_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<u64> = (0..3000).collect();
        let made = table(&dir.path().join("a"), &[&ids[..1000], &ids[1000..2000], &ids[2000..]]);
        let path = made.path(&made.manifest.parts[1]);
        let mut bytes = fs::read(&path).unwrap();
        // The first page with its header; the footer stays as it was.
        bytes[4..2000].fill(0xa5);
        fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        let mut session = Session::new(SessionOptions::default()).unwrap();
        session.add_folder("a", &made.dir).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        for sql in [
            "SELECT * FROM a".to_string(),
            "SELECT doc_id % 7, count(*) FROM a GROUP BY doc_id % 7".into(),
            "SELECT count(*) FROM exact_duplicates('a')".into(),
            format!("SELECT * FROM '{}'", path.display()),
        ] {
            let error = session.query(&sql).unwrap_err();
            assert!(error.to_string().contains(name.as_ref()), "{sql}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("verify")), "{sql}");
        }
    }
}
