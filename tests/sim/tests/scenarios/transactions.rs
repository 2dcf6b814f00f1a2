//! 2.3: transactions. Half of the seeds run on a cluster of the first protocol, half on one of the second.

use crate::rig::*;
use klamm::{Batch, Consumer, ErrorKind, Kafka, ProducerConfig, Record, Transaction, TransactionalProducer};
use klamm_sim::Sim;

/// Sends values, one to each of the first `partitions` in turn, and looks at none of the outcomes.
pub(super) fn put(txn: &Transaction<'_>, partitions: i32, values: &[String]) {
    for (n, value) in (0..).zip(values) {
        drop(txn.send(Record::to("t").partition(n % partitions).value(value)));
    }
}

/// A cluster with a topic, a client and a producer.
pub(super) async fn start(sim: &Sim, partitions: i32) -> (Kafka, TransactionalProducer) {
    sim.cluster().create_topic("t", partitions);
    let kafka = kafka(sim).await;
    let producer = transactional(&kafka, "id").await;
    (kafka, producer)
}

/// As `start`, with a producer of its own section.
pub(super) async fn start_with(
    sim: &Sim,
    change: impl FnOnce(ProducerConfig) -> ProducerConfig,
) -> TransactionalProducer {
    sim.cluster().create_topic("t", 3);
    let section = change(ProducerConfig::new().transactional_id("id"));
    kafka(sim).await.transactional_producer_with(section).await.expect("the coordinator answers")
}

/// A topic of five records, and what a member of `readers` gets of it.
pub(super) async fn input(sim: &Sim, kafka: &Kafka) -> (Consumer, Batch) {
    sim.cluster().create_topic("in", 1);
    fill(kafka, "in", 0, 0..5).await;
    let mut consumer = member(kafka, "in", |c| c.set("enable.auto.commit", false));
    let end = sim.elapsed() + ms(60_000);
    while sim.elapsed() < end {
        let batch = consumer.poll(ms(1_000)).await.expect("nothing is wrong here").expect("nobody wakes it");
        if !batch.is_empty() {
            return (consumer, batch);
        }
    }
    panic!("nothing is handed out");
}

/// One transaction with one value.
pub(super) async fn commit_one(producer: &mut TransactionalProducer, value: &str) -> klamm::Result<()> {
    let txn = producer.begin_transaction()?;
    drop(txn.send(Record::to("t").partition(0).value(value)));
    txn.commit().await
}

#[test]
fn tx_01_what_is_sent_after_the_commit_belongs_to_the_next_transaction() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 3).await;
        let txn = producer.begin_transaction().expect("it begins");
        put(&txn, 3, &values("a", 12));
        let first = txn.commit();
        let txn = producer.begin_transaction().expect("it begins while the one before ends");
        put(&txn, 3, &values("b", 12));
        let second = txn.abort();
        first.await.expect("committed");
        second.await.expect("aborted");
        let mut wanted = values("a", 12);
        wanted.sort();
        assert_eq!(settled(&sim, "t").await, wanted);
    });
}

#[test]
fn tx_02_the_end_waits_for_the_offsets_that_are_on_the_wire() {
    scenario(|sim| async move {
        let (kafka, mut producer) = start(&sim, 1).await;
        let (_consumer, batch) = input(&sim, &kafka).await;
        let group = batch.group_metadata().expect("it is a member");
        sim.cluster().fault(Api::TxnOffsetCommit).times(1).delay_before_apply(ms(700));
        let txn = producer.begin_transaction().expect("it begins");
        drop(txn.send(Record::to("t").value("a")));
        drop(txn.send_offsets(&batch, &group));
        txn.commit().await.expect("committed");
        assert_eq!(settled(&sim, "t").await, ["a"]);
        sim.sleep(ms(1_000)).await;
        assert_eq!(committed(&sim, "in", 0), batch.next_offsets().get(("in", 0)));
    });
}

/// An answer belongs to what was asked: by then that may be dropped, and the offsets of the next transaction be first in line.
#[test]
fn tx_02_the_answer_for_offsets_of_an_aborted_transaction_says_nothing_of_the_next_ones() {
    scenario(|sim| async move {
        let (kafka, mut producer) = start(&sim, 1).await;
        let (_consumer, batch) = input(&sim, &kafka).await;
        let group = batch.group_metadata().expect("it is a member");
        sim.cluster().fault(Api::TxnOffsetCommit).times(1).delay_before_apply(ms(3_000));
        let txn = producer.begin_transaction().expect("it begins");
        drop(txn.send_offsets(&batch, &group));
        sim.sleep(ms(1_500)).await;
        let first = txn.abort();
        let txn = producer.begin_transaction().expect("it begins while the one before ends");
        drop(txn.send(Record::to("t").value("a")));
        drop(txn.send_offsets(&batch, &group));
        txn.commit().await.expect("committed");
        first.await.expect("aborted");
        assert_eq!(settled(&sim, "t").await, ["a"]);
        sim.sleep(ms(1_000)).await;
        assert_eq!(committed(&sim, "in", 0), batch.next_offsets().get(("in", 0)));
    });
}

#[test]
fn tx_03_after_an_unknown_outcome_only_the_commit_goes_on() {
    scenario(|sim| async move {
        let mut producer = start_with(&sim, |c| c.set("max.block.ms", 1_500).set("request.timeout.ms", 700)).await;
        let cluster = sim.cluster();
        // The first is done, the second is not: nobody can tell.
        let fault = cluster.fault(Api::EndTxn).times(4);
        if sim.seed() % 4 < 2 {
            fault.silence_after_apply()
        } else {
            fault.silence()
        }
        let error = commit_one(&mut producer, "a").await.expect_err("no answer");
        assert!(error.is_outcome_unknown() && !error.is_fatal(), "{error:?}");
        let refused = producer.begin_transaction().map(drop).expect_err("it is not over");
        assert!(refused.is_outcome_unknown(), "{refused:?}");
        let mut again = producer.resume_commit().await;
        while again.as_ref().is_err_and(|error| error.is_outcome_unknown()) {
            again = producer.resume_commit().await;
        }
        again.expect("committed");
        commit_one(&mut producer, "b").await.expect("it goes on");
        assert_eq!(settled(&sim, "t").await, ["a", "b"]);
    });
}

#[test]
fn tx_03_that_nothing_is_open_any_more_does_not_tell_how_a_lost_commit_ended() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 1).await;
        let cluster = sim.cluster();
        cluster.fault(Api::EndTxn).times(1).disconnect();
        cluster.fault(Api::EndTxn).times(1).error(48);
        let error = commit_one(&mut producer, "a").await.expect_err("nobody knows");
        assert!(error.is_fatal() && error.is_outcome_unknown(), "{error:?}");
        assert!(producer.begin_transaction().is_err_and(|error| error.is_fatal()));
    });
}

/// A transaction whose end nobody waits for; the error is what its beginning tells of those before.
async fn unseen(sim: &Sim, producer: &mut TransactionalProducer, n: u64, bad: bool) -> klamm::Result<()> {
    let txn = producer.begin_transaction()?;
    drop(txn.send(Record::to("t").value(&format!("a-{n}"))));
    if bad {
        // Larger than any request: the transaction cannot be committed.
        drop(txn.send(Record::to("t").value(&"x".repeat(2_000_000))));
    }
    within(sim, ms(sim.seed() % 3 * 4), txn.commit()).await;
    Ok(())
}

#[test]
fn tx_05_a_commit_that_nobody_waits_for_goes_on_and_its_failure_is_told() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 1).await;
        let fails = sim.seed() % 4 < 2;
        let mut told = 0;
        for n in 0..6 {
            let bad = n == 1 && fails;
            if let Err(error) = unseen(&sim, &mut producer, n, bad).await {
                assert!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "{error:?}");
                told += 1;
                unseen(&sim, &mut producer, n, bad).await.expect("it was told once");
            }
            sim.sleep(ms(if n > 3 { 2_000 } else { 0 })).await;
        }
        assert_eq!(told, usize::from(fails), "the failure is told once");
        let wanted: Vec<String> = values("a", 6).into_iter().filter(|value| !fails || value != "a-1").collect();
        assert_eq!(settled(&sim, "t").await, wanted);
    });
}

#[test]
fn tx_06_a_record_that_failed_unseen_makes_the_commit_fail() {
    scenario(|sim| async move {
        let mut producer =
            start_with(&sim, |c| c.set("delivery.timeout.ms", 3_000).set("request.timeout.ms", 1_000)).await;
        let txn = producer.begin_transaction().expect("it begins");
        put(&txn, 1, &values("a", 3));
        match sim.seed() % 3 {
            // Too large here, too large there, too late.
            0 => drop(txn.send(Record::to("t").value(&"x".repeat(2_000_000)))),
            1 => sim.cluster().fault(Api::Produce).times(1).error(87),
            _ => sim.cluster().fault(Api::Produce).times(8).silence(),
        }
        put(&txn, 3, &values("b", 3));
        let error = txn.commit().await.expect_err("something failed");
        assert!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "{error:?}");
        sim.cluster().clear_faults();
        commit_one(&mut producer, "c").await.expect("it goes on");
        assert_eq!(settled(&sim, "t").await, ["c"]);
    });
}

#[test]
fn tx_07_nothing_is_committed_of_a_transaction_whose_records_never_left() {
    scenario(|sim| async move {
        let mut producer =
            start_with(&sim, |c| c.set("delivery.timeout.ms", 2_000).set("request.timeout.ms", 1_000)).await;
        commit_one(&mut producer, "a").await.expect("all is well");
        (1..=3).for_each(|broker| sim.cluster().kill_broker(broker));
        let txn = producer.begin_transaction().expect("it begins");
        put(&txn, 3, &values("b", 3));
        let commit = txn.commit();
        sim.sleep(ms(5_000)).await;
        (1..=3).for_each(|broker| sim.cluster().start_broker(broker));
        let error = commit.await.expect_err("it expired");
        assert!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "{error:?}");
        commit_one(&mut producer, "c").await.expect("it goes on");
        assert_eq!(settled(&sim, "t").await, ["a", "c"]);
    });
}

#[test]
fn tx_08_who_is_fenced_in_the_middle_of_a_commit_is_told_so() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 1).await;
        let txn = producer.begin_transaction().expect("it begins");
        txn.send(Record::to("t").value("a")).await.expect("written");
        // The first asking is lost, or may have been written by who lost the coordinator's place meanwhile.
        let cluster = sim.cluster();
        let first = cluster.fault(Api::EndTxn).times(1);
        if sim.seed() % 4 < 2 {
            first.disconnect()
        } else {
            first.error(16)
        }
        let commit = txn.commit();
        sim.cluster().fault(Api::EndTxn).times(20).error(14);
        let other = kafka(&sim).await;
        let mut newer = transactional(&other, "id").await;
        sim.cluster().clear_faults();
        let error = commit.await.expect_err("a newer one took its place");
        assert!(error.is_fatal() && error.is_outcome_unknown(), "{error:?}");
        assert!(producer.begin_transaction().is_err_and(|error| error.is_fatal()));
        commit_one(&mut newer, "b").await.expect("it has the name now");
        assert_eq!(settled(&sim, "t").await, ["b"]);
    });
}

#[test]
fn tx_09_a_number_out_of_order_costs_the_whole_transaction() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 1).await;
        let txn = producer.begin_transaction().expect("it begins");
        for value in values("a", 3) {
            txn.send(Record::to("t").value(&value)).await.expect("written");
        }
        sim.cluster().fault(Api::Produce).times(1).error([45, 59][usize::try_from(sim.seed() / 2 % 2).unwrap()]);
        put(&txn, 1, &values("b", 3));
        let ended = txn.commit().await;
        let there = settled(&sim, "t").await;
        match ended {
            Ok(()) => assert_eq!(there.len(), 6, "{there:?}"),
            Err(error) => assert!(!error.is_fatal() && there.is_empty(), "{error:?} {there:?}"),
        }
        commit_one(&mut producer, "c").await.expect("it goes on");
        assert!(settled(&sim, "t").await.contains(&"c".to_owned()));
    });
}

#[test]
fn tx_11_partitions_that_come_one_after_the_other_all_join() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 8).await;
        sim.cluster()
            .fault(Api::AddPartitionsToTxn)
            .after(1)
            .times(2)
            .error([51, 14][usize::try_from(sim.seed() % 2).unwrap()]);
        sim.cluster().fault(Api::AddPartitionsToTxn).after(3).times(1).disconnect_after_apply();
        let txn = producer.begin_transaction().expect("it begins");
        for (n, value) in (0..).zip(&values("a", 16)) {
            drop(txn.send(Record::to("t").partition(n % 8).value(value)));
            sim.sleep(ms(n as u64 * 3 % 17)).await;
        }
        txn.commit().await.expect("committed");
        assert!(sim.elapsed() < ms(20_000), "{:?}", sim.elapsed());
        assert_eq!(settled(&sim, "t").await.len(), 16);
    });
}

#[test]
fn tx_12_an_empty_transaction_asks_nobody() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 1).await;
        sim.cluster().fault(Api::EndTxn).always().silence();
        let before = sim.elapsed();
        for n in 0..4 {
            let txn = producer.begin_transaction().expect("it begins");
            if n % 2 == 0 { txn.commit().await } else { txn.abort().await }.expect("there is nothing to end");
        }
        assert!(sim.elapsed() - before < ms(1_000), "{:?}", sim.elapsed() - before);
        sim.cluster().clear_faults();
        commit_one(&mut producer, "a").await.expect("it goes on");
    });
}

#[test]
fn tx_15_no_commit_is_reported_without_a_yes() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 1).await;
        let (code, applied) = ([-1, 7, 15][usize::try_from(sim.seed() % 3).unwrap()], sim.seed() % 4 < 2);
        for value in values("a", 3) {
            let cluster = sim.cluster();
            let fault = cluster.fault(Api::EndTxn).times(2);
            if applied {
                fault.error_after_apply(code)
            } else {
                fault.error(code)
            }
            commit_one(&mut producer, &value).await.expect("asked again until it is answered");
            let state = sim.cluster().with(|b, _| b.transaction("id"));
            let decided = state.is_some_and(|(name, ..)| name.ends_with("Commit"));
            assert!(decided, "reported as committed, and is {state:?}");
        }
        assert_eq!(settled(&sim, "t").await, values("a", 3));
    });
}

#[test]
fn tx_17_a_transaction_of_which_nothing_was_written_ends_at_once() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 3).await;
        sim.cluster().fault(Api::Produce).always().error([87, 29, 10][usize::try_from(sim.seed() % 3).unwrap()]);
        let before = sim.elapsed();
        let txn = producer.begin_transaction().expect("it begins");
        put(&txn, 3, &values("a", 6));
        let error = txn.commit().await.expect_err("nothing was written");
        assert!(!error.is_fatal() && sim.elapsed() - before < ms(5_000), "{:?} {error:?}", sim.elapsed() - before);
        sim.cluster().clear_faults();
        commit_one(&mut producer, "b").await.expect("it goes on");
        assert_eq!(settled(&sim, "t").await, ["b"]);
    });
}

#[test]
fn tx_19_nothing_is_sent_between_an_end_and_the_next_beginning() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 2).await;
        sim.cluster().fault(Api::EndTxn).one_in(2).times(10).delay(ms(200));
        let mut ends = Vec::new();
        for n in 0..6 {
            let txn = producer.begin_transaction().expect("it begins");
            put(&txn, 2, &values(&format!("s{n}"), 4));
            ends.push(if n % 2 == 0 { txn.commit() } else { txn.abort() });
        }
        for end in ends {
            end.await.expect("it ends");
        }
        let wanted: Vec<String> = [0, 2, 4].iter().flat_map(|n| values(&format!("s{n}"), 4)).collect();
        assert_eq!(settled(&sim, "t").await, wanted);
    });
}

#[test]
fn tx_20_an_abort_that_can_only_be_aborted_ends() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 1).await;
        let txn = producer.begin_transaction().expect("it begins");
        txn.send(Record::to("t").value("a")).await.expect("written");
        sim.cluster().fault(Api::EndTxn).times(1 + sim.seed() / 2 % 3).error(120);
        let ended = within(&sim, ms(30_000), txn.abort()).await.expect("it ends");
        assert!(ended.as_ref().map_or_else(|error| !error.is_outcome_unknown(), |()| true), "{ended:?}");
        sim.cluster().clear_faults();
        // With the first protocol the coordinator may have fenced it meanwhile: then that is told, once and for all.
        let next = within(&sim, ms(30_000), commit_one(&mut producer, "b")).await.expect("it ends");
        assert!(next.as_ref().map_or_else(|error| error.is_fatal(), |()| true), "{next:?}");
        let there = settled(&sim, "t").await;
        assert_eq!(there == ["b"], next.is_ok(), "{there:?}");
    });
}

#[test]
fn tx_21_a_partition_that_cannot_join_ends_the_commit_at_once() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 2).await;
        sim.cluster()
            .fault(Api::AddPartitionsToTxn)
            .times(1)
            .error([29, 120][usize::try_from(sim.seed() / 2 % 2).unwrap()]);
        sim.cluster().fault(Api::Produce).times(1).error(120);
        let before = sim.elapsed();
        let txn = producer.begin_transaction().expect("it begins");
        put(&txn, 2, &values("a", 4));
        let error = txn.commit().await.expect_err("it can only be aborted");
        assert_eq!(error.kind(), ErrorKind::Aborted, "{error:?}");
        assert!(!error.is_fatal() && sim.elapsed() - before < ms(3_000), "{:?} {error:?}", sim.elapsed() - before);
        sim.cluster().clear_faults();
        commit_one(&mut producer, "b").await.expect("it goes on");
        assert_eq!(settled(&sim, "t").await, ["b"]);
    });
}

#[test]
fn tx_26_a_close_is_over_although_the_end_of_a_transaction_is_not() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 1).await;
        let txn = producer.begin_transaction().expect("it begins");
        txn.send(Record::to("t").value("a")).await.expect("written");
        sim.cluster().fault(Api::EndTxn).always().silence();
        if sim.seed() % 4 < 2 {
            drop(txn.commit())
        } else {
            drop(txn)
        }
        let before = sim.elapsed();
        drop(within(&sim, ms(60_000), producer.close().within(ms(2_000))).await.expect("it is bounded"));
        assert!(sim.elapsed() - before < ms(3_000), "{:?}", sim.elapsed() - before);
    });
}

#[test]
fn tx_28_whether_a_transaction_is_empty_is_decided_after_its_records_came() {
    scenario(|sim| async move {
        let producer = start_with(&sim, |c| c.set("linger.ms", 2_000).set("batch.size", 100_000));
        let mut producer = producer.await;
        for n in 0..4 {
            let txn = producer.begin_transaction().expect("it begins");
            drop(txn.send(Record::to("t").value(&format!("a-{n}"))));
            txn.commit().await.expect("committed");
        }
        assert_eq!(settled(&sim, "t").await, values("a", 4));
    });
}

#[test]
fn tx_29_a_commit_does_not_overrule_what_can_only_be_aborted() {
    scenario(|sim| async move {
        let (_kafka, mut producer) = start(&sim, 2).await;
        let txn = producer.begin_transaction().expect("it begins");
        txn.send(Record::to("t").partition(0).value("a")).await.expect("written");
        sim.cluster().fault(Api::Produce).times(1).error([87, 120][usize::try_from(sim.seed() / 2 % 2).unwrap()]);
        txn.send(Record::to("t").partition(1).value("b")).await.expect_err("refused");
        let late = txn.send(Record::to("t").partition(0).value("c")).await;
        assert!(late.is_err(), "it is over for this transaction: {late:?}");
        let error = txn.commit().await.expect_err("something failed");
        assert!(error.kind() == ErrorKind::Aborted && !error.is_fatal(), "{error:?}");
        assert!(settled(&sim, "t").await.is_empty());
        commit_one(&mut producer, "d").await.expect("it goes on");
        assert_eq!(settled(&sim, "t").await, ["d"]);
    });
}
