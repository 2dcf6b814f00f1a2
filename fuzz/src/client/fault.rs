//! What goes wrong at the brokers.

use super::run::Run;
use klamm_cluster::Api;
use klamm_core::ErrorCode;
use std::time::Duration;

impl Run<'_> {
    /// A request of some API meets a fault.
    pub(super) fn fault(&mut self) {
        let api = self.feed.choose(Api::ALL).expect("there are APIs");
        let code = self.feed.choose(ErrorCode::ALL).expect("there are codes").0;
        let (effect, times) = (self.feed.below(11), self.feed.below(6) as u64);
        let by = Duration::from_millis(self.feed.number().unsigned_abs() % 10_000);
        let fault = self.net.brokers.fault(api).times(times);
        match effect {
            0 => fault.error(code),
            1 => fault.error_after_apply(code),
            2 => fault.omit_after_apply(),
            3 => fault.truncate_after_apply(),
            4 => fault.delay(by),
            5 => fault.delay_before_apply(by),
            6 => fault.disconnect(),
            7 => fault.disconnect_after_apply(),
            8 => fault.silence_after_apply(),
            9 => fault.corrupt_records(),
            _ => fault.throttle(by),
        }
    }

    /// Something happens to brokers or topics.
    pub(super) fn upset(&mut self) {
        let (what, topic, partition) =
            (self.feed.below(7), ["t0", "t1"][self.feed.below(2)], self.feed.below(3) as i32);
        let broker = self.feed.below(3) as i32 + 1;
        let (brokers, now) = (&mut self.net.brokers, self.now);
        match what {
            0 => brokers.kill_broker(now, broker),
            1 => brokers.start_broker(now, broker),
            // There may be no such broker or partition: then nothing happens.
            2 => drop(brokers.move_leader(now, topic, partition, broker)),
            3 => drop(brokers.move_coordinator(now, "g", broker)),
            4 => brokers.recreate_topic(now, topic),
            5 => drop(brokers.delete_topic(now, topic)),
            _ => brokers.create_topic(now, topic, partition + 1),
        }
        self.net.collect(now);
    }
}
