//! From the call that sends a record to its acknowledgement, at a rate that strains nobody.

use crate::cell::{Cell, Load};
use hdrhistogram::Histogram;
use klamm::{Blocking, Config, Kafka, Producer, ProducerConfig, Record, Tokio, Topic};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Records per second.
pub const RATE: u64 = 2_000;
/// Between two of them.
const PAUSE: Duration = Duration::from_micros(1_000_000 / RATE);
/// Records that warm up.
const WARM: u64 = RATE / 2;

/// Milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latencies {
    /// Half were faster.
    pub p50: f64,
    /// 99 of 100 were.
    pub p99: f64,
    /// 999 of 1000 were.
    pub p999: f64,
}

/// What was seen so far; the first half second does not count.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<(u64, Histogram<u64>)>>);

impl Default for Shared {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((0, Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds in range")))))
    }
}

impl Shared {
    /// A record that was sent then is acknowledged now.
    pub fn add(&self, sent: Instant) {
        let took = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut seen = self.0.lock().expect("nobody panics with it");
        seen.0 += 1;
        if seen.0 > WARM {
            seen.1.saturating_record(took.max(1));
        }
    }

    /// All of it.
    pub fn summary(&self) -> Latencies {
        let seen = self.0.lock().expect("nobody panics with it");
        let ms = |quantile| seen.1.value_at_quantile(quantile) as f64 / 1_000.0;
        Latencies { p50: ms(0.5), p99: ms(0.99), p999: ms(0.999) }
    }
}

/// When the `n`-th record is to be sent.
fn due(begin: Instant, n: u64) -> Duration {
    (begin + PAUSE * u32::try_from(n).unwrap_or(u32::MAX)).saturating_duration_since(Instant::now())
}

/// Calls `send` for each record at its time, from a thread.
pub fn pace(records: u64, mut send: impl FnMut(u64) -> Result<(), Failure>) -> Result<(), Failure> {
    let begin = Instant::now();
    (0..records + WARM).try_for_each(|n| {
        std::thread::sleep(due(begin, n));
        send(n)
    })
}

/// The same from a task.
pub async fn pace_task<F: Future<Output = Result<(), Failure>>>(
    records: u64,
    mut send: impl FnMut(u64) -> F,
) -> Result<(), Failure> {
    let begin = Instant::now();
    for n in 0..records + WARM {
        tokio::time::sleep(due(begin, n)).await;
        send(n).await?;
    }
    Ok(())
}

fn config(cell: &Cell, bootstrap: &str) -> Config {
    let section = ProducerConfig::new().linger(Duration::from_millis(cell.linger));
    Config::new(bootstrap).producer(section)
}

/// klamm's latencies at a fixed rate.
pub fn ours(cell: &Cell, bootstrap: &str, records: u64) -> Result<Latencies, Failure> {
    let (seen, load) = (Shared::default(), Load::new(cell));
    match cell.who.as_str() {
        "blocking-send" => {
            let kafka = Kafka::connect(Blocking, config(cell, bootstrap)).wait()?;
            let (producer, topic) = open(&kafka, cell)?;
            topic.ready().wait()?;
            let (tell, hear) = mpsc::channel::<(Instant, klamm::Delivery)>();
            let waiter = std::thread::spawn({
                let seen = seen.clone();
                move || hear.into_iter().try_for_each(|(sent, delivery)| delivery.wait().map(|_| seen.add(sent)))
            });
            pace(records, |n| {
                let sent = Instant::now();
                Ok(tell.send((sent, producer.send(Record::to(&topic).value(load.value(n)))))?)
            })?;
            drop(tell);
            waiter.join().expect("waiting does not panic")?;
        }
        "tokio-send" | "tokio-mt-send" => {
            let mut builder = match cell.who.as_str() {
                "tokio-send" => tokio::runtime::Builder::new_current_thread(),
                _ => tokio::runtime::Builder::new_multi_thread(),
            };
            builder.enable_all().build()?.block_on(async {
                let kafka = Kafka::connect(Tokio, config(cell, bootstrap)).await?;
                let (producer, topic) = open(&kafka, cell)?;
                topic.ready().await?;
                pace_task(records, |n| {
                    let (sent, seen) = (Instant::now(), seen.clone());
                    let delivery = producer.send(Record::to(&topic).value(load.value(n)));
                    tokio::spawn(async move { delivery.await.map(|_| seen.add(sent)) });
                    std::future::ready(Ok(()))
                })
                .await?;
                Ok::<_, Failure>(producer.flush().await?)
            })?;
        }
        other => return Err(format!("klamm is not used as {other}").into()),
    }
    Ok(seen.summary())
}

fn open(kafka: &Kafka, cell: &Cell) -> klamm::Result<(Producer, Topic)> {
    let producer = kafka.producer()?;
    let topic = producer.topic(&cell.topic());
    Ok((producer, topic))
}
