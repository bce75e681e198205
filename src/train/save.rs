//! Checkpoints in the background: the loop goes on while the last one is written.
//!
//! The loop is held up by one copy of the weights and moments in memory. There is never more than
//! one on its way; the next waits for it, and a failure to write shows there, or at the end.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crate::error::{Error, Result};
use crate::train::checkpoint::{self, Contents};
use crate::train::retention;

/// Writes checkpoints of one run.
#[derive(Default)]
pub struct Saver {
    thread: Option<JoinHandle<Result<PathBuf>>>,
}

impl Saver {
    /// Begins to write a checkpoint, then names it the best where `best` is its step, and removes
    /// what is not to be kept. Errors with what became of the one before.
    pub fn save(
        &mut self,
        run: &Path,
        contents: Contents,
        keep: usize,
        best: Option<u64>,
    ) -> Result<()> {
        self.finish()?;
        let run = run.to_path_buf();
        let write = move || {
            let step = contents.state.step;
            let dir = checkpoint::save(&run, &contents)?;
            if best == Some(step) {
                retention::point(&run, retention::BEST, step)?;
            }
            retention::prune(&run, step, keep, best)?;
            Ok(dir)
        };
        let thread = std::thread::Builder::new().name("hexapla-save".into()).spawn(write);
        self.thread = Some(thread.map_err(|e| Error::io("a thread for checkpoints", e))?);
        Ok(())
    }

    /// Returns when nothing is being written.
    pub fn finish(&mut self) -> Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let ended = thread.join();
        ended
            .map_err(|_| Error::internal("the thread that writes checkpoints panicked"))?
            .map(|_| ())
    }
}

impl Drop for Saver {
    /// A run that fails does not leave a half-written folder where it can be helped.
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
