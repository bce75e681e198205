//! `hexapla report`: one self-contained page.

use std::path::PathBuf;
use std::process::ExitCode;

use hexapla::error::{Error, Result};
use hexapla::project::Project;
use hexapla::project::build::Options;
use hexapla::project::explain::{self, Ask};
use hexapla::report::{Cost, Costs};
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

/// Languages that are named beside a rule.
const LANGS: usize = 3;

/// What the rules cost, of those queries whose tables are there and can be read.
fn costs(project: &Project) -> Vec<Costs> {
    let queries = explain::queries(project, &[]).unwrap_or_default();
    let asked = queries.into_iter().filter_map(|query| {
        explain::explain(project, query, &Ask::default(), &Options::default()).ok()
    });
    let of = |rule: explain::Rule| {
        let mut langs: Vec<(String, u64)> =
            rule.langs.into_iter().map(|(lang, share)| (lang, share.all.rows)).collect();
        langs.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        langs.truncate(LANGS);
        Cost { reason: rule.reason, all: rule.all.rows, alone: rule.alone.rows, langs }
    };
    asked
        .map(|explained| {
            let mut together: Vec<_> =
                explained.together.into_iter().map(|t| (t.reasons, t.both.rows)).collect();
            together.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
            Costs {
                query: explained.query,
                rows: explained.total.rows,
                rules: explained.rules.into_iter().map(of).collect(),
                together,
            }
        })
        .collect()
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let project = Project::open(&args.project.project)?;
    let path = args.output.unwrap_or_else(|| project.dir.join("report.html"));
    let mut report = hexapla::report::gather(&project.dir)?;
    report.costs = costs(&project);
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
