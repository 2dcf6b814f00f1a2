//! What becomes of the records.

use klamm::Deliveries;
use std::collections::VecDeque;

/// So many failures are told one by one.
const TOLD: u64 = 10;

/// The records on their way, in order.
#[derive(Default)]
pub(super) struct Outcomes {
    open: VecDeque<Deliveries>,
    /// How many records are behind us.
    seen: u64,
    failed: u64,
    fatal: bool,
}

impl Outcomes {
    /// Waits until the records are in the producer's buffer.
    pub(super) fn add(&mut self, sent: Deliveries) {
        if !sent.is_queued() {
            for record in sent.iter().filter(|record| !record.is_queued()) {
                // Why it did not get there is told with its outcome.
                let _ = record.queued().wait();
            }
        }
        self.open.push_back(sent);
    }

    /// Takes note of what is known by now.
    pub(super) fn look(&mut self) {
        while self.open.front().is_some_and(Deliveries::is_ready) {
            self.take();
        }
    }

    /// Whether no further record can succeed.
    pub(super) fn is_hopeless(&self) -> bool {
        self.fatal
    }

    /// Waits for all; gives how many failed.
    pub(super) fn settle(mut self) -> u64 {
        while !self.open.is_empty() {
            self.take();
        }
        self.failed
    }

    fn take(&mut self) {
        let Some(records) = self.open.pop_front() else { return };
        let first = self.seen + 1;
        self.seen += records.len() as u64;
        let one_by_one = records.clone();
        if records.wait().is_ok() {
            return;
        }
        for (number, record) in (first..).zip(one_by_one.iter()) {
            let Some(Err(error)) = record.try_result() else { continue };
            self.failed += 1;
            self.fatal |= error.is_fatal() || error.kind() == klamm::ErrorKind::UnknownTopic;
            if self.failed <= TOLD {
                eprintln!("klamm: record {number}: {error}");
            }
        }
    }
}
