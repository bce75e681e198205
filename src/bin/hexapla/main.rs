//! The command line: one file a subcommand; parsing, words, colours and exit codes live only here.
//!
//! stdout carries data, stderr carries words. Exit 0: done; 1: done but a check failed; 2: error.

// A command line prints; the library may not.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod eval;
mod functions;
mod ingest;
mod init;
mod mix;
mod probe;
mod queries;
mod report;
mod run;
mod sql;
mod table;
mod train;
mod ui;
mod verify;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return ui::usage(&error),
    };
    let ui = ui::Ui::new(&args.common);
    match args.command.run(&ui) {
        Ok(code) => code,
        Err(error) => ui.fail(&error),
    }
}
