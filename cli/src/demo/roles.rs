//! The producer and the consumer of the demo: the same programs once with `.await` and once with `.wait()`.

use super::ledger::{Ledger, SIZE, fill};
use super::{GROUP, OUT, PARTITIONS, TOPIC, TRANSFORMERS};
use anyhow::{Context, bail};
use indicatif::ProgressBar;
use klamm::{Kafka, Outcome, Record};
use std::time::{Duration, Instant};

/// Nothing for so long: something is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the producer tells.
pub(super) struct Sent {
    pub(super) took: Duration,
    /// How many transactions of the loop in between were aborted.
    pub(super) aborted: Option<u64>,
}

/// What the consumer tells.
pub(super) struct Arrived {
    pub(super) took: Duration,
    pub(super) next_offsets: Vec<i64>,
}

/// The key of record `n`: records of one key stay in order, so many keys go to every partition.
fn key(n: u64) -> [u8; 8] {
    (n % 9973).to_be_bytes()
}

macro_rules! roles {
    ($name:ident, $waits:literal, [$($async:tt)?], $($now:tt)+) => {
        #[doc = $waits]
        pub(super) mod $name {
            use super::*;

            /// Sends all records; done when they are acknowledged.
            pub(in crate::demo) $($async)? fn produce(kafka: &Kafka, records: u64) -> anyhow::Result<Sent> {
                let begun = Instant::now();
                let producer = kafka.producer()?;
                let topic = producer.topic(TOPIC);
                let mut value = [0; SIZE];
                for n in 0..records {
                    fill(n, &mut value);
                    let delivery = producer.send(Record::to(&topic).key(&key(n)).value(&value));
                    if !delivery.is_queued() {
                        delivery.queued().$($now)+.context("a record found no room")?;
                    }
                }
                // Tells of every record that failed.
                producer.close().$($now)+.context("records were not acknowledged")?;
                Ok(Sent { took: begun.elapsed(), aborted: None })
            }

            /// Copies all records in transactions that carry its positions; every third is given up and done again. Gives how
            /// many were.
            pub(in crate::demo) $($async)? fn transform(kafka: Kafka, records: u64) -> anyhow::Result<u64> {
                let mut eos = kafka.exactly_once(TRANSFORMERS, "demo-0").$($now)+?;
                eos.subscribe([TOPIC])?;
                let (mut done, mut turn, mut aborted) = (0, 0u64, 0);
                while done < records {
                    let Some(step) = eos.poll(Duration::from_millis(500)).$($now)+? else { bail!("stopped") };
                    let count = step.batch().len() as u64;
                    for record in step.batch() {
                        let delivery = step.send(record.forward_to(OUT));
                        if !delivery.is_queued() {
                            delivery.queued().$($now)+.context("a record found no room")?;
                        }
                    }
                    turn += u64::from(count > 0);
                    if count > 0 && turn % 3 == 0 {
                        aborted += 1;
                        continue; // dropped: aborted, and read again
                    }
                    match step.commit().$($now)+? {
                        Outcome::Committed => done += count,
                        _ => aborted += 1,
                    }
                }
                eos.close().$($now)+?;
                Ok(aborted)
            }

            /// Reads until every record has arrived, and checks each.
            pub(in crate::demo) $($async)? fn consume(kafka: Kafka, topic: &str, records: u64, bar: ProgressBar) -> anyhow::Result<Arrived> {
                let begun = Instant::now();
                let mut consumer = kafka.consumer(GROUP)?;
                consumer.subscribe([topic])?;
                let mut ledger = Ledger::new(records, PARTITIONS as usize);
                let mut news = Instant::now();
                while ledger.count() < records {
                    let Some(batch) = consumer.poll(Duration::from_millis(500)).$($now)+? else { bail!("stopped") };
                    for record in &batch {
                        let value = record.value().context("a value is null")?;
                        ledger.enter(record.partition(), record.offset(), value).map_err(anyhow::Error::msg)?;
                    }
                    if !batch.is_empty() {
                        news = Instant::now();
                        bar.set_position(ledger.count());
                    } else if news.elapsed() > PATIENCE {
                        bail!("{} of {records} records arrived, then none for {PATIENCE:?}", ledger.count());
                    }
                }
                let took = begun.elapsed();
                consumer.commit_sync().$($now)+?;
                // Nothing may come behind the last one.
                if let Some(more) = consumer.poll(Duration::from_millis(200)).$($now)+? {
                    if !more.is_empty() {
                        bail!("{} records more arrived than were sent", more.len());
                    }
                }
                consumer.close().$($now)+?;
                Ok(Arrived { took, next_offsets: ledger.next_offsets() })
            }
        }
    };
}

roles!(awaited, "Awaits, on any executor.", [async], await);
roles!(waited, "Waits, on a thread.", [], wait());
