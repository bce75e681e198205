//! `hexapla init`: a new project from a template.

use std::path::PathBuf;
use std::process::ExitCode;

use hexapla::error::Result;
use hexapla::project::init;

use crate::ui::Ui;

/// Write a project that runs as it is
#[derive(clap::Args)]
pub struct Args {
    /// The folder to make
    dir: PathBuf,
    /// What kind of project: web, parallel or demo
    #[arg(long, default_value = "web")]
    template: String,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let template = init::template(&args.template)?;
    init::init(&args.dir, template)?;
    if ui.json() {
        ui.object(&serde_json::json!({ "project": args.dir, "template": template.name }))?;
    } else {
        ui.say(format!("{}: a project for {}", args.dir.display(), template.doc));
        ui.say(format!(
            "next: look into {0}/hexapla.toml, then `hexapla run --project {0}`",
            args.dir.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}
