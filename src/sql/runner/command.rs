//! `-- run:` queries: the rows of a table through somebody else's program and back.
//!
//! The program gets an Arrow IPC stream on its standard input and writes one on its standard
//! output: the same `doc_id`s in the same order, with columns of its own. It is started once for
//! all parts that are not finished, so that a model is loaded once; a part is finished as soon as
//! its rows are back. What the columns mean is the program's business.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use crate::error::{Error, Result};
use crate::schema::narrow;
use crate::source::location::Location;
use crate::sql::provider::DOC_ID;
use crate::sql::recipe::{ParamValue, Query, Scalar};

/// Lines of the program's standard error that are kept for the message about its failure.
const LAST_LINES: usize = 5;
/// Bytes of one of them.
const LINE: u64 = 1000;

/// A program with all that its answers depend on.
#[derive(Debug, Clone)]
pub struct Command {
    line: String,
    dir: PathBuf,
    /// Parameters and the seed, as the shell sees them.
    variables: Vec<(String, String)>,
    /// The files that the command names, with their hashes.
    files: BTreeMap<String, String>,
}

impl Command {
    /// The command of a query, to be run in a folder; `None` for a query of SQL alone. Reads the
    /// files that the command names.
    pub fn of(
        query: &Query,
        dir: &Path,
        params: &BTreeMap<String, ParamValue>,
        seed: u64,
    ) -> Result<Option<Self>> {
        let Some(line) = query.run.clone() else { return Ok(None) };
        let mut variables = Vec::new();
        if line.contains("$seed") {
            variables.push(("seed".to_string(), seed.to_string()));
        }
        for (name, value) in params {
            let ParamValue::Scalar(value) = value else {
                return Err(Error::usage(format!(
                    "parameter `{name}` is keyed; a command takes plain values"
                )));
            };
            let value = match value {
                Scalar::Text(text) => text.clone(),
                other => other.literal(),
            };
            variables.push((name.clone(), value));
        }
        let mut files = BTreeMap::new();
        for word in words(&line) {
            let path = dir.join(word);
            if path.is_file() {
                files.insert(word.to_string(), Location::File(path).hash()?.1);
            }
        }
        Ok(Some(Self { line, dir: dir.into(), variables, files }))
    }

    /// What its answers are a function of besides the rows, each by name.
    pub fn ingredients(&self) -> impl Iterator<Item = (String, String)> {
        let files = self.files.iter().map(|(name, hash)| (format!("file {name}"), hash.clone()));
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (format!("variable {name}"), value.clone()));
        [("command".to_string(), self.line.clone())].into_iter().chain(files).chain(variables)
    }

    fn failed(&self, what: impl std::fmt::Display) -> Error {
        Error::usage(format!("`{}`: {what}", self.line))
    }

    /// Starts it; `feed` writes all rows to it, from a thread of its own, while `take` gets what
    /// comes back. When anything fails, the program is ended.
    pub fn talk<T>(
        &self,
        schema: SchemaRef,
        feed: impl FnOnce(&mut Writer) -> Result<()> + Send,
        take: impl FnOnce(&mut Reader<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut program = std::process::Command::new("sh");
        program.arg("-c").arg(&self.line).current_dir(&self.dir);
        program.envs(self.variables.iter().map(|(name, value)| (name, value)));
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Of its own group, so that all that the shell starts can be ended.
        program.process_group(0);
        let mut child = program.spawn().map_err(|e| self.failed(e))?;
        let (Some(input), Some(output), Some(words)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::internal("a child without pipes"));
        };
        std::thread::scope(|scope| {
            let words = scope.spawn(move || last_lines(words));
            let fed = scope.spawn(move || {
                let mut writer = Writer::new(input, &schema)?;
                let result = feed(&mut writer).and_then(|()| writer.finish());
                // Why it reads no more is told by its status, or by the rows that it gave back.
                if writer.gone { Ok(()) } else { result }
            });
            // Kept open, so that the program does not fail for want of a reader.
            let open = output.as_fd().try_clone_to_owned();
            let taken = Reader::new(self, output).and_then(|mut reader| take(&mut reader));
            let early = if taken.is_err() { ended_soon(&mut child) } else { None };
            if taken.is_err() && early.is_none() {
                end(&mut child);
            }
            drop(open);
            let fed = fed.join().map_err(|_| Error::internal("feeding a command panicked"))?;
            let status = child.wait().map_err(|e| self.failed(e))?;
            let words = words.join().unwrap_or_default();
            let its_own = taken.is_ok() || early.is_some();
            fed?;
            if its_own && !status.success() {
                let last = words.last().map(|line| format!(": {line}")).unwrap_or_default();
                return Err(self.failed(format!("{status}{last}")).hint_with(RESUMED));
            }
            taken
        })
    }
}

const RESUMED: &str = "parts that were finished are kept; the next run goes on behind them";

/// The status of a program that ends by itself within a second.
fn ended_soon(child: &mut Child) -> Option<ExitStatus> {
    for _ in 0..50 {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Ends the program and all that it started.
fn end(child: &mut Child) {
    // The standard library can end one process only.
    let group = format!("-{}", child.id());
    let _ = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.kill();
}

/// The words of a command line, without quotes and without the names of options.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split([' ', '\t', '=', ';', '|', '&', '<', '>', '(', ')'])
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| !word.is_empty())
}

fn last_lines(from: impl Read) -> Vec<String> {
    let mut from = BufReader::new(from);
    let mut lines: Vec<String> = Vec::new();
    let mut line = Vec::new();
    // A line that never ends is read in pieces.
    while (&mut from).take(LINE).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&line).trim().to_string();
        line.clear();
        if !text.is_empty() {
            lines.drain(..(lines.len() + 1).saturating_sub(LAST_LINES));
            lines.push(text);
        }
    }
    lines
}

/// What a program is told: strings as `Utf8`, which every reader of Arrow knows.
pub struct Writer {
    schema: SchemaRef,
    stream: StreamWriter<BufWriter<ChildStdin>>,
    /// Whether the program has closed its standard input.
    gone: bool,
}

impl Writer {
    fn new(input: ChildStdin, schema: &Schema) -> Result<Self> {
        let field = |f: &Field| Field::new(f.name(), narrow(f.data_type()), f.is_nullable());
        let fields: Vec<Field> = schema.fields().iter().map(|f| field(f)).collect();
        let schema = SchemaRef::new(Schema::new(fields));
        let stream = StreamWriter::try_new(BufWriter::new(input), &schema)?;
        Ok(Self { schema, stream, gone: false })
    }

    /// Writes rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| Ok(cast(column, field.data_type())?))
            .collect::<Result<Vec<_>>>()?;
        let written = self.stream.write(&RecordBatch::try_new(self.schema.clone(), columns)?);
        self.result(written)
    }

    fn finish(&mut self) -> Result<()> {
        let finished = self.stream.finish();
        self.result(finished)
    }

    fn result(&mut self, result: Result<(), ArrowError>) -> Result<()> {
        if let Err(ArrowError::IoError(_, e)) = &result {
            self.gone |= e.kind() == ErrorKind::BrokenPipe;
        }
        Ok(result?)
    }
}

/// What a program answers.
pub struct Reader<'a> {
    command: &'a Command,
    stream: StreamReader<BufReader<ChildStdout>>,
    /// Rows of the last batch that belong to a later part.
    rest: Option<RecordBatch>,
    rows: u64,
}

impl<'a> Reader<'a> {
    fn new(command: &'a Command, output: ChildStdout) -> Result<Self> {
        let stream = StreamReader::try_new(BufReader::new(output), None).map_err(|e| {
            command.failed(format!("its output is no Arrow IPC stream: {e}")).hint_with(
                "the standard output carries the stream alone; messages go to the standard error",
            )
        })?;
        let found = stream.schema();
        match found.field_with_name(DOC_ID).map(|f| f.data_type().clone()) {
            Ok(DataType::UInt64) => Ok(Self { command, stream, rest: None, rows: 0 }),
            Ok(other) => Err(command.failed(format!(
                "its column `{DOC_ID}` is {other}; expected the UInt64 it was given"
            ))),
            Err(_) => {
                let names: Vec<&str> = found.fields().iter().map(|f| f.name().as_str()).collect();
                Err(command.failed(format!(
                    "its output has no column `{DOC_ID}`; it has: {}",
                    names.join(", ")
                )))
            }
        }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// Hands on the rows of these ids, which have to come next.
    pub fn part(
        &mut self,
        mut ids: &[u64],
        each: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        while !ids.is_empty() {
            let Some(batch) = self.next()? else {
                let asked = self.rows + ids.len() as u64;
                return Err(self
                    .command
                    .failed(format!("it gave back {} of {asked} rows and no more", self.rows)));
            };
            let n = batch.num_rows().min(ids.len());
            let batch = if n < batch.num_rows() {
                self.rest = Some(batch.slice(n, batch.num_rows() - n));
                batch.slice(0, n)
            } else {
                batch
            };
            self.check(&batch, &ids[..n])?;
            ids = &ids[n..];
            self.rows += n as u64;
            each(batch)?;
        }
        Ok(())
    }

    /// Refuses rows after the last one.
    pub fn end(&mut self) -> Result<()> {
        match self.next()? {
            None => Ok(()),
            Some(_) => {
                let what = format!("it gave back more than the {} rows it was given", self.rows);
                Err(self.command.failed(what))
            }
        }
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        loop {
            match self.stream.next().transpose() {
                Ok(Some(batch)) if batch.num_rows() == 0 => {}
                Ok(batch) => return Ok(batch),
                Err(e) => return Err(self.command.failed(format!("its output is broken: {e}"))),
            }
        }
    }

    fn check(&self, batch: &RecordBatch, ids: &[u64]) -> Result<()> {
        let Some(found) = batch.column_by_name(DOC_ID) else {
            return Err(Error::internal("a batch without its schema's column"));
        };
        let values = found.as_primitive::<UInt64Type>().values();
        match values.iter().zip(ids).position(|(found, asked)| found != asked) {
            None if found.null_count() == 0 => Ok(()),
            None => Err(self.command.failed(format!("a `{DOC_ID}` is null"))),
            Some(i) => Err(self
                .command
                .failed(format!(
                    "row {} of its answer is `{DOC_ID}` {}; expected {}",
                    self.rows + i as u64,
                    values[i],
                    ids[i]
                ))
                .hint_with("it has to give back every row, in the order it was given")),
        }
    }
}
