//! Drives klamm's core on tokio: sockets, one timer, name look-ups and compression, nothing of Kafka.
//!
//! ```
//! use klamm_core::driver::{Clock, Machine, Net};
//! use klamm_tokio::{NotInRuntime, TokioNet};
//!
//! fn begin<M: Machine + Send + 'static>(machine: impl FnOnce(Clock) -> M) -> Result<(), NotInRuntime> {
//!     let net = TokioNet::new()?;
//!     let clock = net.clock();
//!     net.start(machine(clock));
//!     Ok(())
//! }
//! ```

use klamm_core::driver::{Clock, Driver, Machine, Net, NetError, NetEvent, SocketOptions, Work, WorkLost};
use klamm_core::{ConnId, LookupId, Now, Time, Timestamp, WorkId};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{Id, JoinSet};
use tokio::time::Sleep;

/// It was asked for outside of a tokio runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInRuntime;

impl std::fmt::Display for NotInRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("there is no tokio runtime here: call this inside of one, or choose another runtime")
    }
}

impl std::error::Error for NotInRuntime {}

/// What a task in the set is to answer, should it never get to it.
#[derive(Clone, Copy, Debug)]
enum Owed {
    Lookup(LookupId),
    Connect(ConnId),
    Work(WorkId),
}

/// A tokio runtime, with I/O and time enabled, as the driver sees it.
#[derive(Debug)]
pub struct TokioNet {
    handle: Handle,
    epoch: Instant,
    /// Dropping it aborts what is under way.
    tasks: JoinSet<NetEvent<TcpStream>>,
    owed: HashMap<Id, Owed>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl TokioNet {
    /// The runtime that this is called in.
    ///
    /// # Errors
    /// There is none.
    pub fn new() -> Result<Self, NotInRuntime> {
        Handle::try_current().map(Self::on).map_err(|_| NotInRuntime)
    }

    /// The runtime behind `handle`.
    pub fn on(handle: Handle) -> Self {
        Self { handle, epoch: Instant::now(), tasks: JoinSet::new(), owed: HashMap::new(), sleep: None }
    }

    /// Drives the machine in a task of the runtime. If the runtime shuts down, or the machine panics, it is abandoned.
    pub fn start<M: Machine + Send + 'static>(self, machine: M) {
        let handle = self.handle.clone();
        // The task is its own: it goes on until the machine is done.
        drop(handle.spawn(self.run(machine)));
    }

    /// Drives the machine until it is done; dropping the future abandons it. To be polled inside of the runtime.
    pub async fn run<M: Machine>(self, machine: M) {
        let mut driver = Driver::new(machine, self);
        // The driver yields by itself, after a bounded number of rounds.
        tokio::task::unconstrained(poll_fn(|cx| driver.poll(cx))).await;
    }

    fn owe(&mut self, task: Id, owed: Owed) {
        self.owed.insert(task, owed);
    }
}

impl Net for TokioNet {
    type Stream = TcpStream;

    fn clock(&self) -> Clock {
        let epoch = self.epoch;
        Clock::new(move || Now {
            mono: Time(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            wall: Timestamp::from(SystemTime::now()),
        })
    }

    fn lookup(&mut self, id: LookupId, host: Arc<str>, port: u16) {
        let look = async move {
            let found = tokio::net::lookup_host((&*host, port)).await;
            NetEvent::Lookup(id, found.map(Iterator::collect).map_err(NetError::from))
        };
        let task = self.tasks.spawn_on(look, &self.handle).id();
        self.owe(task, Owed::Lookup(id));
    }

    fn connect(&mut self, conn: ConnId, addr: SocketAddr, socket: &SocketOptions) {
        let options = socket.clone();
        let dial = async move { NetEvent::Connected(conn, connect(addr, &options).await.map_err(NetError::from)) };
        let task = self.tasks.spawn_on(dial, &self.handle).id();
        self.owe(task, Owed::Connect(conn));
    }

    fn offload(&mut self, id: WorkId, work: Work) {
        let task = self.tasks.spawn_blocking_on(move || NetEvent::Worked(id, Ok(work.run())), &self.handle).id();
        self.owe(task, Owed::Work(id));
    }

    // An empty set keeps no waker; the driver polls again after whatever it starts.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<NetEvent<TcpStream>> {
        loop {
            let Some(joined) = ready!(self.tasks.poll_join_next_with_id(cx)) else { return Poll::Pending };
            match joined {
                Ok((task, event)) => {
                    self.owed.remove(&task);
                    return Poll::Ready(event);
                }
                // Panicked, or cancelled by a runtime that shuts down: still exactly one answer.
                Err(error) => {
                    let lost = || NetError { kind: io::ErrorKind::Interrupted, text: error.to_string().into() };
                    match self.owed.remove(&error.id()) {
                        Some(Owed::Lookup(id)) => return Poll::Ready(NetEvent::Lookup(id, Err(lost()))),
                        Some(Owed::Connect(conn)) => return Poll::Ready(NetEvent::Connected(conn, Err(lost()))),
                        Some(Owed::Work(id)) => return Poll::Ready(NetEvent::Worked(id, Err(WorkLost))),
                        None => {}
                    }
                }
            }
        }
    }

    fn poll_read(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(stream).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_write(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
        iov: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(stream).poll_write_vectored(cx, iov)
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Option<Time>) -> Poll<()> {
        let at = until.and_then(|at| self.epoch.checked_add(Duration::from_nanos(at.0)));
        let Some(at) = at.map(tokio::time::Instant::from_std) else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        // A timer that is set too early stays: deadlines mostly move on, and one idle wake is cheaper than setting it each turn.
        if sleep.deadline() > at || sleep.is_elapsed() {
            sleep.as_mut().reset(at);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
        Poll::Pending
    }
}

async fn connect(addr: SocketAddr, options: &SocketOptions) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Before it connects: afterwards the sizes have no effect on the window that was agreed.
    let ready = socket2::SockRef::from(&socket);
    ready.set_tcp_nodelay(true)?;
    ready.set_keepalive(options.keepalive)?;
    options.send_buffer.map_or(Ok(()), |n| ready.set_send_buffer_size(n))?;
    options.receive_buffer.map_or(Ok(()), |n| ready.set_recv_buffer_size(n))?;
    socket.connect(addr).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn outside_of_a_runtime_there_is_an_error_and_no_panic() {
        assert_eq!(TokioNet::new().err(), Some(NotInRuntime));
    }

    #[test]
    fn a_task_that_panics_or_is_cancelled_still_answers() {
        runtime().block_on(async {
            let mut net = TokioNet::new().unwrap();
            let conn = ConnId { index: 4, generation: 2 };
            let panics = net.tasks.spawn(async { panic!("as a test") }).id();
            net.owe(panics, Owed::Connect(conn));
            let event = poll_fn(|cx| net.poll_event(cx)).await;
            assert!(matches!(event, NetEvent::Connected(c, Err(_)) if c == conn), "{event:?}");
            let hangs = net.tasks.spawn(pending());
            net.owe(hangs.id(), Owed::Work(WorkId(9)));
            hangs.abort();
            let event = poll_fn(|cx| net.poll_event(cx)).await;
            assert!(matches!(event, NetEvent::Worked(WorkId(9), Err(WorkLost))), "{event:?}");
        });
    }

    #[test]
    fn a_sleep_may_be_moved_both_ways() {
        runtime().block_on(async {
            let mut net = TokioNet::new().unwrap();
            let clock = net.clock();
            let after = |ms| Some(clock.now().mono + Duration::from_millis(ms));
            let far = after(60_000);
            assert!(poll_fn(|cx| Poll::Ready(net.poll_sleep(cx, far))).await.is_pending());
            let near = after(20);
            poll_fn(|cx| net.poll_sleep(cx, near)).await;
            assert!(clock.now().mono >= near.unwrap());
            let later = after(30);
            poll_fn(|cx| net.poll_sleep(cx, later)).await;
            assert!(clock.now().mono >= later.unwrap());
            assert!(poll_fn(|cx| Poll::Ready(net.poll_sleep(cx, None))).await.is_pending());
        });
    }
}
