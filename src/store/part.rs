//! Writing one Parquet part: under a temporary name, hashed while written, synced, then renamed.
//!
//! A part's name is a function of its key, so a part that a killed run finished is found again by
//! the next run and taken over. Parts say nothing about being committed: the manifest does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use xxhash_rust::xxh3::Xxh3;

use super::encode::Encoder;
use super::manifest::{Part, open_to_all, sync_dir};
use crate::error::{Error, Result};
use crate::{id, schema};

/// The footer's entry with the part as the manifest will list it, less its hash, its name and its
/// key: equal rows with equal counts of what was dropped give equal bytes, whatever made them.
const FOOTER: &str = "hexapla.part";

/// A part being written; dropped unfinished, it leaves nothing behind.
pub struct PartWriter {
    dir: PathBuf,
    name: String,
    schema: SchemaRef,
    writer: Encoder<Hashed>,
    temp: tempfile::TempPath,
    part: Part,
}

/// A file on its way to the disk.
struct Hashed {
    file: BufWriter<File>,
    hash: Xxh3,
    bytes: u64,
    /// Brings what was written to the disk, up to so many bytes, while more is being made.
    sync: Option<JoinHandle<io::Result<()>>>,
    synced: u64,
}

/// As many bytes are brought to the disk at a time, so that little is left to wait for at the end.
const SYNC: u64 = 32 << 20;

impl Hashed {
    fn new(file: File) -> Self {
        Self { file: BufWriter::new(file), hash: Xxh3::new(), bytes: 0, sync: None, synced: 0 }
    }

    fn sync_beside(&mut self) -> io::Result<()> {
        if self.sync.as_ref().is_some_and(|sync| !sync.is_finished()) {
            return Ok(());
        }
        self.synced()?;
        let file = self.file.get_ref().try_clone()?;
        self.sync = Some(std::thread::spawn(move || file.sync_data()));
        self.synced = self.bytes;
        Ok(())
    }

    /// A failure is told to the first who syncs, so it has to be asked for.
    fn synced(&mut self) -> io::Result<()> {
        match self.sync.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("syncing panicked")),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.synced()?;
        self.file.get_ref().sync_all()
    }
}

impl Write for Hashed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buf)?;
        self.hash.update(&buf[..n]);
        self.bytes += n as u64;
        if self.bytes - self.synced >= SYNC {
            self.sync_beside()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file name of the part with a key, inside its table's folder.
pub fn part_name(prefix: &str, key: &str) -> String {
    let key = id::hex128(id::hash128(key.as_bytes()));
    format!("{prefix}part-{}.parquet", &key[..16])
}

impl PartWriter {
    /// Begins a part in a folder, which is created; `prefix` is `""` or a sub-folder such as
    /// `errors/`. Columns are cast to `schema`, whose strings are written as `Utf8`.
    pub fn create(dir: &Path, prefix: &str, key: &str, schema: &Schema) -> Result<Self> {
        let fields: Vec<Field> = schema
            .fields()
            .iter()
            .map(|f| Field::new(f.name(), schema::narrow(f.data_type()), f.is_nullable()))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let name = part_name(prefix, key);
        let folder = dir.join(prefix);
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let (file, temp) = tempfile::Builder::new()
            .prefix(".tmp-")
            .tempfile_in(&folder)
            .map_err(|e| Error::io(&folder, e))?
            .into_parts();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
            .set_created_by(concat!("hexapla ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let options =
            ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = Encoder::new(Hashed::new(file), schema.clone(), options)
            .map_err(|e| Error::io(dir.join(&name), e))?;
        let part = Part { file: name.clone(), key: key.into(), ..Part::default() };
        Ok(Self { dir: dir.into(), name, schema, writer, temp, part })
    }

    /// Appends rows; the columns must be those of the schema up to the width of strings.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(c, f)| Ok(cast(c, f.data_type())?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        self.see_ids(&batch);
        self.part.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|e| Error::io(self.dir.join(&self.name), e))
    }

    /// Counts rows that were dropped on the way into this part.
    pub fn dropped(&mut self, reason: &str, rows: u64) {
        *self.part.dropped.entry(reason.into()).or_default() += rows;
    }

    /// Records the source files that were read into this part, with their content hashes.
    pub fn sources(&mut self, sources: BTreeMap<String, String>) {
        self.part.sources = sources;
    }

    /// Ends the part: footer, fsync, rename.
    pub fn finish(mut self) -> Result<Part> {
        let path = self.dir.join(&self.name);
        let io = |e: &dyn std::fmt::Display| Error::io(&path, e);
        let note = Part { file: String::new(), key: String::new(), ..self.part.clone() };
        let note = serde_json::to_string(&note).map_err(|e| Error::internal(e.to_string()))?;
        let note = KeyValue::new(FOOTER.into(), note);
        let mut out = self.writer.finish(note).map_err(|e| io(&e))?;
        out.finish().map_err(|e| io(&e))?;
        self.temp.persist(&path).map_err(|e| io(&e.error))?;
        open_to_all(&path)?;
        sync_dir(path.parent().unwrap_or(&self.dir))?;
        self.part.bytes = out.bytes;
        self.part.xxh3 = id::hex128(out.hash.digest128());
        Ok(self.part)
    }

    fn see_ids(&mut self, batch: &RecordBatch) {
        let Some(ids) = batch.column_by_name("doc_id") else { return };
        let Some(ids) = ids.as_any().downcast_ref::<UInt64Array>() else { return };
        let (low, high) = (arrow::compute::min(ids), arrow::compute::max(ids));
        if let (Some(low), Some(high)) = (low, high) {
            let (a, b) = self.part.ids.unwrap_or((low, high));
            self.part.ids = Some((a.min(low), b.max(high)));
        }
    }
}

/// The finished part with this key in a folder, if an earlier run left it there.
pub fn find(dir: &Path, prefix: &str, key: &str) -> Result<Option<Part>> {
    let name = part_name(prefix, key);
    let path = dir.join(&name);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(&path, e)),
    };
    let file = File::open(&path).map_err(|e| Error::io(&path, e))?;
    // A file that is no Parquet, or not ours, is written anew.
    let Ok(reader) = ParquetRecordBatchReaderBuilder::try_new(file) else { return Ok(None) };
    let notes = reader.metadata().file_metadata().key_value_metadata();
    let note = notes.and_then(|n| n.iter().find(|n| n.key == FOOTER)).and_then(|n| n.value.clone());
    let part: Option<Part> = note.and_then(|text| serde_json::from_str(&text).ok());
    Ok(part.map(|part| Part {
        file: name,
        key: key.into(),
        bytes: bytes.len() as u64,
        xxh3: id::hex128(id::hash128(&bytes)),
        ..part
    }))
}
