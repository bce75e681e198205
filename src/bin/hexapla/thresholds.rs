//! `hexapla thresholds`: the thresholds of each language, measured from a table.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use hexapla::error::{Error, Result};
use hexapla::project::thresholds::{LEAST, measure};
use hexapla::store::whole::WholeFile;
use serde_json::json;

use crate::ui::Ui;

/// Measure thresholds and stop words of each language in the manner of FineWeb-2
#[derive(clap::Args)]
#[command(after_help = "Used as `gopher_quality(text, lang, 'fineweb2:FILE')`, and in \
                        gopher_repetition and fineweb_quality.")]
pub struct Args {
    /// A table with `text` and `lang`, such as `documents`; English has to be in it
    table: String,
    /// Where to write them; the screen when left out
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The model whose scores `language_score` is about, as `detect_lang` names it
    #[arg(long, value_name = "MODEL", default_value = "hexapla")]
    model: String,
    #[command(flatten)]
    tables: crate::sql::TableArgs,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let session = crate::sql::session(&args.tables)?;
    let found = measure(&session, &args.table, &args.model)?;
    let text = found.thresholds.to_toml();
    let languages = found.thresholds.languages().count();
    if let Some(path) = &args.out {
        let mut file = WholeFile::create(path)?;
        file.write_all(text.as_bytes()).map_err(|e| Error::io(path, e))?;
        file.commit()?;
    }
    if ui.json() {
        ui.object(&json!({ "languages": languages, "scarce": found.scarce, "file": args.out }))?;
    } else if args.out.is_none() {
        ui.out(&text)?;
    }
    ui.say(format!("{languages} languages"));
    if !found.scarce.is_empty() {
        let scarce: Vec<String> =
            found.scarce.iter().map(|(lang, n)| format!("{lang} ({n})")).collect();
        ui.say(format!("left out with fewer than {LEAST} documents: {}", scarce.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}
