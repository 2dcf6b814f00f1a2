//! Which connections woke: one waker for each, so that a wake costs the ready ones and not all of them.
//!
//! The only lock of the core. Wakers must be `Send + Sync`, and a runtime may wake them from a thread of its own.

#![expect(clippy::disallowed_types, reason = "a waker may be called on any thread: this file is the core's only lock")]

use crate::ConnId;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The connections that woke since they were last taken, and whom to wake for it.
#[derive(Debug, Default)]
pub(super) struct Ready(Mutex<Woken>);

#[derive(Debug, Default)]
struct Woken {
    conns: Vec<ConnId>,
    /// Set while the driver sleeps; a driver at work looks here before it does.
    sleeper: Option<Waker>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Woken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The waker of one connection.
    pub(super) fn signal(self: &Arc<Self>, conn: ConnId) -> Arc<Signal> {
        Arc::new(Signal { conn, woken: AtomicBool::new(false), ready: Arc::clone(self) })
    }

    /// Moves the woken connections to `into`, which is empty.
    pub(super) fn take(&self, into: &mut Vec<ConnId>) {
        std::mem::swap(&mut self.lock().conns, into);
    }

    /// From now on a woken connection wakes `sleeper`; false, and nothing is kept, if one woke already.
    pub(super) fn sleep(&self, sleeper: &Waker) -> bool {
        let mut woken = self.lock();
        if !woken.conns.is_empty() {
            return false;
        }
        woken.sleeper = Some(sleeper.clone());
        true
    }

    /// The driver is at work and needs no wake.
    pub(super) fn awake(&self) {
        self.lock().sleeper = None;
    }
}

/// The waker of one connection. It is not told for reading and writing apart: both are tried.
#[derive(Debug)]
pub(super) struct Signal {
    conn: ConnId,
    woken: AtomicBool,
    ready: Arc<Ready>,
}

impl Signal {
    /// To be called before the connection is tried: a wake from then on counts again.
    pub(super) fn clear(&self) {
        // A swap and not a store: a wake that came just before is ignored, so what it announced must be visible after this.
        self.woken.swap(false, Ordering::AcqRel);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.woken.swap(true, Ordering::AcqRel) {
            return;
        }
        let sleeper = {
            let mut woken = self.ready.lock();
            woken.conns.push(self.conn);
            woken.sleeper.take()
        };
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn conn(index: u32) -> ConnId {
        ConnId { index, generation: 0 }
    }

    #[test]
    fn a_sleeping_driver_is_woken_once_and_finds_every_connection_once() {
        let ready = Arc::new(Ready::default());
        let count = Arc::new(Count::default());
        let sleeper = Waker::from(Arc::clone(&count));
        let (a, b) = (ready.signal(conn(1)), ready.signal(conn(2)));
        assert!(ready.sleep(&sleeper));
        a.wake_by_ref();
        a.wake_by_ref();
        b.wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let mut woken = Vec::new();
        ready.take(&mut woken);
        assert_eq!(woken, [conn(1), conn(2)]);
    }

    #[test]
    fn a_driver_does_not_fall_asleep_over_a_woken_connection() {
        let ready = Arc::new(Ready::default());
        let signal = ready.signal(conn(7));
        signal.wake_by_ref();
        assert!(!ready.sleep(Waker::noop()));
        ready.take(&mut Vec::new());
        assert!(ready.sleep(Waker::noop()));
    }

    #[test]
    fn a_driver_at_work_is_not_woken() {
        let ready = Arc::new(Ready::default());
        let count = Arc::new(Count::default());
        assert!(ready.sleep(&Waker::from(Arc::clone(&count))));
        ready.awake();
        ready.signal(conn(1)).wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_wake_after_clear_counts_again() {
        let ready = Arc::new(Ready::default());
        let signal = ready.signal(conn(1));
        signal.wake_by_ref();
        ready.take(&mut Vec::new());
        signal.wake_by_ref();
        assert!(ready.sleep(Waker::noop()), "not cleared: still the old wake");
        signal.clear();
        signal.wake_by_ref();
        assert!(!ready.sleep(Waker::noop()));
    }
}
