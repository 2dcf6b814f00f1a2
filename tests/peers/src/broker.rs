//! The broker, in a process of its own: acknowledges everything, or serves one batch for ever.

use crate::cell::{Cell, Load};
use bytes::Bytes;
use klamm_cluster::Cluster;
use klamm_core::codec::{Codec, Compression};
use klamm_core::record::{BodyBuf, Stamp};
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Bytes of a prepared batch: what a producer of records of this size would write.
const BATCH: usize = 100_000;

fn prepared(cell: &Cell) -> Bytes {
    let (mut body, load) = (BodyBuf::with_limit(BATCH), Load::new(cell));
    let mut n = 0;
    while body.append(1_700_000_000_000, None, Some(load.value(n)), &[]).is_some() {
        n += 1;
    }
    let (facts, records) = match cell.codec.as_str() {
        "none" => (body.facts(), body.plain().to_vec()),
        name => {
            let codec = if name == "lz4" { Codec::Lz4 } else { Codec::Zstd };
            let mut packed = Vec::new();
            let compression = Compression::new(codec, None).expect("a codec with its usual level");
            let len = compression.compress(body.plain(), &mut packed).expect("plain bytes compress");
            packed.truncate(len);
            (body.facts_as(codec, &packed), packed)
        }
    };
    [&facts.header(Stamp::NONE, false)[..], &records].concat().into()
}

/// Serves until standard input ends: swallows records, or serves a prepared batch if the cell reads.
pub fn serve(cell: &Cell) -> io::Result<()> {
    let builder = Cluster::builder().sink();
    let builder = if cell.what == "consume" { builder.prepared(prepared(cell)) } else { builder };
    let cluster = builder.start()?;
    cluster.create_topic(&cell.topic(), cell.partitions);
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
    /// Starts the one that a cell needs.
    pub fn start(cell: &Cell) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["broker", &cell.to_string()])
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
