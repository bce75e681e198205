//! Several processes as one trainer: who this one is, and sums over all of them.
//!
//! The environment says it, as PyTorch's own `torchrun` sets it: `RANK`, `WORLD_SIZE`,
//! `MASTER_ADDR` and `MASTER_PORT`. Each rank tells the store every second that it is there; one
//! that falls silent, or says what it died of, ends the others with its name. Without such an
//! environment there is one rank, and every sum is what it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tch::Tensor;

use crate::error::{Error, Result};
use crate::train::ffi::group::{self as c10d, Awaited, Store};
use crate::train::model::Parameters;

/// How often a rank says that it is there.
const BEAT: Duration = Duration::from_secs(1);

/// A rank that was silent for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(15);

/// The same once something has failed: a dead peer closes its connections at once.
const SUSPICION: Duration = Duration::from_secs(4);

/// How long the ranks may take to meet.
const MEETING: Duration = Duration::from_secs(600);

/// Numbers of a bucket of gradients: 25 MB, as in PyTorch's DistributedDataParallel.
const BUCKET: usize = 25 << 18;

/// This process among those that train together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 0.
    pub rank: usize,
    /// How many there are.
    pub size: usize,
    /// Its number on its machine: the index of its device.
    pub local: usize,
    /// Where the store is.
    pub host: String,
    /// The store's port.
    pub port: u16,
}

impl Place {
    /// The place that the environment tells; none without `WORLD_SIZE`, or with 1.
    ///
    /// Errors when a part of it is missing or no number.
    pub fn of_environment() -> Result<Option<Self>> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let Some(size) = variable("WORLD_SIZE") else { return Ok(None) };
        let number = |name: &str, text: Option<String>| -> Result<usize> {
            let text = text.ok_or_else(|| {
                Error::usage(format!("`WORLD_SIZE` is set and `{name}` is not"))
                    .hint_with("`torchrun` sets both; `hexapla train --nproc N` needs neither")
            })?;
            text.parse()
                .map_err(|_| Error::usage(format!("`{name}` is `{text}`; expected a whole number")))
        };
        let size = number("WORLD_SIZE", Some(size))?;
        if size <= 1 {
            return Ok(None);
        }
        let rank = number("RANK", variable("RANK"))?;
        if rank >= size {
            return Err(Error::usage(format!("`RANK` is {rank} of `WORLD_SIZE` {size}"))
                .hint_with("ranks are counted from 0"));
        }
        let local = match variable("LOCAL_RANK") {
            Some(text) => number("LOCAL_RANK", Some(text))?,
            None => rank,
        };
        let port = number("MASTER_PORT", variable("MASTER_PORT"))?;
        let port = u16::try_from(port)
            .map_err(|_| Error::usage(format!("`MASTER_PORT` is {port}; expected a port")))?;
        let host = variable("MASTER_ADDR").unwrap_or_else(|| "127.0.0.1".into());
        Ok(Some(Self { rank, size, local, host, port }))
    }
}

/// The group of this process.
pub struct Group {
    rank: usize,
    size: usize,
    shared: Option<Shared>,
}

struct Shared {
    place: Place,
    prefix: String,
    store: Store,
    sums: Arc<c10d::Group>,
    pulse: Arc<Mutex<Pulse>>,
    rounds: Mutex<u64>,
}

/// What is known of the others.
struct Pulse {
    /// By rank, its last beat and when it was seen to change.
    beats: Vec<(String, Instant)>,
    /// Since when the store cannot be reached.
    unreachable: Option<Instant>,
    /// What a rank said that it died of.
    last_words: Option<(usize, String)>,
}

impl Group {
    /// One process for itself.
    pub fn alone() -> Self {
        Self { rank: 0, size: 1, shared: None }
    }

    /// The group of the environment, which this process joins once and leaves when it ends.
    pub fn of_environment() -> Result<&'static Self> {
        static GROUP: OnceLock<Result<Group>> = OnceLock::new();
        let joined = GROUP.get_or_init(|| match Place::of_environment()? {
            None => Ok(Self::alone()),
            Some(place) => Self::join(place),
        });
        joined.as_ref().map_err(Clone::clone)
    }

    /// Joins the group at a place; returns when all ranks have come.
    pub fn join(place: Place) -> Result<Self> {
        // torchrun serves the store itself and keeps it when it starts the ranks again.
        let agent = std::env::var("TORCHELASTIC_USE_AGENT_STORE").is_ok_and(|v| v == "True");
        let attempt = std::env::var("TORCHELASTIC_RESTART_COUNT").unwrap_or_default();
        let prefix = format!("hexapla/{attempt}");
        let open = |serve| {
            Store::open(&place.host, place.port, serve, MEETING).map_err(|e| {
                let (host, port) = (&place.host, place.port);
                Error::usage(format!("rank {}: no store at {host}:{port}: {e}", place.rank))
                    .hint_with("rank 0 serves it: is it running, and can it be reached?")
            })
        };
        let store = open(place.rank == 0 && !agent)?;
        store.set(&format!("{prefix}/here/{}", place.rank), "1")?;
        meet(&store, &prefix, place.size)?;
        // On one machine the loopback is the one address that always reaches everybody.
        let local = ["127.0.0.1", "localhost", "::1"].contains(&place.host.as_str());
        let host = if local { place.host.as_str() } else { "" };
        let sums = c10d::Group::join(&store, &prefix, host, place.rank, place.size)?;
        let now = Instant::now();
        let pulse = Arc::new(Mutex::new(Pulse {
            beats: vec![(String::new(), now); place.size],
            unreachable: None,
            last_words: None,
        }));
        let (sums, rounds) = (Arc::new(sums), Mutex::new(0));
        // A connection of its own: the trainer's may be busy.
        beat(open(false)?, prefix.clone(), place.rank, pulse.clone(), &sums)?;
        let (rank, size) = (place.rank, place.size);
        let shared = Shared { place, prefix, store, sums, pulse, rounds };
        Ok(Self { rank, size, shared: Some(shared) })
    }

    /// This process's number, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this process is the one that writes.
    pub fn leads(&self) -> bool {
        self.rank == 0
    }

    /// This process's number on its machine.
    pub fn local(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| shared.place.local)
    }

    /// Sums numbers over all ranks.
    pub fn sum(&self, numbers: &[f64]) -> Result<Vec<f64>> {
        let Some(shared) = &self.shared else { return Ok(numbers.to_vec()) };
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let tensor = Tensor::f_from_slice(numbers)?;
        let pending = shared.sums.sum(&tensor).map_err(|e| shared.failed(e))?;
        shared.wait(pending)?;
        let mut sums = vec![0.0; numbers.len()];
        tensor.f_copy_data(&mut sums, numbers.len())?;
        Ok(sums)
    }

    /// Sums counts over all ranks, which must have the same keys.
    pub fn sum_counts<K: Ord + Clone>(&self, counts: BTreeMap<K, u64>) -> Result<BTreeMap<K, u64>> {
        if self.size == 1 {
            return Ok(counts);
        }
        let numbers: Vec<f64> = counts.values().map(|&n| n as f64).collect();
        let sums = self.sum(&numbers)?;
        Ok(counts.into_keys().zip(sums.into_iter().map(|n| n as u64)).collect())
    }

    /// Whether any rank says so.
    pub fn any(&self, this: bool) -> Result<bool> {
        Ok(self.sum(&[f64::from(u8::from(this))])?[0] > 0.0)
    }

    /// Errors when the ranks' numbers differ; `what` says what they are of.
    pub fn agree(&self, numbers: &[f64], what: &str) -> Result<()> {
        // Each number and its square: equal everywhere if and only if the variance is nought.
        let mean = self.sum(numbers)?;
        let n = self.size as f64;
        let off: Vec<f64> = numbers.iter().zip(&mean).map(|(x, sum)| (x - sum / n).abs()).collect();
        let scale = |i: usize| 1e-12 * (mean[i] / n).abs();
        let differ = off.iter().enumerate().any(|(i, off)| *off > scale(i));
        if self.any(differ)? {
            return Err(Error::usage(format!("the ranks differ in {what}")).hint_with(
                "every rank needs the same project, the same version and the same checkpoints",
            ));
        }
        Ok(())
    }

    /// Returns when every rank has come here; for work of any length by one of them.
    pub fn barrier(&self) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let round = {
            let mut rounds = shared.rounds.lock().map_err(|_| poisoned())?;
            *rounds += 1;
            *rounds
        };
        let key = |rank: usize| format!("{}/round/{round}/{rank}", shared.prefix);
        shared.store.set(&key(self.rank), "1").map_err(|e| shared.failed(e))?;
        for rank in 0..self.size {
            while shared.store.get(&key(rank)).map_err(|e| shared.failed(e))?.is_none() {
                shared.alive(SILENCE)?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Buckets for the gradients of parameters; none for one process.
    pub fn buckets(&self, parameters: &Parameters) -> Result<Option<Buckets<'_>>> {
        let Some(shared) = &self.shared else { return Ok(None) };
        let learned: Vec<&Tensor> =
            parameters.tensors().into_iter().filter(|t| t.requires_grad()).collect();
        let buckets = c10d::Buckets::new(shared.sums.clone(), &learned, BUCKET)?;
        Ok(Some(Buckets { buckets, shared }))
    }

    /// Says farewell; the rank that serves the store waits a little until all others have.
    pub fn leave(&self) {
        let Some(shared) = &self.shared else { return };
        let key = |rank: usize| format!("{}/left/{rank}", shared.prefix);
        let began = Instant::now();
        let gone = |rank: usize| !matches!(shared.store.get(&key(rank)), Ok(None));
        let mut left = shared.store.set(&key(self.rank), "1").is_err() || !self.leads();
        while !left && began.elapsed() < SUSPICION {
            std::thread::sleep(Duration::from_millis(10));
            left = (0..self.size).all(gone);
        }
    }

    /// Tells the others what this process dies of.
    pub fn last_words(&self, error: &Error) {
        if let Some(shared) = &self.shared {
            let key = format!("{}/died/{}", shared.prefix, self.rank);
            let _ = shared.store.set(&key, &error.to_string());
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The gradients of a step, summed over all ranks.
pub struct Buckets<'a> {
    buckets: c10d::Buckets,
    shared: &'a Shared,
}

impl Buckets<'_> {
    /// Announces the last backward pass of a step.
    pub fn arm(&self) -> Result<()> {
        self.buckets.arm()
    }

    /// Returns when every gradient is the sum over all ranks.
    pub fn finish(&mut self) -> Result<()> {
        self.buckets.finish().map_err(|e| self.shared.failed(e))?;
        self.shared.wait_for(&mut self.buckets)
    }

    /// A failure of the backward pass, which may be a dead rank's.
    pub fn failed(&self, error: Error) -> Error {
        self.shared.failed(error)
    }
}

impl Shared {
    fn wait(&self, mut pending: impl Awaited) -> Result<()> {
        self.wait_for(&mut pending)
    }

    fn wait_for(&self, pending: &mut impl Awaited) -> Result<()> {
        loop {
            match pending.wait(BEAT) {
                Ok(true) => return Ok(()),
                Ok(false) => self.alive(SILENCE)?,
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Errors with the name of a rank that was silent for so long.
    fn alive(&self, limit: Duration) -> Result<()> {
        let pulse = self.pulse.lock().map_err(|_| poisoned())?;
        if let Some((rank, words)) = &pulse.last_words {
            return Err(Error::usage(format!("rank {rank} ended with: {words}")));
        }
        if pulse.unreachable.is_some_and(|since| since.elapsed() > limit.min(SUSPICION)) {
            return Err(dead(&[0], "the store that it serves cannot be reached"));
        }
        let silent =
            |rank: &usize| *rank != self.place.rank && pulse.beats[*rank].1.elapsed() > limit;
        let silent: Vec<usize> = (0..self.place.size).filter(silent).collect();
        match silent.is_empty() {
            true => Ok(()),
            false => Err(dead(&silent, &format!("silent for {} s", limit.as_secs()))),
        }
    }

    /// What a failed operation means: the rank that is gone where one is, else the failure.
    fn failed(&self, error: Error) -> Error {
        // A rank that is gone falls silent within this time; one that is not, does not.
        let began = Instant::now();
        while began.elapsed() < SUSPICION + 4 * BEAT {
            if let Err(dead) = self.alive(SUSPICION) {
                return dead;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        error
    }
}

/// Returns when all ranks have come to the store.
fn meet(store: &Store, prefix: &str, size: usize) -> Result<()> {
    let began = Instant::now();
    loop {
        let mut absent = Vec::new();
        for rank in 0..size {
            if store.get(&format!("{prefix}/here/{rank}"))?.is_none() {
                absent.push(rank);
            }
        }
        if absent.is_empty() {
            return Ok(());
        }
        if began.elapsed() > MEETING {
            return Err(Error::usage(format!("{} did not come", ranks(&absent)))
                .hint_with("every rank is started with the same `WORLD_SIZE`"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Says every second that this rank is there, and listens for the others, until the group is left.
fn beat(
    store: Store,
    prefix: String,
    rank: usize,
    pulse: Arc<Mutex<Pulse>>,
    group: &Arc<c10d::Group>,
) -> Result<()> {
    let known = pulse.clone();
    let left = Arc::downgrade(group);
    let round = move |count: u64| -> Result<()> {
        store.set(&format!("{prefix}/beat/{rank}"), &count.to_string())?;
        let size = pulse.lock().map_err(|_| poisoned())?.beats.len();
        for other in (0..size).filter(|other| *other != rank) {
            let heard = store.get(&format!("{prefix}/beat/{other}"))?;
            let words = store.get(&format!("{prefix}/died/{other}"))?;
            let mut pulse = pulse.lock().map_err(|_| poisoned())?;
            if let Some(heard) = heard
                && heard != pulse.beats[other].0
            {
                pulse.beats[other] = (heard, Instant::now());
            }
            if let Some(words) = words {
                pulse.last_words.get_or_insert((other, words));
            }
            pulse.unreachable = None;
        }
        Ok(())
    };
    let unreachable = move || {
        if let Ok(mut known) = known.lock() {
            known.unreachable.get_or_insert_with(Instant::now);
        }
    };
    std::thread::Builder::new()
        .name("hexapla-pulse".into())
        .spawn(move || {
            for count in 0.. {
                // A connection that broke stays broken.
                if round(count).is_err() {
                    return unreachable();
                }
                std::thread::sleep(BEAT);
                if left.upgrade().is_none() {
                    return;
                }
            }
        })
        .map_err(|e| Error::io("a thread for the heartbeat", e))?;
    Ok(())
}

fn dead(list: &[usize], why: &str) -> Error {
    let verb = if list.len() == 1 { "is" } else { "are" };
    Error::usage(format!("{} {verb} gone: {why}", ranks(list)))
        .hint_with("its own output says why; `--resume` goes on from the last checkpoint")
}

fn ranks(list: &[usize]) -> String {
    let names: Vec<String> = list.iter().map(ToString::to_string).collect();
    let noun = if list.len() == 1 { "rank" } else { "ranks" };
    format!("{noun} {}", names.join(", "))
}

fn poisoned() -> Error {
    Error::internal("a thread of the group panicked")
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
