//! 2.3, TX-04: two-phase commit (KIP-939). Half of the clusters keep what is prepared as the KIP has it, half refuse to as
//! Kafka up to 4.4 does.

use crate::rig::*;
use crate::transactions::{commit_one, put};
use klamm::{ErrorKind, Kafka, PreparedTxnState, ProducerConfig, TransactionalProducer};
use klamm_sim::Sim;

/// A cluster that knows two-phase commit, with a topic; whether it keeps what is prepared.
fn cluster(sim: &Sim) -> bool {
    let keeps = sim.seed() % 2 == 0;
    sim.cluster().with(|b, _| {
        b.set_transaction_version(2);
        b.set_two_phase_commit(keeps);
    });
    sim.cluster().create_topic("t", 3);
    keeps
}

fn section() -> ProducerConfig {
    ProducerConfig::new().transactional_id("id").set("transaction.two.phase.commit.enable", true)
}

async fn prepare(producer: &mut TransactionalProducer, sender: &str) -> PreparedTxnState {
    let txn = producer.begin_transaction().expect("it begins");
    put(&txn, 3, &values(sender, 3));
    txn.prepare().await.expect("prepared")
}

#[test]
fn tx_04_a_completion_without_an_answer_leaves_the_transaction_prepared() {
    scenario(|sim| async move {
        cluster(&sim);
        let section = section().set("request.timeout.ms", 700);
        let mut producer = kafka(&sim).await.transactional_producer_with(section).await.expect("an id");
        let state = prepare(&mut producer, "a").await;
        let cluster = sim.cluster();
        let fault = cluster.fault(Api::EndTxn).times(4);
        match sim.seed() / 2 % 4 {
            // It is done or not: nobody can tell.
            0 => fault.silence_after_apply(),
            1 => fault.silence(),
            2 => fault.error_after_apply(7),
            _ => fault.error(15),
        }
        // Shorter than the pauses in between.
        let ended = producer.complete(&state).within(ms(20)).await;
        let error = ended.expect_err("no answer in time");
        assert!(error.is_outcome_unknown() && error.kind() == ErrorKind::Timeout && !error.is_fatal(), "{error:?}");
        let refused = producer.begin_transaction().map(drop).expect_err("it is prepared");
        assert_eq!(refused.kind(), ErrorKind::Misuse, "{refused:?}");
        let other = producer.abort_prepared().await.expect_err("it was decided");
        assert_eq!(other.kind(), ErrorKind::Misuse, "{other:?}");
        producer.complete(&state).await.expect("committed");
        commit_one(&mut producer, "b").await.expect("it goes on");
        assert_eq!(settled(&sim, "t").await, ["a-0", "a-1", "a-2", "b"]);
    });
}

#[test]
fn tx_04_what_is_prepared_outlives_its_producer_and_ends_as_was_decided() {
    scenario(|sim| async move {
        let keeps = cluster(&sim);
        let machine = sim.machine();
        let first = Kafka::connect(&machine, sim.cluster().bootstrap()).await.expect("the cluster answers");
        let mut crashed = first.transactional_producer_with(section()).await.expect("an id");
        let state = prepare(&mut crashed, "a").await;
        machine.kill();
        // No time-out ends it.
        sim.sleep(ms(70_000)).await;
        assert!(log(&sim, "t").len() == 3 && sim.cluster().committed_records("t").is_empty());
        sim.cluster().fault(Api::EndTxn).times(2).error([-1, 14, 15, 7][usize::try_from(sim.seed() / 4 % 4).unwrap()]);
        let second = kafka(&sim).await;
        let mut producer = second.keep_prepared_with(section()).await.expect("an id");
        assert_eq!(producer.prepared(), keeps.then_some(state));
        let refused = producer.begin_transaction().map(drop).expect_err("the decision comes first");
        assert_eq!(refused.kind(), ErrorKind::Misuse, "{refused:?}");
        let commits = sim.seed() / 2 % 2 == 0;
        if commits { producer.complete(&state).await } else { producer.abort_prepared().await }.expect("it ends");
        commit_one(&mut producer, "b").await.expect("it goes on");
        let wanted = if commits { vec!["a-0", "a-1", "a-2", "b"] } else { vec!["b"] };
        assert_eq!(settled(&sim, "t").await, wanted);
    });
}
