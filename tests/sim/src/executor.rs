//! A single-threaded executor whose every choice is drawn from the seed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// How deep a task may be interrupted by others between two lock sections of the client's front.
const MAX_DEPTH: u32 = 2;
/// One in so many places between lock sections lets another task run.
const INTERRUPT_ONE_IN: u64 = 8;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks of one run.
pub(crate) struct Executor {
    tasks: RefCell<Vec<Option<Task>>>,
    ready: Arc<Mutex<BTreeSet<usize>>>,
    rng: RefCell<fastrand::Rng>,
    depth: Cell<u32>,
    polls: Cell<u64>,
}

struct TaskWaker {
    id: usize,
    ready: Arc<Mutex<BTreeSet<usize>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(self.id);
    }
}

impl Executor {
    pub(crate) fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            tasks: RefCell::default(),
            ready: Arc::default(),
            rng: RefCell::new(fastrand::Rng::with_seed(seed)),
            depth: Cell::new(0),
            polls: Cell::new(0),
        })
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        tasks.push(Some(Box::pin(task)));
        let id = tasks.len() - 1;
        drop(tasks);
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Polls one of the tasks that may go on; false if none may.
    pub(crate) fn step(&self) -> bool {
        let id = {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            // A task that is being interrupted cannot be polled again inside of itself.
            let tasks = self.tasks.borrow();
            let free: Vec<usize> = ready.iter().copied().filter(|id| tasks[*id].is_some()).collect();
            if free.is_empty() {
                return false;
            }
            let id = free[self.rng.borrow_mut().usize(..free.len())];
            ready.remove(&id);
            id
        };
        let Some(mut task) = self.tasks.borrow_mut()[id].take() else { return true };
        self.polls.set(self.polls.get() + 1);
        let waker = Waker::from(Arc::new(TaskWaker { id, ready: self.ready.clone() }));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.tasks.borrow_mut()[id] = Some(task);
        } else {
            // A finished task's place stays taken for good: `None` is never polled.
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
        true
    }

    /// Called between two lock sections of the front: perhaps somebody else goes on now.
    pub(crate) fn interrupt(&self) {
        if self.depth.get() >= MAX_DEPTH || self.rng.borrow_mut().u64(..INTERRUPT_ONE_IN) != 0 {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        self.step();
        self.depth.set(self.depth.get() - 1);
    }

    /// How many polls there were.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.get()
    }

    /// Ends every task by dropping it.
    pub(crate) fn clear(&self) {
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
    }
}
