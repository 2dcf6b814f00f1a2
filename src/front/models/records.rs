//! Records on their way into batches: each has one outcome, memory comes back, and the line keeps its order.

use super::*;
use crate::front::budget::Grant;
use crate::front::producer::CLOSED;
use klamm_core::{Error, ErrorKind};
use loom::thread;

/// All memory is free, nothing waits, nothing is owed.
fn assert_empty(rig: &Rig) {
    let shared = &rig.producer.shared;
    assert_eq!(shared.budget.used(), (0, 0), "bytes in use, bytes in line");
    assert!(!shared.budget.is_short() && shared.is_settled());
    assert_eq!(shared.unsent(), 0);
}

#[test]
fn records_of_two_threads_reach_a_driver_that_sleeps_in_between() {
    // Three threads.
    model(1, || {
        let rig = Arc::new(rig(|_| ()).published());
        let senders = [&b"a"[..], b"b"].map(|value| {
            let topic = rig.topic.clone();
            thread::spawn(move || send(&topic, value).unwrap())
        });
        rig.drive(|count| count == 2);
        let sent = senders.map(|sender| sender.join().unwrap());
        assert!(sent.iter().all(is_delivered));
        assert_empty(&rig);
    });
}

#[test]
fn memory_that_another_thread_gives_back_reaches_the_first_in_line() {
    model(2, || {
        let rig = Arc::new(rig(|settings| settings.buffer_memory = 100_000).published());
        let shared = rig.producer.shared.clone();
        assert!(shared.budget.take(100_000));
        let held = Grant::new(shared, 100_000);
        let giver = thread::spawn(move || drop(held));
        let topic = rig.topic.clone();
        let sender = thread::spawn(move || send(&topic, b"a").unwrap());
        rig.drive(|count| count == 1);
        giver.join().unwrap();
        assert!(is_delivered(&sender.join().unwrap()));
        assert_empty(&rig);
    });
}

#[test]
fn room_for_one_record_more_reaches_the_first_in_line() {
    // Three threads.
    model(1, || {
        let rig = Arc::new(rig(|settings| settings.max_records = 1).published());
        let senders = [&b"a"[..], b"b"].map(|value| {
            let topic = rig.topic.clone();
            thread::spawn(move || send(&topic, value).unwrap())
        });
        rig.drive(|count| count == 2);
        let sent = senders.map(|sender| sender.join().unwrap());
        assert!(sent.iter().all(is_delivered));
        assert_empty(&rig);
        assert!(!rig.producer.shared.budget.is_crowded());
    });
}

#[test]
fn who_sends_while_the_gate_closes_is_refused_or_seen_by_the_fence_behind_it() {
    model(3, || {
        let rig = rig(|_| ()).published();
        let topic = rig.topic.clone();
        let sender = thread::spawn(move || send(&topic, b"a"));
        rig.producer.shared.close_gate(CLOSED);
        let (mut batches, mut tickets) = (Vec::new(), Vec::new());
        rig.topic.fence(&mut tickets);
        rig.slot().fence(&mut batches, &mut tickets);
        let seen = batches.len() + tickets.len();
        match sender.join().unwrap() {
            Ok(_) => assert_eq!(seen, 1, "a record that was taken is waited for"),
            Err(Refusal::Closed(_)) => assert_eq!(seen, 0),
            Err(other) => panic!("{other:?}"),
        }
        rig.turn();
        assert_empty(&rig);
    });
}

#[test]
fn who_sends_while_everything_is_given_up_is_refused_or_told() {
    for crowded in [false, true] {
        model(2, move || {
            let rig = rig(|settings| settings.buffer_memory = 100_000).published();
            let topic = rig.topic.clone();
            if crowded {
                assert!(rig.producer.shared.budget.take(100_000));
            }
            let sender = thread::spawn(move || send(&topic, b"a"));
            let error = Error::new(ErrorKind::Closed, "over");
            let mut wakers = Wakers::new();
            crate::front::engine::abandon(rig.producer.clone(), &error, &mut wakers);
            wake(wakers);
            if crowded {
                rig.producer.shared.give(100_000);
            }
            match sender.join().unwrap() {
                Ok(sent) => assert!(is_delivered(&sent), "it has its outcome"),
                Err(Refusal::Closed(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
            assert_empty(&rig);
            let mut dirty = Vec::new();
            rig.producer.shared.swap_dirty(&mut dirty);
            assert!(dirty.is_empty(), "a slot on the list keeps its producer for ever");
        });
    }
}

#[test]
fn records_sent_while_the_topic_becomes_known_keep_their_order() {
    model(2, || {
        let rig = Arc::new(rig(|_| ()));
        let topic = rig.topic.clone();
        let sender = thread::spawn(move || [send(&topic, b"a").unwrap(), send(&topic, b"b").unwrap()]);
        rig.publish();
        let sent = sender.join().unwrap();
        rig.drive(|count| count == 2);
        let places = sent.map(|sent| match sent {
            Sent::Placed(placed) => placed,
            Sent::Waiting(ticket) => ticket.placed().unwrap().unwrap(),
        });
        if Arc::ptr_eq(&places[0].ack, &places[1].ack) {
            assert!(places[0].index < places[1].index);
        } else {
            // Another batch: the first record's was opened and sealed before.
            assert_eq!((places[0].index, places[1].index), (0, 0));
        }
        assert_empty(&rig);
    });
}
