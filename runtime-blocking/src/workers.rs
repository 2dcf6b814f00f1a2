//! Threads for CPU work: started when there is work, gone when there has been none for a while.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, available_parallelism};
use std::time::Duration;

const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// As many threads as the machine has cores, at most.
#[derive(Default)]
pub(crate) struct Workers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workers {
    /// Runs the job on one of the threads. If there is none and none can be started, the job is dropped.
    pub(crate) fn run(&self, job: Job) {
        let mut queue = self.0.lock();
        queue.jobs.push_back(job);
        if queue.idle >= queue.jobs.len() {
            self.0.more.notify_one();
            return;
        }
        if queue.threads > 0 && queue.threads >= available_parallelism().map_or(1, usize::from) {
            return;
        }
        let shared = Arc::clone(&self.0);
        match Builder::new().name("klamm-work".into()).spawn(move || work(&shared)) {
            Ok(_) => queue.threads += 1,
            Err(_) if queue.threads == 0 => {
                let dropped = queue.jobs.pop_back();
                drop(queue);
                drop(dropped);
            }
            Err(_) => {}
        }
    }
}

fn work(shared: &Shared) {
    let mut queue = shared.lock();
    loop {
        if let Some(job) = queue.jobs.pop_front() {
            drop(queue);
            // A job that panics answers by being dropped; the thread goes on.
            drop(catch_unwind(AssertUnwindSafe(job)));
            queue = shared.lock();
            continue;
        }
        queue.idle += 1;
        let (woken, timeout) = shared.more.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
        queue = woken;
        queue.idle -= 1;
        if timeout.timed_out() && queue.jobs.is_empty() {
            queue.threads -= 1;
            return;
        }
    }
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Workers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn every_job_runs_though_some_panic() {
        let workers = Workers::default();
        let (tell, told) = channel();
        for n in 0..100 {
            let tell = tell.clone();
            workers.run(Box::new(move || {
                assert!(n % 10 != 0, "as a test");
                tell.send(n).unwrap();
            }));
        }
        drop(tell);
        let mut ran: Vec<i32> = told.iter().collect();
        ran.sort_unstable();
        assert_eq!(ran, (0..100).filter(|n| n % 10 != 0).collect::<Vec<_>>());
        assert!(workers.0.lock().threads <= available_parallelism().map_or(1, usize::from));
    }
}
