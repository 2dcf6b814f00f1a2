//! The outcome of a batch: seen by whoever waits for it, and a failure never silent, never told twice.

use super::*;
use crate::front::ack::{AckSetter, BatchAck};
use klamm_core::{Error, ErrorKind};
use loom::thread;
use std::task::Waker;

fn batch(rig: &Rig, records: u32) -> (AckSetter, Arc<BatchAck>) {
    let ack = BatchAck::new(rig.slot(), 0, 0);
    ack.set_count(records);
    (AckSetter::new(ack.clone()), ack)
}

fn finish(set: impl FnOnce(&mut Wakers)) {
    let mut wakers = Wakers::new();
    set(&mut wakers);
    wake(wakers);
}

fn failure() -> Error {
    Error::new(ErrorKind::NotDelivered, "it failed")
}

#[test]
fn an_outcome_wakes_every_task_that_waits_for_it() {
    // Three threads.
    model(2, || {
        let rig = rig(|_| ()).published();
        let (setter, ack) = batch(&rig, 2);
        let driver = thread::spawn(move || finish(|wakers| setter.deliver(Some(40), None, wakers)));
        let fence = ack.clone();
        let fence = thread::spawn(move || {
            loom::future::block_on(std::future::poll_fn(|cx: &mut Context<'_>| match fence.settled(cx.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }));
        });
        let landed = loom::future::block_on(std::future::poll_fn(|cx| ack.poll(1, cx))).unwrap();
        assert_eq!(landed.offset, Some(41));
        driver.join().unwrap();
        fence.join().unwrap();
    });
}

#[test]
fn a_batch_that_is_split_while_somebody_waits_gives_each_record_the_outcome_of_its_part() {
    model(3, || {
        let rig = rig(|_| ()).published();
        let (setter, ack) = batch(&rig, 2);
        let driver = thread::spawn(move || {
            let mut wakers = Wakers::new();
            let parts = setter.split(&[(0, 1), (1, 1)], &mut wakers);
            wake(wakers);
            for (offset, part) in (10..).zip(parts) {
                finish(|wakers| part.deliver(Some(offset), None, wakers));
            }
        });
        let landed = loom::future::block_on(std::future::poll_fn(|cx| ack.poll(1, cx))).unwrap();
        assert_eq!(landed.offset, Some(11));
        driver.join().unwrap();
        assert!(ack.is_settled());
    });
}

#[test]
fn a_failure_that_no_sender_looks_at_is_counted_once_whoever_lets_go_last() {
    model(3, || {
        let rig = rig(|_| ()).published();
        let (setter, ack) = batch(&rig, 3);
        let (delivery, fence) = (ack.clone(), ack);
        fence.watch();
        let driver = thread::spawn(move || finish(|wakers| setter.fail(failure(), Vec::new(), wakers)));
        let sender = thread::spawn(move || drop(delivery));
        // Settled or not: a flush may be given up.
        fence.settled(Waker::noop());
        fence.unwatch();
        driver.join().unwrap();
        sender.join().unwrap();
        let told = rig.producer.shared.unseen.take().expect_err("somebody is told");
        assert!(told.text().starts_with("3 records"), "{told}");
        assert_eq!(rig.producer.shared.unseen.take(), Ok(()));
    });
}

#[test]
fn a_failure_that_its_sender_looks_at_is_told_to_nobody_else() {
    model(3, || {
        let rig = rig(|_| ()).published();
        let (setter, ack) = batch(&rig, 1);
        let driver = thread::spawn(move || finish(|wakers| setter.fail(failure(), Vec::new(), wakers)));
        let outcome = loom::future::block_on(std::future::poll_fn(|cx| ack.poll(0, cx)));
        assert_eq!(outcome.unwrap_err(), failure());
        drop(ack);
        driver.join().unwrap();
        assert_eq!(rig.producer.shared.unseen.take(), Ok(()));
    });
}
