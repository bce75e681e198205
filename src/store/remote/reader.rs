//! One object as a blocking stream of bytes, taken up again where a connection broke.
//!
//! Some megabytes are fetched ahead, no more. Never gives the bytes of two versions of an object.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectMeta};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::connect::{PATIENCE, Place, failed, run, runtime, shown, silent};
use crate::error::{Error, Result};

/// Pieces that are fetched ahead; a piece is some ten kilobytes.
const AHEAD: usize = 128;
/// A connection that gives nothing for so long is taken for broken.
const STALL: Duration = Duration::from_secs(60);
/// Connections that break in a row without giving a byte before the read fails.
const ATTEMPTS: u32 = 6;

/// The bytes of an object, from the first to the last.
///
/// What goes wrong on the way is an [`io::Error`] around an [`Error`].
pub struct Reader {
    pieces: Receiver<Result<Vec<u8>>>,
    room: Arc<Semaphore>,
    piece: Vec<u8>,
    at: usize,
    size: u64,
}

type Pieces = BoxStream<'static, object_store::Result<Vec<u8>>>;

impl Reader {
    /// Asks for the object; errors when it is not there.
    pub(super) fn open(place: Place) -> Result<Self> {
        let first = place.clone();
        let begun = run(async move { begin(&first, None).await })??;
        let (sender, pieces) = channel();
        let room = Arc::new(Semaphore::new(AHEAD));
        let size = begun.0.size;
        runtime()?.spawn(pump(place, begun, sender, room.clone()));
        Ok(Self { pieces, room, piece: Vec::new(), at: 0, size })
    }

    /// How many bytes there are in all.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.pieces.recv() {
                Ok(Ok(piece)) => {
                    self.room.add_permits(1);
                    (self.piece, self.at) = (piece, 0);
                }
                Ok(Err(error)) => return Err(io::Error::other(error)),
                // The sender is gone after the last piece.
                Err(_) => return Ok(0),
            }
        }
        let n = buf.len().min(self.piece.len() - self.at);
        buf[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.room.close();
    }
}

/// Fetches to the end, or until nobody reads any more.
async fn pump(
    place: Place,
    (version, mut pieces): (ObjectMeta, Pieces),
    sender: Sender<Result<Vec<u8>>>,
    room: Arc<Semaphore>,
) {
    let (mut offset, mut skip, mut failures) = (0, 0, 0);
    loop {
        let problem = match timeout(STALL, pieces.next()).await {
            Ok(Some(Ok(mut piece))) => {
                if skip > 0 {
                    let passed = piece.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
                    piece.drain(..passed);
                    skip -= passed as u64;
                }
                if piece.is_empty() {
                    continue;
                }
                offset += piece.len() as u64;
                failures = 0;
                let Ok(permit) = room.acquire().await else { return };
                permit.forget();
                if sender.send(Ok(piece)).is_err() {
                    return;
                }
                continue;
            }
            Ok(None) if offset == version.size => return,
            Ok(None) => Error::io(shown(&place.url), "the connection ended early"),
            Ok(Some(Err(e))) => failed(&place.url, e),
            Err(_) => silent(&place.url, STALL),
        };
        if offset == version.size {
            return;
        }
        let next = resume(&place, &version, offset, &mut failures, problem).await;
        match next {
            Ok(resumed) => (pieces, skip) = resumed,
            Err(error) => {
                // Nobody may be there to hear it.
                let _ = sender.send(Err(error));
                return;
            }
        }
    }
}

/// The pieces from an offset on, and how many bytes of them have been read before.
async fn resume(
    place: &Place,
    version: &ObjectMeta,
    offset: u64,
    failures: &mut u32,
    mut problem: Error,
) -> Result<(Pieces, u64)> {
    loop {
        *failures += 1;
        if *failures > ATTEMPTS {
            return Err(problem.hint_with("run it again; what is finished is kept"));
        }
        sleep(Duration::from_millis(100 << *failures)).await;
        let found = match begin(place, Some((version, offset))).await {
            Err(e) if e.ranges => begin(place, None).await.map(|found| (found, offset)),
            other => other.map(|found| (found, 0)),
        };
        match found {
            Ok(((now, pieces), skip)) if same(version, &now) => return Ok((pieces, skip)),
            Ok(_) => return Err(changed(place)),
            Err(e) if e.changed => return Err(changed(place)),
            Err(e) => problem = e.error,
        }
    }
}

/// Why an object was not given.
struct Refused {
    error: Error,
    /// The server has no ranges.
    ranges: bool,
    /// The object is another one by now.
    changed: bool,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

/// Asks for an object, from an offset on if it is still the same.
async fn begin(
    place: &Place,
    from: Option<(&ObjectMeta, u64)>,
) -> Result<(ObjectMeta, Pieces), Refused> {
    let mut options = GetOptions::default();
    if let Some((version, offset)) = from {
        options.range = Some(GetRange::Offset(offset));
        // A weak tag matches nothing, by the rules of HTTP.
        options.if_match = version.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
    }
    let refused = |error, ranges, changed| Refused { error, ranges, changed };
    match timeout(PATIENCE, place.store.get_opts(&place.key, options)).await {
        Ok(Ok(got)) => Ok((got.meta.clone(), got.into_stream().map_ok(Vec::<u8>::from).boxed())),
        Ok(Err(e)) => {
            let ranges = matches!(e, object_store::Error::NotSupported { .. });
            let changed = matches!(
                e,
                object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }
            );
            Err(refused(failed(&place.url, e), ranges, changed && from.is_some()))
        }
        Err(_) => Err(refused(silent(&place.url, PATIENCE), false, false)),
    }
}

/// Whether an object is still what it was, as far as its server tells.
fn same(a: &ObjectMeta, b: &ObjectMeta) -> bool {
    a.size == b.size && a.e_tag == b.e_tag && a.last_modified == b.last_modified
}

fn changed(place: &Place) -> Error {
    Error::input(shown(&place.url), "the object changed while it was read")
        .hint_with("run it again")
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::super::{fetch, open};
    use super::*;

    fn bytes() -> Vec<u8> {
        (0..3_000_000u32).map(|i| (crate::id::keyed(u64::from(i), 3) % 251) as u8).collect()
    }

    #[test]
    fn a_broken_connection_is_taken_up_with_ranges_and_without() {
        let bytes = bytes();
        for ranges in [true, false] {
            let server = Server::start(bytes.clone(), ranges, &[100_000, 1_000_000, 7]);
            let mut found = Vec::new();
            open(&server.url).unwrap().read_to_end(&mut found).unwrap();
            assert!(found == bytes, "{} bytes, ranges: {ranges}", found.len());
            assert!(server.requests() >= 3, "ranges: {ranges}");
        }
    }

    #[test]
    fn an_object_that_is_not_there_is_one_line() {
        let server = Server::start(Vec::new(), true, &[]);
        let url = format!("{}-not?signature=secret", server.url);
        let error = open(&url).err().unwrap();
        assert!(error.to_string().ends_with("f.bin-not: there is no such object"), "{error}");
    }

    #[test]
    fn many_threads_of_a_pool_read_at_once() {
        use rayon::prelude::*;
        let server = Server::start(bytes(), true, &[]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let sizes: Vec<u64> = pool.install(|| {
            let each = |_| fetch(&server.url).unwrap().as_file().metadata().unwrap().len();
            (0..8).into_par_iter().map(each).collect()
        });
        assert_eq!(sizes, [3_000_000; 8]);
        // Nor does it matter that a thread belongs to another runtime.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let size = runtime.block_on(async { open(&server.url).unwrap().size() });
        assert_eq!(size, 3_000_000);
    }

    #[test]
    fn a_reader_that_is_dropped_stops_the_transfer() {
        let server = Server::start(vec![7; 40 << 20], true, &[]);
        let mut reader = open(&server.url).unwrap();
        reader.read_exact(&mut [0; 10]).unwrap();
        drop(reader);
        assert!(server.ended(), "the server still sends");
    }
}
