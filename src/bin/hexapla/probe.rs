//! `hexapla probe`: what a part of hexapla does on its own, to hold another implementation against:
//! a model's logits and gradients on rows made up for it, or how fast a pack is read.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

#[cfg(not(feature = "train"))]
use hexapla::error::Error;
use hexapla::error::Result;
use hexapla::feed::{Feed, FeedOptions};
use hexapla::store::manifest::MANIFEST;
use hexapla::token::pack;
use serde_json::json;

use crate::ui::{Ui, group};

/// Write a model's logits and gradients on made-up rows, or read a pack and tell how fast
#[derive(clap::Args)]
pub struct Args {
    /// A run, one of its steps or a Hugging Face folder; or a pack
    path: PathBuf,
    /// Of a model: the safetensors file to write: input_ids, position_ids, documents, places, gold,
    /// logits, gradient.NAME
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Of a pack: micro-batches to read, in one thread; every id is added up
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    batches: u64,
    /// Of a pack: rows of a micro-batch
    #[arg(long, value_name = "N", default_value_t = 32)]
    rows: usize,
    /// Of a pack: the micro-batch to begin with
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    match &args.output {
        Some(output) => logits(&args.path, output, ui),
        None => read(&args, ui),
    }
}

/// Reads a pack as a trainer with one thread would.
fn read(args: &Args, ui: &Ui) -> Result<ExitCode> {
    let began = Instant::now();
    let pack = pack::open(&args.path).map_err(|e| match args.path.join(MANIFEST).is_file() {
        true => e,
        false => e.hint_with(
            "a pack is read as it is; the logits of a model need a file to go to, `-o FILE`",
        ),
    })?;
    let options = FeedOptions { batch_rows: args.rows, seed: 0, stages: Vec::new() };
    let mut feed = Feed::new(Arc::new(pack), &options)?;
    feed.seek(args.from);
    let opened = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let (mut ids, mut sum) = (0, 0i64);
    for _ in 0..args.batches {
        let batch = feed.next()?;
        ids += batch.ids().len() as u64;
        sum += batch.ids().iter().map(|id| i64::from(*id)).sum::<i64>();
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = ids as f64 / seconds;
    if ui.json() {
        let counters = feed.counters();
        ui.object(&json!({
            "open_seconds": opened, "batches": args.batches, "ids": ids, "sum": sum, "seconds": seconds,
            "ids_per_second": rate, "bytes_aliased": counters.bytes_aliased,
            "bytes_gathered": counters.bytes_gathered,
        }))?;
    } else {
        ui.say(format!(
            "{}: at micro-batch {} after {:.1} ms; {} ids of {} micro-batches in {seconds:.2} s: {:.0} million a second",
            args.path.display(), group(args.from), opened * 1e3, group(ids), group(args.batches), rate / 1e6,
        ));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "train")]
fn logits(model: &Path, output: &Path, ui: &Ui) -> Result<ExitCode> {
    use hexapla::train::{probe, retention};
    let model = retention::resolve(model)?;
    probe::write(&model, output)?;
    if ui.json() {
        ui.object(&json!({ "model": model, "logits": output }))?;
    } else {
        ui.say(format!("{}: logits and gradients of {}", output.display(), model.display()));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(feature = "train"))]
fn logits(_: &Path, _: &Path, _: &Ui) -> Result<ExitCode> {
    Err(Error::usage("this hexapla was built without training")
        .hint_with("build it with the feature `train`, which is on by default"))
}
