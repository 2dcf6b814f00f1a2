//! Two-phase commit: what is prepared stays so until a decision, and the decision is carried out.

use super::{Cut, cases};
use crate::rig::*;
use crate::transactions::commit_one;
use klamm::{Kafka, Op, PreparedTxnState, ProducerConfig, Record, TransactionalProducer};
use klamm_sim::Sim;

fn section() -> ProducerConfig {
    ProducerConfig::new().set("transaction.two.phase.commit.enable", true)
}

async fn start(sim: &Sim) -> (Kafka, TransactionalProducer) {
    sim.cluster().create_topic("t", 1);
    sim.cluster().with(|b, _| {
        b.set_two_phase_commit(false);
        b.set_transaction_version(2);
    });
    let kafka = kafka_with(sim, |c| c.producer(section())).await;
    let producer = transactional(&kafka, "id").await;
    (kafka, producer)
}

fn prepare(producer: &mut TransactionalProducer) -> Op<PreparedTxnState> {
    let txn = producer.begin_transaction().expect("it begins");
    drop(txn.send(Record::to("t").value("a")));
    txn.prepare()
}

/// A decision that is dropped is carried out; the next transaction waits for that only.
async fn decided(
    sim: Sim,
    cut: Cut,
    commits: bool,
    decide: impl Fn(&mut TransactionalProducer, PreparedTxnState) -> Op<()>,
) {
    let (_kafka, mut producer) = start(&sim).await;
    let state = prepare(&mut producer).await.expect("it is prepared");
    if cut.off(decide(&mut producer, state)).await.is_none() {
        sim.sleep(ms(5_000)).await;
    }
    commit_one(&mut producer, "z").await.expect("committed");
    assert_eq!(settled(&sim, "t").await, if commits { vec!["a", "z"] } else { vec!["z"] });
}

cases! {
    prepare_is_dropped: ["Transaction::prepare"] = |sim, cut| async move {
        let (_kafka, mut producer) = start(&sim).await;
        let preparing = prepare(&mut producer);
        cut.off(preparing).await;
        let end = sim.elapsed() + ms(10_000);
        while producer.prepared().is_none() {
            assert!(sim.elapsed() < end, "it is never prepared");
            sim.sleep(ms(10)).await;
        }
        let state = producer.prepared().expect("it is");
        producer.complete(&state).await.expect("committed");
        commit_one(&mut producer, "z").await.expect("committed");
        assert_eq!(settled(&sim, "t").await, ["a", "z"]);
    };
    complete: ["TransactionalProducer::complete"] = |sim, cut| decided(sim, cut, true, |p, state| p.complete(&state));
    commit_prepared: ["TransactionalProducer::commit_prepared"] = |sim, cut| {
        decided(sim, cut, true, |p, _| p.commit_prepared())
    };
    abort_prepared: ["TransactionalProducer::abort_prepared"] = |sim, cut| {
        decided(sim, cut, false, |p, _| p.abort_prepared())
    };
    keep_prepared: ["Kafka::keep_prepared"] = |sim, cut| kept(sim, cut, false);
    keep_prepared_with: ["Kafka::keep_prepared_with"] = |sim, cut| kept(sim, cut, true);
}

/// Who comes after a crash may give up and come again: the decision is carried out once.
async fn kept(sim: Sim, cut: Cut, with: bool) {
    sim.cluster().create_topic("t", 1);
    sim.cluster().with(|b, _| {
        b.set_two_phase_commit(false);
        b.set_transaction_version(2);
    });
    let machine = sim.machine();
    let config = klamm::Config::new(sim.cluster().bootstrap()).producer(section());
    let crashed = Kafka::connect(&machine, config).await.expect("the cluster answers");
    let mut old = transactional(&crashed, "id").await;
    let state = prepare(&mut old).await.expect("it is prepared");
    machine.kill();
    let kafka = kafka_with(&sim, |c| c.producer(section())).await;
    let keep = || match with {
        true => kafka.keep_prepared_with(section().transactional_id("id")),
        false => kafka.keep_prepared("id"),
    };
    let mut producer = match cut.off(keep()).await {
        Some(producer) => producer.expect("the coordinator answers"),
        None => keep().await.expect("the coordinator answers"),
    };
    producer.complete(&state).await.expect("committed");
    commit_one(&mut producer, "z").await.expect("committed");
    assert_eq!(settled(&sim, "t").await, ["a", "z"]);
}
