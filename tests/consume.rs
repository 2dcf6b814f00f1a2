//! The consumer end to end on an in-memory cluster.

use klamm::config::{AutoCommit, ConsumerConfig};
use klamm::{Blocking, Config, Consumer, Kafka, Offsets, Pattern, Record, Tokio, TopicPartition};
use klamm_cluster::Cluster;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(200);

fn cluster(partitions: i32) -> Cluster {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", partitions);
    cluster
}

fn connect(cluster: &Cluster) -> Kafka {
    let section = ConsumerConfig::standalone()
        .set("auto.offset.reset", "earliest")
        .set("heartbeat.interval.ms", 50)
        .set("max.poll.records", 100);
    Kafka::connect(Blocking, Config::new(cluster.bootstrap()).consumer(section)).wait().unwrap()
}

fn fill(kafka: &Kafka, partitions: i32, each: i64) {
    let producer = kafka.producer().unwrap();
    for n in 0..each {
        for p in 0..partitions {
            let value = format!("{p}:{n}");
            drop(producer.send(Record::to("t").partition(p).key("k").value(&value).header("h", "v")));
        }
    }
    producer.flush().wait().unwrap();
}

/// Polls until `count` records came, and checks their order.
fn read(consumer: &mut Consumer, count: usize) -> Vec<(i32, i64)> {
    let (mut all, end) = (Vec::new(), Instant::now() + Duration::from_secs(20));
    while all.len() < count && Instant::now() < end {
        let batch = consumer.poll(SOON).wait().unwrap().unwrap();
        assert!(batch.len() <= 100, "{batch:?}");
        assert_eq!(batch.iter().count(), batch.len());
        for record in &batch {
            let value = format!("{}:{}", record.partition(), record.offset());
            assert_eq!((record.key(), record.value()), (Some(&b"k"[..]), Some(value.as_bytes())));
            all.push((record.partition(), record.offset()));
        }
    }
    assert_eq!(all.len(), count, "{}", consumer.state());
    all
}

#[test]
fn assigned_partitions_are_read_once_in_order() {
    let cluster = cluster(2);
    let kafka = connect(&cluster);
    fill(&kafka, 2, 1_000);
    let mut consumer = kafka.standalone_consumer().unwrap();
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    let all = read(&mut consumer, 2_000);
    for p in 0..2 {
        let of: Vec<i64> = all.iter().filter(|(partition, _)| *partition == p).map(|(_, offset)| *offset).collect();
        assert_eq!(of, (0..1_000).collect::<Vec<_>>());
    }
    assert_eq!(consumer.position(("t", 1)).wait().unwrap(), 1_000);
    assert_eq!(consumer.current_lag(("t", 1)), Some(0));
    assert!(consumer.poll(Duration::from_millis(50)).wait().unwrap().unwrap().is_empty());
    consumer.close().wait().unwrap();
    kafka.close().wait().unwrap();
}

#[test]
fn a_seek_takes_effect_at_once() {
    let cluster = cluster(1);
    let kafka = connect(&cluster);
    fill(&kafka, 1, 500);
    let mut consumer = kafka.standalone_consumer().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    consumer.seek(("t", 0), 450).unwrap();
    assert_eq!(consumer.position(("t", 0)).wait().unwrap(), 450);
    assert_eq!(read(&mut consumer, 50)[0], (0, 450));
    consumer.seek_to_beginning([("t", 0)]).unwrap();
    assert_eq!(read(&mut consumer, 500)[0], (0, 0));
    consumer.seek_to_end([("t", 0)]).unwrap();
    assert_eq!(consumer.position(("t", 0)).wait().unwrap(), 500);
    let ends = consumer.end_offsets([("t", 0)]).wait().unwrap();
    assert_eq!(ends[&TopicPartition::from(("t", 0))], 500);
    assert_eq!(consumer.beginning_offsets([("t", 0)]).wait().unwrap()[&TopicPartition::from(("t", 0))], 0);
    consumer.seek_to_beginning([("t", 0)]).unwrap();
    consumer.pause([("t", 0)]).unwrap();
    assert!(consumer.poll(SOON).wait().unwrap().unwrap().is_empty());
    consumer.resume([("t", 0)]).unwrap();
    assert_eq!(read(&mut consumer, 500)[0], (0, 0));
}

#[test]
fn one_poll_of_a_new_member_brings_records() {
    let cluster = cluster(1);
    let kafka = connect(&cluster);
    fill(&kafka, 1, 3);
    let mut consumer = kafka.consumer("g").unwrap();
    consumer.subscribe(["t"]).unwrap();
    let batch = consumer.poll(Duration::from_secs(10)).wait().unwrap().unwrap();
    assert_eq!((batch.len(), batch.assigned().len()), (3, 1));
    assert_eq!(batch.next_offsets().get(("t", 0)), Some(3));
    consumer.commit_sync_offsets(&batch).wait().unwrap();
    assert_eq!(consumer.committed([("t", 0)]).wait().unwrap().get(("t", 0)), Some(3));
    assert_eq!(consumer.group_metadata().unwrap().group_id(), "g");
    drop(batch);
    kafka.close().wait().unwrap();
}

#[test]
fn what_was_committed_is_not_read_again() {
    let cluster = cluster(1);
    let kafka = connect(&cluster);
    fill(&kafka, 1, 300);
    let mut first = kafka.consumer("g").unwrap();
    first.subscribe(["t"]).unwrap();
    read(&mut first, 300);
    first.close().wait().unwrap();
    fill_more(&kafka, 300, 10);
    let mut second = kafka.consumer("g").unwrap();
    second.subscribe(["t"]).unwrap();
    assert_eq!(read(&mut second, 10)[0], (0, 300));
}

fn fill_more(kafka: &Kafka, from: i64, count: i64) {
    let producer = kafka.producer().unwrap();
    for n in from..from + count {
        let value = format!("0:{n}");
        producer.send(Record::to("t").partition(0).key("k").value(&value)).wait().unwrap();
    }
}

#[test]
fn two_members_share_the_partitions() {
    let cluster = cluster(4);
    let kafka = connect(&cluster);
    fill(&kafka, 4, 100);
    let mut one = kafka.consumer("g").unwrap();
    one.subscribe(["t"]).unwrap();
    read(&mut one, 400);
    assert_eq!(one.assignment().len(), 4);
    let mut two = kafka.consumer("g").unwrap();
    two.subscribe(["t"]).unwrap();
    let (mut revoked, end) = (BTreeSet::new(), Instant::now() + Duration::from_secs(20));
    while (one.assignment().len() != 2 || two.assignment().len() != 2) && Instant::now() < end {
        let batch = one.poll(Duration::from_millis(20)).wait().unwrap().unwrap();
        revoked.extend(batch.revoking().iter().cloned());
        assert!(batch.lost().is_empty(), "{batch:?}");
        drop(batch);
        assert!(two.poll(Duration::from_millis(20)).wait().unwrap().unwrap().is_empty());
    }
    assert_eq!((one.assignment().len(), two.assignment().len()), (2, 2), "{}\n{}", one.state(), two.state());
    assert!(!revoked.is_empty());
    let all: BTreeSet<_> = one.assignment().into_iter().chain(two.assignment()).collect();
    assert_eq!(all.len(), 4);
    // What the first one read was committed when its partitions went.
    assert!(two.poll(SOON).wait().unwrap().unwrap().is_empty());
    two.close().wait().unwrap();
    one.close().wait().unwrap();
    kafka.close().wait().unwrap();
}

#[test]
fn a_wakeup_ends_the_poll_and_the_next_one_goes_on() {
    let cluster = cluster(1);
    let kafka = connect(&cluster);
    let mut consumer = kafka.standalone_consumer().unwrap();
    consumer.assign([("t", 0)]).unwrap();
    let stop = consumer.handle();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        stop.wakeup();
    });
    assert!(consumer.poll(Duration::MAX).wait().unwrap().is_none());
    thread.join().unwrap();
    fill(&kafka, 1, 1);
    assert_eq!(read(&mut consumer, 1), [(0, 0)]);
    let stop = consumer.handle();
    stop.wakeup();
    assert_eq!(consumer.iter().count(), 0);
}

#[test]
fn records_come_one_by_one_too() {
    let cluster = cluster(1);
    let kafka = connect(&cluster);
    fill(&kafka, 1, 250);
    let mut consumer = kafka.standalone_consumer().unwrap();
    consumer.subscribe(["t"]).unwrap();
    let kept: Vec<_> = consumer.iter().take(250).map(Result::unwrap).collect();
    assert_eq!(consumer.position(("t", 0)).wait().unwrap(), 250);
    drop(consumer);
    for (n, record) in kept.into_iter().enumerate() {
        let value = format!("0:{n}");
        assert_eq!((record.offset(), record.value_bytes().unwrap()), (n as i64, value.clone().into()));
        assert_eq!(record.headers().iter().next().unwrap().value, Some(&b"v"[..]));
        let small = record.compact();
        assert_eq!((small.offset(), small.key(), small.value()), (n as i64, Some(&b"k"[..]), Some(value.as_bytes())));
    }
}

#[test]
fn only_what_is_acknowledged_without_a_gap_is_committed() {
    let cluster = cluster(1);
    let kafka = connect(&cluster);
    fill(&kafka, 1, 50);
    let every = Duration::from_secs(3600);
    let config = ConsumerConfig::group("g").auto_commit(AutoCommit::Acked(every)).set("auto.offset.reset", "earliest");
    let mut consumer = kafka.consumer_with(config).unwrap();
    consumer.subscribe(["t"]).unwrap();
    let batch = consumer.poll(Duration::from_secs(10)).wait().unwrap().unwrap();
    for record in batch.iter().filter(|record| record.offset() != 7) {
        assert!(consumer.ack(record));
    }
    consumer.commit_sync().wait().unwrap();
    assert_eq!(consumer.committed([("t", 0)]).wait().unwrap().get(("t", 0)), Some(7));
    assert!(consumer.ack_through(batch.iter().nth(7).unwrap()));
    drop(batch);
    consumer.close().wait().unwrap();
    let again = kafka.consumer("g").unwrap();
    assert_eq!(again.committed([("t", 0)]).wait().unwrap().get(("t", 0)), Some(50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_partition_has_a_worker() {
    let cluster = cluster(3);
    let kafka = Kafka::connect(Tokio, cluster.bootstrap()).await.unwrap();
    let filler = connect(&cluster);
    fill(&filler, 3, 200);
    let config = ConsumerConfig::group("w").auto_commit(AutoCommit::Off).set("auto.offset.reset", "earliest");
    let consumer = kafka.consumer_with(config).unwrap();
    consumer.subscribe(["t"]).unwrap();
    let mut partitions = consumer.into_partitions();
    let mut workers = Vec::new();
    for _ in 0..3 {
        let mut partition = partitions.next().await.unwrap().unwrap();
        workers.push(tokio::spawn(async move {
            let mut count = 0;
            while let Some(batch) = partition.poll(SOON).await.unwrap() {
                count += batch.len();
                partition.commit_sync().await.unwrap();
            }
            (partition.topic_partition().partition, count)
        }));
    }
    let stop = partitions.handle();
    for _ in 0..100 {
        if stop.state().partitions().iter().all(|p| p.position() == Some(200)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    partitions.close().await.unwrap();
    let mut counts = Vec::new();
    for worker in workers {
        counts.push(worker.await.unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, [(0, 200), (1, 200), (2, 200)]);
    let check = kafka.consumer("w").unwrap();
    let committed = check.committed([("t", 0), ("t", 1), ("t", 2)]).await.unwrap();
    let expected: Offsets = (0..3).map(|p| (("t", p), 200)).collect();
    assert_eq!(committed.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    kafka.close().await.unwrap();
}

#[tokio::test]
async fn a_dropped_worker_is_replaced_from_the_last_commit() {
    let cluster = cluster(1);
    let filler = connect(&cluster);
    fill(&filler, 1, 20);
    let kafka = Kafka::connect(Tokio, cluster.bootstrap()).await.unwrap();
    let config = ConsumerConfig::group("w").auto_commit(AutoCommit::Off).set("auto.offset.reset", "earliest");
    let consumer = kafka.consumer_with(config.set("max.poll.records", 10)).unwrap();
    consumer.subscribe(["t"]).unwrap();
    let mut partitions = consumer.into_partitions();
    let mut first = partitions.next().await.unwrap().unwrap();
    assert_eq!(first.poll(Duration::from_secs(10)).await.unwrap().unwrap().len(), 10);
    first.commit_sync().await.unwrap();
    assert_eq!(first.poll(Duration::from_secs(10)).await.unwrap().unwrap().len(), 10);
    drop(first);
    let mut second = partitions.next().await.unwrap().unwrap();
    let batch = second.poll(Duration::from_secs(10)).await.unwrap().unwrap();
    assert_eq!(batch.iter().next().unwrap().offset(), 10);
    drop((batch, second));
    partitions.close().await.unwrap();
}

#[test]
fn the_clients_end_ends_a_running_poll() {
    let cluster = cluster(1);
    let kafka = connect(&cluster);
    let mut consumer = kafka.consumer("g").unwrap();
    consumer.subscribe(["t"]).unwrap();
    assert!(consumer.poll(SOON).wait().unwrap().unwrap().is_empty());
    let closer = kafka.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        closer.close().wait().unwrap();
    });
    assert!(consumer.poll(Duration::MAX).wait().unwrap().is_none());
    thread.join().unwrap();
    assert!(consumer.poll(Duration::MAX).wait().unwrap().is_none());
    assert!(consumer.commit_sync_offsets(Offsets::new().with(("t", 0), 1)).wait().is_err());
}

#[test]
fn a_dropped_consumer_commits_and_leaves() {
    let cluster = cluster(1);
    let kafka = connect(&cluster);
    fill(&kafka, 1, 5);
    let mut first = kafka.consumer("g").unwrap();
    first.subscribe(["t"]).unwrap();
    read(&mut first, 5);
    drop(first);
    let started = Instant::now();
    let mut second = kafka.consumer("g").unwrap();
    second.subscribe(["t"]).unwrap();
    let batch = second.poll(Duration::from_secs(2)).wait().unwrap().unwrap();
    assert_eq!((batch.len(), second.assignment().len()), (0, 1), "{}", second.state());
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(second.committed([("t", 0)]).wait().unwrap().get(("t", 0)), Some(5));
}

#[test]
fn a_section_of_its_own_inherits_what_the_client_was_told() {
    let cluster = cluster(1);
    let text = format!(
        "bootstrap.servers={}\ngroup.id=of-the-file\nauto.offset.reset=earliest\nmax.poll.records=3\nlinger.ms=1",
        cluster.bootstrap()
    );
    let kafka = Kafka::connect(Blocking, Config::from_properties(&text)).wait().unwrap();
    fill(&kafka, 1, 10);
    let mut consumer = kafka.consumer_with(ConsumerConfig::standalone().set("fetch.max.wait.ms", 10)).unwrap();
    assert_eq!(consumer.group_metadata(), None);
    consumer.assign([("t", 0)]).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let batch = std::iter::repeat_with(|| consumer.poll(SOON).wait().unwrap().unwrap())
        .take_while(|_| Instant::now() < end)
        .find(|batch| !batch.is_empty());
    assert_eq!(batch.unwrap().len(), 3);
    kafka.close().wait().unwrap();
}

/// Polls until the consumer reads exactly these topics.
fn until_assigned(consumer: &mut Consumer, topics: &[&str]) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        consumer.poll(SOON).wait().unwrap().unwrap();
        let assigned: BTreeSet<_> = consumer.assignment().iter().map(|tp| tp.topic.to_string()).collect();
        if assigned.iter().eq(topics) {
            assert_eq!(consumer.subscription(), topics);
            return;
        }
        assert!(Instant::now() < end, "{assigned:?} instead of {topics:?}: {}", consumer.state());
    }
}

fn follows_a_pattern(section: ConsumerConfig) {
    let cluster = Cluster::start().unwrap();
    for topic in ["m-1", "m-2", "m-debug", "other", "not-m-1"] {
        cluster.create_topic(topic, 2);
    }
    let config = Config::new(cluster.bootstrap()).metadata_max_age(Duration::from_millis(150));
    let kafka = Kafka::connect(Blocking, config).wait().unwrap();
    let mut consumer = kafka.consumer_with(section.set("heartbeat.interval.ms", 50)).unwrap();
    consumer.subscribe_pattern(Pattern::client("(m-|__).*").unwrap().except(".*debug").unwrap()).unwrap();
    until_assigned(&mut consumer, &["m-1", "m-2"]);
    cluster.create_topic("m-3", 1);
    until_assigned(&mut consumer, &["m-1", "m-2", "m-3"]);
    kafka.producer().unwrap().send(Record::to("m-3").value("late")).wait().unwrap();
    cluster.delete_topic("m-1");
    until_assigned(&mut consumer, &["m-2", "m-3"]);
    // A deleted topic does not come back by being asked for.
    consumer.subscribe(["other"]).unwrap();
    until_assigned(&mut consumer, &["other"]);
    consumer.subscribe_pattern(Pattern::client("m-.").unwrap()).unwrap();
    until_assigned(&mut consumer, &["m-2", "m-3"]);
    consumer.unsubscribe().wait().unwrap();
    assert!(consumer.subscription().is_empty());
    kafka.close().wait().unwrap();
}

#[test]
fn a_group_follows_a_pattern_as_topics_come_and_go() {
    follows_a_pattern(ConsumerConfig::group("g"));
}

#[test]
fn a_consumer_without_a_group_follows_a_pattern_as_topics_come_and_go() {
    follows_a_pattern(ConsumerConfig::standalone());
}

#[test]
fn internal_topics_fit_a_pattern_only_if_they_are_asked_for() {
    let cluster = cluster(1);
    let kafka = connect(&cluster);
    // The first commit of a group makes the cluster's own topic.
    let mut member = kafka.consumer("g").unwrap();
    member.subscribe(["t"]).unwrap();
    until_assigned(&mut member, &["t"]);
    member.commit_sync().wait().unwrap();
    let listed = kafka.admin().list_topics().include_internal(true).wait().unwrap();
    let internal: Vec<_> = listed.iter().filter(|topic| topic.internal).map(|topic| topic.name.to_string()).collect();
    let mut plain = kafka.standalone_consumer().unwrap();
    plain.subscribe_pattern(Pattern::client(".*").unwrap()).unwrap();
    until_assigned(&mut plain, &["t"]);
    let mut all = kafka.consumer_with(ConsumerConfig::standalone().set("exclude.internal.topics", false)).unwrap();
    all.subscribe_pattern(Pattern::client(".*").unwrap()).unwrap();
    let expected: Vec<&str> = internal.iter().map(String::as_str).chain(["t"]).collect();
    until_assigned(&mut all, &expected);
    kafka.close().wait().unwrap();
}

#[test]
fn single_records_come_once_and_in_order_across_many_answers() {
    const EACH: i64 = 6_000;
    let cluster = cluster(2);
    let kafka = connect(&cluster);
    let producer = kafka.producer().unwrap();
    for n in 0..EACH {
        for p in 0..2 {
            drop(producer.send(Record::to("t").partition(p).value(&[n as u8; 500])));
        }
    }
    producer.flush().wait().unwrap();
    let mut consumer = kafka.standalone_consumer().unwrap();
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    // Three megabytes from each: more than one answer brings, so that buffers come home and are read into again.
    let mut next = [0; 2];
    let mut count = 0;
    for record in consumer.iter() {
        let record = record.unwrap();
        let at = &mut next[record.partition() as usize];
        assert_eq!((record.offset(), record.value()), (*at, Some(&[*at as u8; 500][..])));
        *at += 1;
        count += 1;
        if count == 2 * EACH {
            break;
        }
    }
    assert_eq!(next, [EACH; 2]);
    // And polls go on where single records ended.
    consumer.seek(("t", 0), EACH - 3).unwrap();
    assert_eq!(consumer.recv().wait().unwrap().unwrap().offset(), EACH - 3);
    let rest: Vec<_> = consumer.poll(SOON).wait().unwrap().unwrap().iter().map(|record| record.offset()).collect();
    assert_eq!(rest, [EACH - 2, EACH - 1]);
    kafka.close().wait().unwrap();
}
