//! Transactions whose futures are dropped: what began goes on, and the next one finds what the documentation says.

use super::{Cut, cases};
use crate::rig::*;
use crate::transactions::{commit_one, input, start, start_with};
use klamm::serdes::{Raw, Utf8};
use klamm::{ErrorKind, ProducerConfig, Record, Transaction, TypedTopic};
use klamm_sim::Sim;
use std::future::IntoFuture;

/// The first transaction is committed although `act` on it was dropped, the second after it.
async fn in_one<F: IntoFuture>(sim: Sim, cut: Cut, wanted: &[&str], act: impl FnOnce(&Transaction<'_>) -> F) {
    let (_kafka, mut producer) = start(&sim, 3).await;
    let txn = producer.begin_transaction().expect("it begins");
    cut.off(act(&txn)).await;
    within(&sim, ms(60_000), txn.commit()).await.expect("it hangs").expect("committed");
    within(&sim, ms(60_000), commit_one(&mut producer, "z")).await.expect("it hangs").expect("committed");
    assert_eq!(settled(&sim, "t").await, [wanted, &["z"]].concat());
    assert_eq!(producer.buffered(), klamm::Buffered::default());
}

/// One transaction ends as `end` says, which is dropped; the next one is committed.
async fn ended(sim: Sim, cut: Cut, commit: bool, wanted: &[&str]) {
    let (_kafka, mut producer) = start(&sim, 3).await;
    let txn = producer.begin_transaction().expect("it begins");
    drop(txn.send(Record::to("t").value("a")));
    cut.off(if commit { txn.commit() } else { txn.abort() }).await;
    within(&sim, ms(60_000), commit_one(&mut producer, "z")).await.expect("it hangs").expect("committed");
    assert_eq!(settled(&sim, "t").await, wanted);
}

fn section() -> ProducerConfig {
    ProducerConfig::new().transactional_id("id")
}

cases! {
    init: ["Kafka::transactional_producer"] = |sim, cut| initiated(sim, cut, false);
    init_with: ["Kafka::transactional_producer_with"] = |sim, cut| initiated(sim, cut, true);
    send: ["Transaction::send"] = |sim, cut| in_one(sim, cut, &["a"], |t| t.send(Record::to("t").value("a")));
    try_send: ["Transaction::try_send"] = |sim, cut| async move {
        let (_kafka, mut producer) = start(&sim, 3).await;
        producer.topic("t").ready().await.expect("it exists");
        let txn = producer.begin_transaction().expect("it begins");
        cut.off(txn.try_send(Record::to("t").value("a")).expect("there is room")).await;
        txn.commit().await.expect("committed");
        assert_eq!(settled(&sim, "t").await, ["a"]);
    };
    send_batch: ["Transaction::send_batch"] = |sim, cut| in_one(sim, cut, &["a", "b"], |t| {
        t.send_batch(["a", "b"].map(|value| Record::to("t").value(value)))
    });
    send_typed: ["Transaction::send_typed"] = |sim, cut| in_one(sim, cut, &["a"], |t| {
        t.send_typed(&TypedTopic::new("t", Utf8, Raw), Some("key"), Some(b"a".as_slice()))
    });
    flush: ["Transaction::flush"] = |sim, cut| in_one(sim, cut, &["a"], |t| {
        drop(t.send(Record::to("t").value("a")));
        t.flush()
    });
    send_offsets: ["Transaction::send_offsets"] = |sim, cut| async move {
        let (kafka, mut producer) = start(&sim, 3).await;
        let (_consumer, batch) = input(&sim, &kafka).await;
        let group = batch.group_metadata().expect("it is a member");
        let txn = producer.begin_transaction().expect("it begins");
        drop(txn.send(Record::to("t").value("a")));
        cut.off(txn.send_offsets(&batch, &group)).await;
        txn.commit().await.expect("committed");
        assert_eq!(settled(&sim, "t").await, ["a"]);
        let end = sim.elapsed() + ms(5_000);
        while committed(&sim, "in", 0) != batch.next_offsets().get(("in", 0)) {
            assert!(sim.elapsed() < end, "the positions are not committed");
            sim.sleep(ms(10)).await;
        }
    };
    commit: ["Transaction::commit"] = |sim, cut| ended(sim, cut, true, &["a", "z"]);
    abort: ["Transaction::abort"] = |sim, cut| ended(sim, cut, false, &["z"]);
    a_failed_commit_that_nobody_saw: ["Transaction::commit"] = |sim, cut| async move {
        let (_kafka, mut producer) = start(&sim, 3).await;
        let txn = producer.begin_transaction().expect("it begins");
        // Larger than any request: it cannot be committed.
        drop(txn.send(Record::to("t").value(&"x".repeat(2_000_000))));
        let seen = cut.off(txn.commit()).await;
        sim.sleep(ms(5_000)).await;
        match seen {
            Some(result) => assert_eq!(result.expect_err("something failed").kind(), ErrorKind::Aborted),
            None => {
                let told = commit_one(&mut producer, "a").await.expect_err("it is told whoever begins next");
                assert_eq!(told.kind(), ErrorKind::Aborted);
            }
        }
        commit_one(&mut producer, "z").await.expect("it was told once");
        assert_eq!(settled(&sim, "t").await, ["z"]);
    };
    resume_commit: ["TransactionalProducer::resume_commit"] = |sim, cut| async move {
        let mut producer = start_with(&sim, |c| c.set("max.block.ms", 1_500).set("request.timeout.ms", 700)).await;
        sim.cluster().fault(Api::EndTxn).times(4).silence_after_apply();
        let error = commit_one(&mut producer, "a").await.expect_err("no answer");
        assert!(error.is_outcome_unknown(), "{error:?}");
        let waited = sim.elapsed();
        let mut again = cut.off(producer.resume_commit()).await;
        if again.is_none() && sim.elapsed() == waited {
            let refused = producer.begin_transaction().map(drop).expect_err("nobody knows yet");
            assert!(refused.is_outcome_unknown(), "{refused:?}");
        }
        while again.as_ref().is_none_or(|result| result.as_ref().is_err_and(|error| error.is_outcome_unknown())) {
            again = Some(producer.resume_commit().await);
        }
        again.expect("it is over").expect("committed");
        commit_one(&mut producer, "z").await.expect("it goes on");
        assert_eq!(settled(&sim, "t").await, ["a", "z"]);
    };
    partitions_for: ["TransactionalProducer::partitions_for"] = |sim, cut| async move {
        let (_kafka, mut producer) = start(&sim, 3).await;
        cut.off(producer.partitions_for("t")).await;
        assert_eq!(producer.partitions_for("t").await.expect("it exists").len(), 3);
        commit_one(&mut producer, "z").await.expect("committed");
    };
    close: ["TransactionalProducer::close"] = |sim, cut| async move {
        let (kafka, mut producer) = start(&sim, 3).await;
        let txn = producer.begin_transaction().expect("it begins");
        drop(txn.send(Record::to("t").value("a")));
        drop(txn.commit());
        cut.off(producer.close()).await;
        assert_eq!(settles(&sim, 1).await, ["a"]);
        let mut next = transactional(&kafka, "id").await;
        commit_one(&mut next, "z").await.expect("committed");
        assert_eq!(settled(&sim, "t").await, ["a", "z"]);
    };
}

/// The committed values, once there are so many.
async fn settles(sim: &Sim, n: usize) -> Vec<String> {
    let end = sim.elapsed() + ms(60_000);
    while sim.cluster().committed_records("t").len() < n {
        assert!(sim.elapsed() < end, "it is not committed");
        sim.sleep(ms(10)).await;
    }
    settled(sim, "t").await
}

/// A producer that nobody waited for is no danger to the next of its name.
async fn initiated(sim: Sim, cut: Cut, with: bool) {
    sim.cluster().create_topic("t", 3);
    let kafka = kafka(&sim).await;
    sim.cluster().fault(Api::InitProducerId).times(2).error(51);
    let init = if with { kafka.transactional_producer_with(section()) } else { kafka.transactional_producer("id") };
    let mut producer = match cut.off(init).await {
        Some(producer) => producer.expect("the coordinator answers"),
        None => transactional(&kafka, "id").await,
    };
    commit_one(&mut producer, "a").await.expect("committed");
    sim.sleep(ms(10_000)).await;
    commit_one(&mut producer, "z").await.expect("nobody fenced it");
    assert_eq!(settled(&sim, "t").await, ["a", "z"]);
}
