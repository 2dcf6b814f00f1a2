//! `.wait()`: the same futures, polled by a thread that sleeps in between.

use super::Front;
use klamm_core::{Error, ErrorKind};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// However a wake-up might be lost, a waiting thread looks again after this long.
const NET: Duration = Duration::from_secs(1);

struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// A number for the current thread, never 0.
pub(crate) fn thread_id() -> u64 {
    use std::sync::atomic::AtomicU64;
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static ID: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    ID.try_with(|id| *id).unwrap_or(u64::MAX)
}

/// The error of a wait that would never end.
pub(crate) fn misuse() -> Error {
    Error::new(ErrorKind::Misuse, "wait() was called on the thread that runs this client and would never return")
        .with_hint("use .await, or connect with Blocking")
}

/// Whether waiting here would keep the driver from running.
pub(crate) fn would_deadlock(front: &Front) -> bool {
    front.driver_thread.load(Ordering::Acquire) == thread_id()
}

/// Polls `future` on this thread until it is ready, or `limit` passed: then `None`.
pub(crate) fn block_on<F: Future>(future: F, limit: Option<Duration>) -> Option<F::Output> {
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    let parked = Arc::new(Parked { thread: std::thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(parked.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        let net = Instant::now() + NET;
        while !parked.woken.swap(false, Ordering::AcqRel) {
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return None;
            }
            if now >= net {
                break;
            }
            std::thread::park_timeout(end.map_or(net, |end| end.min(net)) - now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn another_thread_ends_the_wait() {
        let (setter, slot) = super::super::op::op_slot();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            setter.set(Ok(klamm_core::client::Reply::Unit));
        });
        assert!(block_on(poll_fn(|cx| slot.poll(cx)), None).is_some_and(|reply| reply.is_ok()));
        thread.join().unwrap();
    }

    #[test]
    fn a_limit_ends_the_wait_and_not_the_work() {
        let (setter, slot) = super::super::op::op_slot();
        assert!(block_on(poll_fn(|cx| slot.poll(cx)), Some(Duration::from_millis(5))).is_none());
        setter.set(Ok(klamm_core::client::Reply::Unit));
        assert!(block_on(poll_fn(|cx| slot.poll(cx)), None).is_some());
    }

    #[test]
    fn every_thread_has_a_number_of_its_own() {
        let here = thread_id();
        assert_eq!(here, thread_id());
        assert_ne!(here, std::thread::spawn(thread_id).join().unwrap());
    }
}
