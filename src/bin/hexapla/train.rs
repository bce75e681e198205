//! `hexapla train`: training runs, new or continued.

use std::process::ExitCode;

use hexapla::error::{Error, Result};
use hexapla::project::build::{self, Options};
use hexapla::project::config::parse_bytes;

use crate::args::BuildArgs;
use crate::ui::Ui;

/// Train the runs named
#[derive(clap::Args)]
pub struct Args {
    /// Names from the project file
    #[arg(required = true)]
    names: Vec<String>,
    /// Another value for a key of the run, such as optimizer.lr=1e-3
    #[arg(long = "set", value_name = "A.B=C")]
    set: Vec<String>,
    /// Continue a run that was interrupted
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    build: BuildArgs,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let mut project = crate::run::open(&args.build)?;
    let nodes = crate::run::nodes_of(&project, "train.", &args.names)?;
    for node in &nodes {
        for text in &args.set {
            project.set_run(node.trim_start_matches("train."), text)?;
        }
    }
    if args.build.force {
        return Err(Error::usage("a training run is never overwritten")
            .hint_with("name another run in the project file, or remove the run's folder"));
    }
    let options = Options {
        dry_run: args.build.dry_run,
        memory_limit: args.build.memory_limit.as_deref().map(parse_bytes).transpose()?,
        threads: args.build.threads,
        resume: args.resume,
        ..Options::default()
    };
    crate::run::finish(&build::run(&project, &nodes, &options, ui)?, ui)
}
