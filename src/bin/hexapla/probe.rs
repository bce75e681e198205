//! `hexapla probe`: a model's logits on rows made up for it, to hold another implementation against.

use std::path::PathBuf;
use std::process::ExitCode;

use hexapla::error::Result;

use crate::ui::Ui;

/// Write a model's logits on made-up rows, to compare with another implementation
#[derive(clap::Args)]
pub struct Args {
    /// A run, one of its steps, or a Hugging Face folder
    model: PathBuf,
    /// The safetensors file to write: input_ids, position_ids, documents, logits
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[cfg(feature = "train")]
pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    use hexapla::train::{predict, retention};
    let model = retention::resolve(&args.model)?;
    predict::logits_to_safetensors(&model, &predict::probe_rows(&model)?, &args.output)?;
    if ui.json() {
        ui.object(&serde_json::json!({ "model": model, "logits": args.output }))?;
    } else {
        ui.say(format!("{}: logits of {}", args.output.display(), model.display()));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(feature = "train"))]
pub fn run(_: Args, _: &Ui) -> Result<ExitCode> {
    Err(hexapla::error::Error::usage("this hexapla was built without training")
        .hint_with("build it with the feature `train`, which is on by default"))
}
