//! Drives klamm's core on a thread of its own: a selector, name look-ups and compression on other threads, no executor.
//!
//! ```
//! use klamm_blocking::BlockingNet;
//! use klamm_core::driver::{Clock, Machine, Net};
//!
//! fn begin<M: Machine + Send + 'static>(machine: impl FnOnce(Clock) -> M) -> std::io::Result<()> {
//!     let net = BlockingNet::new()?;
//!     let clock = net.clock();
//!     net.start(machine(clock))?;
//!     Ok(())
//! }
//! ```

mod answers;
mod selector;
mod workers;

use answers::Answers;
use klamm_core::driver::{Clock, Driver, Machine, Net, NetError, NetEvent, SocketOptions, Work, WorkLost};
use klamm_core::{ConnId, LookupId, Now, Time, Timestamp, WorkId};
use selector::Selector;
pub use selector::Stream;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use workers::Workers;

/// A thread with a selector, as the driver sees it.
#[derive(Debug)]
pub struct BlockingNet {
    epoch: Instant,
    selector: Selector,
    answers: Answers<Stream>,
    workers: Workers,
    until: Option<Time>,
}

impl BlockingNet {
    /// A new selector.
    ///
    /// # Errors
    /// The system has none to give: too many open files.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoch: Instant::now(),
            selector: Selector::new()?,
            answers: Answers::default(),
            workers: Workers::default(),
            until: None,
        })
    }

    /// Drives the machine on a thread named `klamm`. If the machine panics, it is abandoned.
    ///
    /// # Errors
    /// The system has no thread to give; the machine is abandoned.
    pub fn start<M: Machine + Send + 'static>(self, machine: M) -> io::Result<JoinHandle<io::Result<()>>> {
        // Made here, so that a machine whose thread cannot start is abandoned too.
        let driver = Driver::new(machine, self);
        Builder::new().name("klamm".into()).spawn(move || drive(driver))
    }

    /// Drives the machine on this thread until it is done.
    ///
    /// # Errors
    /// The selector failed; the machine is abandoned.
    pub fn run<M: Machine>(self, machine: M) -> io::Result<()> {
        drive(Driver::new(machine, self))
    }

    fn timeout(&self) -> Option<Duration> {
        let until = self.epoch.checked_add(Duration::from_nanos(self.until?.0))?;
        Some(until.saturating_duration_since(Instant::now()))
    }
}

fn drive<M: Machine>(mut driver: Driver<M, BlockingNet>) -> io::Result<()> {
    let unpark = Arc::clone(driver.net_mut().selector.unpark());
    let waker = Waker::from(Arc::clone(&unpark));
    let mut cx = Context::from_waker(&waker);
    loop {
        // Whoever woke us before this point is served by this poll.
        unpark.clear();
        if driver.poll(&mut cx).is_ready() {
            return Ok(());
        }
        let net = driver.net_mut();
        let timeout = net.timeout();
        net.selector.wait(timeout)?;
    }
}

fn lost() -> NetError {
    NetError { kind: io::ErrorKind::Interrupted, text: "the thread that was to do it could not".into() }
}

impl Net for BlockingNet {
    type Stream = Stream;

    fn clock(&self) -> Clock {
        let epoch = self.epoch;
        Clock::new(move || Now {
            mono: Time(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            wall: Timestamp::from(SystemTime::now()),
        })
    }

    // A look-up may take as long as the system's resolver likes: each has its own thread, and none waits for another.
    fn lookup(&mut self, id: LookupId, host: Arc<str>, port: u16) {
        let owed = self.answers.owe(NetEvent::Lookup(id, Err(lost())));
        let thread = Builder::new().name("klamm-dns".into()).spawn(move || {
            let found = (&*host, port).to_socket_addrs();
            owed.give(NetEvent::Lookup(id, found.map(Iterator::collect).map_err(NetError::from)));
        });
        // Without a thread `owed` was dropped and has answered.
        drop(thread);
    }

    fn connect(&mut self, conn: ConnId, addr: SocketAddr, socket: &SocketOptions) {
        let owed = self.answers.owe(NetEvent::Connected(conn, Err(lost())));
        if let Err((owed, error)) = self.selector.connect(owed, conn, addr, socket) {
            owed.give(NetEvent::Connected(conn, Err(error.into())));
        }
    }

    fn offload(&mut self, id: WorkId, work: Work) {
        let owed = self.answers.owe(NetEvent::Worked(id, Err(WorkLost)));
        self.workers.run(Box::new(move || owed.give(NetEvent::Worked(id, Ok(work.run())))));
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<NetEvent<Stream>> {
        self.answers.poll(cx)
    }

    fn poll_read(&mut self, stream: &mut Stream, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        stream.poll_read(cx, buf)
    }

    fn poll_write(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        iov: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        stream.poll_write(cx, iov)
    }

    // The thread sleeps in `wait`, after the poll.
    fn poll_sleep(&mut self, _cx: &mut Context<'_>, until: Option<Time>) -> Poll<()> {
        self.until = until;
        if self.timeout() == Some(Duration::ZERO) { Poll::Ready(()) } else { Poll::Pending }
    }
}
