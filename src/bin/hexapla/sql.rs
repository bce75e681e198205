//! `hexapla sql`: questions to a project's tables and to any file.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hexapla::error::{Error, Result};
use hexapla::project::Project;
use hexapla::project::build::{self, Options};
use hexapla::project::config::{PROJECT_FILE, parse_bytes};
use hexapla::sql::{Session, SessionOptions};
use hexapla::store::remote;
use rustyline::error::ReadlineError;
use rustyline::{Completer, Helper, Highlighter, Hinter};
use serde_json::json;

use crate::table::{self, Format};
use crate::ui::Ui;

/// Ask a project's tables or any Parquet, JSONL or CSV file
#[derive(clap::Args)]
pub struct Args {
    /// The query
    #[arg(short, long, value_name = "QUERY", conflicts_with = "file")]
    command: Option<String>,
    /// A file with the query; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A table of this name over a file, a folder of files, or their URL
    #[arg(short, long = "table", value_name = "NAME=PATH")]
    tables: Vec<String>,
    /// How to write the result: as the name of the output says, else as a table
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where to write the result; a URL of an object store will do
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    project: crate::args::ProjectArgs,
    /// Memory for the query, such as 2GB
    #[arg(long, value_name = "SIZE")]
    memory_limit: Option<String>,
    /// Threads to use
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let session = session(&args)?;
    let query = match (&args.command, &args.file) {
        (Some(query), _) => Some(query.clone()),
        (None, Some(path)) if path.as_os_str() == "-" => Some(stdin()?),
        (None, Some(path)) => Some(std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?),
        (None, None) if std::io::stdin().is_terminal() => None,
        (None, None) => Some(stdin()?),
    };
    let Some(query) = query else { return prompt(&session, ui) };
    let batches = session.query(&query)?;
    let format = args.format.unwrap_or_else(|| named(args.output.as_deref()));
    match &args.output {
        Some(path) => {
            let url = path.to_str().filter(|path| remote::is_url(path));
            // What goes to an object store is made here first.
            let made =
                url.map(|_| tempfile::tempdir().map_err(|e| Error::io(path, e))).transpose()?;
            let file = made.as_ref().map_or(path.clone(), |folder| folder.path().join("result"));
            if format == Format::Parquet {
                table::parquet(&file, session.schema(&query)?, &batches)?;
            } else {
                let bytes = table::render(&batches, format, None)?;
                hexapla::store::manifest::replace(&file, &bytes)?;
            }
            if let Some(url) = url {
                remote::put(url, &file, None)?;
            }
            if ui.json() {
                let rows: usize = batches.iter().map(|b| b.num_rows()).sum();
                ui.object(&json!({ "file": path, "rows": rows }))?;
            }
        }
        None if ui.json() => ui.object(&json!({ "rows": table::values(&batches)? }))?,
        None => {
            let width = if std::io::stdout().is_terminal() { columns() } else { None };
            ui.out(table::render(&batches, format, width)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The format that the name of a file stands for.
fn named(path: Option<&Path>) -> Format {
    match path.and_then(Path::extension).and_then(std::ffi::OsStr::to_str) {
        Some("parquet") => Format::Parquet,
        Some("csv") => Format::Csv,
        Some("jsonl" | "ndjson") => Format::Ndjson,
        Some("json") => Format::Json,
        _ => Format::Table,
    }
}

fn session(args: &Args) -> Result<Session> {
    let options = Options {
        memory_limit: args.memory_limit.as_deref().map(parse_bytes).transpose()?,
        threads: args.threads,
        ..Options::default()
    };
    let dir = &args.project.project;
    // Without a project there are still files to ask; a wrong `--project` is an error.
    let mut session = if dir.join(PROJECT_FILE).exists() || dir.as_os_str() != "." {
        build::session(&Project::open(dir)?, &options)?
    } else {
        Session::new(SessionOptions {
            memory_limit: options.memory_limit,
            threads: options.threads,
            ..SessionOptions::default()
        })?
    };
    for table in &args.tables {
        let (name, path) = table.split_once('=').ok_or_else(|| {
            Error::usage(format!("`{table}` names no table"))
                .hint_with("write `-t name=path`, such as `-t kept=out/kept`")
        })?;
        session.add_file(name, Path::new(path))?;
    }
    Ok(session)
}

fn stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| Error::io("standard input", e))?;
    Ok(text)
}

/// The width of the terminal, when there is one.
pub fn columns() -> Option<u16> {
    comfy_table::Table::new().width()
}

#[derive(Helper, Highlighter, Hinter, Completer)]
struct Words {
    #[rustyline(Completer)]
    words: Complete,
}

struct Complete(Vec<String>);

impl rustyline::completion::Completer for Complete {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let start = line[..position]
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
            .map_or(0, |i| i + 1);
        let typed = &line[start..position];
        let found = self.0.iter().filter(|w| !typed.is_empty() && w.starts_with(typed));
        Ok((start, found.cloned().collect()))
    }
}

impl rustyline::validate::Validator for Words {
    fn validate(
        &self,
        context: &mut rustyline::validate::ValidationContext<'_>,
    ) -> rustyline::Result<rustyline::validate::ValidationResult> {
        let input = context.input().trim_end();
        let whole = input.is_empty() || input.starts_with('\\') || input.ends_with(';');
        Ok(if whole {
            rustyline::validate::ValidationResult::Valid(None)
        } else {
            rustyline::validate::ValidationResult::Incomplete
        })
    }
}

fn prompt(session: &Session, ui: &Ui) -> Result<ExitCode> {
    let mut words: Vec<String> = session.tables();
    words.extend(session.signatures().iter().map(|s| format!("{}(", s.name)));
    words.extend(
        [
            "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "JOIN", "select", "from",
            "where", "group by", "order by", "limit", "join",
        ]
        .map(String::from),
    );
    let terminal = |e: ReadlineError| Error::io("terminal", e);
    let mut editor =
        rustyline::Editor::<Words, rustyline::history::FileHistory>::new().map_err(terminal)?;
    editor.set_helper(Some(Words { words: Complete(words) }));
    let history = std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".hexapla_history"));
    if let Some(path) = &history {
        // A first session has no history yet.
        let _ = editor.load_history(path);
    }
    ui.say("A query ends with `;`. \\d lists the tables, \\q quits.");
    loop {
        let line = match editor.readline("hexapla> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(terminal(e)),
        };
        let query = line.trim().trim_end_matches(';').trim();
        match query {
            "" => continue,
            "\\q" | "exit" | "quit" => break,
            "\\d" => {
                ui.out(format!("{}\n", session.tables().join("\n")))?;
                continue;
            }
            _ => {}
        }
        let _ = editor.add_history_entry(line.trim());
        match session.query(query).and_then(|b| table::render(&b, Format::Table, columns())) {
            Ok(text) => ui.out(text)?,
            // A wrong query ends no session.
            Err(error) => {
                ui.fail(&error);
            }
        }
    }
    if let Some(path) = &history {
        let _ = editor.save_history(path);
    }
    Ok(ExitCode::SUCCESS)
}
