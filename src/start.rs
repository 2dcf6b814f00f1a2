//! Who runs the driver.

use crate::front::engine::MakeEngine;
use crate::{Error, Result};

/// Who runs the driver of a [`Kafka`](crate::Kafka): [`Tokio`], [`AsyncStd`] or [`Blocking`], each with its Cargo feature.
///
/// Not for applications to implement; klamm's simulator does.
pub trait Runtime {
    /// Starts a driver for the engine that `make` gives for this runtime's clock.
    #[doc(hidden)]
    fn start(self, make: MakeEngine) -> Result<()>;

    /// Whether the clock is the system's.
    #[doc(hidden)]
    fn is_real(&self) -> bool {
        true
    }

    /// What the client's random choices begin with.
    #[doc(hidden)]
    fn seed(&self) -> u64 {
        fastrand::u64(..)
    }
}

/// Runs the driver as a task of the tokio runtime in whose context the client connects.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

/// Runs the driver as a task of async-std (or of smol: they share their reactor).
#[cfg(feature = "async-std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStd;

/// Runs the driver on a thread of klamm's own: no executor, no async runtime.
#[cfg(feature = "blocking")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Blocking;

#[expect(dead_code, reason = "used by the adapters' impls")]
fn refused(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(crate::ErrorKind::Misuse, format!("cannot start the driver on {what}: {error}"))
}
