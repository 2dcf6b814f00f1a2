//! The locks and atomics of the front: those of the standard library, or of `loom` in its models.
//!
//! Law 3 of `docs/design.md` is here; the tests of the front and the simulator judge it. [`locked`] takes a lock while the thread holds none, and the
//! simulator may run another task just before: so there is a [`yield_point`] between any two lock sections. [`leaf`] takes one
//! that may also be taken under another lock, and under which none is ever taken: so there is no order to get wrong.

#[cfg(all(loom, test))]
use loom::sync as imp;
#[cfg(not(all(loom, test)))]
use std::sync as imp;

pub(crate) use imp::{Mutex, RwLock, atomic};
use imp::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

/// A lock that is held, and the note of that.
pub(crate) struct Guard<G> {
    guard: G,
    _held: Held,
}

/// A held mutex.
pub(crate) type Locked<'a, T> = Guard<MutexGuard<'a, T>>;

impl<G: Deref> Deref for Guard<G> {
    type Target = G::Target;
    #[inline(always)]
    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Guard<G> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// Locks, as the only lock of this thread. A panic of another holder is no reason to stop: every critical section leaves its
/// data whole.
#[inline]
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> Locked<'_, T> {
    yield_point();
    Guard { _held: Held::only(), guard: mutex.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// Locks what may be locked under another lock; no further lock may be taken meanwhile.
#[inline]
pub(crate) fn leaf<T>(mutex: &Mutex<T>) -> Locked<'_, T> {
    yield_point();
    Guard { _held: Held::leaf(), guard: mutex.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// Locks for reading, as [`locked`].
#[inline]
pub(crate) fn read<T>(lock: &RwLock<T>) -> Guard<RwLockReadGuard<'_, T>> {
    yield_point();
    Guard { _held: Held::only(), guard: lock.read().unwrap_or_else(PoisonError::into_inner) }
}

/// Locks for writing, as [`locked`].
#[inline]
pub(crate) fn write<T>(lock: &RwLock<T>) -> Guard<RwLockWriteGuard<'_, T>> {
    yield_point();
    Guard { _held: Held::only(), guard: lock.write().unwrap_or_else(PoisonError::into_inner) }
}

thread_local!(static YIELD: std::cell::Cell<Option<fn()>> = const { std::cell::Cell::new(None) });

/// Lets the simulator run this thread's other tasks between any two lock sections of the front.
#[doc(hidden)]
pub fn set_yield_hook(hook: Option<fn()>) {
    YIELD.with(|cell| cell.set(hook));
}

/// A place between two steps that others may see apart. Nothing in release builds, nor while a lock is held.
#[inline(always)]
pub(crate) fn yield_point() {
    #[cfg(debug_assertions)]
    if let Ok(Some(hook)) = YIELD.try_with(std::cell::Cell::get) {
        if !check::is_locked() {
            hook();
        }
    }
}

/// Said before the application's code is called, a waker included: no lock is held.
#[inline(always)]
pub(crate) fn outside() {
    #[cfg(all(debug_assertions, not(loom)))]
    check::outside();
}

/// Says how many locks this thread holds; nothing in release builds.
struct Held {
    #[cfg(all(debug_assertions, not(loom)))]
    unit: u32,
}

impl Held {
    #[inline(always)]
    fn only() -> Self {
        Self {
            #[cfg(all(debug_assertions, not(loom)))]
            unit: check::take(check::ONLY),
        }
    }

    #[inline(always)]
    fn leaf() -> Self {
        Self {
            #[cfg(all(debug_assertions, not(loom)))]
            unit: check::take(check::LEAF),
        }
    }
}

#[cfg(all(debug_assertions, not(loom)))]
impl Drop for Held {
    fn drop(&mut self) {
        check::give(self.unit);
    }
}

#[cfg(debug_assertions)]
mod check {
    /// What a lock of [`super::locked`] counts.
    #[cfg(not(loom))]
    pub(super) const ONLY: u32 = 1;
    /// What a lock of [`super::leaf`] counts.
    #[cfg(not(loom))]
    pub(super) const LEAF: u32 = 1 << 16;

    // The threads of a loom model share what the system calls a thread.
    #[cfg(not(loom))]
    thread_local!(static HELD: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });

    #[cfg(not(loom))]
    fn held() -> u32 {
        HELD.try_with(std::cell::Cell::get).unwrap_or(0)
    }

    pub(super) fn is_locked() -> bool {
        #[cfg(not(loom))]
        return held() != 0;
        #[cfg(loom)]
        true
    }

    /// In the front's own tests and in the simulator: an order that bends a law of ours must not end a program that works.
    #[cfg(not(loom))]
    fn judges() -> bool {
        let simulated = || super::YIELD.try_with(std::cell::Cell::get).is_ok_and(|hook| hook.is_some());
        // A second panic while the first one unwinds would end the process, and tell nothing.
        (cfg!(test) || simulated()) && !std::thread::panicking()
    }

    #[cfg(not(loom))]
    pub(super) fn take(unit: u32) -> u32 {
        let held = held();
        if judges() {
            let free = if unit == LEAF { held < LEAF } else { held == 0 };
            assert!(free, "a lock of the front is taken under another (law 3 of docs/design.md)");
        }
        let _ = HELD.try_with(|cell| cell.set(held + unit));
        unit
    }

    #[cfg(not(loom))]
    pub(super) fn give(unit: u32) {
        let _ = HELD.try_with(|cell| cell.set(cell.get().saturating_sub(unit)));
    }

    #[cfg(not(loom))]
    pub(super) fn outside() {
        if judges() {
            assert_eq!(held(), 0, "a lock of the front is held while the application's code is called");
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    #[should_panic(expected = "law 3")]
    fn no_lock_is_taken_under_another() {
        let (one, two) = (Mutex::new(1), Mutex::new(2));
        let _one = locked(&one);
        let _two = locked(&two);
    }

    #[test]
    #[should_panic(expected = "law 3")]
    fn no_lock_is_taken_under_a_leaf() {
        let (one, two) = (Mutex::new(1), RwLock::new(2));
        let _one = leaf(&one);
        let _two = read(&two);
    }

    #[test]
    #[should_panic(expected = "law 3")]
    fn no_leaf_is_taken_under_a_leaf() {
        let (one, two) = (Mutex::new(1), Mutex::new(2));
        let _one = leaf(&one);
        let _two = leaf(&two);
    }

    #[test]
    #[should_panic(expected = "the application's code")]
    fn nobody_is_woken_under_a_lock() {
        let one = Mutex::new(1);
        let _one = locked(&one);
        super::super::slot::wake(Vec::new());
    }

    thread_local!(static SWITCHES: Cell<u32> = const { Cell::new(0) });

    #[test]
    fn others_may_run_before_each_lock_and_never_under_one() {
        set_yield_hook(Some(|| SWITCHES.with(|n| n.set(n.get() + 1))));
        let count = || SWITCHES.with(Cell::get);
        let (one, two) = (Mutex::new(1), RwLock::new(2));
        let held = locked(&one);
        assert_eq!(count(), 1);
        let small = Mutex::new(3);
        drop(leaf(&small));
        yield_point();
        assert_eq!(count(), 1, "a leaf under a lock is part of its section");
        drop(held);
        drop(leaf(&small));
        drop(read(&two));
        drop(write(&two));
        assert_eq!(count(), 4);
        set_yield_hook(None);
    }
}
