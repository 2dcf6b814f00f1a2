//! klamm's consumer: poll by poll, every record looked at.

use crate::cell::Cell;
use crate::usage::{Cost, Usage};
use klamm::{AsyncStd, Batch, Blocking, Config, ConsumerConfig, Kafka, Tokio};
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long a poll may wait.
const PATIENCE: Duration = Duration::from_secs(30);

fn section() -> ConsumerConfig {
    ConsumerConfig::standalone().set("auto.offset.reset", "earliest")
}

/// Reads `records` records.
pub fn consume(cell: &Cell, bootstrap: &str, records: u64) -> Result<Cost, Failure> {
    let config = Config::new(bootstrap).consumer(section());
    let all = (0..cell.partitions).map(|partition| (cell.topic(), partition));
    let size = cell.size as u64;
    match cell.who.as_str() {
        "blocking-poll" => {
            let kafka = Kafka::connect(Blocking, config).wait()?;
            let mut consumer = kafka.standalone_consumer()?;
            consumer.assign(all)?;
            let mut tally = Tally::new(records);
            while tally.goes_on() {
                tally.take(consumer.poll(PATIENCE).wait()?);
            }
            tally.cost(size)
        }
        "blocking-iter" => {
            let kafka = Kafka::connect(Blocking, config).wait()?;
            let mut consumer = kafka.standalone_consumer()?;
            consumer.assign(all)?;
            let mut tally = Tally::new(records);
            for record in consumer.iter() {
                let record = record?;
                tally.add(1, record.value().map_or(0, <[u8]>::len));
                if !tally.goes_on() {
                    break;
                }
            }
            tally.cost(size)
        }
        "tokio-poll" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let tally = runtime.block_on(async {
                let kafka = Kafka::connect(Tokio, config).await?;
                let mut consumer = kafka.standalone_consumer()?;
                consumer.assign(all)?;
                let mut tally = Tally::new(records);
                while tally.goes_on() {
                    tally.take(consumer.poll(PATIENCE).await?);
                }
                Ok::<_, klamm::Error>(tally)
            })?;
            tally.cost(size)
        }
        "tokio-recv" | "tokio-mt-recv" => {
            let mut builder = if cell.who == "tokio-recv" {
                tokio::runtime::Builder::new_current_thread()
            } else {
                tokio::runtime::Builder::new_multi_thread()
            };
            let tally = builder.enable_all().build()?.block_on(async {
                let kafka = Kafka::connect(Tokio, config).await?;
                let mut consumer = kafka.standalone_consumer()?;
                consumer.assign(all)?;
                let mut tally = Tally::new(records);
                while tally.goes_on() {
                    let Some(record) = consumer.recv().await? else { break };
                    tally.add(1, record.value().map_or(0, <[u8]>::len));
                }
                Ok::<_, klamm::Error>(tally)
            })?;
            tally.cost(size)
        }
        "async-std-poll" => async_std::task::block_on(async {
            let kafka = Kafka::connect(AsyncStd, config).await?;
            let mut consumer = kafka.standalone_consumer()?;
            consumer.assign(all)?;
            let mut tally = Tally::new(records);
            while tally.goes_on() {
                tally.take(consumer.poll(PATIENCE).await?);
            }
            tally.cost(size)
        }),
        other => Err(format!("klamm is not used as {other}").into()),
    }
}

/// Counts: a tenth more first, to warm up.
struct Tally {
    warm: u64,
    all: u64,
    seen: u64,
    bytes: u64,
    begun: Option<(Usage, u64, u64)>,
    cost: Option<(Cost, u64, u64)>,
}

impl Tally {
    fn new(records: u64) -> Self {
        Self { warm: records / 10, all: records, seen: 0, bytes: 0, begun: None, cost: None }
    }

    fn goes_on(&self) -> bool {
        self.cost.is_none()
    }

    fn take(&mut self, batch: Option<Batch>) {
        let Some(batch) = batch else { return };
        let (mut records, mut bytes) = (0, 0);
        for record in batch.iter() {
            records += 1;
            bytes += record.value().map_or(0, <[u8]>::len);
        }
        self.add(records, bytes);
    }

    fn add(&mut self, records: u64, bytes: usize) {
        self.seen += records;
        self.bytes += bytes as u64;
        match self.begun {
            None if self.seen >= self.warm => self.begun = Some((Usage::now(), self.seen, self.bytes)),
            Some((usage, seen, bytes)) if self.seen - seen >= self.all => {
                let (records, bytes) = (self.seen - seen, self.bytes - bytes);
                self.cost = Some((usage.cost(records), records, bytes));
            }
            _ => {}
        }
    }

    fn cost(self, size: u64) -> Result<Cost, Failure> {
        let (cost, records, bytes) = self.cost.ok_or("the records ended")?;
        if bytes == records * size { Ok(cost) } else { Err(format!("{bytes} bytes in {records} records").into()) }
    }
}
