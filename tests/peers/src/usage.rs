//! What a stretch of a client's life cost: the whole process, so that background threads count.

use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// The clocks of this process at one time.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    wall: Instant,
    cpu: f64,
}

/// What `records` records cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time of all threads, in ns per record.
    pub cpu: f64,
    /// Records per second of wall time.
    pub rate: f64,
}

impl Usage {
    /// Reads them.
    pub fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self { wall: Instant::now(), cpu: cpu.tv_sec as f64 * 1e9 + cpu.tv_nsec as f64 }
    }

    /// What was done since cost.
    pub fn cost(self, records: u64) -> Cost {
        let now = Self::now();
        let records = records as f64;
        Cost { cpu: (now.cpu - self.cpu) / records, rate: records / (now.wall - self.wall).as_secs_f64() }
    }
}

/// The highest resident memory so far, in KiB.
pub fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

impl Usage {
    /// CPU seconds of this process so far.
    pub fn cpu_seconds(self) -> f64 {
        self.cpu / 1e9
    }
}
