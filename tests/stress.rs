//! Many threads on shared handles, on each runtime: nothing is lost or doubled, order is kept, memory comes home.

use klamm::{
    AsyncStd, Blocking, Buffered, Config, ConsumerConfig, ConsumerHandle, Delivery, ErrorKind, Kafka, Offsets,
    Producer, ProducerConfig, Receipts, Record, Tokio,
};
use klamm_cluster::Cluster;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const THREADS: u64 = 8;
/// Two threads share each of them.
const PARTITIONS: u64 = 4;
/// Records of each thread.
const EACH: u64 = 600;
/// Far beyond what a machine under load needs.
const LONG: Duration = Duration::from_secs(60);

fn config(cluster: &Cluster) -> Config {
    let consumer = ConsumerConfig::group("readers").set("auto.offset.reset", "earliest").set("max.poll.records", 50);
    Config::new(cluster.bootstrap()).consumer(consumer.set("enable.auto.commit", false))
}

/// Room for some batches only: threads wait for memory all the time.
fn narrow() -> ProducerConfig {
    ProducerConfig::new().set("batch.size", 2_048).set("buffer.memory", 16_384).set("max.block.ms", 60_000)
}

fn partition(thread: u64) -> i32 {
    (thread % PARTITIONS) as i32
}

fn value(thread: u64, n: u64) -> String {
    format!("{thread}:{n}:{}", "x".repeat((n * 37 % 400) as usize))
}

fn to<'a>(topic: &'static str, thread: u64, value: &'a str) -> Record<'a> {
    Record::to(topic).partition(partition(thread)).value(value)
}

/// Sends the records of one thread, each kind of thread in its own way.
fn send_all(producer: &Producer, thread: u64) {
    let mut receipts = Receipts::new();
    let mut kept: Vec<Delivery> = Vec::new();
    let mut n = 0;
    while n < EACH {
        let text = value(thread, n);
        match thread % 4 {
            // Drops what it gets, after waiting for room.
            0 => drop(producer.send(to("t", thread, &text)).queued().wait().unwrap()),
            // Keeps everything, and looks at it now and then.
            1 => {
                kept.push(producer.send(to("t", thread, &text)).queued().wait().unwrap());
                if n % 100 == 99 {
                    kept.drain(..).for_each(|delivery| assert!(delivery.wait().is_ok()));
                }
            }
            2 => {
                producer.send_to(&mut receipts, to("t", thread, &text));
                receipts.queued().wait().unwrap();
                if n % 50 == 49 {
                    receipts.drain().for_each(|receipt| drop(receipt.result().unwrap().clone()));
                }
            }
            // Ten at a time; some are flushed, some not even waited for.
            _ => {
                let texts: Vec<_> = (n..n + 10).map(|n| value(thread, n)).collect();
                let all = producer.send_batch(texts.iter().map(|text| to("t", thread, text)));
                match n / 10 % 3 {
                    0 => drop(all.queued().wait().unwrap()),
                    1 => producer.flush().wait().unwrap(),
                    _ => drop(producer.flush()),
                }
                n += 9;
            }
        }
        n += 1;
    }
    receipts.wait().unwrap();
    assert!(receipts.drain().all(|receipt| receipt.result().is_ok()));
    assert_eq!(receipts.pending(), 0);
    kept.drain(..).for_each(|delivery| assert!(delivery.wait().is_ok()));
}

/// Reads everything while it is written, and commits it in the background.
fn read_all(kafka: &Kafka, done: &AtomicBool, seen: &AtomicU64, hand_over: impl FnOnce(ConsumerHandle)) {
    let mut consumer = kafka.consumer("readers").unwrap();
    consumer.subscribe(["t"]).unwrap();
    hand_over(consumer.handle());
    let (mut next, end) = (BTreeMap::new(), Instant::now() + LONG);
    while seen.load(Ordering::Relaxed) < THREADS * EACH {
        assert!(
            Instant::now() < end,
            "{} records are missing: {}",
            THREADS * EACH - seen.load(Ordering::Relaxed),
            consumer.state()
        );
        let batch = consumer.poll(Duration::from_millis(20)).wait().unwrap().unwrap();
        for record in &batch {
            let text = std::str::from_utf8(record.value().unwrap()).unwrap();
            let mut parts = text.split(':');
            let thread: u64 = parts.next().unwrap().parse().unwrap();
            let n: u64 = parts.next().unwrap().parse().unwrap();
            let wanted = next.entry(thread).or_insert(0);
            assert_eq!((n, record.partition()), (*wanted, partition(thread)), "of thread {thread}");
            *wanted += 1;
        }
        seen.fetch_add(batch.len() as u64, Ordering::Relaxed);
        drop(consumer.commit_async());
    }
    done.store(true, Ordering::Relaxed);
    consumer.commit_sync().wait().unwrap();
    consumer.close().wait().unwrap();
}

/// Another thread at the consumer: holds partitions back for a moment, and commits offsets of a topic of its own.
fn disturb(handle: &ConsumerHandle, done: &AtomicBool, kind: u64) {
    let mut n = 0;
    while !done.load(Ordering::Relaxed) {
        let all = handle.assignment();
        if kind == 0 && !all.is_empty() {
            // A refusal: the assignment changed meanwhile, or the consumer has closed.
            let held = all[n as usize % all.len()].clone();
            let _ = handle.pause([held.clone()]);
            std::thread::yield_now();
            let _ = handle.resume([held]);
        } else if kind == 1 {
            n += 1;
            drop(handle.commit_async_offsets(Offsets::new().with(("side", 0), n)));
            let _ = handle.state().to_string();
        }
        n += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Threads that send to a producer which two of them close: what each is told of its records is the truth.
fn close_under_way(kafka: &Kafka) -> Vec<(String, klamm::Result<()>)> {
    let producer = kafka.producer_with(narrow()).unwrap();
    let sent = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let producer = &producer;
                scope.spawn(move || {
                    let mut sent = Vec::new();
                    for n in 0..EACH {
                        let text = value(thread, n);
                        let delivery = producer.send(to("closed", thread, &text));
                        sent.push((text, delivery));
                        if thread < 2 && n == EACH / 3 {
                            producer.close().wait().ok();
                        }
                    }
                    sent
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    producer.close().wait().ok();
    assert_eq!(producer.buffered(), Buffered::default());
    sent.into_iter().map(|(text, delivery)| (text, delivery.wait().map(drop))).collect()
}

fn logged(cluster: &Cluster, topic: &str) -> Vec<String> {
    cluster.records(topic).into_iter().map(|r| String::from_utf8(r.value.unwrap().to_vec()).unwrap()).collect()
}

fn stress(cluster: &Cluster, kafka: &Kafka) {
    let producer = kafka.producer_with(narrow()).unwrap();
    let (done, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let producer = producer.clone();
            scope.spawn(move || send_all(&producer, thread));
        }
        let (done, seen) = (&done, &seen);
        scope.spawn(move || {
            read_all(kafka, done, seen, |handle| {
                for kind in 0..2 {
                    let handle = handle.clone();
                    scope.spawn(move || disturb(&handle, done, kind));
                }
            });
        });
    });
    producer.flush().wait().unwrap();
    assert_eq!(producer.buffered(), Buffered::default(), "all memory is home");
    assert_eq!(seen.load(Ordering::Relaxed), THREADS * EACH);
    assert_eq!(logged(cluster, "t").len() as u64, THREADS * EACH);
    for partition in 0..PARTITIONS as i32 {
        let committed = cluster.committed("readers", "t", partition);
        assert_eq!(committed, Some((EACH * THREADS / PARTITIONS) as i64), "of partition {partition}");
    }
    let results = close_under_way(kafka);
    let log = logged(cluster, "closed");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    log.iter().for_each(|text| *counts.entry(text).or_default() += 1);
    for (text, result) in &results {
        let count = counts.get(text.as_str()).copied().unwrap_or_default();
        match result {
            Ok(()) => assert_eq!(count, 1, "acknowledged"),
            Err(error) => {
                let refused = [ErrorKind::Closed, ErrorKind::BufferFull].contains(&error.kind());
                assert!(refused && !error.possibly_written(), "{error:?}");
                assert_eq!(count, 0, "surely not written");
            }
        }
    }
    assert!(results.iter().any(|(_, result)| result.is_err()), "nobody was refused");
    kafka.close().wait().unwrap();
}

fn cluster() -> Cluster {
    let cluster = Cluster::with_brokers(2).unwrap();
    for topic in ["t", "closed"] {
        cluster.create_topic(topic, PARTITIONS as i32);
    }
    cluster.create_topic("side", 1);
    cluster
}

#[test]
fn many_threads_on_a_thread_of_its_own() {
    let cluster = cluster();
    let kafka = Kafka::connect(Blocking, config(&cluster)).wait().unwrap();
    stress(&cluster, &kafka);
}

#[test]
fn many_threads_on_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cluster = cluster();
    let kafka = runtime.block_on(async { Kafka::connect(Tokio, config(&cluster)).await }).unwrap();
    stress(&cluster, &kafka);
}

#[test]
fn many_threads_on_async_std() {
    let cluster = cluster();
    let kafka = Kafka::connect(AsyncStd, config(&cluster)).wait().unwrap();
    stress(&cluster, &kafka);
}
