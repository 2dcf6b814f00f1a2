//! A poll that waits, and those who end it.

use super::*;
use crate::front::shelf::{Asking, Shelf, Taken, Tools};
use klamm_core::ConsumerIx;
use klamm_core::config::ConsumerConfig;
use loom::thread;
use std::time::Duration;

fn poll(shelf: &Shelf) -> Taken {
    let (mut asking, mut tools) = (Asking::new(None, 1, false, Duration::MAX), Tools::default());
    let taken = loom::future::block_on(std::future::poll_fn(|cx: &mut Context<'_>| {
        match shelf.take(&mut asking, &mut tools, cx) {
            Ok(Taken::Pending) => Poll::Pending,
            other => Poll::Ready(other),
        }
    }));
    taken.unwrap()
}

#[test]
fn a_wakeup_and_a_close_end_a_poll_that_waits() {
    for close in [false, true] {
        model(3, move || {
            let shelf = Shelf::new(ConsumerIx(0), Arc::new(ConsumerConfig::default()), front()).unwrap();
            let other = shelf.clone();
            let ender = thread::spawn(move || if close { other.close() } else { other.wakeup() });
            assert!(matches!(poll(&shelf), Taken::End));
            ender.join().unwrap();
        });
    }
}

#[test]
fn what_is_asked_of_a_consumer_reaches_a_driver_that_sleeps() {
    model(3, || {
        let front = front();
        let shelf = Shelf::new(ConsumerIx(0), Arc::new(ConsumerConfig::default()), front.clone()).unwrap();
        let other = shelf.clone();
        let asker = thread::spawn(move || {
            other.start(klamm_core::client::Command::Subscribe(ConsumerIx(0), klamm_core::client::Subscription::None))
        });
        let mut outgoing = Vec::new();
        loom::future::block_on(std::future::poll_fn(|cx: &mut Context<'_>| {
            front.signal.register(cx.waker());
            loop {
                front.signal.begin();
                if shelf.take_dirty() {
                    shelf.take_outgoing(&mut outgoing);
                }
                if !outgoing.is_empty() {
                    return Poll::Ready(());
                }
                if front.signal.park() {
                    return Poll::Pending;
                }
            }
        }));
        assert_eq!(outgoing.len(), 1);
        drop(asker.join().unwrap());
    });
}
