//! What the machine itself can do, measured in the same run: copying, checksums, loopback, codecs.

use crate::cell::{Cell, Load};
use crate::usage::Usage;
use klamm_core::codec::{Codec, Compression, Compressor, Decompressor};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One limit.
pub struct Limit {
    /// What is done.
    pub what: String,
    /// CPU ns per 100 bytes.
    pub ns: f64,
}

/// CPU ns per 100 bytes of `work`, which handles `bytes` bytes at a call: the best of five rounds of 20 ms or more.
fn per_100(bytes: usize, mut work: impl FnMut()) -> f64 {
    let rounds = (64 << 20) / bytes.max(1) / 8 + 1;
    let round = |work: &mut dyn FnMut()| {
        let usage = Usage::now();
        (0..rounds).for_each(|_| work());
        usage.cost(rounds as u64).cpu * 100.0 / bytes as f64
    };
    (0..5).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min)
}

/// All of them.
pub fn all() -> Result<Vec<Limit>, Failure> {
    let mut all = Vec::new();
    let mut add = |what: &str, ns| all.push(Limit { what: what.to_owned(), ns });
    for (size, what) in [(100, "memcpy of 100 B"), (1024, "memcpy of 1 KiB"), (262_144, "memcpy of 256 KiB")] {
        let (from, mut to) = (vec![7u8; size], vec![0u8; size]);
        add(
            what,
            per_100(size, || {
                to.copy_from_slice(black_box(&from));
                black_box(&mut to);
            }),
        );
    }
    for (size, what) in [(16_384, "crc32c of 16 KiB"), (262_144, "crc32c of 256 KiB")] {
        let bytes = vec![7u8; size];
        add(
            what,
            per_100(size, || {
                black_box(klamm_core::record::crc32c(black_box(&bytes)));
            }),
        );
    }
    let (sent, received) = loopback()?;
    add("loopback, 256 KiB writes: the writer's process", sent);
    add("loopback, 256 KiB reads: the reader's process", received);
    let cell = Cell::parse("produce/1024/limits/tuned/lz4").ok_or("a cell")?;
    let load = Load::new(&cell);
    for (name, codec) in [("lz4", Codec::Lz4), ("zstd", Codec::Zstd)] {
        for (size, text) in [(16_384, "16 KiB"), (262_144, "256 KiB")] {
            let plain: Vec<u8> = (0..size as u64 / 1024).flat_map(|n| load.value(n).to_vec()).collect();
            let mut compressor = Compressor::new(Compression::new(codec, None)?);
            let mut packed = Vec::new();
            let mut len = 0;
            let pack = per_100(size, || len = compressor.compress(black_box(&plain), &mut packed).unwrap_or(0));
            add(&format!("{name} of {text} of JSON: compress, ratio {:.2}", size as f64 / len as f64), pack);
            let (mut decompressor, mut out) = (Decompressor::default(), Vec::new());
            let unpack = per_100(size, || {
                let _ = black_box(decompressor.decompress(codec, &packed[..len], &mut out, 1 << 30));
            });
            add(&format!("{name} of {text} of JSON: decompress"), unpack);
        }
    }
    Ok(all)
}

/// CPU ns per 100 bytes of a process that writes, and of one that reads.
fn loopback() -> Result<(f64, f64), Failure> {
    const ALL: usize = 1 << 30;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let reader = std::process::Command::new(std::env::current_exe()?)
        .args(["swallow", &listener.local_addr()?.to_string()])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let (mut socket, _) = listener.accept()?;
    let block = vec![7u8; 262_144];
    let usage = Usage::now();
    for _ in 0..ALL / block.len() {
        socket.write_all(&block)?;
    }
    let sent = usage.cost(ALL as u64).cpu * 100.0;
    drop(socket);
    let said = String::from_utf8(reader.wait_with_output()?.stdout)?;
    Ok((sent, said.trim().parse()?))
}

/// The other end: reads until the end and says what 100 bytes cost.
pub fn swallow(address: &str) -> Result<(), Failure> {
    let mut socket = TcpStream::connect(address)?;
    let (mut buffer, mut all) = (vec![0; 262_144], 0u64);
    let usage = Usage::now();
    loop {
        match socket.read(&mut buffer)? {
            0 => break,
            n => all += n as u64,
        }
    }
    println!("{}", usage.cost(all.max(1)).cpu * 100.0);
    Ok(())
}
