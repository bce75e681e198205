//! `hexapla report`: one self-contained page.

use std::path::PathBuf;
use std::process::ExitCode;

use hexapla::error::{Error, Result};
use hexapla::project::Project;
use serde_json::json;

use crate::ui::Ui;

/// Write the project's report as one HTML page
#[derive(clap::Args)]
pub struct Args {
    /// Where to write it; report.html in the project when left out
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    project: crate::args::ProjectArgs,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let project = Project::open(&args.project.project)?;
    let path = args.output.unwrap_or_else(|| project.dir.join("report.html"));
    let report = hexapla::report::gather(&project.dir)?;
    let page = hexapla::report::render(&report);
    hexapla::store::manifest::replace(&path, page.as_bytes())?;
    if ui.json() {
        let unreadable = &report.unreadable;
        ui.object(&json!({ "report": path, "bytes": page.len(), "unreadable": unreadable }))?;
    } else {
        ui.say(format!("{}: {} KB, opens in any browser", path.display(), page.len() / 1000));
    }
    for words in &report.unreadable {
        ui.fail(&Error::usage(words));
    }
    Ok(if report.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
