//! `hexapla run`, and the verbs that are `run` for one kind of node.

use std::marker::PhantomData;
use std::process::ExitCode;

use hexapla::error::Result;
use hexapla::project::Project;
use hexapla::project::build::{self, Options, Outcome, State};
use hexapla::project::config::parse_bytes;
use serde_json::json;

use crate::args::BuildArgs;
use crate::ui::Ui;

/// Build nodes and all they need
#[derive(clap::Args)]
pub struct Args {
    /// Nodes such as kept, tokenizer.main, pack.main; without any, all but training and evaluation
    nodes: Vec<String>,
    #[command(flatten)]
    build: BuildArgs,
}

/// A verb for one kind of node
#[derive(clap::Args)]
pub struct Named<K: Verb + Send + Sync + Clone + 'static> {
    /// Names from the project file; without any, all of this kind
    names: Vec<String>,
    #[command(flatten)]
    build: BuildArgs,
    #[arg(skip)]
    kind: PhantomData<K>,
}

/// The kind of node that a verb builds.
pub trait Verb {
    const PREFIX: &'static str;
}

/// `hexapla tokenizer`.
#[derive(Clone)]
pub struct TokenizerKind;
/// `hexapla pack`.
#[derive(Clone)]
pub struct PackKind;
/// `hexapla export`.
#[derive(Clone)]
pub struct ExportKind;

impl Verb for TokenizerKind {
    const PREFIX: &'static str = "tokenizer.";
}
impl Verb for PackKind {
    const PREFIX: &'static str = "pack.";
}
impl Verb for ExportKind {
    const PREFIX: &'static str = "export.";
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let project = open(&args.build)?;
    finish(&build(&project, &args.nodes, &args.build, ui)?, ui)
}

pub fn named<K: Verb + Send + Sync + Clone>(args: Named<K>, ui: &Ui) -> Result<ExitCode> {
    let project = open(&args.build)?;
    let nodes = nodes_of(&project, K::PREFIX, &args.names)?;
    finish(&build(&project, &nodes, &args.build, ui)?, ui)
}

/// The project that the options name, with their parameters in force.
pub fn open(args: &BuildArgs) -> Result<Project> {
    let mut project = Project::open(&args.project.project)?;
    for param in &args.params {
        project.set_param(param)?;
    }
    Ok(project)
}

/// The full names of nodes of one kind; none named: all.
pub fn nodes_of(project: &Project, prefix: &str, names: &[String]) -> Result<Vec<String>> {
    if !names.is_empty() {
        let full =
            |n: &String| if n.starts_with(prefix) { n.clone() } else { format!("{prefix}{n}") };
        return Ok(names.iter().map(full).collect());
    }
    let all: Vec<String> = project
        .nodes()?
        .iter()
        .map(ToString::to_string)
        .filter(|n| n.starts_with(prefix))
        .collect();
    if all.is_empty() {
        let kind = prefix.trim_end_matches('.');
        return Err(hexapla::error::Error::usage(format!("the project has no [{kind}.NAME]")));
    }
    Ok(all)
}

/// Builds nodes under the options of the command line.
pub fn build(
    project: &Project,
    nodes: &[String],
    args: &BuildArgs,
    ui: &Ui,
) -> Result<Vec<Outcome>> {
    let options = Options {
        force: args.force,
        dry_run: args.dry_run,
        memory_limit: args.memory_limit.as_deref().map(parse_bytes).transpose()?,
        threads: args.threads,
        max_errors: args.errors.max(),
        ..Options::default()
    };
    build::run(project, nodes, &options, ui)
}

/// Ends a command that built nodes.
pub fn finish(outcomes: &[Outcome], ui: &Ui) -> Result<ExitCode> {
    let failed: u64 = outcomes.iter().map(|o| o.failures).sum();
    if ui.json() {
        let nodes: Vec<_> = outcomes
            .iter()
            .map(|o| {
                json!({
                    "node": o.node,
                    "state": match o.state {
                        State::Built => "built",
                        State::UpToDate => "up to date",
                        State::WouldBuild => "would be built",
                        State::Stopped => "stopped",
                    },
                    "why": o.why,
                    "rows": o.rows,
                    "dropped": o.dropped,
                    "errors": o.errors,
                    "failures": o.failures,
                })
            })
            .collect();
        ui.object(&json!({ "nodes": nodes }))?;
    } else if outcomes.iter().all(|o| o.state == State::UpToDate) {
        ui.say(format!("all {} nodes are up to date", outcomes.len()));
    }
    Ok(if failed > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
