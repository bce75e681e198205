//! `hexapla verify`: do the files still hold what their manifests say?

use std::path::PathBuf;
use std::process::ExitCode;

use hexapla::error::Result;
use hexapla::store::verify;
use serde_json::json;

use crate::ui::{Ui, group};

/// Hash tables, packs and runs again and compare with their manifests
#[derive(clap::Args)]
pub struct Args {
    /// Folders with a manifest, or folders of such folders
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for dir in &args.dirs {
        let found = verify::verify(dir)?;
        checked += found.files;
        wrong.extend(found.wrong);
    }
    if ui.json() {
        let list: Vec<_> =
            wrong.iter().map(|w| json!({ "file": w.path, "problem": w.problem })).collect();
        ui.object(&json!({ "files": checked, "wrong": list }))?;
    } else {
        for w in &wrong {
            ui.say(format!("{}: {}", w.path.display(), w.problem));
        }
        ui.say(format!("{} files checked, {} wrong", group(checked), wrong.len()));
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
