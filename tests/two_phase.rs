//! Two-phase commit (KIP-939) end to end on an in-memory cluster, which keeps prepared transactions as the KIP has it, or
//! refuses to as Kafka up to 4.4 does.

use klamm::config::ProducerConfig;
use klamm::{
    Blocking, Config, ErrorKind, GroupMetadata, Kafka, Offsets, PreparedTxnState, Record, Transaction,
    TransactionalProducer,
};
use klamm_cluster::{Api, Cluster};
use std::time::{Duration, Instant};

/// Whether the coordinator keeps what is prepared.
const KEEPS: [bool; 2] = [true, false];

fn cluster(keeps: bool) -> Cluster {
    let cluster = Cluster::builder().brokers(3).two_phase_commit(keeps).start().unwrap();
    cluster.create_topic("t", 3);
    cluster
}

fn connect(cluster: &Cluster) -> Kafka {
    let config = Config::new(cluster.bootstrap())
        .set("retry.backoff.ms", 5)
        .set("retry.backoff.max.ms", 40)
        .set("reconnect.backoff.ms", 5)
        .set("max.block.ms", 20_000)
        .set("transaction.two.phase.commit.enable", true);
    Kafka::connect(Blocking, config).wait().unwrap()
}

fn fill(txn: &Transaction<'_>, name: &str) {
    for n in 0..3 {
        drop(txn.send(Record::to("t").partition(n).value(&format!("{name}-{n}"))));
    }
    drop(txn.send_offsets(Offsets::new().with(("t", 0), 7), &GroupMetadata::outside(name)));
}

fn prepare(producer: &mut TransactionalProducer, name: &str) -> PreparedTxnState {
    let txn = producer.begin_transaction().unwrap();
    fill(&txn, name);
    txn.prepare().wait().unwrap()
}

/// Which transactions are committed: markers are written after an EndTxn is answered.
fn expect(cluster: &Cluster, names: &[&str], context: &str) {
    let mut expected: Vec<_> = names.iter().flat_map(|name| (0..3).map(move |n| format!("{name}-{n}"))).collect();
    expected.sort();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let committed = cluster.committed_records("t").into_iter().map(|r| r.value.unwrap().to_vec());
        let mut committed: Vec<_> = committed.map(|value| String::from_utf8(value).unwrap()).collect();
        committed.sort();
        let positions = names.iter().all(|name| cluster.committed(name, "t", 0) == Some(7));
        if committed == expected && positions {
            return;
        }
        assert!(Instant::now() < deadline, "{context}: {committed:?} instead of {expected:?}, {positions}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_prepared_waits_for_the_decision_and_ends_by_it() {
    let cluster = cluster(true);
    let kafka = connect(&cluster);
    let mut producer = kafka.transactional_producer("id").wait().unwrap();
    let one = prepare(&mut producer, "one");
    assert_eq!(producer.prepared(), Some(one));
    assert_eq!(one.to_string().parse::<PreparedTxnState>().unwrap(), one);
    assert_eq!(producer.begin_transaction().unwrap_err().kind(), ErrorKind::Misuse, "it waits");
    expect(&cluster, &[], "prepared");
    producer.complete(&one).wait().unwrap();
    expect(&cluster, &["one"], "the one that was decided on");
    assert_eq!(producer.complete(&one).wait().unwrap_err().kind(), ErrorKind::Misuse, "it is over");
    let two = prepare(&mut producer, "two");
    assert_ne!(one, two, "each has a name of its own");
    producer.complete(&one).wait().unwrap();
    prepare(&mut producer, "three");
    producer.abort_prepared().wait().unwrap();
    prepare(&mut producer, "four");
    producer.commit_prepared().wait().unwrap();
    let txn = producer.begin_transaction().unwrap();
    fill(&txn, "five");
    txn.commit().wait().unwrap();
    producer.close().wait().unwrap();
    expect(&cluster, &["one", "four", "five"], "all");
    kafka.close().wait().unwrap();
}

#[test]
fn who_comes_after_a_crash_carries_the_decision_out() {
    for keeps in KEEPS {
        for decision in ["this one", "another", "none", "abort", "done"] {
            let context = format!("keeps {keeps}, {decision}");
            let cluster = cluster(keeps);
            let crashed = connect(&cluster);
            let mut old = crashed.transactional_producer("id").wait().unwrap();
            let txn = old.begin_transaction().unwrap();
            fill(&txn, "before");
            txn.commit().wait().unwrap();
            let state = prepare(&mut old, "prepared");
            let kafka = connect(&cluster);
            let mut new = kafka.keep_prepared("id").wait().unwrap_or_else(|e| panic!("{context}: {e:?}"));
            assert_eq!(new.prepared(), keeps.then_some(state), "{context}");
            assert_eq!(new.begin_transaction().unwrap_err().kind(), ErrorKind::Misuse, "{context}");
            expect(&cluster, &["before"], &context);
            let other = PreparedTxnState::new(state.producer_id(), state.epoch() - 1);
            let mut committed = vec!["before"];
            match decision {
                "this one" => new.complete(&state).wait().unwrap(),
                "another" => new.complete(&other).wait().unwrap(),
                "none" => new.complete(&PreparedTxnState::NONE).wait().unwrap(),
                "abort" => new.abort_prepared().wait().unwrap(),
                _ if keeps => new.commit_prepared().wait().unwrap(),
                _ => {
                    // The old one was only slow.
                    old.complete(&state).wait().unwrap();
                    new.complete(&state).wait().unwrap_or_else(|e| panic!("{context}: {e:?}"));
                }
            }
            if ["this one", "done"].contains(&decision) {
                committed.push("prepared");
            }
            let txn = new.begin_transaction().unwrap_or_else(|e| panic!("{context}: {e:?}"));
            fill(&txn, "after");
            txn.commit().wait().unwrap_or_else(|e| panic!("{context}: {e:?}"));
            committed.push("after");
            expect(&cluster, &committed, &context);
            if let Ok(txn) = old.begin_transaction() {
                fill(&txn, "zombie");
                assert!(txn.commit().wait().unwrap_err().is_fatal(), "{context}");
            }
            expect(&cluster, &committed, &context);
            drop(old);
            crashed.close().wait().unwrap();
            kafka.close().wait().unwrap();
        }
    }
}

#[test]
fn where_nothing_is_prepared_the_decision_costs_nothing() {
    for keeps in KEEPS {
        let cluster = cluster(keeps);
        let kafka = connect(&cluster);
        let mut producer = kafka.keep_prepared("id").wait().unwrap();
        assert_eq!(producer.prepared(), None);
        producer.complete(&PreparedTxnState::NONE).wait().unwrap();
        let state = prepare(&mut producer, "one");
        producer.complete(&state).wait().unwrap();
        expect(&cluster, &["one"], "one");
        kafka.close().wait().unwrap();
    }
}

#[test]
fn tx_04_a_completion_that_is_not_answered_leaves_the_transaction_prepared() {
    for keeps in KEEPS {
        let cluster = cluster(keeps);
        let kafka = connect(&cluster);
        let mut producer = kafka.transactional_producer("id").wait().unwrap();
        let state = prepare(&mut producer, "one");
        cluster.fault(Api::EndTxn).always().error(15);
        let error = producer.complete(&state).within(Duration::from_millis(200)).wait().unwrap_err();
        assert!(error.is_outcome_unknown() && error.kind() == ErrorKind::Timeout, "{error:?}");
        assert_eq!(producer.begin_transaction().unwrap_err().kind(), ErrorKind::Misuse);
        assert_eq!(producer.abort_prepared().wait().unwrap_err().kind(), ErrorKind::Misuse, "it was decided");
        expect(&cluster, &[], "still prepared");
        cluster.clear_faults();
        producer.complete(&state).wait().unwrap();
        expect(&cluster, &["one"], "once");
        kafka.close().wait().unwrap();
    }
}

#[test]
fn what_failed_cannot_be_prepared_and_a_lost_answer_does_not_matter() {
    for keeps in KEEPS {
        let cluster = cluster(keeps);
        let kafka = connect(&cluster);
        let mut producer = kafka.transactional_producer("id").wait().unwrap();
        cluster.fault(Api::Produce).error(87);
        let txn = producer.begin_transaction().unwrap();
        fill(&txn, "refused");
        let error = txn.prepare().wait().unwrap_err();
        assert!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "{error:?}");
        let state = prepare(&mut producer, "one");
        cluster.fault(Api::EndTxn).disconnect_after_apply();
        producer.complete(&state).wait().unwrap();
        let state = prepare(&mut producer, "two");
        drop(producer);
        let mut producer = kafka.keep_prepared("id").wait().unwrap();
        cluster.fault(Api::EndTxn).disconnect_after_apply();
        producer.complete(&state).wait().unwrap();
        let txn = producer.begin_transaction().unwrap();
        fill(&txn, "three");
        txn.commit().wait().unwrap();
        expect(&cluster, &["one", "two", "three"], "each once");
        kafka.close().wait().unwrap();
    }
}

#[test]
fn a_prepared_transaction_outlives_its_producer_and_never_times_out() {
    let cluster = cluster(true);
    let kafka = connect(&cluster);
    let mut producer = kafka.transactional_producer("id").wait().unwrap();
    // INVALID_TXN_STATE of an abort makes it ask for another epoch: that one comes without a time-out, too.
    let txn = producer.begin_transaction().unwrap();
    fill(&txn, "aborted");
    txn.flush().wait().unwrap();
    cluster.fault(Api::EndTxn).error(48);
    txn.abort().wait().unwrap();
    let state = prepare(&mut producer, "one");
    let told = cluster.with(|brokers, _| (brokers.transaction("id"), brokers.transaction_timeout("id")));
    assert_eq!(told.0.map(|(state, ..)| state), Some("Ongoing"));
    assert_eq!(told.1, Some(Duration::from_millis(i32::MAX as u64)), "Kafka's word for none");
    producer.close().wait().unwrap();
    kafka.close().wait().unwrap();
    let kafka = connect(&cluster);
    let mut producer = kafka.keep_prepared("id").wait().unwrap();
    producer.complete(&state).wait().unwrap();
    expect(&cluster, &["one"], "after a close");
    kafka.close().wait().unwrap();
}

#[test]
fn what_the_cluster_or_the_configuration_does_not_allow_is_told() {
    let cluster = cluster(true);
    let kafka = connect(&cluster);
    let section = || ProducerConfig::new().transactional_id("id");
    let off = || section().set("transaction.two.phase.commit.enable", false);
    let mut producer = kafka.transactional_producer_with(off()).wait().unwrap();
    let error = producer.begin_transaction().unwrap().prepare().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse, "{error:?}");
    producer.begin_transaction().unwrap().commit().wait().unwrap();
    assert_eq!(kafka.keep_prepared_with(off()).wait().unwrap_err().kind(), ErrorKind::Config);
    let timed = section().set("transaction.timeout.ms", 1000);
    assert_eq!(kafka.transactional_producer_with(timed).wait().unwrap_err().kind(), ErrorKind::Config);
    kafka.close().wait().unwrap();

    // Brokers that hide the unstable version, that do not allow it, and that speak the first protocol.
    let plain = Cluster::with_brokers(1).unwrap();
    let kafka = connect(&plain);
    let error = kafka.transactional_producer("id").wait().unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains("unstable.api.versions.enable"), "{error}");
    kafka.close().wait().unwrap();
    let forbidden = Cluster::builder().settings(|s| s.unstable_versions = true).start().unwrap();
    let kafka = connect(&forbidden);
    let error = kafka.transactional_producer("id").wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authorization, "{error:?}");
    kafka.close().wait().unwrap();
    let first = Cluster::builder().transaction_version(1).two_phase_commit(true).start().unwrap();
    first.create_topic("t", 3);
    let kafka = connect(&first);
    let mut producer = kafka.transactional_producer("id").wait().unwrap();
    let txn = producer.begin_transaction().unwrap();
    fill(&txn, "one");
    let error = txn.prepare().wait().unwrap_err();
    assert!(error.kind() == ErrorKind::Aborted && !error.is_retriable(), "{error:?}");
    assert!(error.to_string().contains("transaction.version"), "{error}");
    expect(&first, &[], "aborted");
    kafka.close().wait().unwrap();
}
