//! A thread that prepares the next steps while the model is busy with this one.
//!
//! Rows are read, masked and laid out there. The queue is bounded and the order is that of the
//! data, so a run reads what it would have read without the thread.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::train::data::Data;
use crate::train::work::Work;

/// Steps that are ready before they are asked for.
const AHEAD: usize = 2;

/// A step's micro-batches, and where the data stand after it.
type Step = (Vec<Work>, Value);

/// The steps of a run, one after another.
pub struct Ahead {
    queue: Receiver<Result<Step>>,
}

impl Ahead {
    /// Begins to prepare the steps of a range. Dropping it ends the thread.
    pub fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        data: &'scope mut dyn Data,
        steps: std::ops::Range<u64>,
    ) -> Result<Self> {
        let (sender, queue) = sync_channel(AHEAD);
        let work = move || {
            for step in steps {
                let made = data.step(step).map(|works| (works, data.state()));
                let failed = made.is_err();
                if sender.send(made).is_err() || failed {
                    return;
                }
            }
        };
        let thread = Builder::new().name("hexapla-data".into()).spawn_scoped(scope, work);
        thread.map_err(|e| Error::io("a thread for the data", e))?;
        Ok(Self { queue })
    }

    /// The next step; waits until it is ready.
    pub fn next(&self) -> Result<Step> {
        let step = self.queue.recv();
        step.map_err(|_| Error::internal("the thread of the data has ended"))?
    }
}
