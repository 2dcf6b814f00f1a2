//! A client with nothing to do is not woken: not by polls of its own, not by timers that were set in vain.

use crate::rig::*;
use klamm::Record;

#[test]
fn a_client_with_nothing_due_is_not_woken_for_minutes() {
    klamm_sim::check(0..4, |sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        for n in 0..20u64 {
            producer.send(Record::to("t").key(&n.to_le_bytes()).value("v")).await.expect("nothing goes wrong here");
        }
        // What was set while there was work to do may still ring: linger, the deadlines of those records, of requests.
        sim.sleep(ms(150_000)).await;
        // Metadata is five minutes old at the earliest when it is asked for again, connections idle for nine.
        let (polls, happened) = (sim.polls(), sim.happened());
        sim.sleep(ms(120_000)).await;
        // This very task is woken, and nobody else.
        assert_eq!(sim.polls() - polls, 1, "polls of the client's driver in two minutes without work");
        assert_eq!(sim.happened() - happened, 1, "only this task's own timer rang");
    });
}

#[test]
fn a_client_that_sends_a_record_a_second_is_woken_a_few_times_for_each() {
    klamm_sim::check(0..4, |sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        producer.send(Record::to("t").value("v")).await.expect("nothing goes wrong here");
        sim.sleep(ms(20_000)).await;
        let polls = sim.polls();
        for _ in 0..50 {
            producer.send(Record::to("t").value("v")).await.expect("nothing goes wrong here");
            sim.sleep(ms(1_000)).await;
        }
        // The record, its answer; the sender for its answer and its own pause.
        let each = (sim.polls() - polls) / 50;
        assert!(each <= 6, "{each} polls for each record");
    });
}
