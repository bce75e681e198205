//! Parquet row groups encoded side by side, written in order.
//!
//! Encoding and compression cost more than most of what makes the rows. A full row group is
//! offered to idle threads; when none takes it, who filled it encodes it. The bytes of the file
//! depend on the rows alone.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;

/// A row group is full at this many bytes in memory; DESIGN allows 128 MiB, and smaller ones keep
/// all threads busy to the end of a file.
const BYTES: usize = 32 << 20;
/// A row group is full at this many rows.
const ROWS: usize = 1 << 20;

/// Row groups of all files that wait for a thread or are being encoded by another one.
static OFFERED: AtomicUsize = AtomicUsize::new(0);

/// Batches in, one Parquet file out.
pub struct Encoder<W: Write + Send> {
    file: SerializedFileWriter<W>,
    factory: Arc<ArrowRowGroupWriterFactory>,
    schema: SchemaRef,
    pending: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    /// The number of row groups that were begun.
    begun: usize,
    /// Row groups on their way, the oldest first.
    tickets: std::collections::VecDeque<Ticket>,
}

/// A row group to be encoded.
struct Work {
    factory: Arc<ArrowRowGroupWriterFactory>,
    schema: SchemaRef,
    number: usize,
    batches: Vec<RecordBatch>,
}

/// A row group that was offered: the work as long as nobody began it, and its result.
struct Ticket {
    work: Arc<Mutex<Option<Work>>>,
    done: Receiver<Result<Vec<ArrowColumnChunk>>>,
}

impl Work {
    fn encode(self) -> Result<Vec<ArrowColumnChunk>> {
        let mut columns = self.factory.create_column_writers(self.number)?;
        for batch in &self.batches {
            let mut writers = columns.iter_mut();
            for (field, array) in self.schema.fields().iter().zip(batch.columns()) {
                for leaf in compute_leaves(field, array)? {
                    if let Some(writer) = writers.next() {
                        writer.write(&leaf)?;
                    }
                }
            }
        }
        columns.into_iter().map(|column| column.close()).collect()
    }
}

fn take(work: &Mutex<Option<Work>>) -> Option<Work> {
    work.lock().ok().and_then(|mut work| work.take())
}

/// Offers a row group to the threads of the pool that this runs in.
fn offer(work: Work) -> Ticket {
    let (sender, done): (SyncSender<_>, _) = sync_channel(1);
    let work = Arc::new(Mutex::new(Some(work)));
    let ticket = Ticket { work: work.clone(), done };
    OFFERED.fetch_add(1, SeqCst);
    rayon::spawn(move || {
        if let Some(work) = take(&work) {
            // Nobody listens when the file was given up.
            let _ = sender.send(work.encode());
        }
        OFFERED.fetch_sub(1, SeqCst);
    });
    ticket
}

impl Ticket {
    /// The encoded row group; encodes it here when nobody began it.
    fn redeem(self) -> Result<Vec<ArrowColumnChunk>> {
        match take(&self.work) {
            Some(work) => work.encode(),
            None => {
                self.done.recv().map_err(|e| parquet::errors::ParquetError::External(e.into()))?
            }
        }
    }

    fn is_done(&self) -> Option<Result<Vec<ArrowColumnChunk>>> {
        self.done.try_recv().ok()
    }
}

impl<W: Write + Send> Encoder<W> {
    /// Into a writer.
    pub fn new(out: W, schema: SchemaRef, options: ArrowWriterOptions) -> Result<Self> {
        let writer = ArrowWriter::try_new_with_options(out, schema.clone(), options)?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(Self {
            file,
            factory: Arc::new(factory),
            schema,
            pending: Vec::new(),
            rows: 0,
            bytes: 0,
            begun: 0,
            tickets: Default::default(),
        })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        // Of a slice, what it shows: the memory behind it may be shared with many others.
        let shown = |c: &ArrayRef| c.to_data().get_slice_memory_size().unwrap_or_default();
        self.bytes += batch.columns().iter().map(shown).sum::<usize>();
        self.pending.push(batch);
        if self.rows >= ROWS || self.bytes >= BYTES { self.end_row_group() } else { Ok(()) }
    }

    /// Ends the file with a note in its footer.
    pub fn finish(mut self, note: KeyValue) -> Result<W> {
        if self.rows > 0 {
            self.end_row_group()?;
        }
        while let Some(ticket) = self.tickets.pop_front() {
            self.append(ticket.redeem()?)?;
        }
        self.file.append_key_value_metadata(note);
        self.file.into_inner()
    }

    fn end_row_group(&mut self) -> Result<()> {
        (self.rows, self.bytes) = (0, 0);
        let work = Work {
            factory: self.factory.clone(),
            schema: self.schema.clone(),
            number: self.begun,
            batches: std::mem::take(&mut self.pending),
        };
        self.begun += 1;
        // One for each other thread and one that waits, so that none of them has to.
        let threads = rayon::current_num_threads();
        if threads > 1 && OFFERED.load(SeqCst) < threads {
            self.tickets.push_back(offer(work));
        } else {
            let chunks = work.encode()?;
            while let Some(ticket) = self.tickets.pop_front() {
                self.append(ticket.redeem()?)?;
            }
            return self.append(chunks);
        }
        while let Some(result) = self.tickets.front().and_then(Ticket::is_done) {
            self.tickets.pop_front();
            self.append(result?)?;
        }
        Ok(())
    }

    fn append(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }
}
