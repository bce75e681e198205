//! `hexapla queries`: which queries are in force, what they say, and copying one into the project.

use std::process::ExitCode;

use clap::Subcommand;
use hexapla::error::{Error, Result};
use hexapla::project::Project;
use hexapla::sql::recipe::{Origin, QUERIES};
use serde_json::json;

use crate::ui::Ui;

/// List, show or eject the queries in force
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    project: crate::args::ProjectArgs,
}

#[derive(Subcommand)]
enum Action {
    /// List the queries in force and where each comes from
    List,
    /// Print a query
    Show {
        /// The table it makes
        name: String,
    },
    /// Copy a built-in query into the project, where it replaces the built-in one
    Eject {
        /// The table it makes
        name: String,
    },
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let project = Project::open(&args.project.project)?;
    match args.action.unwrap_or(Action::List) {
        Action::List => list(&project, ui)?,
        Action::Show { name } => ui.out(project.query(&name)?.text.as_bytes())?,
        Action::Eject { name } => {
            let query = project.query(&name)?;
            let Some((file, text)) =
                QUERIES.iter().find(|(f, _)| f.trim_end_matches(".sql") == name)
            else {
                let built_in = QUERIES.iter().map(|(f, _)| f.trim_end_matches(".sql"));
                return Err(Error::unknown("built-in query", &name, built_in));
            };
            if let Origin::Project(path) = &query.origin {
                return Err(Error::usage(format!(
                    "`{name}` comes from the project already: {}",
                    path.display()
                ))
                .hint_with("edit that file"));
            }
            let path = args.project.project.join("queries").join(file);
            hexapla::store::manifest::replace(&path, text.as_bytes())?;
            if ui.json() {
                ui.object(&json!({ "query": name, "file": path }))?;
            } else {
                ui.say(format!("{}: now in force instead of the built-in query", path.display()));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(project: &Project, ui: &Ui) -> Result<()> {
    let from = |origin: &Origin| match origin {
        Origin::BuiltIn => "built-in".to_string(),
        Origin::Project(path) => path.display().to_string(),
    };
    if ui.json() {
        let queries: Vec<_> = project
            .queries
            .iter()
            .map(|q| json!({ "name": q.name, "in": q.inputs, "from": from(&q.origin), "doc": q.doc }))
            .collect();
        return ui.object(&json!({ "queries": queries }));
    }
    let mut out = String::new();
    for q in &project.queries {
        out.push_str(&format!("{:<18} {:<28} {}\n", q.name, from(&q.origin), q.doc));
    }
    ui.out(out)
}
