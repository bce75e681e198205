//! `hexapla report`: one self-contained page.

use std::path::PathBuf;
use std::process::ExitCode;

use hexapla::error::Result;
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
    let page = hexapla::report::page(&project.dir)?;
    hexapla::store::manifest::replace(&path, page.as_bytes())?;
    if ui.json() {
        ui.object(&json!({ "report": path, "bytes": page.len() }))?;
    } else {
        ui.say(format!("{}: {} KB, opens in any browser", path.display(), page.len() / 1000));
    }
    Ok(ExitCode::SUCCESS)
}
