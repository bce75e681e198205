//! A thread that stays some batches ahead.
//!
//! The pages of a batch are touched there, so that the trainer does not wait for the disk. The
//! queue is bounded, the order is that of the feed, and dropping the loader ends the thread. One
//! thread, because the order of reading is the order of the feed.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::batch::{Batch, Feed, FeedCounters};
use super::draw::DrawState;
use crate::error::{Error, Result};

/// A batch, what the feed had done by then, and where it stands after it.
type Loaded = Result<(Batch, FeedCounters, DrawState)>;

/// A feed that runs ahead in a thread of its own.
#[derive(Debug)]
pub struct Loader {
    queue: Option<Receiver<Loaded>>,
    thread: Option<JoinHandle<()>>,
    counters: FeedCounters,
    state: DrawState,
    waited: f64,
}

impl Loader {
    /// Starts where the feed stands, at most `ahead` batches ahead.
    pub fn new(feed: Feed, ahead: usize) -> Result<Self> {
        let (counters, state) = (feed.counters(), feed.state());
        let (sender, queue) = sync_channel(ahead.max(1));
        let thread = std::thread::Builder::new()
            .name("hexapla-feed".into())
            .spawn(move || run(feed, &sender))
            .map_err(|e| Error::io("a thread for the feed", e))?;
        let waited = counters.wait_seconds;
        Ok(Self { queue: Some(queue), thread: Some(thread), counters, state, waited })
    }

    /// The next micro-batch.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Batch> {
        let asked = Instant::now();
        let loaded = self.queue.as_ref().and_then(|queue| queue.recv().ok());
        self.waited += asked.elapsed().as_secs_f64();
        let loaded = loaded.ok_or_else(|| Error::internal("the thread of the feed has ended"))?;
        let (batch, counters, state) = loaded?;
        self.counters = counters;
        self.state = state;
        Ok(batch)
    }

    /// What was handed out so far; batches still in the queue do not count.
    pub fn counters(&self) -> FeedCounters {
        FeedCounters { wait_seconds: self.waited, ..self.counters }
    }

    /// The position after the last batch handed out, for a checkpoint.
    pub fn state(&self) -> &DrawState {
        &self.state
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Without a receiver the next send fails and the thread returns.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut feed: Feed, queue: &SyncSender<Loaded>) {
    loop {
        let loaded = feed.next().map(|batch| {
            touch(&batch);
            (batch, feed.counters(), feed.state())
        });
        let failed = loaded.is_err();
        if queue.send(loaded).is_err() || failed {
            return;
        }
    }
}

/// Reads one id of each page, so that the operating system fetches it now.
fn touch(batch: &Batch) {
    let sum = batch.ids().iter().step_by(1024).fold(0i32, |sum, id| sum.wrapping_add(*id));
    std::hint::black_box(sum);
}
