//! `hexapla fuse`: one model from several of one shape.

use std::path::PathBuf;
use std::process::ExitCode;

use hexapla::error::{Error, Result};
use hexapla::method::fuse::{Method, Tasks, fuse, steps};
use serde_json::json;

use crate::ui::Ui;

/// Fuse models of one shape into one
#[derive(clap::Args)]
pub struct Args {
    /// How
    #[arg(value_enum)]
    method: MethodName,
    /// Models: runs, their checkpoints, or Hugging Face folders; one run for `last` and `ema`
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// The folder to write
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// What the models began with, for `task` and `ties`
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// One weight a model; equal ones when left out
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', allow_negative_numbers = true)]
    weights: Vec<f64>,
    /// The place between the two models, for `slerp`
    #[arg(long, default_value_t = 0.5, value_name = "0…1")]
    t: f64,
    /// The share of changes to keep, for `ties`
    #[arg(long, default_value_t = 1.0, value_name = "0…1")]
    density: f64,
    /// What the sum of changes is multiplied by, for `task` and `ties`
    #[arg(long, default_value_t = 1.0, value_name = "N", allow_negative_numbers = true)]
    lambda: f64,
    /// Divide by the weights: on for `linear` and `ties`, off for `task`
    #[arg(long, value_name = "true|false")]
    normalize: Option<bool>,
    /// Scale what `ties` keeps to the size of what was there
    #[arg(long)]
    rescale: bool,
    /// The last checkpoints of a run, for `last` and `ema`; all when left out
    #[arg(short, value_name = "N")]
    k: Option<usize>,
    /// How much of the average stays at each checkpoint, for `ema`
    #[arg(long, default_value_t = 0.9, value_name = "0…1")]
    decay: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MethodName {
    /// Weighted mean
    Linear,
    /// Great circle between two
    Slerp,
    /// A base and the sum of what each learned
    Task,
    /// The same without small changes and lost votes
    Ties,
    /// Mean of the last checkpoints of a run
    Last,
    /// Exponential moving average of the checkpoints of a run
    Ema,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    for (name, share) in [("t", args.t), ("density", args.density), ("decay", args.decay)] {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::usage(format!("`--{name} {share}` is not between 0 and 1")));
        }
    }
    let of_run = matches!(args.method, MethodName::Last | MethodName::Ema);
    let models = match args.models.as_slice() {
        [run] if of_run => steps::steps(run, args.k)?,
        several if of_run => {
            return Err(Error::usage(format!("{} runs where one is wanted", several.len()))
                .hint_with("`linear` fuses models of several runs"));
        }
        several => several.iter().map(|m| steps::resolve(m)).collect::<Result<_>>()?,
    };
    let base = args.base.as_deref().map(steps::resolve).transpose()?;
    let weights =
        if args.weights.is_empty() { vec![1.0; models.len()] } else { args.weights.clone() };
    let ties = args.method == MethodName::Ties;
    let method = match args.method {
        MethodName::Slerp => Method::Slerp { t: args.t },
        MethodName::Task | MethodName::Ties => Method::Tasks(Tasks {
            weights,
            normalize: args.normalize.unwrap_or(ties),
            lambda: args.lambda,
            density: ties.then_some(args.density),
            rescale: args.rescale,
        }),
        MethodName::Ema => Method::Linear {
            weights: steps::moving_average(models.len(), args.decay),
            normalize: false,
        },
        MethodName::Linear | MethodName::Last => {
            Method::Linear { weights, normalize: args.normalize.unwrap_or(true) }
        }
    };
    let fused = fuse(&models, base.as_deref(), &method, &args.out)?;
    if let Some(warning) = fused.ancestry.warning() {
        ui.say(format!("warning: {warning}"));
    }
    if ui.json() {
        ui.object(&json!({
            "out": args.out, "models": models, "tensors": fused.tensors,
            "parameters": fused.parameters, "copied": fused.copied,
            "cosine": fused.ancestry.cosine, "distance": fused.ancestry.distance,
            "origins": fused.ancestry.origins, "warning": fused.ancestry.warning(),
        }))?;
    } else {
        ui.say(format!(
            "{}: {} tensors, {} parameters, from {} models",
            args.out.display(),
            fused.tensors,
            crate::ui::group(fused.parameters),
            models.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}
