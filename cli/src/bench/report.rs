//! What was measured.

use crate::usage::{peak_memory, per_record, process_cpu, thousands};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

/// Wall clock and CPU time since the measurement began.
pub(super) struct Clock {
    wall: Instant,
    cpu: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { wall: Instant::now(), cpu: process_cpu() }
    }

    /// Ends the measurement.
    pub(super) fn stop(self) -> (Duration, Duration) {
        (self.wall.elapsed(), process_cpu().saturating_sub(self.cpu))
    }
}

/// A histogram of microseconds, up to an hour.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("these bounds are in range")
}

/// What a measurement came to.
pub(super) struct Report<'a> {
    pub(super) what: &'a str,
    pub(super) runtime: &'a str,
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) took: (Duration, Duration),
    pub(super) latency: (&'a str, Histogram<u64>),
}

impl Report<'_> {
    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        let (wall, cpu) = self.took;
        let seconds = wall.as_secs_f64().max(1e-9);
        let rate = self.records as f64 / seconds;
        let mib = self.bytes as f64 / (1024.0 * 1024.0) / seconds;
        let cpu_us = per_record(cpu, self.records);
        let peak = peak_memory();
        let (what, latency) = &self.latency;
        let ms = |us: u64| us as f64 / 1000.0;
        let percentiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
        let latencies = percentiles.map(|(name, at)| (name, ms(latency.value_at_quantile(at))));
        if as_json {
            let latencies: Map<String, Value> =
                latencies.map(|(name, ms)| (name.to_owned(), json!(ms))).into_iter().collect();
            crate::table::json([json!({
                "bench": self.what, "runtime": self.runtime, "records": self.records, "bytes": self.bytes,
                "seconds": seconds, "records_per_second": rate, "mib_per_second": mib,
                "cpu_us_per_record": cpu_us, "peak_rss_bytes": peak, "latency_ms": latencies, "latency_of": what,
            })])?;
            return Ok(());
        }
        let mut rows = vec![
            ["records".to_owned(), thousands(self.records)],
            ["runtime".to_owned(), self.runtime.to_owned()],
            ["time".to_owned(), format!("{seconds:.3} s")],
            ["records/s".to_owned(), thousands(rate as u64)],
            ["MiB/s".to_owned(), format!("{mib:.1}")],
            ["CPU per record".to_owned(), format!("{cpu_us:.3} µs")],
        ];
        if let Some(peak) = peak {
            rows.push(["peak memory".to_owned(), format!("{:.1} MiB", peak as f64 / (1024.0 * 1024.0))]);
        }
        rows.extend(latencies.map(|(name, ms)| [format!("{what} {name}"), format!("{ms:.3} ms")]));
        crate::table::print([self.what, ""], rows)?;
        std::io::stdout().flush()?;
        Ok(())
    }
}
