//! Words, progress and failures on stderr; results on stdout.

use std::io::{BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hexapla::error::{Error, Kind, Result};
use hexapla::project::build::{Observer, Outcome, State};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Common;

/// How to speak to the person or program that runs the command.
pub struct Ui {
    json: bool,
    quiet: bool,
    colour: bool,
    bars: bool,
    bar: Mutex<Option<(ProgressBar, Instant)>>,
}

impl Ui {
    pub fn new(common: &Common) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            json: common.json,
            quiet: common.quiet,
            colour: terminal && std::env::var_os("NO_COLOR").is_none(),
            bars: terminal && !common.quiet,
            bar: Mutex::new(None),
        }
    }

    /// Whether results are to be one JSON object.
    pub fn json(&self) -> bool {
        self.json
    }

    /// A line of words on stderr.
    pub fn say(&self, text: impl AsRef<str>) {
        if self.quiet {
            return;
        }
        match self.bar.lock() {
            Ok(guard) => match guard.as_ref() {
                Some((bar, _)) => bar.suspend(|| eprintln!("{}", text.as_ref())),
                None => eprintln!("{}", text.as_ref()),
            },
            Err(_) => eprintln!("{}", text.as_ref()),
        }
    }

    /// Text or bytes on stdout.
    pub fn out(&self, text: impl AsRef<[u8]>) -> Result<()> {
        let mut stdout = stdout();
        let written = stdout.write_all(text.as_ref()).and_then(|()| stdout.flush());
        written.map_err(|e| Error::io("standard output", e))
    }

    /// The one JSON object of a command with `--json`.
    pub fn object(&self, value: &serde_json::Value) -> Result<()> {
        self.out(format!("{value:#}\n"))
    }

    /// Ends the command with an error.
    pub fn fail(&self, error: &Error) -> ExitCode {
        self.clear();
        report(error, self.colour);
        ExitCode::from(2)
    }

    /// Takes the progress bar away.
    pub fn clear(&self) {
        if let Ok(mut guard) = self.bar.lock()
            && let Some((bar, _)) = guard.take()
        {
            bar.finish_and_clear();
        }
    }
}

/// Standard output in large pieces; a reader that went away ends the command without an error.
pub fn stdout() -> impl Write + Send {
    BufWriter::with_capacity(1 << 16, Stdout(std::io::stdout()))
}

struct Stdout(std::io::Stdout);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes).inspect_err(gone)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush().inspect_err(gone)
    }
}

#[expect(clippy::disallowed_methods, reason = "nobody reads: there is nothing left to do")]
fn gone(error: &std::io::Error) {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
}

fn report(error: &Error, colour: bool) {
    let (red, cyan, plain) =
        if colour { ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m") } else { ("", "", "") };
    eprintln!("{red}error{plain}: {error}");
    if let Some(hint) = error.hint() {
        eprintln!("{cyan}hint{plain}: {hint}");
    }
    if error.kind() == Kind::Internal && std::env::var_os("RUST_BACKTRACE").is_some() {
        eprintln!("{:?}", error);
    }
}

/// What clap says, in our form; help and version are no errors.
pub fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprint!("{}", error.render());
            ExitCode::from(2)
        }
        _ => {
            let text = error.render().to_string();
            let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
            let first = lines.next().unwrap_or("error: unusable arguments");
            let mut message = first.trim_start_matches("error: ").to_string();
            let mut hint = None;
            for line in lines {
                if let Some(tip) = line.strip_prefix("tip: ") {
                    hint.get_or_insert(tip.to_string());
                } else if !line.starts_with("Usage:") && !line.starts_with("For more") {
                    message.push(' ');
                    message.push_str(line);
                }
            }
            if error.kind() == ErrorKind::InvalidSubcommand {
                hint = nearest_command(error).or(hint);
            }
            let hint = hint.unwrap_or_else(|| "`hexapla --help` lists the commands".into());
            report(&Error::usage(message).hint_with(hint), std::io::stderr().is_terminal());
            ExitCode::from(2)
        }
    }
}

/// The subcommand that was probably meant.
fn nearest_command(error: &clap::Error) -> Option<String> {
    use clap::CommandFactory;
    use clap::error::{ContextKind, ContextValue};
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let command = crate::args::Args::command();
    let names: Vec<&str> = command.get_subcommands().map(|c| c.get_name()).collect();
    let near = hexapla::error::nearest(typed, &names)?;
    Some(format!("did you mean `{near}`?"))
}

impl Observer for Ui {
    fn started(&self, node: &str, why: &[String]) {
        if self.bars {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix:<18} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.set_prefix(node.to_string());
            bar.set_message(why.join("; "));
            if let Ok(mut guard) = self.bar.lock() {
                *guard = Some((bar, Instant::now()));
            }
        }
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        let Ok(guard) = self.bar.lock() else { return };
        let Some((bar, since)) = guard.as_ref() else { return };
        match total {
            Some(total) if total > 0 => {
                if bar.length() != Some(total) {
                    bar.set_length(total);
                    let template = if unit == "bytes" {
                        "{spinner} {prefix:<18} {bar:28} {bytes}/{total_bytes} {bytes_per_sec} eta {eta} {msg}"
                    } else {
                        "{spinner} {prefix:<18} {bar:28} {human_pos}/{human_len} {msg} eta {eta}"
                    };
                    if let Ok(style) = ProgressStyle::with_template(template) {
                        bar.set_style(style.progress_chars("━╸─"));
                    }
                }
                bar.set_message(unit.to_string());
                bar.set_position(done.min(total));
            }
            _ => bar.set_message(format!("{} {unit}, {:.0?}", group(done), since.elapsed())),
        }
    }

    fn note(&self, text: &str) {
        self.say(text);
    }

    fn finished(&self, outcome: &Outcome) {
        let seconds =
            self.bar.lock().ok().and_then(|mut guard| guard.take()).map(|(bar, since)| {
                bar.finish_and_clear();
                since.elapsed().as_secs_f64()
            });
        // What is merely needed, and there, is not worth a line.
        if outcome.state == State::UpToDate && !outcome.asked {
            return;
        }
        let mut line = format!("{:<18} ", outcome.node);
        match outcome.state {
            State::UpToDate => line.push_str("up to date"),
            State::WouldBuild => line.push_str("would be built"),
            State::Stopped => line.push_str("stopped"),
            State::Built => line.push_str("built"),
        }
        if let Some(rows) = outcome.rows.filter(|_| outcome.state == State::Built) {
            line.push_str(&format!(", {} {}", group(rows), outcome.unit));
        }
        if outcome.state == State::Built {
            let dropped: u64 = outcome.dropped.values().sum();
            if dropped > 0 {
                let reasons: Vec<String> =
                    outcome.dropped.iter().map(|(r, n)| format!("{r} {}", group(*n))).collect();
                line.push_str(&format!(", {} dropped ({})", group(dropped), reasons.join(", ")));
            }
            if outcome.errors > 0 {
                line.push_str(&format!(", {} unreadable (in errors/)", group(outcome.errors)));
            }
            if let Some(seconds) = seconds.filter(|s| *s >= 1.0) {
                line.push_str(&format!(", {seconds:.1} s"));
            }
        }
        if outcome.state != State::UpToDate && !outcome.why.is_empty() {
            line.push_str(&format!("  ({})", outcome.why.join("; ")));
        }
        self.say(line);
    }
}

/// A count with thin groups of three: `12 345`.
pub fn group(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
