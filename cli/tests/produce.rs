//! `klamm produce`, seen from the brokers of an in-memory cluster in this process.

mod support;

use klamm_cluster::{Api, Cluster, StoredRecord};
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;
use support::{Ended, klamm, run};

fn produce(cluster: &Cluster, args: &[&str], input: &[u8]) -> Ended {
    let mut command = klamm(&["produce", "-b", &cluster.bootstrap()]);
    command.args(args);
    run(command, input)
}

fn values(records: &[StoredRecord]) -> Vec<Option<&[u8]>> {
    records.iter().map(|record| record.value.as_deref()).collect()
}

#[test]
fn lines_become_records_in_order_on_every_runtime() {
    let cluster = Cluster::start().unwrap();
    for runtime in ["tokio", "async-std", "blocking"] {
        produce(&cluster, &["-t", runtime, "--runtime", runtime], b"a\nb\n\nlast").ok();
        let records = cluster.records(runtime);
        assert_eq!(values(&records), [Some(&b"a"[..]), Some(b"b"), Some(b""), Some(b"last")], "{runtime}");
        assert!(records.iter().all(|record| record.key.is_none()));
    }
}

#[test]
fn keys_headers_nulls_and_delimiters_are_kcats() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 3);
    let args = ["-t", "t", "-K", ":", "-D", ";;", "-Z", "-H", "a=1", "-H", "a=2=3", "-p", "2", "-z", "lz4"];
    produce(&cluster, &args, b"k:v;;:empty key;;gone:;;no key").ok();
    let records = cluster.records("t");
    assert_eq!(values(&records), [Some(&b"v"[..]), Some(b"empty key"), None, Some(b"no key")]);
    let keys: Vec<_> = records.iter().map(|record| record.key.as_deref()).collect();
    assert_eq!(keys, [Some(&b"k"[..]), None, Some(b"gone"), None]);
    assert!(records.iter().all(|record| record.partition == 2));
    let headers: Vec<_> = records[0].headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
    assert_eq!(headers, [("a", Some(&b"1"[..])), ("a", Some(b"2=3"))]);
}

#[test]
fn files_are_records_or_lines_and_tee_shows_them() {
    let cluster = Cluster::start().unwrap();
    let file = std::env::temp_dir().join(format!("klamm-{}.txt", std::process::id()));
    std::fs::write(&file, b"one\ntwo\n").unwrap();
    let path = file.to_str().unwrap();
    produce(&cluster, &["-t", "whole", path], b"").ok();
    assert_eq!(values(&cluster.records("whole")), [Some(&b"one\ntwo\n"[..])]);
    assert_eq!(produce(&cluster, &["-t", "lines", "-l", "-T", path], b"").ok(), "one\ntwo\n");
    assert_eq!(values(&cluster.records("lines")), [Some(&b"one"[..]), Some(b"two")]);
    std::fs::remove_file(&file).unwrap();
    assert!(produce(&cluster, &["-t", "t", "no-such-file"], b"").failed(1).contains("no-such-file"));
}

#[test]
fn many_lines_arrive_once_and_in_order_through_little_memory() {
    let cluster = Cluster::with_brokers(3).unwrap();
    cluster.create_topic("t", 1);
    cluster.fault(Api::Produce).one_in(5).disconnect_after_apply();
    let input: Vec<u8> = (0..30_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let args = ["-t", "t", "-X", "buffer.memory=65536", "-X", "batch.size=4096", "-X", "retry.backoff.ms=10"];
    produce(&cluster, &args, &input).ok();
    let records = cluster.records("t");
    assert_eq!(records.len(), 30_000);
    for (n, record) in records.iter().enumerate() {
        assert_eq!(record.value.as_deref(), Some(format!("line {n}").as_bytes()));
    }
}

#[test]
fn what_is_not_acknowledged_is_told_and_fails_the_command() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let long = [b'x'; 3000];
    let input = [&b"short\n"[..], &long, b"\nshort too\n"].concat();
    let err = produce(&cluster, &["-t", "t", "-X", "max.request.size=2000"], &input).failed(1);
    assert!(err.contains("record 2: ") && err.contains("1 records"), "{err}");
    assert_eq!(values(&cluster.records("t")), [Some(&b"short"[..]), Some(b"short too")]);
}

#[test]
fn the_count_ends_it() {
    let cluster = Cluster::start().unwrap();
    produce(&cluster, &["-t", "t", "-c", "2"], b"1\n2\n3\n").ok();
    assert_eq!(cluster.records("t").len(), 2);
}

#[cfg(unix)]
#[test]
fn an_interrupt_sends_what_was_read() {
    let cluster = Cluster::start().unwrap();
    let mut command = klamm(&["produce", "-b", &cluster.bootstrap(), "-t", "t", "-X", "linger.ms=2000"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"a\nb\n").unwrap();
    std::thread::sleep(Duration::from_millis(1000));
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(cluster.records("t").len(), 2);
}

#[test]
fn lines_go_in_transactions_of_so_many() {
    let cluster = Cluster::start().unwrap();
    let lines: String = (0..25).map(|n| format!("{n}\n")).collect();
    let args = ["-t", "t", "--transactional-id", "cli", "--transaction-records", "10", "-c", "23"];
    produce(&cluster, &args, lines.as_bytes()).ok();
    let mut read = klamm(&["consume", "-b", &cluster.bootstrap(), "-t", "t", "-o", "beginning", "-e"]);
    read.args(["-X", "isolation.level=read_committed"]);
    let expected: String = (0..23).map(|n| format!("{n}\n")).collect();
    assert_eq!(run(read, b"").ok(), expected);
}

#[test]
fn a_transaction_with_a_record_that_cannot_be_written_is_aborted_and_ends_the_command() {
    let cluster = Cluster::start().unwrap();
    let mut lines: Vec<u8> = (0..10).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    lines.extend(b"ten\n");
    lines.extend(vec![b'x'; 2 << 20]);
    lines.extend(b"\nnever\n");
    let args = ["-t", "t", "--transactional-id", "cli", "--transaction-records", "10"];
    let told = produce(&cluster, &args, &lines).failed(1);
    assert!(told.contains("records 11 to 13 are not committed; the 10 before them are"), "{told}");
    let mut read = klamm(&["consume", "-b", &cluster.bootstrap(), "-t", "t", "-o", "beginning", "-e"]);
    read.args(["-X", "isolation.level=read_committed"]);
    assert_eq!(run(read, b"").ok().lines().count(), 10);
}
