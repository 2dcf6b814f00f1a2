//! 2.3: transactions and those they depend on: coordinators, groups, metadata, and producers of the same name.

use crate::rig::*;
use crate::transactions::{commit_one, input, start};
use klamm::{ErrorKind, Kafka, ProducerConfig, Record};
use klamm_sim::Sim;

#[test]
fn tx_10_a_coordinator_that_moves_or_dies_is_looked_for_again() {
    scenario(|sim| async move {
        let (kafka, mut producer) = start(&sim, 1).await;
        let (_consumer, batch) = input(&sim, &kafka).await;
        let group = batch.group_metadata().expect("it is a member");
        let txn = producer.begin_transaction().expect("it begins");
        let to = 1 + i32::try_from(sim.seed() % 3).unwrap();
        sim.cluster().move_transaction_coordinator("id", to).expect("it is up");
        if sim.seed() % 4 < 2 {
            sim.cluster().move_transaction_coordinator("id", 1 + to % 3).expect("it is up");
            sim.cluster().kill_broker(to);
        }
        drop(txn.send_offsets(&batch, &group));
        txn.send(Record::to("t").value("a")).await.expect("written");
        txn.commit().await.expect("committed");
        assert!(sim.elapsed() < ms(60_000), "{:?}", sim.elapsed());
        assert_eq!(settled(&sim, "t").await, ["a"]);
    });
}

#[test]
fn tx_13_concurrent_transactions_is_waited_out() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let machine = sim.machine();
        let first = Kafka::connect(&machine, sim.cluster().bootstrap()).await.expect("the cluster answers");
        let mut crashed = transactional(&first, "id").await;
        let txn = crashed.begin_transaction().expect("it begins");
        txn.send(Record::to("t").value("a")).await.expect("written");
        machine.kill();
        sim.cluster().fault(Api::InitProducerId).times(12).error(51);
        let second = kafka(&sim).await;
        let mut producer = transactional(&second, "id").await;
        sim.cluster().fault(Api::AddPartitionsToTxn).times(12).error(51);
        for n in 0..5 {
            commit_one(&mut producer, &format!("b-{n}")).await.expect("committed");
        }
        assert_eq!(settled(&sim, "t").await, values("b", 5));
    });
}

#[test]
fn tx_14_offsets_that_cannot_be_taken_now_are_not_offered_in_a_hurry() {
    scenario(|sim| async move {
        let (kafka, mut producer) = start(&sim, 1).await;
        let (_consumer, batch) = input(&sim, &kafka).await;
        let group = batch.group_metadata().expect("it is a member");
        let code = [14, 3][usize::try_from(sim.seed() / 2 % 2).unwrap()];
        sim.cluster().fault(Api::TxnOffsetCommit).times(12).error(code);
        let before = sim.elapsed();
        let txn = producer.begin_transaction().expect("it begins");
        txn.send_offsets(&batch, &group).await.expect("taken in the end");
        txn.commit().await.expect("committed");
        let took = sim.elapsed() - before;
        assert!(took > ms(2_000) && took < ms(30_000), "{took:?}");
    });
}

#[test]
fn tx_16_the_protocol_is_the_one_that_the_cluster_has_finalized() {
    scenario(|sim| async move {
        sim.cluster().with(|b, _| b.set_transaction_version(1));
        let (_kafka, mut producer) = start(&sim, 1).await;
        let epoch = |sim: &Sim| sim.cluster().with(|b, _| b.transaction("id")).map_or(-1, |(.., epoch)| epoch);
        for value in values("a", 3) {
            commit_one(&mut producer, &value).await.expect("committed");
        }
        assert_eq!(epoch(&sim), 0, "an EndTxn of the first protocol brings no epoch");
        sim.cluster().with(|b, _| b.set_transaction_version(2));
        // Only new connections tell of it.
        for broker in 1..=3 {
            sim.cluster().kill_broker(broker);
            sim.sleep(ms(50)).await;
            sim.cluster().start_broker(broker);
            commit_one(&mut producer, &format!("b-{broker}")).await.expect("committed");
        }
        for value in values("c", 3) {
            commit_one(&mut producer, &value).await.expect("committed");
        }
        assert!(epoch(&sim) >= 3, "each EndTxn of the second does: {}", epoch(&sim));
        assert_eq!(settled(&sim, "t").await.len(), 9);
    });
}

#[test]
fn tx_18_what_was_aborted_is_read_again_whatever_answers_late() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        sim.cluster().create_topic("in", 2);
        let kafka = kafka(&sim).await;
        fill(&kafka, "in", 0, 0..20).await;
        fill(&kafka, "in", 1, 0..20).await;
        for api in [Api::ListOffsets, Api::OffsetFetch, Api::OffsetForLeaderEpoch, Api::Fetch] {
            sim.cluster().fault(api).one_in(2).times(6).delay(ms(300 + sim.seed() % 5 * 100));
        }
        let config = klamm::Config::new(sim.cluster().bootstrap())
            .consumer(klamm_sim::workload::reader().set("max.poll.records", 7));
        let own = Kafka::connect(&sim, config).await.expect("the cluster answers");
        let mut eos = own.exactly_once("readers", "id").await.expect("the coordinator answers");
        eos.subscribe(["in"]).expect("a subscription");
        let (mut done, mut round) = (0, 0);
        while done < 40 {
            round += 1;
            assert!(sim.elapsed() < ms(120_000), "{done} of 40");
            let Some(step) = eos.poll(ms(500)).await.expect("nothing is fatal") else { break };
            for record in step.batch() {
                drop(step.send(Record::to("t").value(&format!("{}@{}", record.partition(), record.offset()))));
            }
            if round % 3 == 1 {
                // Leaders change while it goes back.
                sim.cluster().move_leader("in", round % 2, 1 + round % 3).expect("it is up");
                drop(step);
                continue;
            }
            let count = step.batch().len();
            if matches!(step.commit().await.expect("nothing is fatal"), klamm::Outcome::Committed) {
                done += count;
            }
        }
        let mut wanted: Vec<String> = (0..40).map(|n| format!("{}@{}", n % 2, n / 2)).collect();
        wanted.sort();
        assert_eq!(settled(&sim, "t").await, wanted);
    });
}

#[test]
fn tx_22_an_old_epoch_costs_a_transaction_and_a_newer_producer_costs_all() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 1).await;
        let fatal = sim.seed() / 2 % 2 == 0;
        if fatal {
            sim.cluster().fault(Api::EndTxn).times(1).error(90);
        } else {
            sim.cluster().fault(Api::Produce).times(1).error(47);
        }
        let error = commit_one(&mut producer, "a").await.expect_err("refused");
        assert_eq!(error.is_fatal(), fatal, "{error:?}");
        assert!(!error.is_outcome_unknown(), "{error:?}");
        let next = commit_one(&mut producer, "b").await;
        assert_eq!(next.is_err(), fatal, "{next:?}");
        if !fatal {
            assert_eq!(settled(&sim, "t").await, ["b"]);
        }
    });
}

#[test]
fn tx_23_metadata_that_does_not_come_holds_up_no_coordinator() {
    scenario(|sim| async move {
        let config = klamm::Config::new("broker-1.sim:9092")
            .producer(ProducerConfig::new().set("max.in.flight.requests.per.connection", 1));
        let kafka = Kafka::connect(&sim, config).await.expect("the cluster answers");
        sim.cluster().fault(Api::Metadata).on_topic("t").always().error_after_apply(5);
        drop(kafka.producer().expect("a good configuration").send(Record::to("t").value("plain")));
        let before = sim.elapsed();
        let mut producer = transactional(&kafka, "id").await;
        producer.begin_transaction().expect("it begins").commit().await.expect("it is empty");
        assert!(sim.elapsed() - before < ms(5_000), "{:?}", sim.elapsed() - before);
    });
}

#[test]
fn tx_24_who_asks_again_after_a_beginning_that_took_too_long_can_begin() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        sim.cluster().fault(Api::InitProducerId).times(1).delay(ms(2_000));
        let section = ProducerConfig::new().transactional_id("id").set("max.block.ms", 500);
        let error = kafka.transactional_producer_with(section).await.expect_err("too late");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
        sim.sleep(ms(sim.seed() * 200)).await;
        let mut producer = transactional(&kafka, "id").await;
        for value in values("a", 3) {
            commit_one(&mut producer, &value).await.expect("committed");
        }
        assert_eq!(settled(&sim, "t").await, values("a", 3));
    });
}

#[test]
fn tx_25_who_lost_its_partitions_commits_nothing_of_them() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let machine = sim.machine();
        let frozen = Kafka::connect(&machine, sim.cluster().bootstrap()).await.expect("the cluster answers");
        let mut zombie = transactional(&frozen, "zombie").await;
        let (consumer, batch) = input(&sim, &frozen).await;
        let group = batch.group_metadata().expect("it is a member");
        let txn = zombie.begin_transaction().expect("it begins");
        drop(txn.send(Record::to("t").value("by the zombie")));
        if sim.seed() % 4 < 2 {
            txn.send_offsets(&batch, &group).await.expect("it still is a member");
        }
        machine.freeze(ms(12_000));
        drop(consumer);
        let config = klamm::Config::new(sim.cluster().bootstrap()).consumer(klamm_sim::workload::reader());
        let other = Kafka::connect(&sim, config).await.expect("the cluster answers");
        let mut eos = other.exactly_once("readers", "other").await.expect("the coordinator answers");
        eos.subscribe(["in"]).expect("a subscription");
        let mut taken = 0;
        let end = sim.elapsed() + ms(90_000);
        // What the zombie has handed to the group, and not committed, is waited for.
        while taken == 0 && sim.elapsed() < end && committed(&sim, "in", 0).is_none() {
            let Some(step) = eos.poll(ms(500)).await.expect("nothing is fatal") else { break };
            for record in step.batch() {
                drop(step.send(Record::to("t").value(&format!("by the other {}", record.offset()))));
            }
            let count = step.batch().len();
            let outcome = step.commit().await.expect("nothing is fatal");
            if matches!(outcome, klamm::Outcome::Committed) {
                taken += count;
            }
            if sim.elapsed() > ms(30_000) && sim.seed() % 4 < 2 {
                break;
            }
        }
        if sim.seed() % 4 < 2 {
            // Fenced or not is the group's to say: both or neither are there.
            drop(txn.commit().await);
        } else {
            let refused = txn.send_offsets(&batch, &group).await;
            assert!(refused.is_err(), "the group went on");
            txn.commit().await.expect_err("its offsets are not its own any more");
        }
        let there = settled(&sim, "t").await;
        let by_zombie = there.iter().any(|value| value == "by the zombie");
        assert_eq!(by_zombie, taken == 0, "{taken} {there:?}");
        assert_eq!(taken == 5, there.len() == 5, "{taken} {there:?}");
    });
}

#[test]
fn tx_27_of_two_with_one_name_the_newer_writes_and_the_older_stays_fenced() {
    scenario(|sim| async move {
        let (_kafka, mut older) = start(&sim, 1).await;
        commit_one(&mut older, "a").await.expect("committed");
        let other = kafka(&sim).await;
        let mut newer = transactional(&other, "id").await;
        for n in 0..3 {
            let refused = commit_one(&mut older, "x").await.expect_err("a newer one has the name");
            assert!(refused.is_fatal() || n == 0, "{refused:?}");
            commit_one(&mut newer, &format!("b-{n}")).await.expect("nobody fences it");
        }
        assert_eq!(settled(&sim, "t").await, ["a", "b-0", "b-1", "b-2"]);
    });
}
