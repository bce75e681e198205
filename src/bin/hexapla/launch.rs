//! `--nproc N`: this program N times over, one process a rank, as `torchrun` would start it.
//!
//! The processes find one another by the environment alone. What they say on stderr is passed on,
//! with the rank in front except for rank 0's. When one ends badly the others have half a minute to
//! notice and to say so themselves.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hexapla::error::{Error, Result};

use crate::interrupt;
use crate::ui::Ui;

/// How long ranks may go on after another has failed.
const GRACE: Duration = Duration::from_secs(30);

/// The processes, for whoever has to end them.
static CHILDREN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Runs this command as `n` ranks, each with `threads` threads, and ends as rank 0 does.
pub fn run(n: usize, threads: usize, ui: &Ui) -> Result<ExitCode> {
    if std::env::var_os("WORLD_SIZE").is_some() {
        return Err(Error::usage("`--nproc` inside of a group that `WORLD_SIZE` names already")
            .hint_with("`torchrun` starts the ranks itself: leave `--nproc` away"));
    }
    let program = std::env::current_exe().map_err(|e| Error::io("this program", e))?;
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.map_err(|e| Error::io("127.0.0.1", e))?.port();
    // Ctrl-C in a terminal reaches every rank by itself; a scheduler's signal only this process.
    let pass_on = |polite| {
        if polite {
            signal("TERM");
        }
    };
    interrupt::watch(pass_on, || signal("KILL"))?;
    let mut children = Vec::new();
    for rank in 0..n {
        let mut command = Command::new(&program);
        command
            .args(arguments(std::env::args_os().skip(1)))
            .arg("--threads")
            .arg(threads.to_string())
            .env("RANK", rank.to_string())
            .env("LOCAL_RANK", rank.to_string())
            .env("WORLD_SIZE", n.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string());
        if rank > 0 {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(|e| Error::io(&program, e))?;
        if let Ok(mut list) = CHILDREN.lock() {
            list.push(child.id());
        }
        let stderr = child.stderr.take();
        children.push((child, stderr));
    }
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut ranks = Vec::new();
        for (rank, (child, stderr)) in children.into_iter().enumerate() {
            if let Some(stderr) = stderr {
                scope.spawn(move || {
                    for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
                        ui.say(format!("rank {rank}: {line}"));
                    }
                });
            }
            ranks.push(child);
        }
        wait(&mut ranks, &ended, ui)
    })
}

/// Waits for all ranks; the exit code is the first one that is not 0, rank 0's before others'.
fn wait(ranks: &mut [Child], ended: &AtomicBool, ui: &Ui) -> Result<ExitCode> {
    let mut codes: Vec<Option<i32>> = vec![None; ranks.len()];
    let mut failed: Option<Instant> = None;
    while codes.iter().any(Option::is_none) {
        for (rank, child) in ranks.iter_mut().enumerate() {
            if codes[rank].is_some() {
                continue;
            }
            let Some(status) = child.try_wait().map_err(|e| Error::io("a rank", e))? else {
                continue;
            };
            codes[rank] = Some(status.code().unwrap_or(2));
            if !status.success() {
                failed.get_or_insert_with(Instant::now);
            }
            if status.code().is_none() && !ended.load(Ordering::SeqCst) {
                ui.say(format!("rank {rank} was ended from outside ({status})"));
            }
        }
        if failed.is_some_and(|since| since.elapsed() > GRACE) {
            ended.store(true, Ordering::SeqCst);
            for child in ranks.iter_mut() {
                let _ = child.kill();
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let code = codes.into_iter().flatten().find(|code| *code != 0).unwrap_or(0);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(2)))
}

/// Sends a signal to every rank.
fn signal(name: &str) {
    let list = CHILDREN.lock().map(|list| list.clone()).unwrap_or_default();
    let ids = list.iter().map(ToString::to_string);
    let _ = Command::new("kill").arg(format!("-{name}")).args(ids).stderr(Stdio::null()).status();
}

/// The arguments without `--nproc` and `--threads`, which the ranks get otherwise.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut kept, mut skip) = (Vec::new(), false);
    for argument in given {
        let text = argument.to_string_lossy();
        let ours = ["--nproc", "--threads"];
        if std::mem::take(&mut skip) {
            continue;
        }
        skip = ours.contains(&text.as_ref());
        let joined = ours.iter().any(|name| text.starts_with(&format!("{name}=")));
        if !skip && !joined {
            kept.push(argument);
        }
    }
    kept
}
