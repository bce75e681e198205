//! bzip2 decoded on several threads: blocks are found by their magic numbers and decoded apart.
//!
//! Files of one stream and of many are read alike, and the bytes are the same on any number of
//! threads. What a decoder says of a damaged block is never handed out: everything before it is,
//! then the error. Compresses nothing.

mod block;
mod split;

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use block::{Kind, Segment, is_header};
use split::Splitter;

use crate::error::Error;

/// The decoded content of a bzip2 file. Errors with `UnexpectedEof` where the file is truncated
/// and with `InvalidData` where it is damaged, after everything before that place.
///
/// The file is read and split on the calling thread; `threads` more decode, none if that is 1 or
/// if there is only one block.
pub fn reader<'a>(raw: Box<dyn BufRead + Send + 'a>, threads: usize) -> Reader<'a> {
    Reader {
        splitter: Some(Splitter::new(raw)),
        threads: threads.max(1),
        pending: VecDeque::new(),
        workers: Workers::default(),
        checksum: 0,
        whole: false,
        content: Vec::new(),
        at: 0,
        failure: None,
    }
}

/// See [`reader`].
pub struct Reader<'a> {
    /// `None` once the file is read to its end.
    splitter: Option<Splitter<'a>>,
    threads: usize,
    /// What is split and not yet handed out, in order.
    pending: VecDeque<Pending>,
    workers: Workers,
    /// Of the blocks of the stream so far.
    checksum: u32,
    /// A stream has ended and no other has begun.
    whole: bool,
    content: Vec<u8>,
    /// How much of the content is handed out.
    at: usize,
    failure: Option<Failure>,
}

/// A segment, and where its content will come from.
type Pending = (Arc<Segment>, Option<Receiver<Option<Vec<u8>>>>);

/// Why nothing more comes.
enum Failure {
    Truncated,
    Damaged(&'static str),
    Raw(io::Error),
}

impl Failure {
    fn error(&self) -> io::Error {
        match self {
            Self::Truncated => io::ErrorKind::UnexpectedEof.into(),
            Self::Damaged(what) => io::Error::new(io::ErrorKind::InvalidData, *what),
            Self::Raw(error) => match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
                    Some(ours) => io::Error::other(ours.clone()),
                    None => io::Error::new(error.kind(), error.to_string()),
                },
            },
        }
    }
}

/// Segments that one block is split into by magic numbers inside of it, which is not met twice.
const MOST_JOINED: usize = 3;

impl Reader<'_> {
    /// Splits ahead so far that every worker has something to do.
    fn fill(&mut self) {
        let ahead = if self.threads > 1 { self.threads + 2 } else { 1 };
        while self.pending.len() < 2 * ahead {
            let blocks = self.pending.iter().filter(|(s, _)| s.kind == Kind::Block).count();
            if blocks >= ahead {
                return;
            }
            let Some(splitter) = &mut self.splitter else { return };
            match splitter.next() {
                Ok(Some(segment)) => {
                    let segment = Arc::new(segment);
                    // The first block is decoded here, as the only one of a small file is.
                    let content = (blocks > 0 && segment.kind == Kind::Block)
                        .then(|| self.workers.submit(&segment, self.threads))
                        .flatten();
                    self.pending.push_back((segment, content));
                }
                Ok(None) => self.splitter = None,
                Err(e) => {
                    self.splitter = None;
                    self.failure = Some(Failure::Raw(e));
                }
            }
        }
    }

    /// Moves on to the content of the next block; nothing new is there at the end.
    fn advance(&mut self) -> Result<(), Failure> {
        loop {
            self.fill();
            let Some((segment, content)) = self.pending.pop_front() else {
                return match self.failure.take() {
                    Some(failure) => Err(failure),
                    None if self.whole => Ok(()),
                    None => Err(Failure::Truncated),
                };
            };
            match segment.kind {
                Kind::Header => self.header(&segment, 0)?,
                Kind::End => self.end(&segment)?,
                Kind::Block => {
                    self.whole = false;
                    let decoded = match content {
                        Some(content) => content.recv().ok().flatten(),
                        None => segment.decode(),
                    };
                    let Some(decoded) = decoded.or_else(|| self.joined(&segment)) else {
                        let (content, cut) = segment.salvage();
                        self.content = content;
                        return Err(match cut && segment.last {
                            true => Failure::Truncated,
                            false => Failure::Damaged("a block is broken"),
                        });
                    };
                    self.checksum = self.checksum.rotate_left(1) ^ segment.word(48);
                    self.content = decoded;
                    if !self.content.is_empty() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The content of a block that has a magic number inside of it by chance.
    fn joined(&mut self, first: &Segment) -> Option<Vec<u8>> {
        let mut joined = first.clone();
        for _ in 0..MOST_JOINED {
            self.fill();
            if joined.last || joined.is_too_long() {
                return None;
            }
            let (next, _) = self.pending.front()?;
            joined.append(next);
            if let Some(content) = joined.decode() {
                self.pending.pop_front();
                return Some(content);
            }
            self.pending.pop_front();
        }
        None
    }

    /// Reads the header of a stream, which fills a segment from a bit on.
    fn header(&mut self, segment: &Segment, from: u64) -> Result<(), Failure> {
        let bytes = segment.bytes_from(from);
        (self.checksum, self.whole) = (0, false);
        match bytes.len() {
            4 if is_header(bytes) => Ok(()),
            _ if segment.last && is_header(&bytes[..bytes.len().min(4)]) => Err(Failure::Truncated),
            _ => Err(Failure::Damaged("no bzip2 stream where one should begin")),
        }
    }

    /// Checks the end of a stream, and reads the header of the next.
    fn end(&mut self, segment: &Segment) -> Result<(), Failure> {
        const LENGTH: u64 = 48 + 32;
        if segment.bits < LENGTH {
            return Err(match segment.last {
                true => Failure::Truncated,
                false => Failure::Damaged("the end of a stream is broken"),
            });
        }
        if segment.word(48) != self.checksum {
            return Err(Failure::Damaged("the checksum of a stream is wrong"));
        }
        if segment.last && segment.bytes_from(LENGTH).is_empty() {
            self.whole = true;
            return Ok(());
        }
        self.header(segment, LENGTH)
    }
}

impl BufRead for Reader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.content.len() {
            self.at = 0;
            self.content = Vec::new();
            if let (true, Some(failure)) = (self.splitter.is_none(), &self.failure)
                && self.pending.is_empty()
            {
                return Err(failure.error());
            }
            if let Err(failure) = self.advance() {
                let error = failure.error();
                self.failure = Some(failure);
                self.splitter = None;
                self.pending.clear();
                if self.content.is_empty() {
                    return Err(error);
                }
            }
        }
        Ok(&self.content[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.content.len());
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }
}

/// A block to decode, and where its content goes.
type Job = (Arc<Segment>, Sender<Option<Vec<u8>>>);

/// Threads that decode; they end when this is dropped.
#[derive(Default)]
struct Workers {
    jobs: Option<(Sender<Job>, Arc<Mutex<Receiver<Job>>>)>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Workers {
    /// Where the content of a segment will come; `None` if there is no thread to decode it.
    fn submit(&mut self, segment: &Arc<Segment>, most: usize) -> Option<Receiver<Option<Vec<u8>>>> {
        if most < 2 {
            return None;
        }
        let (jobs, queue) = self.jobs.get_or_insert_with(|| {
            let (sender, receiver) = channel();
            (sender, Arc::new(Mutex::new(receiver)))
        });
        if self.threads.len() < most {
            let (queue, stop) = (Arc::clone(queue), Arc::clone(&self.stop));
            let thread = std::thread::Builder::new().name("bzip2".into());
            self.threads.extend(thread.spawn(move || work(&queue, &stop)));
        }
        let (sender, receiver) = channel();
        if self.threads.is_empty() {
            return None;
        }
        jobs.send((Arc::clone(segment), sender)).ok().map(|()| receiver)
    }
}

fn work(queue: &Mutex<Receiver<Job>>, stop: &AtomicBool) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((segment, content)) = job else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // Nobody waits any more where the file broke before.
        let _ = content.send(segment.decode());
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
