//! Every future of the public interface, given up at every point of its way: a dropped future ends the waiting, never the
//! work, and leaves nothing behind.
//!
//! A case runs an operation to its end once, polled whenever anything at all has come to pass, and counts the polls. Then the
//! same world runs again for each of these points, with the future polled so often and dropped; the case goes on with the
//! client and says what must hold either way. Afterwards every handle is gone and every connection has to end.
//!
//! Only two points under each seed are tried, unless `KLAMM_DROP_POINTS=N` asks for N; 0 is all of them.

mod admin;
mod client;
mod commits;
mod consuming;
mod eos;
mod list;
mod producing;
mod sending;
mod streams;
mod transacting;
mod two_phase;

use crate::rig::ms;
use klamm_sim::{Faults, Sim, run_seed};
use std::cell::Cell;
use std::future::{Future, IntoFuture};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// The even seed has a steady network, the odd one cuts and delays.
const SEEDS: std::ops::Range<u64> = 0..2;

/// Where the operation of a case is given up.
#[derive(Clone)]
pub(super) struct Cut {
    sim: Sim,
    at: Option<u32>,
    polls: Rc<Cell<u32>>,
}

impl Cut {
    /// Polls a future at every event of the world until it is ready, or until it is given up.
    pub(super) async fn off<F: IntoFuture>(&self, future: F) -> Option<F::Output> {
        let mut future = Box::pin(future.into_future());
        std::future::poll_fn(|cx| {
            if self.at == Some(self.polls.get()) {
                return Poll::Ready(None);
            }
            self.polls.set(self.polls.get() + 1);
            let polled = future.as_mut().poll(cx).map(Some);
            if polled.is_pending() {
                self.sim.wake_at_next_event(cx.waker());
            }
            polled
        })
        .await
    }
}

/// Says where a future was dropped when something failed.
struct Told(u64, Option<u32>);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            match self.1 {
                Some(at) => eprintln!("seed {}: the future was dropped after {at} polls", self.0),
                None => eprintln!("seed {}: nothing was dropped", self.0),
            }
        }
    }
}

/// Runs a case to its end, then again for each point of its operation.
pub(super) fn everywhere<F: Future<Output = ()> + 'static>(case: impl Fn(Sim, Cut) -> F) {
    for seed in SEEDS {
        let all = run(seed, None, &case);
        assert!(all > 0, "nothing was polled");
        for at in points(seed, all) {
            assert_eq!(run(seed, Some(at), &case), at, "the second run differs from the first");
        }
    }
}

fn run<F: Future<Output = ()> + 'static>(seed: u64, at: Option<u32>, case: &impl Fn(Sim, Cut) -> F) -> u32 {
    let _told = Told(seed, at);
    let polls = Rc::new(Cell::new(0));
    run_seed(seed, &|sim: Sim| {
        if seed % 2 == 1 {
            sim.faults(Faults::slowness().until(Duration::from_secs(3600)));
        }
        let work = case(sim.clone(), Cut { sim: sim.clone(), at, polls: polls.clone() });
        async move {
            work.await;
            // Every handle is gone: so is everything else, after the time that a close may take.
            let end = sim.elapsed() + ms(120_000);
            while sim.connections() > 0 {
                assert!(sim.elapsed() < end, "{} connections are never closed", sim.connections());
                sim.sleep(ms(50)).await;
            }
        }
    });
    polls.get()
}

/// Points of one operation under one seed, among so many that there are.
fn points(seed: u64, all: u32) -> std::collections::BTreeSet<u32> {
    match std::env::var("KLAMM_DROP_POINTS").ok().and_then(|text| text.parse::<u32>().ok()) {
        None if seed % 2 == 0 => [0, all / 2].into(),
        None => [all / 4, all - 1].into(),
        Some(most) if most == 0 || most >= all => (0..all).collect(),
        Some(most) => (0..most).map(|n| n * all / most).collect(),
    }
}

/// Declares cases: the calls whose futures they drop, and what they do.
macro_rules! cases {
    ($($name:ident: [$($call:literal),* $(,)?] = $case:expr;)*) => {
        /// The calls that are looked at here.
        pub(super) const CALLS: &[&str] = &[$($($call,)*)*];
        $(
            #[test]
            fn $name() {
                crate::dropped::everywhere($case);
            }
        )*
    };
}
use cases;
