//! One wake-up per nap of the driver.

use super::sync::atomic::{AtomicU8, Ordering};
use super::sync::{Mutex, locked, outside, yield_point};
use std::task::Waker;

const PARKED: u8 = 0;
const RUNNING: u8 = 1;
const NOTIFIED: u8 = 2;

/// Tells the driver that something was handed over. While it runs that is one atomic exchange; only the first
/// notification of a nap wakes it.
#[derive(Debug)]
pub(crate) struct Signal {
    state: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

impl Signal {
    /// Born notified: the driver's first turn must look at everything.
    pub(crate) fn new() -> Self {
        Self { state: AtomicU8::new(NOTIFIED), waker: Mutex::new(None) }
    }

    /// Something was handed over (before this call).
    pub(crate) fn notify(&self) {
        outside();
        yield_point();
        if self.state.swap(NOTIFIED, Ordering::AcqRel) == PARKED {
            let waker = locked(&self.waker).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Keeps the waker of the driver's task.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut kept = locked(&self.waker);
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }

    /// A turn begins: what is handed over from now on is seen by it or notified anew.
    pub(crate) fn begin(&self) {
        yield_point();
        self.state.swap(RUNNING, Ordering::AcqRel);
    }

    /// Whether the driver may sleep: false if it was notified since the turn began.
    pub(crate) fn park(&self) -> bool {
        yield_point();
        self.state.compare_exchange(RUNNING, PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes a successful [`park`](Self::park) back.
    pub(crate) fn unpark(&self) {
        // An exchange as everywhere: `loom` does not order a plain store among exchanges.
        self.state.swap(NOTIFIED, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::sync::atomic::AtomicUsize;
    use std::sync::Arc;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_the_first_notification_of_a_nap_wakes() {
        let (signal, count) = (Signal::new(), Arc::new(Count::default()));
        signal.register(&count.clone().into());
        assert!(!signal.park(), "the first turn has not looked yet");
        signal.begin();
        assert!(signal.park());
        signal.notify();
        signal.notify();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_notification_during_the_turn_forbids_the_nap_and_wakes_nobody() {
        let (signal, count) = (Signal::new(), Arc::new(Count::default()));
        signal.register(&count.clone().into());
        signal.begin();
        signal.notify();
        assert!(!signal.park());
        signal.begin();
        assert!(signal.park());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }
}
