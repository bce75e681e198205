//! `hexapla mix`: the plan that a person decides from.

use std::io::IsTerminal;
use std::process::ExitCode;

use hexapla::error::Result;
use hexapla::project::build;
use serde_json::json;

use crate::args::BuildArgs;
use crate::table::{self, Format};
use crate::ui::Ui;

/// Show the plan of a mixture
#[derive(clap::Args)]
pub struct Args {
    /// The mixture's name; all when left out
    name: Option<String>,
    #[command(flatten)]
    build: BuildArgs,
}

pub fn run(mut args: Args, ui: &Ui) -> Result<ExitCode> {
    let project = crate::run::open(&args.build)?;
    let names: Vec<String> = args.name.iter().cloned().collect();
    let nodes = crate::run::nodes_of(&project, "mix.", &names)?;
    for node in &nodes {
        project.node(node)?;
    }
    let dry = std::mem::take(&mut args.build.dry_run);
    // A dry run measures what there is but writes no plan.
    let wanted = if dry { vec!["sizes".to_string()] } else { nodes.clone() };
    crate::run::build(&project, &wanted, &args.build, ui)?;
    let width = if std::io::stdout().is_terminal() { crate::sql::columns() } else { None };
    let mut plans = serde_json::Map::new();
    for node in &nodes {
        let name = node.trim_start_matches("mix.");
        let batch = build::mix_plan(&project, name)?;
        if ui.json() {
            plans.insert(name.into(), table::values(&[batch])?);
        } else {
            ui.out(table::render(&[batch], Format::Table, width)?)?;
        }
    }
    if ui.json() {
        ui.object(&json!({ "mix": plans }))?;
    }
    Ok(ExitCode::SUCCESS)
}
