//! Ctrl-C and SIGTERM.

use std::io;

/// Calls `act` at the first SIGINT or SIGTERM, on a thread of its own; a second one ends the process at once.
#[cfg(unix)]
pub(crate) fn on_signal(act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            act();
        }
        if let Some(signal) = signals.next() {
            std::process::exit(128 + signal);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Elsewhere the system ends the process.
#[cfg(not(unix))]
pub(crate) fn on_signal(_act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    Ok(())
}
