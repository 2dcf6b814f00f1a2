//! A TCP proxy between clients and one broker that delays, resets, and falls silent without closing anything.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use socket2::SockRef;

/// How soon a connection notices that something changed.
const GRAIN: Duration = Duration::from_millis(20);

/// Listens until it is dropped; its connections end with it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What every piece of either direction waits, in ms.
    delay: AtomicU64,
    silent: AtomicBool,
    /// Connections of an earlier age are reset.
    age: AtomicU64,
    carried: AtomicU64,
    over: AtomicBool,
}

impl Proxy {
    /// In front of a port on loopback.
    pub fn to(broker: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let (port, state) = (listener.local_addr()?.port(), Arc::<State>::default());
        let here = state.clone();
        thread::spawn(move || {
            while !here.over.load(Ordering::Acquire) {
                match listener.accept() {
                    Ok((client, _)) => serve(client, broker, &here),
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Ok(Self { port, state })
    }

    /// Where it listens on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on every piece of either direction comes so much later.
    pub fn delay(&self, time: Duration) {
        self.state.delay.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// From now on nothing passes, and nothing is closed; new connections are taken and hear nothing either.
    pub fn fall_silent(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::Release);
    }

    /// Every connection that there is ends with a reset, on both sides.
    pub fn reset(&self) {
        self.state.age.fetch_add(1, Ordering::AcqRel);
    }

    /// How many bytes passed.
    pub fn carried(&self) -> u64 {
        self.state.carried.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Release);
    }
}

/// Two threads carry a connection, one for each direction. Where there is no broker, the client is reset.
fn serve(client: TcpStream, broker: u16, state: &Arc<State>) {
    let there = SocketAddr::from((Ipv4Addr::LOCALHOST, broker));
    let server = TcpStream::connect_timeout(&there, Duration::from_secs(1));
    let Ok((client, server)) = server.and_then(|server| {
        client.set_nonblocking(false)?;
        Ok(([client.try_clone()?, client], [server.try_clone()?, server]))
    }) else {
        return;
    };
    let age = state.age.load(Ordering::Acquire);
    let ([here, client], [there, server]) = (client, server);
    for (from, to) in [(here, server), (there, client)] {
        let state = state.clone();
        thread::spawn(move || {
            carry(&from, &to, &state, age);
            for end in [from, to] {
                // A reset, and not an end: both sides are to notice at once, as when a machine dies.
                let _ = SockRef::from(&end).set_linger(Some(Duration::ZERO));
                let _ = end.shutdown(std::net::Shutdown::Both);
            }
        });
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, state: &State, age: u64) {
    let _ = from.set_read_timeout(Some(GRAIN));
    let _ = to.set_nodelay(true);
    let mut piece = vec![0; 64 << 10];
    let gone = || state.over.load(Ordering::Acquire) || state.age.load(Ordering::Acquire) != age;
    while !gone() {
        if state.silent.load(Ordering::Acquire) {
            thread::sleep(GRAIN);
            continue;
        }
        let count = match from.read(&mut piece) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => return,
        };
        thread::sleep(Duration::from_millis(state.delay.load(Ordering::Acquire)));
        while state.silent.load(Ordering::Acquire) && !gone() {
            thread::sleep(GRAIN);
        }
        if gone() || to.write_all(&piece[..count]).is_err() {
            return;
        }
        state.carried.fetch_add(count as u64, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A server that gives every byte back.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        port
    }

    fn say(stream: &mut TcpStream) -> std::io::Result<[u8; 4]> {
        let mut heard = [0; 4];
        stream.write_all(b"ping")?;
        stream.read_exact(&mut heard)?;
        Ok(heard)
    }

    #[test]
    fn what_is_said_comes_through_late_or_not_at_all() {
        let proxy = Proxy::to(echo()).unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert_eq!(&say(&mut stream).unwrap(), b"ping");
        assert_eq!(proxy.carried(), 8);
        proxy.delay(Duration::from_millis(50));
        let begin = Instant::now();
        assert_eq!(&say(&mut stream).unwrap(), b"ping");
        assert!(begin.elapsed() >= Duration::from_millis(100), "{:?}", begin.elapsed());
        proxy.delay(Duration::ZERO);
        proxy.fall_silent(true);
        let error = say(&mut stream).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "silence is no end: {error}");
        proxy.fall_silent(false);
        let mut late = [0; 4];
        stream.read_exact(&mut late).unwrap();
        assert_eq!(&late, b"ping", "what was held back comes then");
        proxy.reset();
        assert!(
            (0..20).any(|_| {
                thread::sleep(Duration::from_millis(20));
                say(&mut stream).is_err_and(|e| !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
            }),
            "the connection outlives a reset"
        );
        let mut another = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        assert_eq!(&say(&mut another).unwrap(), b"ping");
    }
}
