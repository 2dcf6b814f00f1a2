//! Coordinators that die and do not come back.

use crate::rig::{committed, fill, kafka, member, ms, read, scenario};
use klamm::{ProducerConfig, Record};
use klamm_cluster::EventError;

/// A look-up that came too early names the dead one, whose address is gone soon after: it must be looked for again.
#[test]
fn tx_10_transactions_go_on_when_their_coordinator_is_gone_for_good() {
    scenario(|sim| async move {
        sim.cluster().create_topic_with("t", 2, 3, &[]);
        let kafka = kafka(&sim).await;
        let mut producer = kafka.transactional_producer("tx").await.expect("a producer id");
        let victim = 1 + i32::try_from(sim.seed() % 3).unwrap();
        let moved: Result<(), EventError> = sim.cluster().move_transaction_coordinator("tx", victim);
        moved.expect("it is up");
        for round in 0..6 {
            if round == 2 {
                sim.cluster().kill_broker(victim);
            }
            let begun = sim.elapsed();
            let transaction = producer.begin_transaction().expect("between two transactions");
            for partition in 0..2 {
                drop(transaction.send(Record::to("t").partition(partition).value("x")));
            }
            transaction.commit().await.expect("committed");
            assert!(sim.elapsed() - begun < ms(10_000), "round {round} took {:?}", sim.elapsed() - begun);
        }
        // The end of a transaction is answered before its markers are written.
        sim.sleep(ms(1_000)).await;
        assert_eq!(sim.cluster().committed_records("t").len(), 12);
    });
}

#[test]
fn gr_13_a_group_goes_on_when_its_coordinator_is_gone_for_good() {
    scenario(|sim| async move {
        sim.cluster().create_topic_with("t", 1, 3, &[]);
        let kafka = kafka(&sim).await;
        let mut consumer = member(&kafka, "t", |c| c);
        let victim = 1 + i32::try_from(sim.seed() % 3).unwrap();
        let moved: Result<(), EventError> = sim.cluster().move_coordinator("readers", victim);
        moved.expect("it is up");
        for round in 0..4u64 {
            if round == 2 {
                sim.cluster().kill_broker(victim);
            }
            let begun = sim.elapsed();
            fill(&kafka, "t", 0, round * 5..round * 5 + 5).await;
            assert_eq!(read(&sim, &mut consumer, 5).await.len(), 5);
            consumer.commit_sync().await.expect("committed");
            assert_eq!(committed(&sim, "t", 0), Some(i64::try_from(round).unwrap() * 5 + 5));
            assert!(sim.elapsed() - begun < ms(10_000), "round {round} took {:?}", sim.elapsed() - begun);
        }
    });
}

/// Whoever waits for a record is told at once, although it would linger for long.
#[test]
fn tx_17_a_record_that_lingers_fails_with_its_fenced_producer() {
    scenario(|sim| async move {
        sim.cluster().create_topic_with("t", 2, 3, &[]);
        let kafka = kafka(&sim).await;
        let section = ProducerConfig::new().transactional_id("tx").set("linger.ms", 20_000);
        let mut old = kafka.transactional_producer_with(section).await.expect("a producer id");
        let transaction = old.begin_transaction().expect("the first");
        transaction.send(Record::to("t").partition(0).value("x")).queued().await.expect("room");
        transaction.flush().await.expect("written");
        let _new = kafka.transactional_producer("tx").await.expect("a producer id");
        drop(transaction.send(Record::to("t").partition(0).value("y")));
        transaction.flush().await.expect_err("it is fenced");
        drop(transaction);
        let begun = sim.elapsed();
        // It may be known by now that nothing can begin any more. A lone record would not linger once it is awaited.
        if let Ok(transaction) = old.begin_transaction() {
            let deliveries = [0, 0, 1, 1].map(|p| transaction.send(Record::to("t").partition(p).value("z")));
            for delivery in deliveries {
                delivery.await.expect_err("it is fenced");
            }
        }
        assert!(sim.elapsed() - begun < ms(10_000), "it took {:?}", sim.elapsed() - begun);
    });
}
