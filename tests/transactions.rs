//! Transactions end to end on an in-memory cluster, under faults.

use klamm::config::ProducerConfig;
use klamm::{
    Blocking, Config, ErrorKind, GroupMetadata, Kafka, Offsets, Outcome, Record, Transaction, TransactionalProducer,
};
use klamm_cluster::{Api, Cluster};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const VERSIONS: [i16; 2] = [1, 2];

/// The seeds of the brokers' faults: four, or `KLAMM_TRANSACTION_SEEDS=from..to`.
fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("KLAMM_TRANSACTION_SEEDS").ok();
    let range = given.as_deref().and_then(|range| range.split_once(".."));
    match range.map(|(from, to)| (from.parse(), to.parse())) {
        Some((Ok(from), Ok(to))) => from..to,
        _ => 0..4,
    }
}

fn cluster(version: i16, seed: u64) -> Cluster {
    let cluster = Cluster::builder().brokers(3).seed(seed).transaction_version(version).start().unwrap();
    cluster.create_topic("t", 3);
    cluster
}

fn connect(cluster: &Cluster) -> Kafka {
    let config = Config::new(cluster.bootstrap())
        .set("retry.backoff.ms", 5)
        .set("retry.backoff.max.ms", 40)
        .set("reconnect.backoff.ms", 5)
        .set("reconnect.backoff.max.ms", 40)
        .set("auto.offset.reset", "earliest")
        .set("max.block.ms", 20_000);
    Kafka::connect(Blocking, config).wait().unwrap()
}

fn producer(kafka: &Kafka) -> TransactionalProducer {
    kafka.transactional_producer("id").wait().unwrap()
}

fn fill(txn: &Transaction<'_>, values: &[String]) {
    for (n, value) in (0..).zip(values) {
        drop(txn.send(Record::to("t").partition(n % 3).value(value)));
    }
}

fn committed(cluster: &Cluster) -> Vec<String> {
    let mut all: Vec<_> = cluster
        .committed_records("t")
        .iter()
        .map(|record| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap())
        .collect();
    all.sort();
    all
}

/// Markers are written after an EndTxn is answered.
fn expect(cluster: &Cluster, expected: &[String], context: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut expected = expected.to_vec();
    expected.sort();
    while committed(cluster) != expected {
        assert!(Instant::now() < deadline, "{context}: {:?} instead of {expected:?}", committed(cluster));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The faults that a transaction must survive, one request in so many.
fn trouble(cluster: &Cluster, one_in: u64) {
    let apis = [
        Api::Produce,
        Api::InitProducerId,
        Api::AddPartitionsToTxn,
        Api::AddOffsetsToTxn,
        Api::TxnOffsetCommit,
        Api::EndTxn,
        Api::FindCoordinator,
    ];
    for api in apis {
        cluster.fault(api).always().one_in(one_in).disconnect();
        cluster.fault(api).always().one_in(one_in).disconnect_after_apply();
    }
    for api in apis.into_iter().filter(|api| !matches!(api, Api::Produce)) {
        cluster.fault(api).always().one_in(one_in).error(15);
        cluster.fault(api).always().one_in(2 * one_in).error(14);
    }
    for api in [Api::AddPartitionsToTxn, Api::AddOffsetsToTxn, Api::EndTxn, Api::InitProducerId, Api::Produce] {
        cluster.fault(api).always().one_in(one_in).error(51);
    }
    cluster.fault(Api::TxnOffsetCommit).always().one_in(one_in).error(16);
    cluster.fault(Api::EndTxn).always().one_in(one_in).error_after_apply(-1);
}

#[test]
fn under_lost_answers_and_passing_errors_each_transaction_is_there_once_or_not_at_all() {
    for version in VERSIONS {
        for seed in seeds() {
            let cluster = cluster(version, seed);
            let kafka = connect(&cluster);
            let mut producer = producer(&kafka);
            let group = GroupMetadata::outside("g");
            trouble(&cluster, 7);
            let (mut expected, mut position) = (Vec::new(), None);
            for round in 0..25 {
                let context = format!("version {version}, seed {seed}, round {round}");
                let values: Vec<_> = (0..1 + round % 5).map(|n| format!("{round:03}-{n}")).collect();
                let txn = producer.begin_transaction().unwrap_or_else(|e| panic!("{context}: {e:?}"));
                fill(&txn, &values);
                if round % 2 == 0 {
                    drop(txn.send_offsets(Offsets::new().with(("t", 0), round), &group));
                }
                match round % 4 {
                    0 | 1 => {
                        txn.commit().wait().unwrap_or_else(|e| panic!("{context}: {e:?}"));
                        expected.extend(values);
                        position = if round % 2 == 0 { Some(round) } else { position };
                    }
                    2 => txn.abort().wait().unwrap_or_else(|e| panic!("{context}: {e:?}")),
                    _ => drop(txn),
                }
            }
            cluster.clear_faults();
            producer.close().wait().unwrap();
            expect(&cluster, &expected, &format!("version {version}, seed {seed}"));
            let deadline = Instant::now() + Duration::from_secs(10);
            while cluster.committed("g", "t", 0) != position && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(cluster.committed("g", "t", 0), position, "version {version}, seed {seed}");
            kafka.close().wait().unwrap();
        }
    }
}

#[test]
fn a_commit_of_unknown_outcome_is_resumed() {
    for version in VERSIONS {
        let cluster = cluster(version, 1);
        let kafka = connect(&cluster);
        let mut producer = producer(&kafka);
        cluster.fault(Api::EndTxn).always().error(15);
        let txn = producer.begin_transaction().unwrap();
        fill(&txn, &["one".into()]);
        let error = txn.commit().within(Duration::from_millis(400)).wait().unwrap_err();
        assert!(error.is_outcome_unknown() && error.kind() == ErrorKind::Timeout, "{error:?}");
        assert!(producer.begin_transaction().unwrap_err().is_outcome_unknown());
        let again = producer.resume_commit().within(Duration::from_millis(50)).wait().unwrap_err();
        assert!(again.is_outcome_unknown());
        cluster.clear_faults();
        producer.resume_commit().wait().unwrap();
        assert_eq!(producer.resume_commit().wait().unwrap_err().kind(), ErrorKind::Misuse);
        let txn = producer.begin_transaction().unwrap();
        fill(&txn, &["two".into()]);
        txn.commit().wait().unwrap();
        expect(&cluster, &["one".into(), "two".into()], "both");
        kafka.close().wait().unwrap();
    }
}

#[test]
fn a_transaction_that_lasts_too_long_is_aborted_and_the_second_protocol_goes_on() {
    for version in VERSIONS {
        let cluster = cluster(version, 1);
        let kafka = connect(&cluster);
        let section = ProducerConfig::new().set("transactional.id", "id").set("transaction.timeout.ms", 200);
        let mut producer = kafka.transactional_producer_with(section).wait().unwrap();
        let txn = producer.begin_transaction().unwrap();
        fill(&txn, &["late".into()]);
        txn.flush().wait().unwrap();
        std::thread::sleep(Duration::from_millis(800));
        let error = txn.commit().wait().unwrap_err();
        if version == 1 {
            assert!(error.is_fatal() && error.kind() == ErrorKind::Fenced, "{error:?}");
            assert!(producer.begin_transaction().unwrap_err().is_fatal());
        } else {
            assert!(!error.is_fatal() && error.kind() == ErrorKind::Aborted, "{error:?}");
            let txn = producer.begin_transaction().unwrap();
            fill(&txn, &["in time".into()]);
            txn.commit().wait().unwrap();
            expect(&cluster, &["in time".into()], "after a time-out");
        }
        kafka.close().wait().unwrap();
    }
}

#[test]
fn what_a_broker_refuses_costs_its_transaction_only() {
    // MESSAGE_TOO_LARGE for a single record, INVALID_RECORD, out of sequence, TRANSACTION_ABORTABLE, an old epoch.
    for (version, code) in VERSIONS.into_iter().flat_map(|v| [10, 87, 45, 120, 47].map(|code| (v, code))) {
        let cluster = cluster(version, 1);
        let kafka = connect(&cluster);
        let mut producer = producer(&kafka);
        let txn = producer.begin_transaction().unwrap();
        fill(&txn, &["a".into(), "b".into(), "c".into()]);
        txn.flush().wait().unwrap();
        cluster.fault(Api::Produce).error(code);
        let refused = txn.send(Record::to("t").partition(1).value("refused")).wait().unwrap_err();
        assert!(refused.requires_abort() && !refused.is_fatal(), "version {version}, code {code}: {refused:?}");
        let error = txn.commit().wait().unwrap_err();
        assert!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "version {version}, code {code}: {error:?}");
        let txn = producer.begin_transaction().unwrap();
        fill(&txn, &["d".into(), "e".into(), "f".into()]);
        txn.commit().wait().unwrap_or_else(|e| panic!("version {version}, code {code}: {e:?}"));
        expect(&cluster, &["d".into(), "e".into(), "f".into()], &format!("version {version}, code {code}"));
        kafka.close().wait().unwrap();
    }
}

#[test]
fn what_nobody_waits_for_happens_all_the_same_and_in_order() {
    for version in VERSIONS {
        let cluster = cluster(version, 1);
        let kafka = connect(&cluster);
        let mut producer = producer(&kafka);
        let mut expected = Vec::new();
        for n in 0..20 {
            let txn = loop {
                // Only so many may end at once.
                match producer.begin_transaction() {
                    Ok(txn) => break txn,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::BufferFull, "{error:?}"),
                }
                std::thread::sleep(Duration::from_millis(2));
            };
            let values = [format!("{n:02}-a"), format!("{n:02}-b")];
            fill(&txn, &values);
            if n % 3 == 0 {
                drop(txn.abort());
            } else {
                drop(txn.commit());
                expected.extend(values);
            }
        }
        producer.close().wait().unwrap();
        expect(&cluster, &expected, &format!("version {version}"));
        kafka.close().wait().unwrap();
    }
}

#[test]
fn a_client_that_closes_aborts_what_is_open() {
    let cluster = cluster(2, 1);
    let kafka = connect(&cluster);
    let mut producer = producer(&kafka);
    let txn = producer.begin_transaction().unwrap();
    fill(&txn, &["open".into()]);
    txn.flush().wait().unwrap();
    kafka.close().wait().unwrap();
    assert!(txn.commit().wait().is_err());
    assert!(producer.begin_transaction().is_err());
    expect(&cluster, &[], "aborted");
}

#[test]
fn a_producer_with_a_transactional_id_sends_in_transactions_only() {
    let cluster = cluster(2, 1);
    let kafka = connect(&cluster);
    let error = kafka.producer_with(ProducerConfig::new().transactional_id("id")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let error = kafka.transactional_producer_with(ProducerConfig::new()).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    kafka.close().wait().unwrap();
}

#[test]
fn a_loop_copies_each_record_once_under_faults_and_refusals() {
    for version in VERSIONS {
        let cluster = cluster(version, 3);
        cluster.create_topic("from", 3);
        let kafka = connect(&cluster);
        let plain = kafka.producer().unwrap();
        let sent: Vec<String> = (0..60).map(|n| format!("{n:02}")).collect();
        for (n, value) in (0..).zip(&sent) {
            plain.send(Record::to("from").partition(n % 3).value(value)).wait().unwrap();
        }
        trouble(&cluster, 9);
        cluster.fault(Api::Produce).after(3).always().one_in(6).error(120);
        let mut eos = kafka.exactly_once("copies", "id").wait().unwrap();
        eos.subscribe(["from"]).unwrap();
        let (mut copied, mut aborted, mut turn) = (0, 0, 0);
        let deadline = Instant::now() + Duration::from_secs(60);
        while copied < sent.len() {
            assert!(Instant::now() < deadline, "version {version}: {copied} copied, {aborted} aborted");
            let step = eos.poll(Duration::from_millis(50)).wait().unwrap().unwrap();
            let count = step.batch().len();
            for record in step.batch() {
                drop(step.send(record.forward_to("t")));
            }
            turn += usize::from(count > 0);
            if count > 0 && turn % 4 == 0 {
                aborted += 1;
                continue; // dropped
            }
            match step.commit().wait().unwrap() {
                Outcome::Committed => copied += count,
                _ => aborted += 1,
            }
        }
        cluster.clear_faults();
        eos.close().wait().unwrap();
        expect(&cluster, &sent, &format!("version {version}, {aborted} aborted"));
        let all: BTreeSet<_> = committed(&cluster).into_iter().collect();
        assert_eq!(all.len(), sent.len());
        kafka.close().wait().unwrap();
    }
}

#[test]
fn what_lingers_does_not_hold_up_the_end_of_a_lost_transaction() {
    for version in VERSIONS {
        let cluster = cluster(version, 1);
        let kafka = connect(&cluster);
        let config = ProducerConfig::new().transactional_id("id").set("linger.ms", 60_000);
        let mut producer = kafka.transactional_producer_with(config).wait().unwrap();
        cluster.fault(Api::TxnOffsetCommit).error(25);
        let txn = producer.begin_transaction().unwrap();
        txn.send(Record::to("t").partition(0).value("lost")).queued().wait().unwrap();
        txn.send_offsets(Offsets::new().with(("t", 0), 1), &GroupMetadata::outside("g")).wait().unwrap_err();
        let begun = Instant::now();
        assert_eq!(txn.commit().wait().unwrap_err().kind(), ErrorKind::Aborted, "version {version}");
        assert!(begun.elapsed() < Duration::from_secs(20), "version {version}");
        let txn = producer.begin_transaction().unwrap();
        fill(&txn, &["found".to_owned()]);
        txn.commit().wait().unwrap();
        expect(&cluster, &["found".to_owned()], "after it");
    }
}

/// A batch that fails costs a new epoch, or in the second protocol every transaction does: behind the last one comes another
/// producer id, and nothing is lost or written twice.
#[test]
fn id_07_behind_the_last_epoch_comes_another_producer_id() {
    for version in VERSIONS {
        let cluster = Cluster::builder().brokers(3).transaction_version(version).first_epoch(32_762).start().unwrap();
        cluster.create_topic("t", 3);
        let kafka = connect(&cluster);
        let mut producer = producer(&kafka);
        let mut expected = Vec::new();
        for round in 0..12 {
            let context = format!("version {version}, round {round}");
            let txn = producer.begin_transaction().unwrap_or_else(|e| panic!("{context}: {e:?}"));
            let values: Vec<_> = (0..3).map(|n| format!("{round:02}-{n}")).collect();
            fill(&txn, &values);
            if round % 2 == 0 {
                txn.commit().wait().unwrap_or_else(|e| panic!("{context}: {e:?}"));
                expected.extend(values);
            } else {
                txn.flush().wait().unwrap();
                cluster.fault(Api::Produce).error(87);
                txn.send(Record::to("t").partition(0).value("refused")).wait().unwrap_err();
                assert_eq!(txn.commit().wait().unwrap_err().kind(), ErrorKind::Aborted, "{context}");
            }
        }
        producer.close().wait().unwrap();
        expect(&cluster, &expected, &format!("version {version}"));
        let stamps: BTreeSet<_> =
            cluster.records("t").iter().map(|record| (record.producer_id, record.producer_epoch)).collect();
        let ids: BTreeSet<_> = stamps.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 2, "version {version}: {stamps:?}");
        assert!(stamps.iter().all(|(_, epoch)| (0..i16::MAX).contains(epoch)), "version {version}: {stamps:?}");
        assert!(stamps.iter().any(|(_, epoch)| *epoch == i16::MAX - 1), "version {version}: {stamps:?}");
        assert!(stamps.iter().any(|(_, epoch)| *epoch == 0), "version {version}: {stamps:?}");
        kafka.close().wait().unwrap();
    }
}

#[test]
fn id_07_an_idempotent_producer_asks_for_another_id_behind_its_last_epoch() {
    let cluster = Cluster::builder().first_epoch(i16::MAX - 2).start().unwrap();
    cluster.create_topic("t", 1);
    let kafka = connect(&cluster);
    let producer = kafka.producer().unwrap();
    let mut expected = Vec::new();
    for round in 0..6 {
        for n in 0..2 {
            let value = format!("{round}-{n}");
            producer.send(Record::to("t").value(&value)).wait().unwrap();
            expected.push(value);
        }
        cluster.fault(Api::Produce).error(87);
        producer.send(Record::to("t").value("refused")).wait().unwrap_err();
    }
    expect(&cluster, &expected, "idempotent");
    let mut stamps: Vec<_> = cluster.records("t").iter().map(|r| (r.producer_id, r.producer_epoch)).collect();
    stamps.dedup();
    let (first, last) = (stamps[0], stamps[stamps.len() - 1]);
    assert_eq!(stamps.iter().filter(|s| s.0 == first.0).map(|s| s.1).collect::<Vec<_>>(), [32_765, 32_766, 32_767]);
    assert!(last.0 != first.0 && stamps.len() == 6, "{stamps:?}");
    kafka.close().wait().unwrap();
}

#[test]
fn nobody_waits_for_ever_for_a_coordinator_that_is_gone() {
    let cluster = cluster(2, 1);
    let kafka = connect(&cluster);
    let section = || ProducerConfig::new().transactional_id("id").set("max.block.ms", 400);
    let mut producer = kafka.transactional_producer_with(section()).wait().unwrap();
    let txn = producer.begin_transaction().unwrap();
    fill(&txn, &["one".into()]);
    txn.flush().wait().unwrap();
    cluster.fault(Api::EndTxn).always().error(15);
    let commit = txn.commit();
    let begun = Instant::now();
    let closed = producer.close().wait();
    assert!(begun.elapsed() >= Duration::from_millis(390) && begun.elapsed() < Duration::from_secs(10), "{closed:?}");
    assert!(commit.wait().unwrap_err().is_outcome_unknown());
    kafka.close().within(Duration::from_secs(1)).wait().unwrap();
}

#[test]
fn positions_in_a_topic_do_not_become_those_of_one_that_took_its_name() {
    let cluster = cluster(2, 1);
    cluster.create_topic("from", 1);
    let kafka = connect(&cluster);
    let mut producer = producer(&kafka);
    let group = GroupMetadata::outside("g");
    producer.partitions_for("from").wait().unwrap();
    let input = producer.topic("from");
    let txn = producer.begin_transaction().unwrap();
    txn.send(Record::to(&input).value("known")).wait().unwrap();
    cluster.recreate_topic("from");
    let error = txn.send_offsets(Offsets::new().with(("from", 0), 5), &group).wait().unwrap_err();
    assert!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "{error:?}");
    assert!(error.to_string().contains("UNKNOWN_TOPIC_ID"), "{error}");
    txn.abort().wait().unwrap();
    assert_eq!(cluster.committed("g", "from", 0), None);
    kafka.close().wait().unwrap();
}
