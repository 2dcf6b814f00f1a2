//! The producer end to end on an in-memory cluster, on every runtime.

use klamm::config::ProducerConfig;
use klamm::{
    AsyncStd, Blocking, Config, ErrorKind, Kafka, Partitioner, Partitioning, Placement, Producer, Receipts, Record,
    Tokio, TopicView, TrySendReason,
};
use klamm_cluster::{Api, Cluster};
use std::time::{Duration, Instant};

fn cluster() -> Cluster {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 3);
    cluster
}

fn connect(cluster: &Cluster, section: ProducerConfig) -> (Kafka, Producer) {
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap()).producer(section)).wait().unwrap();
    let producer = kafka.producer().unwrap();
    (kafka, producer)
}

async fn send_and_close(kafka: klamm::Op<Kafka>, cluster: &Cluster) {
    let kafka = kafka.await.unwrap();
    let producer = kafka.producer().unwrap();
    for i in 0..100 {
        let value = i.to_string();
        let at = producer.send(Record::to("t").partition(1).value(&value)).await.unwrap();
        assert_eq!((at.partition(), at.offset()), (1, Some(i)));
    }
    producer.flush().await.unwrap();
    kafka.close().await.unwrap();
    let values: Vec<_> = cluster.records("t").iter().map(|r| r.value.clone().unwrap()).collect();
    assert_eq!(values, (0..100).map(|i| i.to_string().into_bytes()).collect::<Vec<_>>());
}

#[test]
fn records_arrive_on_a_current_thread_runtime() {
    let cluster = cluster();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { send_and_close(Kafka::connect(Tokio, cluster.bootstrap()), &cluster).await });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_arrive_on_a_multi_thread_runtime() {
    let cluster = cluster();
    send_and_close(Kafka::connect(Tokio, cluster.bootstrap()), &cluster).await;
}

#[test]
fn records_arrive_on_async_std() {
    let cluster = cluster();
    let kafka = Kafka::connect(AsyncStd, cluster.bootstrap()).wait().unwrap();
    let producer = kafka.producer().unwrap();
    assert_eq!(producer.send(Record::to("t").value("v")).wait().unwrap().offset(), Some(0));
    kafka.close().wait().unwrap();
}

#[test]
fn a_batch_written_twice_by_a_broken_connection_is_there_once() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new());
    producer.send(Record::to("t").partition(0).value("a")).wait().unwrap();
    cluster.fault(Api::Produce).times(1).disconnect_after_apply();
    producer.send(Record::to("t").partition(0).value("b")).wait().unwrap();
    kafka.close().wait().unwrap();
    assert_eq!(cluster.records("t").len(), 2);
}

#[test]
fn a_lone_awaited_record_does_not_linger() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new().linger(Duration::from_secs(20)));
    producer.topic("t").ready().wait().unwrap();
    let begin = Instant::now();
    producer.send(Record::to("t").value("v")).wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    kafka.close().wait().unwrap();
}

#[test]
fn a_flush_breaks_linger_and_covers_what_was_sent_before_it() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new().linger(Duration::from_secs(20)));
    let all: Vec<_> = (0..50).map(|_| producer.send(Record::to("t").value("v"))).collect();
    let begin = Instant::now();
    producer.flush().wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(all.iter().all(|delivery| delivery.is_ready()));
    assert_eq!(producer.buffered().memory(), 0);
    kafka.close().wait().unwrap();
}

#[test]
fn a_flush_returns_while_others_keep_sending() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new());
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (theirs, done) = (producer.clone(), stop.clone());
    let busy = std::thread::spawn(move || {
        let mut sent = 0;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            if theirs.send(Record::to("t").value("v")).queued().wait().is_ok() {
                sent += 1;
            }
        }
        sent
    });
    for _ in 0..5 {
        assert!(producer.flush().within(Duration::from_secs(10)).wait().is_ok());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let sent: usize = busy.join().unwrap();
    kafka.close().wait().unwrap();
    assert_eq!(cluster.records("t").len(), sent);
}

#[test]
fn close_sends_what_is_buffered_and_refuses_what_comes_later() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new().linger(Duration::from_secs(20)));
    drop((0..50).map(|_| producer.send(Record::to("t").value("v"))).collect::<Vec<_>>());
    let close = producer.close();
    let late = producer.send(Record::to("t").value("late"));
    assert_eq!(late.wait().unwrap_err().kind(), ErrorKind::Closed);
    let again = producer.try_send(Record::to("t").value("late")).unwrap_err();
    assert!(matches!(again.reason, TrySendReason::Closed(_)));
    close.wait().unwrap();
    assert_eq!(cluster.records("t").len(), 50);
    let other = kafka.producer().unwrap();
    other.send(Record::to("t").value("v")).wait().unwrap();
    kafka.close().wait().unwrap();
}

#[test]
fn a_dropped_producer_still_sends_and_a_dropped_client_ends() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new().linger(Duration::from_secs(20)));
    let delivery = producer.send(Record::to("t").value("v"));
    drop((kafka, producer));
    delivery.wait().unwrap();
    assert_eq!(cluster.records("t").len(), 1);
}

#[test]
fn a_close_that_runs_out_of_time_fails_what_is_left() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new());
    producer.send(Record::to("t").value("v")).wait().unwrap();
    cluster.fault(Api::Produce).always().silence();
    let stuck = producer.send(Record::to("t").value("v"));
    let begin = Instant::now();
    let closed = producer.close().within(Duration::from_millis(300)).wait();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?} {closed:?}", begin.elapsed());
    let error = stuck.wait().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
    kafka.close().within(Duration::from_secs(1)).wait().ok();
}

#[test]
fn the_end_of_the_runtime_resolves_everything() {
    let cluster = cluster();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let kafka = runtime.block_on(async { Kafka::connect(Tokio, cluster.bootstrap()).await }).unwrap();
    let producer = kafka.producer().unwrap();
    producer.send(Record::to("t").value("v")).wait().unwrap();
    cluster.fault(Api::Produce).always().silence();
    let (sent, unknown) = (producer.send(Record::to("t").value("v")), producer.send(Record::to("nowhere").value("v")));
    let flush = producer.flush();
    std::thread::sleep(Duration::from_millis(50));
    runtime.shutdown_timeout(Duration::from_secs(5));
    assert_eq!(sent.wait().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(unknown.wait().unwrap_err().kind(), ErrorKind::Closed);
    flush.wait().ok();
    assert_eq!(producer.send(Record::to("t").value("v")).wait().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(kafka.ping().wait().unwrap_err().kind(), ErrorKind::Closed);
    kafka.close().wait().unwrap();
}

#[test]
fn waiting_on_the_drivers_own_thread_is_refused() {
    let cluster = cluster();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let kafka = Kafka::connect(Tokio, cluster.bootstrap()).await.unwrap();
        assert_eq!(kafka.ping().wait().unwrap_err().kind(), ErrorKind::Misuse);
        let producer = kafka.producer().unwrap();
        assert_eq!(producer.send(Record::to("t").value("v")).wait().unwrap_err().kind(), ErrorKind::Misuse);
        kafka.close().await.unwrap();
    });
}

#[test]
fn without_a_runtime_the_connection_is_refused_by_name() {
    let error = Kafka::connect(Tokio, "localhost:1").wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains("tokio"), "{error}");
}

#[test]
fn many_threads_write_each_in_its_order() {
    let cluster = cluster();
    let section = ProducerConfig::new().batch_size(2000).buffer_memory(20_000);
    let (kafka, producer) = connect(&cluster, section);
    let threads: Vec<_> = (0..4u32)
        .map(|thread| {
            let producer = producer.clone();
            std::thread::spawn(move || {
                for i in 0..2000u32 {
                    let value = [thread.to_be_bytes(), i.to_be_bytes()].concat();
                    let partition = i32::try_from(i % 3).unwrap();
                    drop(producer.send(Record::to("t").partition(partition).value(&value)).queued().wait().unwrap());
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    kafka.close().wait().unwrap();
    let mut last = [[None::<u32>; 3]; 4];
    let records = cluster.records("t");
    assert_eq!(records.len(), 8000);
    for record in records {
        let value = record.value.as_deref().unwrap();
        let thread = usize::from(value[3]);
        let number = u32::from_be_bytes(value[4..8].try_into().unwrap());
        let slot = &mut last[thread][usize::try_from(record.partition).unwrap()];
        assert!(slot.is_none_or(|before| before < number), "{thread}: {number} after {slot:?}");
        *slot = Some(number);
    }
}

#[test]
fn one_call_sends_many_and_tells_of_each() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new());
    let values: Vec<_> = (0..100).map(|i| i.to_string()).collect();
    let all = producer.send_batch(values.iter().map(|value| Record::to("t").partition(2).value(value)));
    assert_eq!(all.len(), 100);
    let one = all.get(42).unwrap();
    all.wait().unwrap();
    assert_eq!(one.wait().unwrap().offset(), Some(42));
    let mixed = producer.send_batch([Record::to("t").value("v"), Record::to("t").partition(9).value("v")]);
    let error = mixed.wait().unwrap_err();
    assert!(error.to_string().contains("1 of 2"), "{error}");
    kafka.close().wait().unwrap();
}

#[test]
fn receipts_tell_where_every_record_is() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new().batch_size(1000));
    let mut receipts = Receipts::new();
    for i in 0..1000u32 {
        let partition = i32::try_from(i % 3).unwrap();
        producer.send_to(&mut receipts, Record::to("t").partition(partition).value(&i.to_be_bytes()));
    }
    receipts.wait().unwrap();
    let records = cluster.records("t");
    let mut seen = vec![false; 1000];
    for receipt in receipts.drain() {
        let at = receipt.result().unwrap().clone();
        for (ahead, number) in (0..).zip(receipt.numbers()) {
            let offset = at.offset().unwrap() + ahead;
            let found = records.iter().find(|r| r.partition == at.partition() && r.offset == offset).unwrap();
            assert_eq!(found.value.as_deref(), Some(&u32::try_from(number).unwrap().to_be_bytes()[..]));
            seen[usize::try_from(number).unwrap()] = true;
        }
    }
    assert!(seen.iter().all(|seen| *seen));
    assert_eq!(receipts.pending(), 0);
    kafka.close().wait().unwrap();
}

struct Last;

impl Partitioner for Last {
    fn partition(&self, record: &Record<'_>, topic: &TopicView<'_>) -> Placement {
        match record.key_bytes() {
            Some(b"panic") => panic!("as asked"),
            _ => Placement::At(topic.partition_count() - 1),
        }
    }
}

#[test]
fn a_partitioner_of_ones_own_decides_and_its_panic_fails_the_record_only() {
    let cluster = cluster();
    let (kafka, producer) = connect(&cluster, ProducerConfig::new().partitioner(Partitioning::from(Last)));
    // Before the topic is known the driver asks it, later the sender.
    let early = producer.send(Record::to("t").key("k").value("v"));
    let panics = producer.send(Record::to("t").key("panic").value("v"));
    assert_eq!(early.wait().unwrap().partition(), 2);
    assert_eq!(panics.wait().unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(producer.send(Record::to("t").key("k").value("v")).wait().unwrap().partition(), 2);
    kafka.close().wait().unwrap();
}

#[test]
fn partitions_are_described_and_keys_go_where_java_puts_them() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("seven", 7);
    let (kafka, producer) = connect(&cluster, ProducerConfig::new());
    let partitions = producer.partitions_for("seven").wait().unwrap();
    assert_eq!(partitions.iter().map(|p| p.partition()).collect::<Vec<_>>(), (0..7).collect::<Vec<_>>());
    assert!(partitions.iter().all(|p| p.leader().is_some()));
    for (key, partition) in [("23456", 5), ("hejsan", 6), ("", 2)] {
        let at = producer.send(Record::to("seven").key(key).value("v")).wait().unwrap();
        assert_eq!(at.partition(), partition, "{key}");
    }
    kafka.close().wait().unwrap();
}

#[test]
fn every_codec_is_read_back() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let cluster = cluster();
        let (kafka, producer) =
            connect(&cluster, ProducerConfig::new().set("compression.type", codec).batch_size(100_000));
        let value = vec![b'x'; 2000];
        let all = producer.send_batch((0..200).map(|_| Record::to("t").partition(0).value(&value)));
        all.wait().unwrap();
        assert_eq!(cluster.records("t").len(), 200, "{codec}");
        kafka.close().wait().unwrap();
    }
}
