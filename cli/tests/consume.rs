//! `klamm consume` and `klamm demo`.

mod support;

use klamm_cluster::Cluster;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use support::{Ended, klamm, run};

fn consume(cluster: &Cluster, args: &[&str]) -> Ended {
    let mut command = klamm(&["consume", "-b", &cluster.bootstrap()]);
    command.args(args);
    run(command, b"")
}

fn produce(cluster: &Cluster, args: &[&str], input: &str) {
    let mut command = klamm(&["produce", "-b", &cluster.bootstrap()]);
    command.args(args);
    run(command, input.as_bytes()).ok();
}

/// The numbers from 0 up, one a line.
fn numbers(n: usize) -> String {
    (0..n).map(|n| format!("{n}\n")).collect()
}

#[test]
fn records_come_out_as_they_went_in_on_every_runtime() {
    let cluster = Cluster::start().unwrap();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        produce(&cluster, &["-t", codec, "-z", codec], &numbers(2000));
        for runtime in ["tokio", "async-std", "blocking"] {
            assert_eq!(consume(&cluster, &["-t", codec, "-e", "--runtime", runtime]).ok(), numbers(2000));
        }
    }
}

#[test]
fn formats_show_every_part_of_a_record() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 2);
    produce(&cluster, &["-t", "t", "-p", "1", "-K", ":", "-Z", "-H", "h=1", "-H", "h=2"], "k:v\n:no key\nk:\n");
    let out = consume(&cluster, &["-t", "t", "-e", "-Z", "-f", r"%t/%p/%o %k[%K] %s[%S] %h\n"]).ok();
    assert_eq!(out, "t/1/0 k[1] v[1] h=1,h=2\nt/1/1 NULL[-1] no key[6] h=1,h=2\nt/1/2 k[1] NULL[-1] h=1,h=2\n");
    assert_eq!(consume(&cluster, &["-t", "t", "-e", "-K", "=", "-D", ";"]).ok(), "k=v;=no key;k=;");
    let out = consume(&cluster, &["-t", "t", "-e", "-J", "-c", "1"]).ok();
    let record: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&record["topic"], &record["partition"], &record["offset"]), (&"t".into(), &1.into(), &0.into()));
    assert_eq!((&record["key"], &record["payload"]), (&"k".into(), &"v".into()));
    assert_eq!(record["headers"], serde_json::json!(["h", "1", "h", "2"]));
    assert_eq!(record["tstype"], "create");
    assert!(record["ts"].as_i64().unwrap() > 1_600_000_000_000);
    consume(&cluster, &["-t", "t", "-f", "%q"]).failed(2);
}

#[test]
fn it_begins_and_ends_where_it_is_told() {
    let cluster = Cluster::start().unwrap();
    produce(&cluster, &["-t", "t"], &numbers(10));
    let read = |args: &[&str]| consume(&cluster, &[&["-t", "t", "-e"], args].concat()).ok().replace('\n', " ");
    assert_eq!(read(&["-o", "7"]), "7 8 9 ");
    assert_eq!(read(&["-o", "99"]), "");
    assert_eq!(read(&["-o", "-2"]), "8 9 ");
    assert_eq!(read(&["-o", "beginning", "-c", "2"]), "0 1 ");
    assert_eq!(read(&["-o", "end"]), "");
    assert_eq!(read(&["-o", "s@0", "-c", "1"]), "0 ");
    assert_eq!(read(&["-o", "e@0"]), "");
    assert_eq!(read(&["-o", "s@0", "-o", "e@99999999999999"]).split(' ').count(), 11);
    let second = cluster.records("t")[4].timestamp;
    let since = read(&["-o", &format!("s@{second}")]);
    assert!(since.ends_with("8 9 "), "{since}");
}

#[test]
fn a_group_goes_on_behind_what_was_written() {
    let cluster = Cluster::with_brokers(2).unwrap();
    cluster.create_topic("t", 3);
    produce(&cluster, &["-t", "t", "-p", "0"], &numbers(50));
    produce(&cluster, &["-t", "t", "-p", "1"], &numbers(50));
    let first = consume(&cluster, &["-G", "g", "t", "-c", "30"]).ok();
    assert_eq!(first.lines().count(), 30);
    let committed: i64 = (0..3).filter_map(|p| cluster.committed("g", "t", p)).sum();
    assert_eq!(committed, 30);
    let rest = consume(&cluster, &["-G", "g", "t", "-e"]).ok();
    assert_eq!(rest.lines().count(), 70);
    assert_eq!(consume(&cluster, &["-G", "g", "t", "-e"]).ok(), "");
    // The offsets of a group, without being in it.
    assert_eq!(consume(&cluster, &["-t", "t", "-o", "stored", "-X", "group.id=g", "-e"]).ok(), "");
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let cluster = Cluster::builder().auto_create(false).start().unwrap();
    cluster.create_topic("t", 1);
    consume(&cluster, &[]).failed(2);
    consume(&cluster, &["-t", "t", "-o", "soon"]).failed(2);
    consume(&cluster, &["-t", "t", "-o", "stored"]).failed(2);
    consume(&cluster, &["-t", "t", "-p", "7"]).failed(2);
    assert!(consume(&cluster, &["-t", "nothing", "-m", "2"]).failed(1).contains("nothing"));
}

#[test]
fn a_reader_that_has_enough_ends_it() {
    let cluster = Cluster::start().unwrap();
    produce(&cluster, &["-t", "t"], &numbers(100_000));
    let mut command = klamm(&["consume", "-b", &cluster.bootstrap(), "-t", "t"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "0\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn an_interrupt_commits_what_was_written() {
    let cluster = Cluster::start().unwrap();
    produce(&cluster, &["-t", "t"], &numbers(5));
    let mut command = klamm(&["consume", "-b", &cluster.bootstrap(), "-G", "g", "t"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.by_ref().take(5).count(), 5);
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(cluster.committed("g", "t", 0), Some(5));
}

#[test]
fn the_demo_verifies_what_it_sent_on_every_runtime() {
    for runtime in ["tokio", "async-std", "blocking"] {
        let out = run(klamm(&["demo", "--records", "20000", "--runtime", runtime]), b"").ok();
        assert!(out.contains("verified 20,000 records") && out.contains(runtime), "{out}");
    }
}

#[test]
fn the_demo_verifies_a_transactional_loop_on_every_runtime() {
    for runtime in ["tokio", "async-std", "blocking"] {
        let args = ["demo", "--transactions", "--records", "20000", "--runtime", runtime];
        let out = run(klamm(&args), b"").ok();
        assert!(out.contains("verified 20,000 records") && out.contains("of whose transactions were aborted"), "{out}");
    }
}

#[test]
fn the_benchmarks_measure_something() {
    for which in ["produce", "consume"] {
        let out =
            run(klamm(&["bench", which, "--records", "5000", "--json", "--key-size", "8", "-z", "lz4"]), b"").ok();
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(report["records"].as_u64().unwrap() >= 5000, "{report}");
        for number in ["records_per_second", "cpu_us_per_record"] {
            assert!(report[number].as_f64().unwrap() > 0.0, "{report}");
        }
        assert!(report["latency_ms"]["p99"].as_f64().unwrap() > 0.0, "{report}");
    }
}
