//! Who runs the driver.

use crate::Result;
use crate::front::engine::MakeEngine;
#[cfg(any(feature = "tokio", feature = "blocking"))]
use crate::{Error, ErrorKind};

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

#[cfg(feature = "tokio")]
impl Runtime for Tokio {
    fn start(self, make: MakeEngine) -> Result<()> {
        use klamm_core::driver::Net;
        let net = klamm_tokio::TokioNet::new().map_err(|error| {
            Error::new(ErrorKind::Misuse, error.to_string()).with_hint("connect with Blocking, say")
        })?;
        let engine = make.make(net.clock());
        net.start(engine);
        Ok(())
    }
}

#[cfg(feature = "async-std")]
impl Runtime for AsyncStd {
    fn start(self, make: MakeEngine) -> Result<()> {
        use klamm_core::driver::Net;
        let net = klamm_async_std::AsyncStdNet::new();
        let engine = make.make(net.clock());
        net.start(engine);
        Ok(())
    }
}

#[cfg(feature = "blocking")]
impl Runtime for Blocking {
    fn start(self, make: MakeEngine) -> Result<()> {
        use klamm_core::driver::Net;
        let refused = |error: std::io::Error| {
            Error::new(ErrorKind::Connect, format!("the system refuses a thread or a selector for the driver: {error}"))
        };
        let net = klamm_blocking::BlockingNet::new().map_err(refused)?;
        let engine = make.make(net.clock());
        // The thread ends with the client; nobody joins it.
        net.start(engine).map(drop).map_err(refused)
    }
}
