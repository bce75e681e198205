//! `hexapla ingest`: files of any known format into a table, without a project.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hexapla::error::Result;
use hexapla::id;
use hexapla::ingest::publish::ingest_to;
use hexapla::ingest::{self, Options};
use hexapla::project::build::Observer;
use hexapla::source::spec::{Column, Patterns, table_named};
use hexapla::source::{SourceSpec, unit};
use hexapla::store::remote;
use serde_json::json;

use crate::args::ErrorArgs;
use crate::ui::{Ui, group};

/// Read files of any known format into a table, without a project
#[derive(clap::Args)]
pub struct Args {
    /// Files, folders or globs, `-` for standard input; of Moses text the files of all sides
    #[arg(required = true)]
    inputs: Vec<String>,
    /// The table's folder, or its URL on an object store
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where a table for an object store is made before it is sent; in the user's cache when left
    /// out
    #[arg(long, value_name = "DIR")]
    stage: Option<PathBuf>,
    /// The format; told from the files when left out
    #[arg(long, value_name = "F")]
    format: Option<String>,
    /// The language of every text, in any usual code
    #[arg(long, value_name = "L")]
    lang: Option<String>,
    /// The languages of pairs, source first
    #[arg(long, value_name = "A,B[,…]", value_delimiter = ',', conflicts_with = "lang")]
    langs: Vec<String>,
    /// The table to fill: documents, pairs or labelled; told from the rest when left out
    #[arg(long, value_name = "TABLE")]
    into: Option<String>,
    /// The name of the source in the table
    #[arg(long, value_name = "NAME", default_value = "input")]
    source: String,
    /// The field or column with the text
    #[arg(long, value_name = "F")]
    text_field: Option<String>,
    /// The field or column with the id
    #[arg(long, value_name = "F")]
    id_field: Option<String>,
    /// The field or column with the language
    #[arg(long, value_name = "F")]
    lang_field: Option<String>,
    /// The field or column with the address
    #[arg(long, value_name = "F")]
    url_field: Option<String>,
    /// The encoding of the text, such as windows-1251; told from the bytes when left out
    #[arg(long, value_name = "E")]
    encoding: Option<String>,
    #[command(flatten)]
    errors: ErrorArgs,
    /// Threads to use
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let fields = [
        ("text", &args.text_field),
        ("id", &args.id_field),
        ("lang", &args.lang_field),
        ("url", &args.url_field),
    ];
    let mut spec = SourceSpec {
        name: args.source,
        path: Patterns::Many(args.inputs.into_iter().map(from_here).collect()),
        format: args.format,
        encoding: args.encoding,
        lang: args.lang,
        langs: args.langs,
        into: args.into.as_deref().map(table_named).transpose()?,
        columns: fields
            .into_iter()
            .filter_map(|(field, column)| {
                let column = column.clone()?;
                let column = column.parse().map_or(Column::Name(column), Column::Number);
                Some((field.to_string(), column))
            })
            .collect(),
        ..SourceSpec::default()
    };
    let root = Path::new(".");
    spec.into = Some(unit::natural(&spec, root)?);
    let node = args.out.display().to_string();
    ui.started(&node, &[]);
    let progress = |done: u64, total: u64| ui.progress(done, Some(total), "bytes");
    let options = Options {
        threads: args.threads.unwrap_or(0),
        max_errors: args.errors.max(),
        ..Options::default()
    };
    let done = match args.out.to_str().filter(|out| remote::is_url(out)) {
        Some(url) => {
            let stage = args.stage.unwrap_or_else(|| stage(url));
            ingest_to(&[spec], root, url, &stage, &options, &progress)?.0
        }
        None => ingest::ingest(&[spec], root, &args.out, &options, &progress)?,
    };
    ui.clear();
    let manifest = &done.manifest;
    if ui.json() {
        ui.object(&json!({
            "table": args.out,
            "files": done.files,
            "parts_written": done.parts_written,
            "rows": manifest.rows_out,
            "errors": manifest.errors,
            "dropped": manifest.dropped,
            "refused": done.refused,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for refused in &done.refused {
        ui.say(format!("{}: {}; no row of it", refused.path, refused.reason));
    }
    let mut line =
        format!("{node}: {} rows from {} files", group(manifest.rows_out), group(done.files));
    for (reason, rows) in &manifest.dropped {
        line.push_str(&format!(", {} {reason}", group(*rows)));
    }
    if manifest.errors > 0 {
        line.push_str(&format!(", {} unreadable (in {node}/errors)", group(manifest.errors)));
    }
    ui.say(line);
    Ok(ExitCode::SUCCESS)
}

/// A path inside the working folder as one that is relative to it: ids are hashed from paths.
fn from_here(path: String) -> String {
    let inside = std::env::current_dir().ok().and_then(|here| {
        let inside = Path::new(&path).strip_prefix(here).ok()?;
        inside.to_str().map(str::to_string)
    });
    inside.unwrap_or(path)
}

/// A folder of its own for the table at a URL, found again by the run after a killed one.
fn stage(url: &str) -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = variable("HEXAPLA_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("hexapla")))
        .or_else(|| Some(variable("HOME")?.join(".cache/hexapla")))
        .unwrap_or_else(|| std::env::temp_dir().join("hexapla"));
    let name = id::hex128(id::hash128(url.trim_end_matches('/').as_bytes()));
    cache.join("stage").join(&name[..16])
}
