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
    /// Train with so many processes on this machine, which share each step's micro-batches
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    nproc: u16,
    /// Prove in a few steps that going on after a stop changes nothing, and train nothing
    #[arg(long, conflicts_with_all = ["resume", "nproc"])]
    verify_resume: bool,
    #[command(flatten)]
    build: BuildArgs,
}

/// Threads of one of several ranks that `torchrun` started on this machine.
fn of_torchrun() -> Option<usize> {
    let ranks: usize = std::env::var("LOCAL_WORLD_SIZE").ok()?.parse().ok()?;
    let machine = std::thread::available_parallelism().map_or(1, usize::from);
    Some((machine / ranks.max(1)).max(1))
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
    let threads = args.build.threads.or(project.config.threads);
    if args.nproc > 1 && !args.build.dry_run {
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        let n = usize::from(args.nproc);
        return crate::launch::run(n, (threads.unwrap_or(machine) / n).max(1), ui);
    }
    let stop = crate::interrupt::watch(
        |_| {
            // One of several ranks says it for all.
            if std::env::var("RANK").is_ok_and(|rank| rank != "0") {
                return;
            }
            eprintln!("saving after this step; Ctrl-C again ends at once");
        },
        || (),
    )?;
    let options = Options {
        stop,
        dry_run: args.build.dry_run,
        memory_limit: args.build.memory_limit.as_deref().map(parse_bytes).transpose()?,
        threads: threads.or_else(of_torchrun),
        resume: args.resume,
        ..Options::default()
    };
    if args.verify_resume {
        for node in &nodes {
            let name = node.trim_start_matches("train.");
            let found = build::verify_resume(&project, name, &options, ui)?;
            ui.clear();
            ui.say(found);
        }
        return Ok(ExitCode::SUCCESS);
    }
    crate::run::finish(&build::run(&project, &nodes, &options, ui)?, ui)
}
