//! What the loop stands between: a [`Machine`] that decides and a [`Net`] that waits.

use crate::{BrokerId, ConnId, LookupId, Now, Time, Wake, WorkId};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Reads both clocks; the front shares it with the driver (the simulator's is virtual).
///
/// A closure and not a trait of ours: an adapter hands out `Arc::new(move || ..)` and nothing else.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// A clock that answers with what `read` returns, always a real reading and never a cached one (contracts A19).
    pub fn new(read: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The time now.
    pub fn now(&self) -> Now {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// How a socket is to be set up before it connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// `send.buffer.bytes`; `None` leaves the system's.
    pub send_buffer: Option<usize>,
    /// `receive.buffer.bytes`; `None` leaves the system's.
    pub receive_buffer: Option<usize>,
    /// TCP keep-alive probes on idle connections.
    pub keepalive: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { send_buffer: Some(131_072), receive_buffer: None, keepalive: true }
    }
}

/// Why the network did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetError {
    /// The class of the failure.
    pub kind: io::ErrorKind,
    /// The system's words.
    pub text: Arc<str>,
}

impl From<io::Error> for NetError {
    fn from(error: io::Error) -> Self {
        Self { kind: error.kind(), text: error.to_string().into() }
    }
}

impl std::fmt::Display for NetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// CPU work that must not hold up the loop, as data: printable, comparable, replayable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// Compresses the records of one batch; the engine asks for it, never the core.
    Pack(PackWork),
}

/// The plain records of a batch on their way to be compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackWork {
    /// Whose batch: opaque to the driver.
    pub slot: (crate::ProducerIx, u64, crate::BatchNo),
    /// The codec and level.
    pub compression: crate::codec::Compression,
    /// The application's own codecs.
    pub codecs: crate::codec::Codecs,
    /// The records in wire form.
    pub plain: bytes::Bytes,
}

/// What a piece of [`Work`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkDone {
    /// The packed records, or why they could not be packed.
    Packed(Box<PackWork>, Result<Vec<u8>, crate::Error>),
}

impl Work {
    /// Does it, on whatever thread the adapter chose.
    pub fn run(self) -> WorkDone {
        match self {
            Self::Pack(pack) => {
                let mut out = Vec::new();
                let packed = crate::codec::Compressor::with(pack.compression, pack.codecs.clone())
                    .compress(&pack.plain, &mut out);
                let packed = packed.map_err(crate::Error::from).map(|len| {
                    out.truncate(len);
                    out
                });
                WorkDone::Packed(Box::new(pack), packed)
            }
        }
    }
}

/// The work's thread panicked or its runtime went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkLost;

/// What the world did. Every `lookup`, `connect` and `offload` is answered by exactly one of these, also after a panic or
/// a cancellation (contracts B16).
#[derive(Debug)]
pub enum NetEvent<S> {
    /// A name was looked up.
    Lookup(LookupId, Result<Vec<SocketAddr>, NetError>),
    /// A connection attempt ended.
    Connected(ConnId, Result<S, NetError>),
    /// A piece of work ended.
    Worked(WorkId, Result<WorkDone, WorkLost>),
}

/// What a runtime lends the driver. The only trait an adapter implements; it knows nothing of Kafka.
pub trait Net {
    /// A connected byte stream.
    type Stream;

    /// The runtime's clock.
    fn clock(&self) -> Clock;
    /// Starts to resolve a host name.
    fn lookup(&mut self, id: LookupId, host: Arc<str>, port: u16);
    /// Starts to connect.
    fn connect(&mut self, conn: ConnId, addr: SocketAddr, socket: &SocketOptions);
    /// Starts a piece of work on another thread, or does it at once.
    fn offload(&mut self, id: WorkId, work: Work);
    /// The next answer to `lookup`, `connect` or `offload`.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<NetEvent<Self::Stream>>;
    /// Reads into `buf`, which is never empty; `Ok(0)` is the end of the stream.
    fn poll_read(&mut self, stream: &mut Self::Stream, cx: &mut Context<'_>, buf: &mut [u8])
    -> Poll<io::Result<usize>>;
    /// Writes from `iov`.
    fn poll_write(
        &mut self,
        stream: &mut Self::Stream,
        cx: &mut Context<'_>,
        iov: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;
    /// Ready once the clock has reached `until`. `None`: never.
    fn poll_sleep(&mut self, cx: &mut Context<'_>, until: Option<Time>) -> Poll<()>;
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// What is in the outbox still leaves.
    Graceful,
    /// At once.
    Abort,
}

/// What must happen outside now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Resolve a host; answered by [`Machine::handle_lookup`].
    Lookup {
        /// Names the answer.
        id: LookupId,
        /// The host, not yet an address.
        host: Arc<str>,
        /// The port to put into the addresses.
        port: u16,
    },
    /// Open a connection; answered by [`Machine::handle_connected`] or [`Machine::handle_closed`].
    Connect {
        /// Names the connection from now on.
        conn: ConnId,
        /// Where to.
        addr: SocketAddr,
        /// The broker it leads to, where that is known: for logs and the simulator only.
        broker: Option<BrokerId>,
    },
    /// End a connection; its id is never used again, and no `handle_closed` follows.
    Close {
        /// Which.
        conn: ConnId,
        /// How.
        how: Close,
    },
    /// Run a piece of work; answered by [`Machine::handle_work`].
    Work {
        /// Names the answer.
        id: WorkId,
        /// What to do.
        work: Work,
    },
}

/// How far the machine's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It works.
    Running,
    /// It ends: what is under way still leaves.
    Draining,
    /// It is done; the driver ends once its connections are closed.
    Done,
}

/// The decisions that the loop carries out. The facade's engine implements it around [`Client`](crate::Client).
pub trait Machine {
    /// Keeps the waker of the driver's task; called at the start of every turn.
    fn register(&mut self, waker: &Waker);
    /// Takes in what the application handed over since the last turn; called once per round.
    fn handle_turn(&mut self, now: Now);
    /// An answer to [`Action::Lookup`].
    fn handle_lookup(&mut self, now: Now, id: LookupId, answer: Result<&[SocketAddr], NetError>);
    /// The connection stands.
    fn handle_connected(&mut self, now: Now, conn: ConnId);
    /// The connection failed or ended; `None` is a clean end of stream. Its id is never used again.
    fn handle_closed(&mut self, now: Now, conn: ConnId, why: Option<NetError>);
    /// `n` bytes now stand in what [`recv_buf`](Self::recv_buf) lent.
    fn handle_received(&mut self, now: Now, conn: ConnId, n: usize);
    /// `n` bytes of [`transmit`](Self::transmit) were taken by the socket.
    fn handle_sent(&mut self, now: Now, conn: ConnId, n: usize);
    /// The time of [`poll_timeout`](Self::poll_timeout) has come; too early is no harm.
    fn handle_timeout(&mut self, now: Now);
    /// An answer to [`Action::Work`].
    fn handle_work(&mut self, now: Now, id: WorkId, done: Result<WorkDone, WorkLost>);

    /// What must happen outside now.
    fn poll_action(&mut self) -> Option<Action>;
    /// A connection on which bytes to send appeared: named once, then the driver owns its write interest until
    /// [`transmit`](Self::transmit) yields nothing.
    fn poll_transmit(&mut self) -> Option<ConnId>;
    /// A connection on which reading, stopped by back-pressure, may go on.
    fn poll_resume(&mut self) -> Option<ConnId>;
    /// Hands results to the application; true if anything was handed over.
    fn poll_deliver(&mut self, now: Now) -> bool;
    /// When to call [`handle_timeout`](Self::handle_timeout).
    fn poll_timeout(&self) -> Option<Wake>;
    /// Whether the loop may sleep: false if the application handed something over meanwhile. After true, a hand-over
    /// wakes the registered waker.
    fn may_park(&mut self) -> bool;

    /// Where received bytes go: never empty. `None` (fetch lanes only): stop reading until `poll_resume` names it.
    fn recv_buf(&mut self, conn: ConnId) -> Option<&mut [u8]>;
    /// A vectored view of the bytes to send; returns how many slices were filled.
    fn transmit<'a>(&'a self, conn: ConnId, iov: &mut [IoSlice<'a>]) -> usize;
    /// How sockets are to be set up.
    fn socket_options(&self) -> SocketOptions;

    /// How far its life has come.
    fn phase(&self) -> Phase;
    /// The driver goes away: everything that waits is resolved now, without another turn (contracts B6).
    fn abandon(&mut self, why: &str);
}
