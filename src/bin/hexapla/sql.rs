//! `hexapla sql`: questions to a project's tables and to any file.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hexapla::error::{Error, Result};
use hexapla::project::Project;
use hexapla::project::build::{self, Options};
use hexapla::project::config::{PROJECT_FILE, parse_bytes};
use hexapla::sql::{Rows, Session, SessionOptions};
use hexapla::store::remote;
use hexapla::store::whole::WholeFile;
use rustyline::error::ReadlineError;
use rustyline::{Completer, Helper, Highlighter, Hinter};
use serde_json::json;

use crate::describe;
use crate::table::{self, Format};
use crate::ui::{self, Ui};

/// Ask a project's tables or any Parquet, JSONL or CSV file
#[derive(clap::Args)]
pub struct Args {
    /// The query; `\d` lists the tables, `\d NAME` the columns of one
    #[arg(short, long, value_name = "QUERY", conflicts_with = "file")]
    command: Option<String>,
    /// A file with the query; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How to write the result: as the name of the output says, else as a table
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where to write the result; a URL of an object store will do
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    tables: TableArgs,
}

/// What a query may read, and how much of the machine it may use.
#[derive(clap::Args)]
pub struct TableArgs {
    /// A table of this name over a file, a folder of files, or their URL
    #[arg(short, long = "table", value_name = "NAME=PATH")]
    tables: Vec<String>,
    #[command(flatten)]
    pub project: crate::args::ProjectArgs,
    /// Memory for the query, such as 2GB
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// Threads to use
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let session = session(&args.tables)?;
    let query = match (&args.command, &args.file) {
        (Some(query), _) => Some(query.clone()),
        (None, Some(path)) if path.as_os_str() == "-" => Some(stdin()?),
        (None, Some(path)) => Some(std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?),
        (None, None) if std::io::stdin().is_terminal() => None,
        (None, None) => Some(stdin()?),
    };
    let Some(query) = query else { return prompt(&session, ui) };
    let width = if std::io::stdout().is_terminal() { columns() } else { None };
    if describe::answer(&session, &query, width, ui)? {
        return Ok(ExitCode::SUCCESS);
    }
    let format = match args.format {
        Some(format) => format,
        None => named(args.output.as_deref())?,
    };
    match &args.output {
        Some(path) => {
            if format == Format::Parquet && std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
                let message = format!("{}: Parquet is written to files", path.display());
                return Err(Error::usage(message));
            }
            let url = path.to_str().filter(|path| remote::is_url(path));
            // What goes to an object store is made here first.
            let made =
                url.map(|_| tempfile::tempdir().map_err(|e| Error::io(path, e))).transpose()?;
            let whole = made.as_ref().map_or(path.clone(), |folder| folder.path().join("result"));
            let rows = session.rows(&query)?;
            // The file is there whole or not at all, whatever becomes of the query.
            let (file, rows) =
                write(rows, format, WholeFile::create(&whole)?, path.display(), None)?;
            file.commit()?;
            if let Some(url) = url {
                remote::put(url, &whole, None)?;
            }
            if ui.json() {
                ui.object(&json!({ "file": path, "rows": rows }))?;
            }
        }
        // One object cannot be had in pieces: it is held whole.
        None if ui.json() => {
            ui.object(&json!({ "rows": table::values(&session.query(&query)?)? }))?;
        }
        None if format == Format::Parquet => {
            return Err(Error::usage("Parquet cannot be written to the screen")
                .hint_with("name a file with `-o FILE.parquet`"));
        }
        None => {
            write(session.rows(&query)?, format, ui::stdout(), "standard output", width)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes rows as they come, and gives back what they were written to with their number.
fn write<W: Write + Send>(
    rows: Rows<'_>,
    format: Format,
    out: W,
    place: impl ToString,
    width: Option<u16>,
) -> Result<(W, usize)> {
    let mut writer = table::Writer::new(format, out, place, rows.schema(), width)?;
    for batch in rows {
        writer.write(&batch?)?;
    }
    writer.finish()
}

/// The format that the name of a file stands for; no name is that of a table on a screen.
fn named(path: Option<&Path>) -> Result<Format> {
    let Some(path) = path else { return Ok(Format::Table) };
    match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("parquet") => Ok(Format::Parquet),
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::Ndjson),
        Some("json") => Ok(Format::Json),
        None | Some("txt") => Ok(Format::Table),
        Some(_) => Err(Error::usage(format!("{}: the name tells no format", path.display()))
            .hint_with("say it, as in `--format csv`, or write .csv, .jsonl, .json or .parquet")),
    }
}

/// A session over the project's tables, and those that are named beside.
pub fn session(args: &TableArgs) -> Result<Session> {
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
    ui.say("A query ends with `;`. \\d lists the tables, \\d NAME a table's columns, \\q quits.");
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
            _ => {}
        }
        let _ = editor.add_history_entry(line.trim());
        let shown = match describe::answer(session, query, columns(), ui) {
            Ok(false) => session.rows(query).and_then(|rows| {
                write(rows, Format::Table, ui::stdout(), "standard output", columns()).map(|_| ())
            }),
            told => told.map(|_| ()),
        };
        // A wrong query ends no session.
        if let Err(error) = shown {
            ui.fail(&error);
        }
    }
    if let Some(path) = &history {
        let _ = editor.save_history(path);
    }
    Ok(ExitCode::SUCCESS)
}
