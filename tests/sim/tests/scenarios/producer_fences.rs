//! 2.1: flush, close, callbacks: what they cover, and that each record ends once.

use crate::rig::*;
use klamm::{Acknowledgement, ErrorKind, Plugin, Producer, ProducerInterceptor, Purge, Record, RecordEdit};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

/// How often each record was seen on its way out, and told of.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeMap<String, (u32, u32)>>>);

impl ProducerInterceptor for Ledger {
    fn on_send(&self, record: &mut RecordEdit<'_>) {
        let value = text(record.value());
        record.add_header("value", Some(value.clone().into_bytes()));
        self.0.lock().unwrap().entry(value).or_default().0 += 1;
    }

    fn on_acknowledgement(&self, told: &Acknowledgement<'_>) {
        let value = told.headers().find(|h| h.key == b"value").map(|h| text(h.value)).unwrap_or_default();
        self.0.lock().unwrap().entry(value).or_default().1 += 1;
    }
}

impl Ledger {
    /// At least so many are told of.
    fn judge_told(&self, records: usize) {
        let told = self.0.lock().unwrap().values().filter(|times| times.1 > 0).count();
        assert!(told >= records, "{told} of {records} are told of");
    }

    fn judge(&self, records: usize) {
        let all = self.0.lock().unwrap().clone();
        assert_eq!(all.len(), records);
        assert!(all.values().all(|times| *times == (1, 1)), "sent and told: {all:?}");
    }
}

#[test]
fn pr_04_wherever_the_sending_stops_each_record_ends_once() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let ledger = Ledger::default();
        let producer = producer(&kafka, |c| {
            c.set("batch.size", 100).set("linger.ms", 3).interceptor(Plugin::interceptor(ledger.clone()))
        });
        producer.topic("t").ready().await.expect("it is there");
        sim.cluster().fault(Api::Produce).times(3).delay(ms(20));
        let mut sent = Vec::new();
        for i in 0..40u64 {
            let value = format!("s{}-{i}", i % 2);
            let delivery = producer.send(Record::to("t").partition((i % 2) as i32).value(&value));
            sent.push((value, delivery));
            if i % 8 == 7 {
                sim.sleep(ms(1)).await;
            }
        }
        sim.sleep(ms(sim.seed() * 2)).await;
        match sim.seed() % 3 {
            0 => drop(producer.close().within(ms(sim.seed())).await),
            1 => {
                sim.kill_clients();
                sim.sleep(ms(1)).await;
            }
            _ => drop(kafka.close().await),
        }
        assert!(sent.iter().all(|(_, d)| d.is_ready()), "some hang");
        let results = outcomes(sent).await;
        sim.sleep(ms(3_000)).await;
        judge_log(&sim, "t", &results);
        ledger.judge(40);
    });
}

#[test]
fn pr_13_a_flush_covers_records_that_wait_in_line() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer =
            producer(&kafka, |c| c.set("buffer.memory", 4_000).set("batch.size", 500).set("linger.ms", 60_000));
        producer.topic("t").ready().await.expect("it is there");
        sim.cluster().fault(Api::Produce).times(2).delay(ms(200));
        let value = "x".repeat(300);
        let mut sent: Vec<_> = (0..15).map(|_| producer.send(Record::to("t").value(&value))).collect();
        // One waits for its topic.
        sent.push(producer.send(Record::to("unheard").value(&value)));
        assert!(producer.buffered().waiting() > 1, "nobody waits");
        producer.flush().await.expect("all is written");
        assert_eq!(sent.iter().filter(|d| !d.is_ready()).count(), 0);
        assert_eq!((log(&sim, "t").len(), log(&sim, "unheard").len()), (15, 1));
    });
}

#[test]
fn pr_15_a_flush_and_an_awaited_record_wait_for_no_linger() {
    steady(|sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 100_000));
        producer.send(Record::to("t").value("first")).await.expect("written");
        assert!(sim.elapsed() < ms(100), "an awaited record lingers: {:?}", sim.elapsed());
        let sent = send_to(&producer, "t", 1, "s", 0..20);
        sim.sleep(ms(500)).await;
        assert!(sent.iter().all(|(_, d)| !d.is_ready()), "others linger");
        let begin = sim.elapsed();
        producer.flush().await.expect("written");
        assert!(sim.elapsed() - begin < ms(10), "a flush waits: {:?}", sim.elapsed() - begin);
        assert!(sent.iter().all(|(_, d)| d.is_ready()));
        // So does a close.
        let last = send_to(&producer, "t", 2, "s", 20..25);
        let begin = sim.elapsed();
        producer.close().await.expect("written");
        assert!(sim.elapsed() - begin < ms(10), "a close waits: {:?}", sim.elapsed() - begin);
        assert!(last.iter().all(|(_, d)| d.is_ready()));
    });
}

/// Flushes and waits in a callback, which runs where the client itself runs.
#[derive(Clone, Default)]
struct Flushing {
    producer: Arc<OnceLock<Producer>>,
    told: Arc<Mutex<Vec<Option<ErrorKind>>>>,
}

impl ProducerInterceptor for Flushing {
    fn on_acknowledgement(&self, _: &Acknowledgement<'_>) {
        let Some(producer) = self.producer.get() else { return };
        // One that is never awaited does no harm either.
        drop(producer.flush());
        let told = producer.flush().wait().err().map(|error| error.kind());
        let sent = producer.send(Record::to("t").value("from the callback")).wait_for(ms(0));
        drop(sent);
        self.told.lock().unwrap().push(told);
    }
}

#[test]
fn pr_16_a_flush_that_is_waited_for_in_a_callback_is_refused_and_hangs_nobody() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let flushing = Flushing::default();
        let plugin = Plugin::interceptor(flushing.clone());
        let first = producer(&kafka, |c| c.set("batch.size", 0).interceptor(plugin));
        // Of another producer of the same client: the thread is the same, so the answer is.
        let other = producer(&kafka, |c| c.set("linger.ms", 60_000));
        drop(other.send(Record::to("t").value("lingers")));
        flushing.producer.set(other.clone()).ok();
        let results = send_all(&first, "t", "s", 0..5).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        let told = flushing.told.lock().unwrap().clone();
        assert_eq!(told.len(), 5);
        assert!(told.iter().all(|kind| kind.is_none_or(|kind| kind == ErrorKind::Misuse)), "{told:?}");
        assert!(told.contains(&Some(ErrorKind::Misuse)), "{told:?}");
        other.flush().await.expect("all is written");
        assert_eq!(log(&sim, "t").len(), 11);
    });
}

#[test]
fn pr_21_after_close_a_record_is_refused_at_once_also_of_a_topic_nobody_knows() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        producer.topic("t").ready().await.expect("it is there");
        sim.cluster().fault(Api::Metadata).always().silence();
        let closing = producer.close();
        for topic in ["t", "unheard of"] {
            let late = producer.send(Record::to(topic).value("late"));
            assert!(late.is_ready(), "{topic}: it waits");
            assert_eq!(late.await.map_err(|e| e.kind()).map(drop), Err(ErrorKind::Closed));
            assert!(producer.try_send(Record::to(topic).value("late")).is_err());
        }
        let begin = sim.elapsed();
        closing.await.expect("there was nothing");
        drop(producer.flush().await);
        let again = producer.close().await;
        assert!(sim.elapsed() - begin < ms(1_000), "{:?}, {again:?}", sim.elapsed() - begin);
        assert!(log(&sim, "t").is_empty());
    });
}

#[test]
fn pr_38_interceptors_are_told_once_of_each_record_however_it_ends() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let ledger = Ledger::default();
        let producer = producer(&kafka, |c| {
            c.set("batch.size", 100)
                .set("buffer.memory", 3_000)
                .set("max.block.ms", 1_500)
                .set("request.timeout.ms", 500)
                .set("delivery.timeout.ms", 2_000)
                .interceptor(Plugin::interceptor(ledger.clone()))
        });
        producer.topic("t").ready().await.expect("it is there");
        let mut sent = Vec::new();
        let mut send =
            |value: &str, partition: i32| sent.push(producer.send(Record::to("t").partition(partition).value(value)));
        // Written, refused by the broker, split, expired, out of range, too large, in line, purged.
        (0..5).for_each(|i| send(&format!("a-{i}"), 0));
        sim.sleep(ms(50)).await;
        sim.cluster().fault(Api::Produce).times(1).error([87, 10, 29, 45][(sim.seed() % 4) as usize]);
        (0..5).for_each(|i| send(&format!("b-{i}"), 0));
        sim.sleep(ms(100)).await;
        sim.cluster().fault(Api::Produce).times(2).silence_after_apply();
        (0..20).for_each(|i| send(&format!("c-{i}-{}", "x".repeat(150)), i % 2));
        send("d-0", 9);
        send("d-1", -1);
        send(&format!("d-2-{}", "x".repeat(4_000)), 0);
        sim.sleep(ms(300 * (sim.seed() % 4))).await;
        if sim.seed() % 2 == 0 {
            producer.purge(Purge::All).await.ok();
        }
        // One that nobody waits for.
        drop(producer.send(Record::to("t").partition(0).value("e-0")));
        for delivery in sent {
            drop(delivery.await);
        }
        // Told before whoever waits: all but the last are.
        ledger.judge_told(33);
        producer.flush().await.ok();
        ledger.judge(34);
        producer.close().await.ok();
        drop(producer.send(Record::to("t").value("f-0")).await);
        ledger.judge(35);
    });
}
