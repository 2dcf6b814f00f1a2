//! Drives klamm's core on async-std: sockets, one timer, name look-ups and compression, nothing of Kafka.
//!
//! ```
//! use klamm_async_std::AsyncStdNet;
//! use klamm_core::driver::{Clock, Machine, Net};
//!
//! fn begin<M: Machine + Send + 'static>(machine: impl FnOnce(Clock) -> M) {
//!     let net = AsyncStdNet::new();
//!     let clock = net.clock();
//!     net.start(machine(clock));
//! }
//! ```

mod answers;

use answers::Answers;
use async_io::{Async, Timer};
use async_std::task;
use klamm_core::driver::{Clock, Driver, Machine, Net, NetError, NetEvent, SocketOptions, Work, WorkLost};
use klamm_core::{ConnId, LookupId, Now, Time, Timestamp, WorkId};
use socket2::{Domain, Protocol, Socket, Type};
use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};

/// A connection on async-std's reactor.
#[derive(Debug)]
pub struct Stream {
    io: Async<TcpStream>,
    /// The last read did not fill its buffer: the next one waits for the reactor instead of asking the system.
    drained: bool,
}

/// async-std's global executor, as the driver sees it.
#[derive(Debug)]
pub struct AsyncStdNet {
    epoch: Instant,
    answers: Answers<Stream>,
    timer: Option<(Timer, Instant)>,
}

impl Default for AsyncStdNet {
    fn default() -> Self {
        Self { epoch: Instant::now(), answers: Answers::default(), timer: None }
    }
}

impl AsyncStdNet {
    /// The executor: there is one in each process, started when it is first used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Drives the machine in a task. If the machine panics, it is abandoned.
    pub fn start<M: Machine + Send + 'static>(self, machine: M) {
        // The task is its own: it goes on until the machine is done.
        drop(task::spawn(self.run(machine)));
    }

    /// Drives the machine until it is done; dropping the future abandons it.
    pub async fn run<M: Machine>(self, machine: M) {
        let mut driver = Driver::new(machine, self);
        poll_fn(|cx| driver.poll(cx)).await;
    }
}

fn lost() -> NetError {
    NetError { kind: io::ErrorKind::Interrupted, text: "the task that was to do it was cancelled".into() }
}

impl Net for AsyncStdNet {
    type Stream = Stream;

    fn clock(&self) -> Clock {
        let epoch = self.epoch;
        Clock::new(move || Now {
            mono: Time(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            wall: Timestamp::from(SystemTime::now()),
        })
    }

    fn lookup(&mut self, id: LookupId, host: Arc<str>, port: u16) {
        let owed = self.answers.owe(NetEvent::Lookup(id, Err(lost())));
        drop(task::spawn_blocking(move || {
            let found = (&*host, port).to_socket_addrs();
            owed.give(NetEvent::Lookup(id, found.map(Iterator::collect).map_err(NetError::from)));
        }));
    }

    fn connect(&mut self, conn: ConnId, addr: SocketAddr, socket: &SocketOptions) {
        let owed = self.answers.owe(NetEvent::Connected(conn, Err(lost())));
        let options = socket.clone();
        drop(task::spawn(async move {
            let made = connect(addr, &options).await;
            owed.give(NetEvent::Connected(conn, made.map_err(NetError::from)));
        }));
    }

    fn offload(&mut self, id: WorkId, work: Work) {
        let owed = self.answers.owe(NetEvent::Worked(id, Err(WorkLost)));
        drop(task::spawn_blocking(move || owed.give(NetEvent::Worked(id, Ok(work.run())))));
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<NetEvent<Stream>> {
        self.answers.poll(cx)
    }

    fn poll_read(&mut self, stream: &mut Stream, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if stream.drained {
                ready!(stream.io.poll_readable(cx))?;
                stream.drained = false;
            }
            match stream.io.get_ref().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.drained = true,
                Ok(n) => {
                    stream.drained = n < buf.len();
                    return Poll::Ready(Ok(n));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_write(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        iov: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            match stream.io.get_ref().write_vectored(iov) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.io.poll_writable(cx))?,
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Option<Time>) -> Poll<()> {
        let Some(at) = until.and_then(|at| self.epoch.checked_add(Duration::from_nanos(at.0))) else {
            return Poll::Pending;
        };
        let (timer, armed) = self.timer.get_or_insert_with(|| (Timer::at(at), at));
        // A timer that is set too early stays: deadlines mostly move on, and one idle wake is cheaper than setting it each turn.
        if *armed > at {
            *armed = at;
            timer.set_at(at);
        }
        while Pin::new(&mut *timer).poll(cx).is_ready() {
            let due = *armed >= at;
            *armed = at;
            timer.set_at(at);
            if due {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

async fn connect(addr: SocketAddr, options: &SocketOptions) -> io::Result<Stream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(options.keepalive)?;
    // Before it connects: afterwards the sizes have no effect on the window that was agreed.
    options.send_buffer.map_or(Ok(()), |n| socket.set_send_buffer_size(n))?;
    options.receive_buffer.map_or(Ok(()), |n| socket.set_recv_buffer_size(n))?;
    match socket.connect(&addr.into()) {
        Ok(()) => {}
        Err(error) if is_under_way(&error) => {}
        Err(error) => return Err(error),
    }
    let io = Async::new_nonblocking(TcpStream::from(socket))?;
    io.writable().await?;
    match io.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(Stream { io, drained: false }),
    }
}

#[cfg(unix)]
fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

#[cfg(not(unix))]
fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_may_be_moved_both_ways() {
        task::block_on(async {
            let mut net = AsyncStdNet::new();
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
