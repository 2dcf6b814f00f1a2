//! Between the application's threads and the driver: no wake-up is lost, nothing goes unanswered.

use super::*;
use crate::front::inbox::Input;
use crate::front::op::{OpSlot, op_slot};
use klamm_core::client::Reply;
use klamm_core::{Error, ErrorKind};
use loom::thread;

fn timer() -> (Input, Arc<OpSlot>) {
    let (setter, slot) = op_slot();
    (Input::Timer(Time(9), setter), slot)
}

#[test]
fn a_driver_that_sleeps_by_the_signal_alone_sees_everything_that_was_handed_over() {
    model(3, || {
        let front = front();
        let threads = [0, 1].map(|_| {
            let front = front.clone();
            thread::spawn(move || front.push(timer().0).unwrap())
        });
        let (mut inputs, mut count) = (Vec::new(), 0);
        loom::future::block_on(std::future::poll_fn(|cx: &mut Context<'_>| {
            front.signal.register(cx.waker());
            loop {
                front.signal.begin();
                front.inbox.swap(&mut inputs);
                count += inputs.drain(..).count();
                if count == 2 {
                    return Poll::Ready(());
                }
                // Without the second look that the engine takes.
                if front.signal.park() {
                    return Poll::Pending;
                }
            }
        }));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn what_is_handed_over_while_the_driver_ends_is_answered_once() {
    model(3, || {
        let front = front();
        let other = front.clone();
        let pusher = thread::spawn(move || {
            let (setter, slot) = op_slot();
            let pushed = other.push(Input::Close(Some(setter), None));
            (pushed.is_ok(), slot)
        });
        let late = front.inbox.kill(Error::new(ErrorKind::Closed, "over"));
        let taken = late.len();
        for input in late {
            if let Input::Close(Some(setter), _) = input {
                setter.set(Ok(Reply::Unit));
            }
        }
        let (pushed, slot) = pusher.join().unwrap();
        assert_eq!(usize::from(pushed), taken);
        assert_eq!(slot.take().expect("an answer").is_ok(), pushed);
        assert!(slot.take().is_none());
    });
}

#[test]
fn an_answer_wakes_who_waits_for_it() {
    model(3, || {
        let (setter, slot) = op_slot();
        let answer = thread::spawn(move || setter.set(Ok(Reply::Unit)));
        let reply = loom::future::block_on(std::future::poll_fn(|cx| slot.poll(cx)));
        assert!(matches!(reply, Ok(Reply::Unit)));
        answer.join().unwrap();
    });
}
