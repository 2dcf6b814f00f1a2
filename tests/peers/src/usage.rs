//! What a stretch of a client's life cost: the whole process, so that background threads count.

use rustix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;
use std::time::Instant;

/// The clocks of this process at one time.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    wall: Instant,
    cpu: f64,
    allocations: Option<u64>,
}

/// What `records` records cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time of all threads, in ns per record.
    pub cpu: f64,
    /// Records per second of wall time.
    pub rate: f64,
    /// Allocations per record, if they are counted.
    pub allocations: Option<f64>,
}

impl Usage {
    /// Reads them.
    pub fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = cpu.tv_sec as f64 * 1e9 + cpu.tv_nsec as f64;
        Self { wall: Instant::now(), cpu, allocations: allocations() }
    }

    /// What was done since cost.
    pub fn cost(self, records: u64) -> Cost {
        let now = Self::now();
        let records = records as f64;
        let allocations = now.allocations.zip(self.allocations).map(|(now, then)| (now - then) as f64 / records);
        Cost { cpu: (now.cpu - self.cpu) / records, rate: records / (now.wall - self.wall).as_secs_f64(), allocations }
    }
}

/// The highest resident memory so far, in KiB.
pub fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

static COUNT: OnceLock<fn() -> u64> = OnceLock::new();

/// From now on allocations are counted by `count`: Rust's only, not what C allocates.
pub fn count_allocations(count: fn() -> u64) {
    // Only `main` says so, once.
    let _ = COUNT.set(count);
}

fn allocations() -> Option<u64> {
    COUNT.get().map(|count| count())
}

impl Usage {
    /// CPU seconds of this process so far.
    pub fn cpu_seconds(self) -> f64 {
        self.cpu / 1e9
    }
}
