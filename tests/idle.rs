//! A client with nothing to do lets its thread sleep. Linux only: it tells how often a thread woke.

#![cfg(target_os = "linux")]

use klamm::{Blocking, Kafka, Record};
use klamm_cluster::Cluster;
use std::time::Duration;

/// How often the driver's thread was woken so far.
fn wakes() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let drivers =
        tasks.filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "klamm"));
    let status = |task: std::path::PathBuf| std::fs::read_to_string(task.join("status")).unwrap();
    let all: Vec<String> = drivers.map(status).collect();
    assert_eq!(all.len(), 1, "one driver");
    let line = all[0].lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn an_idle_clients_thread_is_not_woken() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 3);
    let kafka = Kafka::connect(Blocking, cluster.bootstrap()).wait().unwrap();
    let producer = kafka.producer().unwrap();
    producer.send(Record::to("t").value("v")).wait().unwrap();
    // A busy machine may take long over the answer's own wake, and what follows from it.
    let quiet = (0..5).find_map(|_| {
        std::thread::sleep(Duration::from_millis(500));
        let before = wakes();
        std::thread::sleep(Duration::from_secs(2));
        (wakes() == before).then_some(before)
    });
    let before = quiet.expect("two seconds without work and without a wake of the driver's thread");
    // It does wake when there is something to do. The system counts a wake when the thread sleeps again.
    producer.send(Record::to("t").value("v")).wait().unwrap();
    let woken = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        wakes() > before
    });
    assert!(woken);
    kafka.close().wait().unwrap();
}
