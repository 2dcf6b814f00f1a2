//! The same over real sockets.

mod raw;

use klamm_cluster::Cluster;
use klamm_core::wire::frame::{decode_correlation, decode_response_tags, encode_request};
use klamm_core::wire::messages::*;
use klamm_core::wire::{Message, Reader, Request, Writer};
use raw::{Batch, produce, produced};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn connect(addr: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

fn ask<R: Request>(stream: &mut TcpStream, request: &R, version: i16) -> R::Response {
    let mut w = Writer::new();
    encode_request(&mut w, request, version, 7, Some("tcp")).expect("encodes");
    stream.write_all(w.as_slice()).expect("sends");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).expect("a frame");
    let mut r = Reader::new(&frame);
    assert_eq!(decode_correlation(&mut r), Ok(7));
    decode_response_tags(&mut r, R::KEY, version).expect("tags");
    R::Response::decode(&mut r, version).expect("decodes")
}

#[test]
fn a_cluster_listens_serves_and_ends_with_its_handle() {
    let cluster = Cluster::with_brokers(3).expect("starts");
    cluster.create_topic("t", 1);
    let bootstrap = cluster.bootstrap();
    let addrs: Vec<&str> = bootstrap.split(',').collect();
    assert_eq!(addrs.len(), 3);
    let mut stream = connect(addrs[0]).expect("connects");
    let metadata = ask(&mut stream, &MetadataRequest::default(), 12);
    let ports: Vec<String> = metadata.brokers.iter().map(|b| format!("{}:{}", b.host, b.port)).collect();
    assert_eq!(ports, addrs);
    let big = "x".repeat(900_000);
    for _ in 0..5 {
        let answer = ask(&mut stream, &produce("t", Batch::of(&[&big]).bytes(), -1), 9);
        assert!(produced(&answer).0.is_ok());
    }
    let answer = ask(&mut stream, &FetchRequest { max_bytes: 50 << 20, ..raw::fetch("t", 0) }, 11);
    assert!(raw::fetched(&answer).2.len() > 900_000);
    assert_eq!(cluster.records("t").len(), 5);
    drop(cluster);
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(connect(addrs[0]).is_err());
}

#[test]
fn a_killed_broker_refuses_and_comes_back_on_its_port() {
    let cluster = Cluster::with_brokers(2).expect("starts");
    let bootstrap = cluster.bootstrap();
    let addr = bootstrap.split(',').next().expect("one");
    let mut stream = connect(addr).expect("connects");
    cluster.kill_broker(1);
    match stream.read(&mut [0; 1]) {
        Ok(n) => assert_eq!(n, 0),
        Err(e) => assert_ne!(e.kind(), ErrorKind::WouldBlock),
    }
    // Its thread closes the port right after the connections.
    let start = Instant::now();
    while connect(addr).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(5), "still listening");
        std::thread::sleep(Duration::from_millis(5));
    }
    cluster.start_broker(1);
    let start = Instant::now();
    let mut stream = loop {
        match connect(addr) {
            Ok(stream) => break stream,
            Err(_) => assert!(start.elapsed() < Duration::from_secs(5), "still refusing"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(ask(&mut stream, &MetadataRequest::default(), 9).brokers.len(), 2);
}
