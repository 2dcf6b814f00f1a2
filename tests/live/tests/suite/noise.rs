//! Servers that are no brokers: klamm must say so, clearly and in time.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use klamm::{Config, ErrorKind};
use klamm_live::{Behaviour, Kind, Runtime, Target};

use crate::client::{connect_with, drive};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("a_server_that_is_no_broker_gets_a_clear_error_in_time", strange_servers)
        .on(|kind| kind == Kind::Memory)
        .on_every_runtime(),
    Behaviour::of_klamm("a_broker_is_found_behind_servers_that_are_none", one_of_four_is_a_broker),
    Behaviour::of_klamm("silent_bootstrap_servers_hold_nobody_up_for_long", three_of_four_are_silent),
    Behaviour::of_klamm("nobody_listening_is_told_in_time", nobody_listens).on(|kind| kind == Kind::Memory),
];

/// What `connect` may take in these tests, and what it gets on top before that counts as a hang.
const LIMIT: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(3);

/// What a strange server does with each connection.
#[derive(Clone, Copy, Debug)]
enum Strange {
    /// Closes it.
    Closes,
    /// Never says anything.
    Silent,
    /// Sends these bytes as soon as something comes, and again and again.
    Says(&'static [u8]),
    /// Sends these bytes once, then nothing.
    SaysOnce(&'static [u8]),
    /// Sends what it gets.
    Echoes,
}

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TLS_ALERT: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x16];
const SSH: &[u8] = b"SSH-2.0-OpenSSH_9.6\r\n";
/// Two gigabytes follow, it says.
const HUGE: &[u8] = &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
const NEGATIVE: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// A frame of the right length and correlation id with nonsense in it.
const NONSENSE: &[u8] = &[0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 9, 9, 9, 9, 9, 9];
/// An answer to somebody else.
const WRONG_ANSWER: &[u8] = &[0, 0, 0, 6, 0x11, 0x22, 0x33, 0x44, 0, 0];

const STRANGE: &[(&str, Strange)] = &[
    ("closes", Strange::Closes),
    ("is silent", Strange::Silent),
    ("speaks HTTP", Strange::Says(HTTP)),
    ("speaks TLS", Strange::SaysOnce(TLS_ALERT)),
    ("speaks SSH", Strange::Says(SSH)),
    ("announces two gigabytes", Strange::SaysOnce(HUGE)),
    ("announces a negative length", Strange::Says(NEGATIVE)),
    ("answers nonsense", Strange::Says(NONSENSE)),
    ("answers somebody else", Strange::Says(WRONG_ANSWER)),
    ("answers with zeros", Strange::Says(&[0; 64])),
    ("echoes", Strange::Echoes),
];

/// A server on loopback that ends when it is dropped.
struct Server {
    address: String,
    stop: Arc<AtomicBool>,
}

impl Server {
    fn start(manner: Strange) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                thread::spawn(move || serve(stream, manner));
            }
        });
        Ok(Self { address, stop })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Whether anybody answers does not matter: the accept loop looks up.
        let _ = TcpStream::connect(&self.address);
    }
}

fn serve(mut stream: TcpStream, manner: Strange) {
    let mut buffer = [0; 4096];
    let mut said = false;
    if matches!(manner, Strange::Closes) {
        return;
    }
    loop {
        let Ok(count @ 1..) = stream.read(&mut buffer) else { return };
        let answer = match manner {
            Strange::Says(bytes) => bytes,
            Strange::SaysOnce(bytes) if !said => bytes,
            Strange::Echoes => &buffer[..count],
            Strange::Closes | Strange::Silent | Strange::SaysOnce(_) => &[],
        };
        said = true;
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

fn impatient(servers: &str) -> Config {
    Config::new(servers)
        .default_api_timeout(LIMIT)
        .request_timeout(Duration::from_secs(1))
        .socket_connection_setup_timeout(Duration::from_secs(1))
}

fn strange_servers(_target: &Target, runtime: Runtime) -> Result<()> {
    thread::scope(|scope| {
        let trials: Vec<_> =
            STRANGE.iter().map(|(what, manner)| scope.spawn(move || strange_server(what, *manner, runtime))).collect();
        trials.into_iter().try_for_each(|trial| trial.join().map_err(|_| anyhow!("a trial panicked"))?)
    })
}

fn strange_server(what: &str, manner: Strange, runtime: Runtime) -> Result<()> {
    let server = Server::start(manner)?;
    let begin = Instant::now();
    let outcome = drive(runtime, connect_with(impatient(&server.address), runtime));
    let error = outcome.err().with_context(|| format!("klamm connected to a server that {what}"))?;
    let took = begin.elapsed();
    ensure!(took < LIMIT + SLACK, "a server that {what}: the error took {took:?}: {error}");
    ensure!(error.to_string().contains(&server.address), "a server that {what}: which one? {error}");
    Ok(())
}

fn one_of_four_is_a_broker(target: &Target, runtime: Runtime) -> Result<()> {
    let strange = [Strange::Closes, Strange::Says(HTTP), Strange::Says(NONSENSE)];
    let servers = strange.into_iter().map(Server::start).collect::<Result<Vec<_>>>()?;
    let good = target.bootstrap();
    let good = good.split(',').next().context("no broker")?;
    let mut all: Vec<&str> = servers.iter().map(|server| server.address.as_str()).collect();
    all.push(good);
    drive(runtime, async {
        let kafka = connect_with(Config::new(all.join(",")), runtime).await?;
        let at = kafka.producer()?.send(klamm::Record::to(&target.topic("found")).value("here")).await?;
        ensure!(at.offset() == Some(0), "{at:?}");
        Ok(kafka.close().await?)
    })
}

fn three_of_four_are_silent(target: &Target, runtime: Runtime) -> Result<()> {
    let servers = (0..3).map(|_| Server::start(Strange::Silent)).collect::<Result<Vec<_>>>()?;
    let good = target.bootstrap();
    let mut all: Vec<&str> = servers.iter().map(|server| server.address.as_str()).collect();
    all.push(good.split(',').next().context("no broker")?);
    let config = Config::new(all.join(",")).socket_connection_setup_timeout(Duration::from_millis(500));
    let begin = Instant::now();
    drive(runtime, async {
        let kafka = connect_with(config, runtime).await?;
        ensure!(begin.elapsed() < Duration::from_secs(15), "it took {:?}", begin.elapsed());
        Ok(kafka.close().await?)
    })
}

fn nobody_listens(_target: &Target, runtime: Runtime) -> Result<()> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let begin = Instant::now();
    let error = drive(runtime, connect_with(impatient(&address), runtime)).err().context("connected to nobody")?;
    let took = begin.elapsed();
    ensure!(took < LIMIT + SLACK, "the error took {took:?}: {error}");
    let kind = error.downcast_ref::<klamm::Error>().context("another error")?.kind();
    ensure!(matches!(kind, ErrorKind::Connect | ErrorKind::Timeout), "{error}");
    ensure!(error.to_string().contains(&address), "{error}");
    Ok(())
}
