//! What the process ends with.

use klamm::ErrorKind;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// The command could not be understood, or contradicts itself.
const USAGE: u8 = 2;

/// Wrong usage that only shows when the command runs.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

/// A failure that stderr has been told already.
#[derive(Debug)]
pub(crate) struct Told;

/// What was asked is shown: the command ends here.
#[derive(Debug)]
pub(crate) struct Shown;

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shown")
    }
}

impl std::error::Error for Usage {}
impl std::error::Error for Told {}
impl std::error::Error for Shown {}

/// Says what went wrong, on stderr, and gives the exit code.
pub(crate) fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Whoever read our output has seen enough: `klamm consume | head` is no failure.
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref().is_some_and(|e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.is::<Shown>() || error.chain().any(broken) {
        return ExitCode::SUCCESS;
    }
    if error.is::<Told>() {
        return ExitCode::FAILURE;
    }
    eprintln!("klamm: {error:#}");
    let config = error.downcast_ref().is_some_and(|e: &klamm::Error| e.kind() == ErrorKind::Config);
    if config || error.is::<Usage>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}
