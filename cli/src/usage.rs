//! What this process has used of the machine.

use std::time::Duration;

/// CPU time of all threads of this process, user and system.
#[cfg(unix)]
pub(crate) fn process_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(spent.tv_sec).unwrap_or(0), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// Not known here.
#[cfg(not(unix))]
pub(crate) fn process_cpu() -> Duration {
    Duration::ZERO
}

/// CPU time of the threads with this name (Linux).
pub(crate) fn threads_cpu(name: &str) -> Duration {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let nanos = tasks.flatten().filter_map(|task| {
        let read = |file| std::fs::read_to_string(task.path().join(file)).ok();
        if read("comm")?.trim_end() != name {
            return None;
        }
        // Nanoseconds on a CPU, nanoseconds in the queue, number of slices.
        read("schedstat")?.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// The most memory that this process ever had resident, in bytes (Linux).
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Microseconds of CPU per record.
pub(crate) fn per_record(spent: Duration, records: u64) -> f64 {
    spent.as_secs_f64() * 1e6 / records.max(1) as f64
}

/// A number with commas between its thousands.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_000_000, "1,000,000"), (12_345, "12,345")] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn work_costs_cpu_time_and_memory_is_known() {
        let before = process_cpu();
        let mut x = 1u64;
        while process_cpu() - before < Duration::from_millis(1) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(peak_memory().is_some_and(|bytes| bytes > 100_000));
        let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
        assert!(threads_cpu(name.trim_end()) > Duration::ZERO);
    }
}
