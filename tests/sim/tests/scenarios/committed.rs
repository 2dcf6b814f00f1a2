//! 2.5: what a reader of committed records sees. (RC-10 is among those of consumers.)

use crate::rig::*;
use klamm::config::IsolationLevel;
use klamm::{Consumer, Kafka, Record, Transaction, TransactionalProducer};
use klamm_sim::Sim;

const COMMITTED: IsolationLevel = IsolationLevel::ReadCommitted;

async fn put(txn: &Transaction<'_>, values: &[&str]) {
    for value in values {
        txn.send(Record::to("t").partition(0).value(*value)).await.expect("written");
    }
}

/// A client, two producers and a topic of one partition.
async fn two(sim: &Sim) -> (Kafka, TransactionalProducer, TransactionalProducer) {
    sim.cluster().create_topic("t", 1);
    let kafka = kafka(sim).await;
    let (one, other) = (transactional(&kafka, "one").await, transactional(&kafka, "other").await);
    (kafka, one, other)
}

/// What a reader of this isolation gets in all.
async fn all(sim: &Sim, kafka: &Kafka, isolation: IsolationLevel, wanted: usize) -> Vec<String> {
    let mut reader = standalone(kafka, "t", 1, |c| c.isolation_level(isolation));
    rest_of(sim, &mut reader, wanted).await
}

async fn rest_of(sim: &Sim, reader: &mut Consumer, wanted: usize) -> Vec<String> {
    let mut rows = read(sim, reader, wanted).await;
    // Nothing more may come.
    rows.extend(reader.poll(ms(1_500)).await.expect("nothing is wrong").iter().flat_map(rows_of));
    rows.into_iter().map(|(.., value)| value).collect()
}

fn rows_of(batch: &klamm::Batch) -> Vec<(i32, i64, String)> {
    rows(batch)
}

#[test]
fn rc_01_the_commit_of_another_does_not_end_an_abort() {
    scenario(|sim| async move {
        let (kafka, mut one, mut other) = two(&sim).await;
        let (bad, good) = (one.begin_transaction().expect("begins"), other.begin_transaction().expect("begins"));
        put(&bad, &["bad-0"]).await;
        put(&good, &["good-0"]).await;
        good.commit().await.expect("committed");
        put(&bad, &["bad-1", "bad-2"]).await;
        bad.abort().await.expect("aborted");
        settled(&sim, "t").await;
        assert_eq!(all(&sim, &kafka, COMMITTED, 1).await, ["good-0"]);
    });
}

#[test]
fn rc_02_one_abort_does_not_take_the_records_of_another_transaction() {
    scenario(|sim| async move {
        let (kafka, mut one, mut other) = two(&sim).await;
        for n in 0..6 {
            let (name, producer) = if n % 2 == 0 { ("one", &mut one) } else { ("other", &mut other) };
            let txn = producer.begin_transaction().expect("begins");
            put(&txn, &[&format!("{name}-{n}")]).await;
            if n % 3 == 0 { txn.abort().await } else { txn.commit().await }.expect("it ends");
            settled(&sim, "t").await;
        }
        assert_eq!(all(&sim, &kafka, COMMITTED, 4).await, ["other-1", "one-2", "one-4", "other-5"]);
    });
}

#[test]
fn rc_03_compressed_batches_are_filtered_too() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let codec = ["gzip", "snappy", "lz4", "zstd"][usize::try_from(sim.seed() % 4).unwrap()];
        let section = klamm::ProducerConfig::new().transactional_id("one").set("compression.type", codec);
        let mut producer = kafka.transactional_producer_with(section).await.expect("the coordinator answers");
        for (n, value) in values("a", 6).iter().enumerate() {
            let txn = producer.begin_transaction().expect("begins");
            put(&txn, &[value, value]).await;
            if n % 2 == 0 { txn.abort().await } else { txn.commit().await }.expect("it ends");
        }
        settled(&sim, "t").await;
        assert_eq!(all(&sim, &kafka, COMMITTED, 6).await, ["a-1", "a-1", "a-3", "a-3", "a-5", "a-5"]);
    });
}

#[test]
fn rc_04_a_reader_gets_past_any_amount_of_aborted_records() {
    scenario(|sim| async move {
        let (kafka, mut one, mut other) = two(&sim).await;
        let txn = one.begin_transaction().expect("begins");
        for _ in 0..12 {
            put(&txn, &[&"x".repeat(400)]).await;
        }
        txn.abort().await.expect("aborted");
        let txn = other.begin_transaction().expect("begins");
        put(&txn, &["good"]).await;
        txn.commit().await.expect("committed");
        settled(&sim, "t").await;
        let mut reader =
            standalone(&kafka, "t", 1, |c| c.isolation_level(COMMITTED).set("max.partition.fetch.bytes", 500));
        assert_eq!(rest_of(&sim, &mut reader, 1).await, ["good"]);
    });
}

#[test]
fn rc_05_aborted_transactions_that_overlap_are_all_left_out() {
    scenario(|sim| async move {
        let (kafka, mut one, mut other) = two(&sim).await;
        let mut third = transactional(&kafka, "third").await;
        for _ in 0..3 {
            let (a, b) = (one.begin_transaction().expect("begins"), other.begin_transaction().expect("begins"));
            put(&a, &["bad"]).await;
            put(&b, &["bad"]).await;
            let c = third.begin_transaction().expect("begins");
            put(&c, &["good"]).await;
            // Their markers come in the other order.
            b.abort().await.expect("aborted");
            put(&a, &["bad"]).await;
            c.commit().await.expect("committed");
            a.abort().await.expect("aborted");
        }
        settled(&sim, "t").await;
        assert_eq!(all(&sim, &kafka, COMMITTED, 3).await, ["good"; 3]);
    });
}

#[test]
fn rc_06_who_reads_uncommitted_records_gets_all_of_them() {
    scenario(|sim| async move {
        let (kafka, mut one, mut other) = two(&sim).await;
        let (a, b) = (one.begin_transaction().expect("begins"), other.begin_transaction().expect("begins"));
        put(&a, &["aborted"]).await;
        put(&b, &["open"]).await;
        a.abort().await.expect("aborted");
        let got = all(&sim, &kafka, IsolationLevel::ReadUncommitted, 2).await;
        assert_eq!(got, ["aborted", "open"]);
    });
}

#[test]
fn rc_07_the_end_and_the_lag_are_those_of_what_is_stable() {
    scenario(|sim| async move {
        let (kafka, mut one, mut other) = two(&sim).await;
        let txn = other.begin_transaction().expect("begins");
        put(&txn, &["good"]).await;
        txn.commit().await.expect("committed");
        settled(&sim, "t").await;
        let open = one.begin_transaction().expect("begins");
        put(&open, &["open", "open", "open"]).await;
        let mut reader = standalone(&kafka, "t", 1, |c| c.isolation_level(COMMITTED));
        assert_eq!(rest_of(&sim, &mut reader, 1).await, ["good"]);
        let stable = sim.cluster().with(|b, _| b.last_stable_offset("t", 0));
        let end = reader.end_offsets([("t", 0)]).await.expect("the leader answers");
        assert_eq!((end.get(&("t", 0).into()).copied(), stable), (stable, Some(2)));
        assert_eq!(reader.current_lag(("t", 0)), Some(0), "what is open is no lag");
    });
}

#[test]
fn rc_08_the_position_moves_past_markers_and_is_committed_there() {
    scenario(|sim| async move {
        let (kafka, mut one, _other) = two(&sim).await;
        for n in 0..3 {
            let txn = one.begin_transaction().expect("begins");
            put(&txn, &[&format!("a-{n}")]).await;
            if n == 1 { txn.abort().await } else { txn.commit().await }.expect("it ends");
        }
        settled(&sim, "t").await;
        let end = sim.cluster().with(|b, _| b.offsets("t", 0)).map(|(.., end)| end);
        let mut reader = member(&kafka, "t", |c| c.isolation_level(COMMITTED));
        let mut got = read(&sim, &mut reader, 2).await;
        // A poll that brings nothing takes the last marker.
        for _ in 0..3 {
            got.extend(reader.poll(ms(800)).await.expect("nothing is wrong").iter().flat_map(rows_of));
        }
        assert_eq!(got.len(), 2, "{got:?}");
        reader.close().await.expect("it leaves");
        assert_eq!((committed(&sim, "t", 0), end), (end, Some(6)));
    });
}

#[test]
fn rc_09_a_member_waits_for_offsets_that_are_still_open() {
    scenario(|sim| async move {
        let (kafka, mut one, mut other) = two(&sim).await;
        let txn = other.begin_transaction().expect("begins");
        put(&txn, &["a", "b", "c"]).await;
        txn.commit().await.expect("committed");
        settled(&sim, "t").await;
        sim.cluster().create_topic("out", 1);
        let mut first = member(&kafka, "t", |c| c.isolation_level(COMMITTED).set("enable.auto.commit", false));
        let batch = loop {
            match first.poll(ms(500)).await.expect("nothing is wrong") {
                Some(batch) if !batch.is_empty() => break batch,
                _ => assert!(sim.elapsed() < ms(60_000), "nothing is handed out"),
            }
        };
        let group = batch.group_metadata().expect("it is a member");
        let txn = one.begin_transaction().expect("begins");
        txn.send(Record::to("out").value("x")).await.expect("written");
        txn.send_offsets(&batch, &group).await.expect("taken");
        drop(batch);
        first.close().await.expect("it leaves");
        let mut second = member(&kafka, "t", |c| c.isolation_level(COMMITTED));
        for _ in 0..8 {
            let got = second.poll(ms(500)).await.expect("nothing is wrong").map_or(0, |batch| batch.len());
            assert_eq!(got, 0, "whether these are done is not decided");
        }
        let commits = sim.seed() % 4 < 2;
        if commits { txn.commit().await } else { txn.abort().await }.expect("it ends");
        let got = rest_of(&sim, &mut second, if commits { 0 } else { 3 }).await;
        assert_eq!(got.len(), if commits { 0 } else { 3 }, "{got:?}");
    });
}
