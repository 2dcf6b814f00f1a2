//! A run, and many of them.

use crate::executor::Executor;
use crate::faults::Faults;
use crate::net::SimNet;
use crate::plan::Plan;
use crate::shrink::shrinking;
use crate::world::{Shared, World, lock};
use klamm::Runtime;
use klamm::internal::MakeEngine;
use klamm_cluster::{Cluster, StoredRecord};
use klamm_core::Time;
use klamm_core::driver::{Driver, Net};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

/// No run takes longer, in virtual time: whoever still waits then waits for ever.
const LONGEST: Duration = Duration::from_secs(3_600);
/// More than this comes to pass in no run: something goes round and round.
const MOST: u64 = 2_000_000;
/// More polls than this without time passing are a busy loop.
const SPIN: u64 = 10_000;

/// One simulated run: its executor, its network, its brokers.
#[derive(Clone)]
pub struct Sim {
    executor: Rc<Executor>,
    world: Shared,
    seed: u64,
    clients: Rc<Cell<u64>>,
    fate: Rc<Fate>,
    /// Who wants to look whenever something has come to pass.
    watchers: Rc<RefCell<Vec<Waker>>>,
}

/// What befalls the drivers of all clients, beside the network.
#[derive(Default)]
struct Fate {
    dead: Cell<bool>,
    frozen_until: Cell<Duration>,
    wakers: RefCell<Vec<Waker>>,
}

thread_local!(static CURRENT: RefCell<Option<Rc<Executor>>> = const { RefCell::new(None) });

fn interrupt() {
    let executor = CURRENT.with(|current| current.borrow().clone());
    if let Some(executor) = executor {
        executor.interrupt();
    }
}

impl Sim {
    fn new(seed: u64, without: BTreeSet<usize>) -> Self {
        Self {
            executor: Executor::new(seed ^ 0x5eed),
            world: Arc::new(Mutex::new(World::new(seed, without))),
            seed,
            clients: Rc::default(),
            fate: Rc::default(),
            watchers: Rc::default(),
        }
    }

    /// The brokers: three, up, without topics; topics are made by first use.
    pub fn cluster(&self) -> Cluster {
        lock(&self.world).cluster.clone()
    }

    /// What goes wrong in this run, drawn from its seed.
    pub fn faults(&self, faults: Faults) {
        lock(&self.world).set_faults(faults);
    }

    /// Topics that are never deleted and created anew.
    pub fn keep<T: Into<String>>(&self, topics: impl IntoIterator<Item = T>) {
        lock(&self.world).kept = topics.into_iter().map(Into::into).collect();
    }

    /// What was in a topic that was deleted, one list for each time, oldest first.
    pub fn past_records(&self, topic: &str) -> Vec<Vec<StoredRecord>> {
        lock(&self.world).past.get(topic).cloned().unwrap_or_default()
    }

    /// What all clients together did wrong on the wire, as far as brokers could see it.
    pub fn judge_wire(&self) {
        lock(&self.world).monitor.judge();
    }

    /// The seed of this run, for choices of the test's own.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Drops the drivers of all clients, wherever they are: what is theirs ends, as at the end of a runtime.
    pub fn kill_clients(&self) {
        self.fate.dead.set(true);
        self.fate.wakers.take().into_iter().for_each(Waker::wake);
    }

    /// No client's driver runs for so long, as in a process that is stopped; brokers and applications go on.
    pub fn freeze_clients(&self, time: Duration) {
        self.fate.frozen_until.set(self.elapsed() + time);
    }

    /// Runs a task beside the others.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.executor.spawn(task);
    }

    /// Waits for virtual time to pass.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        let world = self.world.clone();
        let until = lock(&world).now().mono + time;
        let mut armed = false;
        std::future::poll_fn(move |cx| {
            let mut world = lock(&world);
            if world.now().mono >= until {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut armed, true) {
                world.wake_at(until, cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// Virtual time since the run began.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(lock(&self.world).now().mono.0)
    }

    /// How often any task was polled: a client's driver is one.
    pub fn polls(&self) -> u64 {
        self.executor.polls()
    }

    /// How many things have come to pass: bytes that arrived, timers that rang.
    pub fn happened(&self) -> u64 {
        lock(&self.world).happened()
    }

    /// Wakes a task when the next thing has come to pass, whatever it is.
    pub fn wake_at_next_event(&self, waker: &Waker) {
        self.watchers.borrow_mut().push(waker.clone());
    }

    /// How many connections clients hold open.
    pub fn connections(&self) -> usize {
        lock(&self.world).wires.values().filter(|wire| !wire.dropped).count()
    }

    pub(crate) fn world(&self) -> &Shared {
        &self.world
    }

    /// For the next client.
    pub(crate) fn next_seed(&self) -> u64 {
        self.clients.set(self.clients.get() + 1);
        self.seed.wrapping_mul(1_000_003).wrapping_add(self.clients.get())
    }

    fn run(&self, main: impl Future<Output = ()> + 'static) {
        let done = Rc::new(Cell::new(false));
        let flag = done.clone();
        self.executor.spawn(async move {
            main.await;
            flag.set(true);
        });
        let (mut at, mut polls) = (Duration::ZERO, 0);
        while !done.get() {
            if self.executor.step() {
                let spun = self.executor.polls() - polls;
                assert!(spun < SPIN, "{spun} polls at {at:?} without time passing: a busy loop");
                continue;
            }
            assert!(lock(&self.world).step(), "nothing will ever happen again, at {:?}", self.elapsed());
            self.watchers.take().into_iter().for_each(Waker::wake);
            let happened = lock(&self.world).happened();
            assert!(happened < MOST, "{happened} things came to pass in {at:?}: a loop");
            if self.elapsed() != at {
                (at, polls) = (self.elapsed(), self.executor.polls());
                assert!(at < LONGEST, "still waiting after {at:?} of virtual time");
            }
        }
    }
}

impl Runtime for &Sim {
    fn start(self, make: MakeEngine) -> klamm::Result<()> {
        let net = SimNet::new(&self.world);
        let engine = make.make(net.clock());
        let mut driver = Driver::new(engine, net);
        let (fate, world) = (self.fate.clone(), self.world.clone());
        let mut known = false;
        self.executor.spawn(std::future::poll_fn(move |cx| {
            if fate.dead.get() {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut known, true) {
                fate.wakers.borrow_mut().push(cx.waker().clone());
            }
            let until = fate.frozen_until.get();
            if lock(&world).now().mono < Time::ZERO + until {
                lock(&world).wake_at(Time::ZERO + until, cx.waker().clone());
                return Poll::Pending;
            }
            driver.poll(cx)
        }));
        Ok(())
    }

    fn is_real(&self) -> bool {
        false
    }

    fn seed(&self) -> u64 {
        self.next_seed()
    }
}

/// Runs one seed once and returns the hash of everything that went over the network.
pub fn run_seed<F: Future<Output = ()> + 'static>(seed: u64, app: &impl Fn(Sim) -> F) -> u64 {
    run_without(seed, BTreeSet::new(), app).0
}

/// The same without some parts of what goes wrong; gives also the plan of that.
pub(crate) fn run_without<F: Future<Output = ()> + 'static>(
    seed: u64,
    without: BTreeSet<usize>,
    app: &impl Fn(Sim) -> F,
) -> (u64, Plan) {
    let sim = Sim::new(seed, without);
    CURRENT.with(|current| *current.borrow_mut() = Some(sim.executor.clone()));
    klamm::internal::set_yield_hook(Some(interrupt));
    // Also after a failed assertion: the next run on this thread has an executor of its own.
    let _end = End(sim.clone());
    let main = app(sim.clone());
    sim.run(main);
    sim.judge_wire();
    let world = lock(&sim.world);
    (world.trace() ^ world.happened(), world.plan.clone())
}

thread_local!(static LAST_PLAN: RefCell<Plan> = RefCell::default());

/// The plan of the last run on this thread that failed.
pub(crate) fn last_plan() -> Plan {
    LAST_PLAN.with(|plan| plan.borrow().clone())
}

struct End(Sim);

impl Drop for End {
    fn drop(&mut self) {
        klamm::internal::set_yield_hook(None);
        CURRENT.with(|current| current.borrow_mut().take());
        if std::thread::panicking() {
            let plan = lock(&self.0.world).plan.clone();
            LAST_PLAN.with(|last| *last.borrow_mut() = plan);
        } else {
            self.0.executor.clear();
        }
    }
}
/// Runs `app` under each seed, twice: the second run must be the first again, byte for byte.
///
/// `KLAMM_SIM_SEED=N` runs only that seed, `KLAMM_SIM_SEEDS=N` runs N seeds instead of as many as asked for. What goes wrong in
/// a run that fails is reduced to what is needed for that (`KLAMM_SIM_SHRINK=0`: not).
///
/// # Panics
/// If `app` panics, waits for ever, spins, or runs differently the second time; the command that runs the failing seed again is
/// printed.
pub fn check<F: Future<Output = ()> + 'static>(seeds: Range<u64>, app: impl Fn(Sim) -> F) {
    for seed in chosen(seeds) {
        let _told = Told(seed);
        shrinking(seed, &app, || {
            let (first, second) = (run_seed(seed, &app), run_seed(seed, &app));
            assert_eq!(first, second, "two runs of one seed differ");
        });
    }
}

fn chosen(seeds: Range<u64>) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("KLAMM_SIM_SEED"), number("KLAMM_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(n)) => seeds.start..seeds.start + n,
        (None, None) => seeds,
    }
}

/// Says which seed was running when something failed.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let test = std::thread::current().name().unwrap_or("TEST").to_owned();
            eprintln!(
                "seed {} fails; run it again with: KLAMM_SIM_SEED={} cargo test -p klamm-sim {test}",
                self.0, self.0
            );
        }
    }
}
