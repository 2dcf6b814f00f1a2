//! Sockets and the thread's sleep: mio's selector with one waker for each socket.

use crate::answers::Owed;
use klamm_core::ConnId;
use klamm_core::driver::{NetEvent, SocketOptions};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll as Epoll, Token};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const UNPARK: Token = Token(usize::MAX);

/// Wakes the thread: a system call only while it sleeps.
#[derive(Debug)]
pub(crate) struct Unpark {
    woken: AtomicBool,
    asleep: AtomicBool,
    waker: mio::Waker,
}

impl Unpark {
    pub(crate) fn clear(&self) {
        self.woken.swap(false, Ordering::SeqCst);
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Either this sees that the thread sleeps, or the thread sees that it was woken: both are sequentially consistent.
        self.woken.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            // It fails only where the selector is gone, and with it the sleeper.
            drop(self.waker.wake());
        }
    }
}

/// What the selector told about a socket and nobody has used up yet.
#[derive(Debug, Default)]
struct Edges {
    readable: bool,
    writable: bool,
    /// The peer closed or the socket failed: no further edge will come, so a read never waits.
    closed: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Socketed(Mutex<Edges>);

impl Socketed {
    // Used by one thread only; the lock makes the driver `Send` until it starts.
    fn lock(&self) -> MutexGuard<'_, Edges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on the thread's selector.
#[derive(Debug)]
pub struct Stream {
    io: TcpStream,
    edges: Arc<Socketed>,
}

impl Edges {
    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Stream {
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut edges = self.edges.lock();
        if !edges.readable {
            return edges.wait(cx);
        }
        match self.io.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                edges.readable = false;
                edges.wait(cx)
            }
            Ok(n) => {
                // A buffer that is not full has emptied the socket, and what comes next brings a new edge; an end that
                // was told already does not.
                edges.readable = n == buf.len() || edges.closed;
                Poll::Ready(Ok(n))
            }
            done => Poll::Ready(done),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, iov: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut edges = self.edges.lock();
        if !edges.writable {
            return edges.wait(cx);
        }
        match self.io.write_vectored(iov) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                edges.writable = false;
                edges.wait(cx)
            }
            done => Poll::Ready(done),
        }
    }
}

/// What a token stands for.
#[derive(Debug)]
enum Place {
    Free,
    Dialling(TcpStream, Owed<Stream>, ConnId),
    Open(Arc<Socketed>),
}

#[derive(Debug)]
pub(crate) struct Selector {
    epoll: Epoll,
    events: Events,
    places: Vec<Place>,
    unpark: Arc<Unpark>,
}

impl Selector {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let waker = mio::Waker::new(epoll.registry(), UNPARK)?;
        let unpark = Unpark { woken: AtomicBool::new(false), asleep: AtomicBool::new(false), waker };
        Ok(Self { epoll, events: Events::with_capacity(256), places: Vec::new(), unpark: Arc::new(unpark) })
    }

    pub(crate) fn unpark(&self) -> &Arc<Unpark> {
        &self.unpark
    }

    /// Begins to connect. On an error `owed` comes back.
    pub(crate) fn connect(
        &mut self,
        owed: Owed<Stream>,
        conn: ConnId,
        addr: SocketAddr,
        options: &SocketOptions,
    ) -> Result<(), (Owed<Stream>, io::Error)> {
        let at = self.free_place();
        let begun = begin(addr, options).and_then(|mut io| {
            let both = Interest::READABLE | Interest::WRITABLE;
            self.epoll.registry().register(&mut io, Token(at), both).map(|()| io)
        });
        match begun {
            Ok(io) => {
                self.places[at] = Place::Dialling(io, owed, conn);
                Ok(())
            }
            Err(error) => Err((owed, error)),
        }
    }

    /// A place is free again once its stream was dropped, and with the socket its registration.
    fn free_place(&mut self) -> usize {
        let free = self.places.iter().position(|place| match place {
            Place::Free => true,
            Place::Dialling(..) => false,
            Place::Open(edges) => Arc::strong_count(edges) == 1,
        });
        free.unwrap_or_else(|| {
            self.places.push(Place::Free);
            self.places.len() - 1
        })
    }

    /// Sleeps until something happens, unless something has, and wakes what it is about.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.unpark.asleep.store(true, Ordering::SeqCst);
        let woken = self.unpark.woken.load(Ordering::SeqCst);
        let timeout = if woken { Some(Duration::ZERO) } else { timeout };
        let waited = self.epoll.poll(&mut self.events, timeout);
        self.unpark.asleep.store(false, Ordering::SeqCst);
        match waited {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            let Some(place) = self.places.get_mut(event.token().0) else { continue };
            if matches!(place, Place::Dialling(..)) {
                connected(place);
            }
            if let Place::Open(socket) = place {
                let mut edges = socket.lock();
                edges.closed |= event.is_read_closed() || event.is_error();
                edges.readable |= event.is_readable() || edges.closed;
                edges.writable |= event.is_writable() || event.is_error();
                let waker = edges.waker.take();
                drop(edges);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
        Ok(())
    }
}

/// Looks how far a connection attempt has come.
fn connected(place: &mut Place) {
    let Place::Dialling(io, ..) = place else { return };
    let result = match io.take_error() {
        Ok(None) => match io.peer_addr() {
            // An event before its time.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return,
            other => other.map(|_| ()),
        },
        Ok(Some(error)) | Err(error) => Err(error),
    };
    let Place::Dialling(io, owed, conn) = std::mem::replace(place, Place::Free) else { return };
    let result = result.map(|()| {
        let edges = Arc::new(Socketed::default());
        *place = Place::Open(Arc::clone(&edges));
        Stream { io, edges }
    });
    owed.give(NetEvent::Connected(conn, result.map_err(Into::into)));
}

fn begin(addr: SocketAddr, options: &SocketOptions) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(options.keepalive)?;
    // Before it connects: afterwards the sizes have no effect on the window that was agreed.
    options.send_buffer.map_or(Ok(()), |n| socket.set_send_buffer_size(n))?;
    options.receive_buffer.map_or(Ok(()), |n| socket.set_recv_buffer_size(n))?;
    match socket.connect(&addr.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
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
