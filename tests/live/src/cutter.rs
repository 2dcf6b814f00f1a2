//! A proxy between clients and one broker that knows frames: it passes some answers to Produce on cut short.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

const PRODUCE: [u8; 2] = [0, 0];

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Cutter {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    every: u64,
    seen: AtomicU64,
    cut: AtomicU64,
    over: AtomicBool,
}

impl Cutter {
    /// In front of a port on loopback; every so many-th answer to Produce has half of its body, as a frame of that length.
    pub fn to(broker: u16, every: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State { every, seen: 0.into(), cut: 0.into(), over: false.into() });
        let here = state.clone();
        thread::spawn(move || {
            while !here.over.load(Ordering::Acquire) {
                match listener.accept() {
                    // Where there is no broker the client's connection ends.
                    Ok((client, _)) => _ = serve(client, broker, &here),
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

    /// How many answers were cut.
    pub fn cuts(&self) -> u64 {
        self.state.cut.load(Ordering::Acquire)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Release);
    }
}

/// The correlation ids of the Produce requests that a connection has under way.
type Asked = Mutex<BTreeSet<[u8; 4]>>;

fn serve(client: TcpStream, broker: u16, state: &Arc<State>) -> std::io::Result<()> {
    let there = SocketAddr::from((Ipv4Addr::LOCALHOST, broker));
    let server = TcpStream::connect_timeout(&there, Duration::from_secs(1))?;
    client.set_nonblocking(false)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let asked = Arc::<Asked>::default();
    let (from, to, known) = (client.try_clone()?, server.try_clone()?, asked.clone());
    thread::spawn(move || {
        carry(&from, &to, |frame| {
            if let (Some(&PRODUCE), Some(id)) = (frame.first_chunk(), frame.get(4..8)) {
                known.lock().unwrap_or_else(PoisonError::into_inner).insert([id[0], id[1], id[2], id[3]]);
            }
        });
    });
    let state = state.clone();
    thread::spawn(move || {
        carry(&server, &client, |frame| {
            let is_asked = |id| asked.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
            if frame.first_chunk().is_some_and(is_asked)
                && (state.seen.fetch_add(1, Ordering::AcqRel) + 1) % state.every == 0
            {
                frame.truncate(4 + (frame.len() - 4) / 2);
                state.cut.fetch_add(1, Ordering::AcqRel);
            }
        });
    });
    Ok(())
}

/// Frame by frame until one side ends; then both do.
fn carry(mut from: &TcpStream, mut to: &TcpStream, mut change: impl FnMut(&mut Vec<u8>)) {
    let mut one = || -> std::io::Result<()> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        from.read_exact(&mut frame)?;
        change(&mut frame);
        to.write_all(&[&(frame.len() as u32).to_be_bytes()[..], &frame].concat())
    };
    while one().is_ok() {}
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_answer_to_produce_is_cut() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let broker = listener.local_addr().unwrap().port();
        // Answers each request with its correlation id and eight bytes.
        thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut request = [0; 12];
            while stream.read_exact(&mut request).is_ok() {
                let answer = [&[0, 0, 0, 12][..], &request[8..], &[1; 8]].concat();
                stream.write_all(&answer).unwrap();
            }
        });
        let cutter = Cutter::to(broker, 2).unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, cutter.port())).unwrap();
        let mut ask = |api: u8, id: u8| {
            stream.write_all(&[0, 0, 0, 8, 0, api, 0, 0, 0, 0, 0, id]).unwrap();
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut body = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut body).unwrap();
            assert_eq!(body[..4], [0, 0, 0, id]);
            body.len()
        };
        assert_eq!([ask(0, 1), ask(3, 2), ask(0, 3), ask(3, 4), ask(0, 5)], [12, 12, 8, 12, 12]);
        assert_eq!(cutter.cuts(), 1);
    }
}
