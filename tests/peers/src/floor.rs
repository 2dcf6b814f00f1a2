//! What nobody can go below: records encoded by hand, the codec, one checksum, one socket, one thread, nothing else a client does.

use crate::cell::{Cell, Load};
use crate::usage::{Cost, Usage};
use klamm_core::codec::{Codec, Compression, Compressor, Decompressor};
use std::io::{Read, Write};
use std::net::TcpStream;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of a batch.
const BATCH: usize = 256 * 1024;
/// Requests without an answer.
const IN_FLIGHT: usize = 5;
/// A batch's header, and where its length, checksum and record count stand.
const HEADER: usize = 61;

fn varint(to: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        to.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    to.push(raw as u8);
}

fn length(value: usize) -> usize {
    let raw = (value as u64) << 1;
    (70 - (raw | 1).leading_zeros() as usize) / 7
}

fn put(to: &mut Vec<u8>, n: i32, value: &[u8], key: Option<&[u8]>) {
    let key_len = key.map_or(1, |key| length(key.len()) + key.len());
    // Attributes, timestamp delta 0, offset delta, key, value, no headers.
    varint(to, (2 + length(n as usize) + key_len + length(value.len()) + value.len() + 1) as i64);
    to.extend_from_slice(&[0, 0]);
    varint(to, i64::from(n));
    match key {
        None => to.push(1),
        Some(key) => {
            varint(to, key.len() as i64);
            to.extend_from_slice(key);
        }
    }
    varint(to, value.len() as i64);
    to.extend_from_slice(value);
    to.push(0);
}

fn header(to: &mut Vec<u8>, key: i16, version: i16) {
    to.clear();
    to.extend_from_slice(&[0; 4]);
    to.extend_from_slice(&key.to_be_bytes());
    to.extend_from_slice(&version.to_be_bytes());
    to.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
}

fn string(to: &mut Vec<u8>, text: &str) {
    to.extend_from_slice(&(text.len() as i16).to_be_bytes());
    to.extend_from_slice(text.as_bytes());
}

fn finish(request: &mut [u8]) {
    let len = (request.len() as i32 - 4).to_be_bytes();
    request[..4].copy_from_slice(&len);
}

fn answer(socket: &mut TcpStream, into: &mut Vec<u8>) -> Result<(), Failure> {
    let mut len = [0; 4];
    socket.read_exact(&mut len)?;
    let len = u32::from_be_bytes(len) as usize;
    if into.len() < len {
        into.resize(len, 0);
    }
    socket.read_exact(&mut into[..len])?;
    Ok(())
}

/// The codec of a cell, and its number in a batch's attributes.
fn codec(cell: &Cell) -> Option<(Codec, u8)> {
    match cell.codec.as_str() {
        "lz4" => Some((Codec::Lz4, 3)),
        "zstd" => Some((Codec::Zstd, 4)),
        _ => None,
    }
}

/// Sends `records` records, partition after partition.
pub fn produce(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let (load, topic) = (Load::new(cell), cell.topic());
    let mut socket = TcpStream::connect(bootstrap)?;
    socket.set_nodelay(true)?;
    let (mut request, mut inbox) = (Vec::with_capacity(2 * BATCH), Vec::new());
    let (mut partition, mut open) = (0, 0);
    let mut codec = match codec(cell) {
        Some((codec, number)) => Some((Compressor::new(Compression::new(codec, None)?), number)),
        None => None,
    };
    let mut packed = Vec::new();
    let mut send = |records: u64| -> Result<(), Failure> {
        let mut at = 0;
        while at < records {
            header(&mut request, 0, 7);
            request.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0x75, 0x30, 0, 0, 0, 1]);
            string(&mut request, &topic);
            request.extend_from_slice(&[0, 0, 0, 1]);
            request.extend_from_slice(&i32::to_be_bytes(partition));
            partition = (partition + 1) % cell.partitions;
            let batch = request.len() + 4;
            request.resize(batch + HEADER, 0);
            let mut count = 0;
            while request.len() < batch + BATCH - cell.size - 32 && at < records {
                let key = load.key(at);
                put(&mut request, count, load.value(at), key.as_ref().map(|key| &key[..]));
                count += 1;
                at += 1;
            }
            if let Some((compressor, number)) = &mut codec {
                let len = compressor.compress(&request[batch + HEADER..], &mut packed)?;
                request.truncate(batch + HEADER);
                request.extend_from_slice(&packed[..len]);
                request[batch + 22] = *number;
            }
            let len = request.len() - batch;
            let mut set = |place: usize, bytes: &[u8]| request[place..place + bytes.len()].copy_from_slice(bytes);
            set(batch - 4, &(len as i32).to_be_bytes());
            set(batch + 8, &(len as i32 - 12).to_be_bytes());
            set(batch + 16, &[2]);
            set(batch + 23, &(count - 1).to_be_bytes());
            set(batch + 43, &[0xff; 14]);
            set(batch + 57, &count.to_be_bytes());
            let crc = crc32c::crc32c(&request[batch + 21..]);
            request[batch + 17..batch + 21].copy_from_slice(&crc.to_be_bytes());
            finish(&mut request);
            socket.write_all(&request)?;
            open += 1;
            if open == IN_FLIGHT {
                answer(&mut socket, &mut inbox)?;
                open -= 1;
            }
        }
        while open > 0 {
            answer(&mut socket, &mut inbox)?;
            open -= 1;
        }
        Ok(())
    };
    send(records / 10)?;
    let usage = Usage::now();
    send(records)?;
    Ok(usage.cost(records))
}

/// Reads `records` records: one fetch after the other, the next one asked for before the last is looked at.
pub fn consume(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let topic = cell.topic();
    let mut socket = TcpStream::connect(bootstrap)?;
    socket.set_nodelay(true)?;
    let mut offsets = vec![0i64; cell.partitions as usize];
    let (mut request, mut inbox, mut seen, mut bytes) = (Vec::new(), Vec::new(), 0u64, 0u64);
    let mut unpack =
        Unpack { codec: codec(cell).map(|(codec, _)| codec), own: Decompressor::default(), plain: Vec::new() };
    let mut read = |socket: &mut TcpStream, wanted: u64| -> Result<u64, Failure> {
        (seen, bytes) = (0, 0);
        while seen < wanted {
            header(&mut request, 1, 4);
            request
                .extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0xf4, 0, 0, 0, 1, 0, 0x10, 0, 0, 0, 0, 0, 0, 1]);
            string(&mut request, &topic);
            request.extend_from_slice(&cell.partitions.to_be_bytes());
            for (partition, offset) in (0i32..).zip(&offsets) {
                request.extend_from_slice(&partition.to_be_bytes());
                request.extend_from_slice(&offset.to_be_bytes());
                request.extend_from_slice(&(0x10_0000 / cell.partitions).to_be_bytes());
            }
            finish(&mut request);
            socket.write_all(&request)?;
            answer(socket, &mut inbox)?;
            parse(&inbox, topic.len(), &mut unpack, &mut offsets, &mut seen, &mut bytes)?;
        }
        if bytes == seen * cell.size as u64 { Ok(seen) } else { Err(format!("{bytes} bytes in {seen} records").into()) }
    };
    read(&mut socket, records / 10)?;
    let usage = Usage::now();
    let seen = read(&mut socket, records)?;
    Ok(usage.cost(seen))
}

fn int(from: &[u8], at: usize) -> usize {
    i32::from_be_bytes([from[at], from[at + 1], from[at + 2], from[at + 3]]) as usize
}

struct Unpack {
    codec: Option<Codec>,
    own: Decompressor,
    plain: Vec<u8>,
}

fn parse(
    answer: &[u8],
    topic: usize,
    unpack: &mut Unpack,
    offsets: &mut [i64],
    seen: &mut u64,
    bytes: &mut u64,
) -> Result<(), Failure> {
    // Correlation id, throttle time, one topic, its name, its partitions.
    let mut at = 4 + 4 + 4 + 2 + topic + 4;
    for _ in 0..offsets.len() {
        let partition = int(answer, at);
        at += 4 + 2 + 8 + 8;
        let aborted = int(answer, at) as i32;
        at += 4 + 16 * aborted.max(0) as usize;
        let end = at + 4 + int(answer, at);
        at += 4;
        while at + 12 <= end && at + 12 + int(answer, at + 8) <= end {
            let len = 12 + int(answer, at + 8);
            let batch = &answer[at..at + len];
            assert_eq!(crc32c::crc32c(&batch[21..]) as usize as u32, int(batch, 17) as u32, "a checksum");
            let mut records = &batch[HEADER..];
            if let Some(codec) = unpack.codec {
                let len = unpack.own.decompress(codec, records, &mut unpack.plain, 1 << 30)?;
                records = &unpack.plain[..len];
            }
            let count = int(batch, 57);
            for _ in 0..count {
                *bytes += record(&mut records) as u64;
            }
            *seen += count as u64;
            offsets[partition] += count as i64;
            at += len;
        }
        at = end;
    }
    Ok(())
}

fn get(from: &mut &[u8]) -> i64 {
    let (mut raw, mut shift) = (0u64, 0);
    loop {
        let byte = from[0];
        *from = &from[1..];
        raw |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return (raw >> 1) as i64 ^ -((raw & 1) as i64);
        }
    }
}

/// The length of the value.
fn record(from: &mut &[u8]) -> usize {
    let len = get(from) as usize;
    let (mut record, rest) = from.split_at(len);
    *from = rest;
    record = &record[1..];
    let _ = (get(&mut record), get(&mut record));
    let key = get(&mut record);
    record = &record[key.max(0) as usize..];
    get(&mut record) as usize
}
