//! KIP-42 on the consumer's side: what interceptors see is what the application gets, and what the group has.

use crate::rig::*;
use klamm::{Consumed, ConsumerInterceptor, Offsets, Plugin};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What one consumer's interceptor saw.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Ledger>>);

#[derive(Default)]
struct Ledger {
    consumed: Vec<(i32, i64)>,
    committed: BTreeMap<i32, i64>,
    closed: usize,
}

impl ConsumerInterceptor for Seen {
    fn on_consume(&self, records: &Consumed<'_>) {
        let mut ledger = self.0.lock().unwrap();
        ledger.consumed.extend(records.records().map(|record| (record.partition(), record.offset())));
        let odd = ledger.consumed.len() % 3 == 0;
        drop(ledger);
        assert!(!odd, "a panic harms nobody");
    }

    fn on_commit(&self, offsets: &Offsets) {
        let mut ledger = self.0.lock().unwrap();
        for (tp, offset) in offsets.iter() {
            let before = ledger.committed.insert(tp.partition, offset).unwrap_or(0);
            assert!(before <= offset, "{tp} goes back from {before} to {offset}");
        }
    }

    fn on_close(&self) {
        self.0.lock().unwrap().closed += 1;
    }
}

#[test]
fn interceptors_of_a_consumer_see_what_it_hands_out_and_what_its_group_has() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        for partition in 0..2 {
            fill(&kafka, "t", partition, 0..30).await;
        }
        let seen = Seen::default();
        let plugin = Plugin::consumer_interceptor(seen.clone());
        let mut consumer = member(&kafka, "t", |c| {
            c.set("request.timeout.ms", 1_000)
                .set("auto.commit.interval.ms", 20)
                .set("max.poll.records", 7)
                .interceptor(plugin)
        });
        // The group has these offsets although the consumer never hears that: the commit is made again.
        sim.cluster().fault(Api::OffsetCommit).after(1).times(2).silence_after_apply();
        let mut handed = Vec::new();
        while handed.len() < 60 {
            // Now by batch, now record by record; some polls are given up.
            if sim.seed() % 2 == 0 || handed.len() % 20 < 10 {
                let Some(Ok(Some(batch))) = within(&sim, ms(300), consumer.poll(ms(5_000))).await else { continue };
                handed.extend(batch.iter().map(|record| (record.partition(), record.offset())));
            } else {
                let Some(Ok(Some(record))) = within(&sim, ms(300), consumer.recv()).await else { continue };
                handed.push((record.partition(), record.offset()));
            }
        }
        assert_eq!(seen.0.lock().unwrap().consumed, handed);
        consumer.close().await.expect("all is committed");
        let ledger = seen.0.lock().unwrap();
        assert_eq!((ledger.closed, ledger.consumed.len()), (1, 60));
        for partition in 0..2 {
            let there = sim.cluster().committed("readers", "t", partition);
            assert_eq!((ledger.committed.get(&partition).copied(), there), (Some(30), Some(30)), "{partition}");
        }
    });
}
