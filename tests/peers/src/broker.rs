//! The broker, in a process of its own: acknowledges everything, or serves one batch for ever.

use crate::cell::values;
use bytes::Bytes;
use klamm_cluster::Cluster;
use klamm_core::record::{BodyBuf, Stamp};
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The partitions of the topic.
pub const PARTITIONS: i32 = 4;
/// The topic.
pub const TOPIC: &str = "bench";
/// Bytes of a prepared batch: what a producer of records of this size would write.
const BATCH: usize = 100_000;

fn prepared(size: usize) -> Bytes {
    let mut body = BodyBuf::with_limit(BATCH);
    for value in values(size).iter().cycle() {
        if body.append(1_700_000_000_000, None, Some(value), &[]).is_none() {
            break;
        }
    }
    let head = body.facts().header(Stamp::NONE, false);
    [&head[..], body.plain()].concat().into()
}

/// Serves until standard input ends.
pub fn serve(size: usize) -> io::Result<()> {
    let builder = Cluster::builder().sink();
    let builder = if size > 0 { builder.prepared(prepared(size)) } else { builder };
    let cluster = builder.start()?;
    cluster.create_topic(TOPIC, PARTITIONS);
    println!("{}", cluster.bootstrap());
    let mut end = String::new();
    while io::stdin().read_line(&mut end)? > 0 {
        let cpu = crate::usage::Usage::now();
        println!("{}", cpu.cpu_seconds());
    }
    Ok(())
}

/// A broker process.
pub struct Broker {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    /// Where it listens.
    pub bootstrap: String,
}

impl Broker {
    /// Starts one: `size` 0 swallows records, else it serves records of that size.
    pub fn start(size: usize) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["broker", &size.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut broker = Self { child, lines: BufReader::new(out), bootstrap: String::new() };
        broker.bootstrap = broker.line()?;
        Ok(broker)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// CPU seconds that it has used.
    pub fn cpu(&mut self) -> io::Result<f64> {
        use io::Write;
        let input = self.child.stdin.as_mut().ok_or_else(|| io::Error::other("no input"))?;
        input.write_all(b"cpu\n")?;
        self.line()?.parse().map_err(io::Error::other)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Its input is closed, so it ends; if it does not there is nothing to be done about it here.
        let _ = self.child.wait();
    }
}
