//! The command line: one file a subcommand; parsing, words, colours and exit codes live only here.
//!
//! stdout carries data, stderr carries words. Exit 0: done; 1: done but a check failed; 2: error.

// A command line prints; the library may not.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod describe;
mod eval;
mod explain;
mod functions;
mod fuse;
mod ingest;
mod init;
mod interrupt;
mod launch;
mod lid;
mod mix;
mod probe;
mod queries;
mod report;
mod run;
mod score;
mod show;
mod sql;
mod table;
mod thresholds;
mod tokenizer;
mod train;
mod ui;
mod verify;
mod why;

use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;
use hexapla::error::Error;

fn main() -> ExitCode {
    #[cfg(feature = "train")]
    hexapla::train::ffi::leave_at_once();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return ui::usage(&error),
    };
    let ui = ui::Ui::new(&args.common);
    // A panic, be it a library's, is an error like any other: one line, exit 2.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|info| {
            if let Ok(mut first) = PANIC.lock() {
                first.get_or_insert_with(|| info.to_string());
            }
        }));
    }
    let run = std::panic::AssertUnwindSafe(|| args.command.run(&ui));
    match std::panic::catch_unwind(run) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => ui.fail(&error),
        Err(_) => {
            let what = PANIC.lock().ok().and_then(|mut first| first.take());
            ui.fail(&Error::internal(what.unwrap_or_else(|| "a panic".into())))
        }
    }
}

/// What the first panic said and where.
static PANIC: Mutex<Option<String>> = Mutex::new(None);
