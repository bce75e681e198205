//! TensorBoard's event files: the same numbers as `metrics.jsonl`, as scalars.
//!
//! A file is a TFRecord of `Event` messages in protobuf's wire format (tensorflow's event.proto and
//! record_writer.cc): a length, its checksum, the message, its checksum. A resumed run writes its
//! file anew without the steps that will be run again.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::store::manifest;
use crate::train::metrics::Progress;

/// The folder of event files in the run's folder.
pub const FOLDER: &str = "tensorboard";

/// TensorBoard looks for `tfevents` in the name of a file.
const NAME: &str = "events.out.tfevents.0.hexapla";

/// The event file of a run, open for appending.
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Opens the events of a run that has done `step` steps, and cuts off what comes after.
    pub fn open(run: &Path, step: u64) -> Result<Self> {
        let folder = run.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let path = folder.join(NAME);
        let old = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::io(&path, e)),
        };
        let mut bytes = record(&event(0, &field_bytes(3, b"brain.Event:2")));
        for message in records(&old).filter(|m| (1..=step).contains(&step_of(m))) {
            bytes.extend(record(message));
        }
        manifest::replace(&path, &bytes)?;
        let file = File::options().append(true).open(&path);
        Ok(Self { file: file.map_err(|e| Error::io(&path, e))?, path })
    }

    /// Appends the numbers of a line of the metrics.
    pub fn write(&mut self, line: &Progress) -> Result<()> {
        let mut summary = Vec::new();
        let mut scalar = |tag: &str, value: f64| {
            let mut message = field_bytes(1, tag.as_bytes());
            message.push(2 << 3 | 5);
            message.extend((value as f32).to_le_bytes());
            summary.extend(field_bytes(1, &message));
        };
        scalar("loss", line.loss);
        scalar("lr", line.lr);
        scalar("grad_norm", line.grad_norm);
        scalar("skipped", line.skipped as f64);
        scalar("tokens", line.tokens as f64);
        scalar("tokens_per_second", line.tokens_per_second);
        scalar("wait_share", line.wait_share);
        for (name, value) in &line.losses {
            scalar(&format!("train/{name}"), *value);
        }
        for (tag, values) in [
            ("validation", &line.validation),
            ("perplexity", &line.perplexity),
            ("bits_per_byte", &line.bits_per_byte),
            ("gap", &line.gap),
        ] {
            for (name, value) in values.iter().flatten() {
                scalar(&format!("{tag}/{name}"), *value);
            }
        }
        let bytes = record(&event(line.step, &field_bytes(5, &summary)));
        self.file.write_all(&bytes).map_err(|e| Error::io(&self.path, e))
    }
}

/// An `Event`: wall time (1), step (2) and what else it has.
fn event(step: u64, rest: &[u8]) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "a log of when things happened; no result")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut message = vec![1 << 3 | 1];
    message.extend(now.to_le_bytes());
    message.push(2 << 3);
    varint(&mut message, step);
    message.extend(rest);
    message
}

/// A field of bytes: its key, their number, they themselves.
fn field_bytes(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    varint(&mut field, bytes.len() as u64);
    field.extend(bytes);
    field
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// A message with its length and both checksums.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(message.len() + 16);
    bytes.extend(length);
    bytes.extend(masked(&length).to_le_bytes());
    bytes.extend(message);
    bytes.extend(masked(message).to_le_bytes());
    bytes
}

/// The messages of a file up to the first that is not whole.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        let end = usize::try_from(length).ok()?.checked_add(12)?;
        let message = bytes.get(12..end)?;
        let sum = u32::from_le_bytes(bytes.get(end..end + 4)?.try_into().ok()?);
        bytes = &bytes[end + 4..];
        (sum == masked(message)).then_some(message)
    })
}

/// The step of an event of ours, which stands behind its wall time.
fn step_of(message: &[u8]) -> u64 {
    let bytes = message.get(10..).unwrap_or_default();
    let mut step = 0;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        step |= u64::from(byte & 0x7f) << (7 * i).min(63);
        if byte & 0x80 == 0 {
            break;
        }
    }
    step
}

/// CRC-32C, turned and shifted as TFRecord wants it, so that sums of sums are no trap.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: a line of the metrics is short.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn a_resumed_run_has_each_step_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::open(dir.path(), 0).unwrap();
        for step in [1, 2, 300, 400] {
            let line = Progress { step, loss: step as f64, ..Progress::default() };
            events.write(&line).unwrap();
        }
        let path = dir.path().join(FOLDER).join(NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([7; 20]);
        std::fs::write(&path, bytes).unwrap();
        let mut events = Events::open(dir.path(), 300).unwrap();
        events.write(&Progress { step: 301, ..Progress::default() }).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let steps: Vec<u64> = records(&bytes).map(step_of).collect();
        assert_eq!(steps, [0, 1, 2, 300, 301]);
    }
}
