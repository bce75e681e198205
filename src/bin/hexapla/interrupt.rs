//! Ctrl-C while training: the first saves and ends, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hexapla::error::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Watches for Ctrl-C and for the polite signal of schedulers (SIGTERM). `first` is called once,
/// with whether it was the latter, then the flag is true; `second` is called before the program
/// ends with exit code 130.
pub fn watch(
    first: impl FnOnce(bool) + Send + 'static,
    second: impl FnOnce() + Send + 'static,
) -> Result<Arc<AtomicBool>> {
    let failed = |e: std::io::Error| Error::io("signals", e);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(failed)?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    drop(guard);
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let wait = async move {
        let polite = tokio::select! { _ = interrupt.recv() => false, _ = terminate.recv() => true };
        first(polite);
        flag.store(true, Ordering::SeqCst);
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
        second();
        leave();
    };
    let thread = std::thread::Builder::new().name("hexapla-signals".into());
    thread.spawn(move || runtime.block_on(wait)).map_err(failed)?;
    Ok(stop)
}

#[expect(clippy::disallowed_methods, reason = "a second Ctrl-C asks for exactly this")]
fn leave() {
    std::process::exit(130);
}
