//! What can be typed: the subcommands and the options that all of them share.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as ClapArgs, Parser, Subcommand};
use hexapla::error::Result;

use crate::ui::Ui;

/// Multilingual and parallel text to balanced training shards with SQL, and to a trained model.
#[derive(Parser)]
#[command(name = "hexapla", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every subcommand.
#[derive(ClapArgs)]
pub struct Common {
    /// Print one JSON object of results on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// No words and no progress on stderr, errors excepted
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// Where the project is.
#[derive(ClapArgs)]
pub struct ProjectArgs {
    /// The project's folder
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    pub project: PathBuf,
}

/// How nodes are built.
#[derive(ClapArgs)]
pub struct BuildArgs {
    #[command(flatten)]
    pub project: ProjectArgs,
    /// A query's parameter for this run
    #[arg(long = "param", value_name = "QUERY.NAME=VALUE")]
    pub params: Vec<String>,
    /// Build the named nodes even if they are up to date
    #[arg(long)]
    pub force: bool,
    /// Tell what would be built and why, and build nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Memory for queries, such as 2GB
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// Threads to use
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    #[command(flatten)]
    pub errors: ErrorArgs,
}

/// How many unreadable rows are too many.
#[derive(clap::Args)]
pub struct ErrorArgs {
    /// Unreadable rows to go on with; a hundredth of all rows, and 100 at least, when left out
    #[arg(long, value_name = "N")]
    max_errors: Option<u64>,
    /// Stop at the first unreadable row
    #[arg(long, conflicts_with = "max_errors")]
    strict: bool,
}

impl ErrorArgs {
    /// The unreadable rows to go on with, if it was said.
    pub fn max(&self) -> Option<u64> {
        if self.strict { Some(0) } else { self.max_errors }
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Write a project that runs as it is
    Init(crate::init::Args),
    /// Build nodes and all they need
    Run(crate::run::Args),
    /// Read files of any known format into a table, without a project
    Ingest(crate::ingest::Args),
    /// Ask a project's tables or any Parquet, JSONL or CSV file
    Sql(crate::sql::Args),
    /// Tell what each rule removes, in all and alone, and what another threshold would
    Explain(crate::explain::Args),
    /// Show a row of a table and the bytes that it was read from
    Show(crate::show::Args),
    /// Tell why a row was dropped, or whose duplicate it is
    Why(crate::why::Args),
    /// Train and evaluate models that tell languages
    Lid(crate::lid::Args),
    /// Measure thresholds and stop words of each language from a table
    Thresholds(crate::thresholds::Args),
    /// List the SQL functions, or explain one
    Functions(crate::functions::Args),
    /// List, show or eject the queries in force
    Queries(crate::queries::Args),
    /// Show the plan of a mixture
    Mix(crate::mix::Args),
    /// Train and evaluate tokenizers
    Tokenizer(crate::tokenizer::Args),
    /// Write the packs named
    Pack(crate::run::Named<crate::run::PackKind>),
    /// Write planned data in the formats of other engines
    Export(crate::run::Named<crate::run::ExportKind>),
    /// Train the runs named
    Train(crate::train::Args),
    /// Evaluate runs
    Eval(crate::eval::Args),
    /// Score hypotheses against references with BLEU, chrF, F1 and others
    Score(crate::score::Args),
    /// Fuse models of one shape into one
    Fuse(crate::fuse::Args),
    /// Write a model's logits on made-up rows, to compare with another implementation
    Probe(crate::probe::Args),
    /// Write the project's report as one HTML page
    Report(crate::report::Args),
    /// Hash tables, packs and runs again and compare with their manifests
    Verify(crate::verify::Args),
}

impl Command {
    /// Does it; the exit code tells a failed check from success.
    pub fn run(self, ui: &Ui) -> Result<ExitCode> {
        match self {
            Command::Init(args) => crate::init::run(args, ui),
            Command::Run(args) => crate::run::run(args, ui),
            Command::Ingest(args) => crate::ingest::run(args, ui),
            Command::Sql(args) => crate::sql::run(args, ui),
            Command::Explain(args) => crate::explain::run(args, ui),
            Command::Show(args) => crate::show::run(args, ui),
            Command::Why(args) => crate::why::run(args, ui),
            Command::Lid(args) => crate::lid::run(args, ui),
            Command::Thresholds(args) => crate::thresholds::run(args, ui),
            Command::Functions(args) => crate::functions::run(args, ui),
            Command::Queries(args) => crate::queries::run(args, ui),
            Command::Mix(args) => crate::mix::run(args, ui),
            Command::Tokenizer(args) => crate::tokenizer::run(args, ui),
            Command::Pack(args) => crate::run::named(args, ui),
            Command::Export(args) => crate::run::named(args, ui),
            Command::Train(args) => crate::train::run(args, ui),
            Command::Eval(args) => crate::eval::run(args, ui),
            Command::Score(args) => crate::score::run(args, ui),
            Command::Fuse(args) => crate::fuse::run(args, ui),
            Command::Probe(args) => crate::probe::run(args, ui),
            Command::Report(args) => crate::report::run(args, ui),
            Command::Verify(args) => crate::verify::run(args, ui),
        }
    }
}
