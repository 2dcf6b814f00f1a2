//! PR-36: every key of producers changes what happens, or stands here with the reason why it is seen elsewhere. One application
//! runs in the simulator once with the key and once without, under the same seed; what went over the network must differ.

use klamm::{Error, Kafka, ProducerConfig, Record};
use klamm_cluster::Api;
use klamm_core::codec::Codec;
use klamm_core::config::{Section, Status, keys};
use klamm_sim::Sim;
use std::collections::BTreeSet;
use std::time::Duration;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A little of everything that a producer meets; at its end it tells the cluster what became of each record.
async fn application(sim: Sim, set: Vec<Set>) {
    let cluster = sim.cluster();
    cluster.with(|brokers, _| (1..=3).for_each(|id| brokers.set_rack(id, if id == 2 { "here" } else { "there" })));
    cluster.create_topic("t", 6);
    cluster.create_topic("told", 1);
    cluster.refuse_codec(Codec::Snappy);
    let kafka = Kafka::connect(&sim, klamm::Config::new(cluster.bootstrap())).await.expect("the cluster answers");
    let section =
        set.iter().fold(ProducerConfig::new().set("client.rack", "here"), |c, (key, value)| c.set(key, value));
    let mut told = String::new();
    if set.iter().any(|(key, _)| *key == "transactional.id") {
        let mut producer = kafka.transactional_producer_with(section).await.expect("a good configuration");
        let transaction = producer.begin_transaction().expect("the first");
        transaction.send(Record::to("t").value("v")).await.expect("written");
        // Longer than some of its time limits.
        sim.sleep(Duration::from_secs(30)).await;
        told += &format!("{:?}", transaction.commit().await.map_err(|error| error.kind()));
    } else {
        let producer = kafka.producer_with(section).expect("a good configuration");
        let mut all = Vec::new();
        // Two that nobody waits for, then records with and without keys, more than little memory holds.
        for n in 0..2 {
            all.push(producer.send(Record::to("t").value(&[n; 9])));
        }
        sim.sleep(ms(100)).await;
        cluster.fault(Api::Produce).on_broker(1).times(3).delay_before_apply(ms(700));
        for n in 0..150u32 {
            let (key, value) = (n.to_be_bytes(), vec![(n % 7) as u8; 900]);
            let record = Record::to("t").value(&value);
            all.push(producer.send(if n % 2 == 0 { record.key(&key) } else { record }));
            if n % 10 == 0 {
                sim.sleep(ms(2)).await;
            }
        }
        sim.sleep(Duration::from_secs(2)).await;
        all.push(producer.send(Record::to("t").value(&vec![1; 300_000])));
        // A refusal that passes, one that does not, and silence.
        cluster.fault(Api::Produce).times(2).error(19);
        all.push(producer.send(Record::to("t").partition(0).value("again")));
        sim.sleep(Duration::from_secs(5)).await;
        cluster.fault(Api::Produce).times(1).error(87);
        for n in 0..4 {
            all.push(producer.send(Record::to("t").partition(0).value(&[n])));
            sim.sleep(ms(300)).await;
        }
        cluster.clear_faults();
        cluster.fault(Api::Produce).times(2).silence();
        all.push(producer.send(Record::to("t").partition(1).value("silence")));
        all.push(producer.send(Record::to("not there yet").value("v")));
        // Long enough for whatever is forgotten when nothing is sent.
        sim.sleep(Duration::from_secs(400)).await;
        for (n, delivery) in all.into_iter().enumerate() {
            if let Err(error) = delivery.await {
                told += &format!("{n} {:?} {} ", error.kind(), error.attempts());
            }
        }
        told += &format!("{:?}", producer.close().await.map_err(|error: Error| error.kind()));
    }
    let teller = kafka.producer().expect("the default");
    teller.send(Record::to("told").value(&told)).await.expect("written");
    kafka.close().await.expect("closed");
}

fn trace(set: &[Set]) -> u64 {
    let set = set.to_vec();
    klamm_sim::run_seed(11, &move |sim| application(sim, set.clone()))
}

/// A key and its value.
type Set = (&'static str, &'static str);

/// A key, a value that is not its default, and what has to be set beside it.
const CHANGES: &[(&str, &str, &[Set])] = &[
    ("acks", "1", &[]),
    ("linger.ms", "60", &[]),
    ("batch.size", "200", &[]),
    ("buffer.memory", "40000", &[]),
    ("queue.buffering.max.messages", "20", &[]),
    ("max.block.ms", "50", &[("buffer.memory", "40000")]),
    ("max.request.size", "200000", &[]),
    ("max.in.flight.requests.per.connection", "1", &[]),
    ("retries", "1", &[]),
    ("delivery.timeout.ms", "31000", &[]),
    ("enable.idempotence", "false", &[]),
    ("partitioner.ignore.keys", "true", &[]),
    ("partitioner.adaptive.partitioning.enable", "false", &[]),
    ("partitioner.rack.aware", "true", &[]),
    ("metadata.max.idle.ms", "5000", &[("max.block.ms", "3000")]),
    ("transactional.id", "b", &[("transactional.id", "a")]),
    ("transaction.timeout.ms", "5000", &[("transactional.id", "a")]),
    ("manual.flushing", "true", &[]),
    ("enable.gapless.guarantee", "true", &[]),
    ("compression.type", "gzip", &[]),
    ("compression.gzip.level", "1", &[("compression.type", "gzip")]),
    ("compression.zstd.level", "-50", &[("compression.type", "zstd")]),
    ("compression.level", "1", &[("compression.type", "gzip")]),
    ("compression.fallbacks", "gzip", &[("compression.type", "snappy")]),
    ("partitioner.class", "round_robin", &[]),
    // Keys of the connection that a producer may have for itself, and one that it shares with consumers.
    ("request.timeout.ms", "10000", &[]),
    ("retry.backoff.ms", "900", &[]),
    ("retry.backoff.max.ms", "40", &[("retry.backoff.ms", "40")]),
    ("client.rack", "nowhere", &[("partitioner.rack.aware", "true")]),
    ("allow.auto.create.topics", "false", &[]),
];

const ELSEWHERE: &[(&str, &str)] = &[
    ("transaction.two.phase.commit.enable", "behind a Cargo feature: `tests/two_phase.rs`"),
    ("partitioner.availability.timeout.ms", "needs a longer backlog than is quick here: the tests of `front::sticky`"),
    ("timestamp.precision", "the simulator has one clock; `FrontClock` has its own tests"),
    ("compression.lz4.level", "taken for the sake of copied files: klamm's lz4 has one level"),
    ("key.serializer", "compared with a typed topic's: `tests/typed.rs`"),
    ("value.serializer", "compared with a typed topic's: `tests/typed.rs`"),
    ("interceptor.classes", "names code of the application: `tests/interceptors.rs`, `core/src/config/reader.rs`"),
];

/// The keys of this part of the table that changed nothing.
fn without_effect(part: usize) -> Vec<&'static str> {
    let plain = trace(&[]);
    let mut same = Vec::new();
    for (key, value, beside) in CHANGES.iter().skip(part).step_by(4) {
        let before = if beside.is_empty() { plain } else { trace(beside) };
        let set: Vec<_> = beside.iter().copied().chain([(*key, *value)]).collect();
        if trace(&set) == before {
            same.push(*key);
        }
    }
    same
}

#[test]
fn pr_36_every_key_of_producers_changes_what_happens_part_1() {
    assert_eq!(trace(&[]), trace(&[]), "the same run twice");
    assert_eq!(without_effect(0), [""; 0]);
}

#[test]
fn pr_36_every_key_of_producers_changes_what_happens_part_2() {
    assert_eq!(without_effect(1), [""; 0]);
}

#[test]
fn pr_36_every_key_of_producers_changes_what_happens_part_3() {
    assert_eq!(without_effect(2), [""; 0]);
}

#[test]
fn pr_36_every_key_of_producers_changes_what_happens_part_4() {
    assert_eq!(without_effect(3), [""; 0]);
}

#[test]
fn pr_36_every_key_of_producers_is_in_one_of_the_tables() {
    let known: BTreeSet<_> = CHANGES.iter().map(|row| row.0).chain(ELSEWHERE.iter().map(|row| row.0)).collect();
    let supported = keys::all().filter(|key| key.section == Section::Producer && key.status == Status::Supported);
    let missing: Vec<_> = supported.map(|key| key.name).filter(|name| !known.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}
