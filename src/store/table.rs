//! Reading a table: its manifest, its parts in order of `doc_id`, their batches.
//!
//! Nothing is listed from the folder: what the manifest does not name is not there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::manifest::{MANIFEST, Manifest, Part};
use crate::error::{Error, Result};

/// Advice about a file that is not what its manifest says.
pub(crate) const ADVICE: &str = "`hexapla verify` tells which files differ from the manifest";

/// A committed table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its folder.
    pub dir: PathBuf,
    /// What it is made of.
    pub manifest: Manifest,
}

impl Table {
    /// Opens a folder that must hold a table.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self { dir: dir.into(), manifest: Manifest::expect(dir)? })
    }

    /// Where a part lies.
    pub fn path(&self, part: &Part) -> PathBuf {
        self.dir.join(&part.file)
    }

    /// Where a part lies, without links; errors when it is missing or not as long as it was.
    pub fn present(&self, part: &Part) -> Result<PathBuf> {
        let path = self.path(part);
        let found = path.canonicalize().and_then(|p| Ok((fs::metadata(&p)?.len(), p)));
        match found {
            Ok((bytes, path)) if bytes == part.bytes => Ok(path),
            Ok((bytes, _)) => {
                let message = format!("{bytes} bytes; it was written with {}", part.bytes);
                Err(Error::input(&path, message).hint_with(ADVICE))
            }
            Err(e) => Err(Error::io(&path, e).hint_with(ADVICE)),
        }
    }

    /// The schema of the first part; a table has at least one, be it empty.
    pub fn schema(&self) -> Result<SchemaRef> {
        let Some(part) = self.manifest.parts.first() else {
            return Err(Error::input(&self.dir, "the manifest lists no part"));
        };
        Ok(reader(&self.path(part))?.schema().clone())
    }

    /// The batches of one part.
    pub fn batches(&self, part: &Part) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let path = self.path(part);
        let reader: ParquetRecordBatchReader =
            reader(&path)?.build().map_err(|e| Error::input(&path, e))?;
        Ok(reader.map(move |batch| batch.map_err(|e| Error::input(&path, e))))
    }

    /// The parts grouped into runs: inside a run the ranges of `doc_id` ascend and do not overlap,
    /// so a run is read front to back; several runs have to be merged. Usually there is one.
    pub fn runs(&self) -> Vec<Vec<&Part>> {
        let mut parts: Vec<&Part> = self.manifest.parts.iter().filter(|p| p.rows > 0).collect();
        parts.sort_by_key(|p| p.ids);
        let mut runs: Vec<Vec<&Part>> = Vec::new();
        for part in parts {
            let fits = |run: &&mut Vec<&Part>| match (run.last().and_then(|p| p.ids), part.ids) {
                (Some((_, high)), Some((low, _))) => high < low,
                _ => false,
            };
            match runs.iter_mut().find(fits) {
                Some(run) => run.push(part),
                None => runs.push(vec![part]),
            }
        }
        runs
    }
}

fn reader(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|e| Error::io(path, e).hint_with(ADVICE))?;
    check_parquet(path).map_err(|e| e.hint_with(ADVICE))?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|e| Error::input(path, e).hint_with(ADVICE))
}

/// The last bytes of a Parquet file, which say how long its footer is.
pub const TAIL: usize = 8;
/// The bytes of the shortest Parquet file.
pub const LEAST: u64 = 12;

/// Refuses what has no place for a Parquet footer: the parquet crate panics at a footer that is
/// longer than the file.
pub fn check_parquet(path: &Path) -> Result<()> {
    let io = |e| Error::io(path, e);
    let mut file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let mut tail = [0; TAIL];
    if bytes >= LEAST {
        file.seek(SeekFrom::End(-(TAIL as i64))).map_err(io)?;
        file.read_exact(&mut tail).map_err(io)?;
    }
    check_tail(path, &tail, bytes)
}

/// The same for the last bytes of a file of so many bytes.
pub fn check_tail(path: &Path, tail: &[u8], bytes: u64) -> Result<()> {
    let footer = match tail {
        // PARE ends files with an encrypted footer, which the crate names itself.
        [a, b, c, d, b'P', b'A', b'R', b'1' | b'E'] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => u32::MAX,
    };
    if u64::from(footer) + LEAST > bytes || footer == u32::MAX {
        return Err(Error::input(path, "not a Parquet file, or only the beginning of one"));
    }
    Ok(())
}

/// Removes what the manifest does not list: parts of older commits and of killed runs.
pub fn sweep(dir: &Path, manifest: &Manifest) -> Result<()> {
    let listed: BTreeSet<PathBuf> = manifest
        .parts
        .iter()
        .chain(&manifest.error_parts)
        .map(|p| dir.join(&p.file))
        .chain([dir.join(MANIFEST)])
        .collect();
    for folder in [dir.to_path_buf(), dir.join("errors")] {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io(&folder, e)),
        };
        for entry in entries {
            let path = entry.map_err(|e| Error::io(&folder, e))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Only what hexapla may have written: a user's own note in the folder is theirs.
            let ours = name.starts_with(".tmp-") || name.starts_with("part-");
            if ours && path.is_file() && !listed.contains(&path) {
                fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{StringViewArray, UInt64Array};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::super::part::{self, PartWriter};
    use super::*;

    fn write(dir: &Path, key: &str, ids: &[u64]) -> Part {
        let schema = Arc::new(Schema::new(vec![
            Field::new("doc_id", DataType::UInt64, false),
            Field::new("text", DataType::Utf8View, true),
        ]));
        let texts: StringViewArray = ids.iter().map(|i| Some(format!("þetta er {i}"))).collect();
        let batch = RecordBatch::try_new(
            schema.clone(),
            vec![Arc::new(UInt64Array::from(ids.to_vec())), Arc::new(texts)],
        );
        let mut writer = PartWriter::create(dir, "", key, &schema).unwrap();
        writer.write(&batch.unwrap()).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn a_table_is_what_its_manifest_lists() {
        let dir = tempfile::tempdir().unwrap();
        let a = write(dir.path(), "a", &[1, 5]);
        let b = write(dir.path(), "b", &[7, 9]);
        let c = write(dir.path(), "c", &[2, 8]);
        write(dir.path(), "from a killed run", &[3]);
        let parts = vec![b.clone(), a.clone(), c.clone()];
        let manifest = Manifest { parts, ..Manifest::default() };
        manifest.commit(dir.path()).unwrap();
        sweep(dir.path(), &manifest).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
        let table = Table::open(dir.path()).unwrap();
        assert_eq!(table.runs(), vec![vec![&a, &b], vec![&c]]);
        let rows: usize = table.batches(&a).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, 2);
        assert_eq!(table.schema().unwrap().field(1).data_type(), &DataType::Utf8);
    }

    #[test]
    fn a_finished_part_is_found_by_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let made = write(dir.path(), "k", &[4, 6]);
        assert_eq!(made.ids, Some((4, 6)));
        assert_eq!(part::find(dir.path(), "", "k").unwrap(), Some(made));
        assert_eq!(part::find(dir.path(), "", "other").unwrap(), None);
    }
}
