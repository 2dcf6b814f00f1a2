//! What klamm reads, and where it stands.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use klamm::{Consumed, ConsumerConfig, ConsumerInterceptor, ErrorKind, Offsets, Plugin, Timestamp, TopicPartition};
use klamm_live::{Behaviour, Record, Runtime, Target};

use crate::client::{connect, drive, expect_nothing, reader, send_all, take};
use crate::produce::{CODECS, all_sorts};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("klamm_reads_what_java_wrote_with_every_codec", klamm_reads_every_codec).on_every_runtime(),
    Behaviour::of_klamm("seek_and_position_agree", seek_and_position),
    Behaviour::of_klamm("a_paused_partition_gives_nothing_until_resumed", pause_and_resume),
    Behaviour::of_klamm("offsets_are_found_by_time_and_at_both_ends", offsets_for_times),
    Behaviour::of_klamm("a_missing_offset_without_a_reset_is_an_error", no_reset),
    Behaviour::of_klamm("no_poll_gives_more_than_max_poll_records", max_poll_records),
    Behaviour::of_klamm("wakeup_ends_a_poll_once", wakeup),
    Behaviour::of_klamm("interceptors_of_a_consumer_see_its_records_and_commits", interceptors),
    Behaviour::of_klamm("a_record_written_during_a_poll_ends_it", long_poll),
];

fn klamm_reads_every_codec(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("from-java");
    let records: Vec<Record> = CODECS.iter().flat_map(|(codec, _)| all_sorts(&topic, codec)).collect();
    let written = target.java()?.produce(&records, &[])?;
    let expected: Vec<Record> = written.into_iter().map(Record::as_read).collect();
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let mut consumer = reader(&kafka, &topic)?;
        let read = take(&mut consumer, expected.len()).await?;
        ensure!(read == expected, "klamm read\n{read:#?}\nJava wrote\n{expected:#?}");
        expect_nothing(&mut consumer).await?;
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

/// Writes `count` records to one partition, a second apart from `START` on.
async fn write(kafka: &klamm::Kafka, topic: &str, partition: i32, count: i64) -> Result<Vec<Record>> {
    let record = |n| Record::to(topic).partition(partition).value(format!("{n}")).timestamp(START + 1000 * n);
    send_all(&kafka.producer()?, &(0..count).map(record).collect::<Vec<_>>()).await
}

const START: i64 = 1_700_000_000_000;

/// What an interceptor saw: offsets handed out, offsets committed.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<(Vec<i64>, Vec<i64>)>>);

impl ConsumerInterceptor for Seen {
    fn on_consume(&self, records: &Consumed<'_>) {
        self.0.lock().unwrap().0.extend(records.records().map(|record| record.offset()));
    }

    fn on_commit(&self, offsets: &Offsets) {
        self.0.lock().unwrap().1.extend(offsets.iter().map(|(_, offset)| offset));
    }
}

fn interceptors(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("intercepted");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        write(&kafka, &topic, 0, 10).await?;
        let seen = Seen::default();
        let config = ConsumerConfig::group(&topic)
            .set("auto.offset.reset", "earliest")
            .interceptor(Plugin::consumer_interceptor(seen.clone()));
        let mut consumer = kafka.consumer_with(config)?;
        consumer.subscribe([&topic])?;
        let read = take(&mut consumer, 10).await?;
        ensure!(seen.0.lock().unwrap().0 == (0..10).collect::<Vec<_>>(), "not what was read: {read:#?}");
        consumer.commit_sync().await?;
        ensure!(seen.0.lock().unwrap().1.contains(&10), "the commit was not told");
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

fn seek_and_position(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("seek");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let written = write(&kafka, &topic, 0, 20).await?;
        let mut consumer = kafka.consumer_with(ConsumerConfig::standalone().set("auto.offset.reset", "earliest"))?;
        let at = (topic.as_str(), 0);
        consumer.assign([at])?;
        ensure!(take(&mut consumer, 20).await? == written, "the first reading differs");
        ensure!(consumer.position(at).await? == 20, "not behind the last record");
        consumer.seek(at, 15)?;
        ensure!(consumer.position(at).await? == 15, "seek did not move the position");
        ensure!(take(&mut consumer, 5).await? == written[15..], "the reading after seek differs");
        consumer.seek_to_beginning([at])?;
        ensure!(take(&mut consumer, 20).await? == written, "the reading from the beginning differs");
        consumer.seek(at, 3)?;
        consumer.seek_to_end([at])?;
        expect_nothing(&mut consumer).await?;
        ensure!(consumer.position(at).await? == 20, "not at the end");
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

fn pause_and_resume(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("pause");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        for partition in 0..2 {
            write(&kafka, &topic, partition, 10).await?;
        }
        let mut consumer = kafka.consumer_with(ConsumerConfig::standalone().set("auto.offset.reset", "earliest"))?;
        let (open, paused) = ((topic.as_str(), 0), (topic.as_str(), 1));
        consumer.assign([open, paused])?;
        consumer.pause([paused])?;
        let read = take(&mut consumer, 10).await?;
        ensure!(read.iter().all(|record| record.partition == Some(0)), "{read:?}");
        expect_nothing(&mut consumer).await?;
        consumer.resume([paused])?;
        let read = take(&mut consumer, 10).await?;
        ensure!(read.iter().all(|record| record.partition == Some(1)), "{read:?}");
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

fn offsets_for_times(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("times");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        write(&kafka, &topic, 0, 10).await?;
        let consumer = kafka.standalone_consumer()?;
        let at = TopicPartition::from((topic.as_str(), 0));
        let empty = TopicPartition::from((topic.as_str(), 1));
        for (time, expected) in [(0, Some(0)), (START + 4000, Some(4)), (START + 4001, Some(5)), (START + 9001, None)] {
            let asked = [at.clone(), empty.clone()].map(|partition| (partition, Timestamp::from_millis(time)));
            let found = consumer.offsets_for_times(asked).await?;
            let offset = found.get(&at).context("no answer")?.as_ref().map(|found| found.offset());
            ensure!(offset == expected, "the first offset from {time} on is {offset:?}, not {expected:?}");
            ensure!(found.get(&empty).is_none_or(Option::is_none), "an empty partition has an offset");
        }
        let beginning = consumer.beginning_offsets([at.clone(), empty.clone()]).await?;
        let end = consumer.end_offsets([at.clone(), empty.clone()]).await?;
        ensure!((beginning.get(&at), end.get(&at)) == (Some(&0), Some(&10)), "{beginning:?} {end:?}");
        ensure!((beginning.get(&empty), end.get(&empty)) == (Some(&0), Some(&0)), "{beginning:?} {end:?}");
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

fn no_reset(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("no-reset");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        write(&kafka, &topic, 0, 1).await?;
        let mut consumer = kafka.consumer_with(ConsumerConfig::standalone().set("auto.offset.reset", "none"))?;
        consumer.assign([(topic.as_str(), 0)])?;
        let deadline = Instant::now() + Duration::from_secs(20);
        let error = loop {
            ensure!(Instant::now() < deadline, "no error came");
            match consumer.poll(Duration::from_millis(200)).await {
                Ok(batch) => ensure!(batch.is_some_and(|batch| batch.is_empty()), "records came from nowhere"),
                Err(error) => break error,
            }
        };
        ensure!(error.kind() == ErrorKind::NoOffset, "{error}");
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

fn max_poll_records(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("max-poll");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        write(&kafka, &topic, 0, 100).await?;
        let config = ConsumerConfig::standalone().set("auto.offset.reset", "earliest").set("max.poll.records", 7);
        let mut consumer = kafka.consumer_with(config)?;
        consumer.assign([(topic.as_str(), 0)])?;
        let (mut seen, deadline) = (0, Instant::now() + Duration::from_secs(20));
        while seen < 100 {
            ensure!(Instant::now() < deadline, "{seen} of 100 records");
            let batch = consumer.poll(Duration::from_secs(1)).await?.context("woken up")?;
            ensure!(batch.len() <= 7, "one poll gave {} records", batch.len());
            seen += batch.len();
        }
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

fn wakeup(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("wakeup");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        write(&kafka, &topic, 0, 1).await?;
        let mut consumer = reader(&kafka, &topic)?;
        take(&mut consumer, 1).await?;
        let handle = consumer.handle();
        let waker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            handle.wakeup();
        });
        let begin = Instant::now();
        ensure!(consumer.poll(Duration::from_secs(30)).await?.is_none(), "the poll ended without its wake-up");
        ensure!(begin.elapsed() < Duration::from_secs(10), "woken up after {:?}", begin.elapsed());
        waker.join().map_err(|_| anyhow::anyhow!("the waking thread panicked"))?;
        expect_nothing(&mut consumer).await?;
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

fn long_poll(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("long-poll");
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        write(&kafka, &topic, 0, 1).await?;
        let mut consumer = reader(&kafka, &topic)?;
        take(&mut consumer, 1).await?;
        let producer = kafka.producer()?;
        let name = topic.clone();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(producer.send(klamm::Record::to(name.as_str()).partition(0).value("late")));
        });
        let begin = Instant::now();
        let batch = consumer.poll(Duration::from_secs(30)).await?.context("woken up")?;
        ensure!(batch.len() == 1, "{} records", batch.len());
        ensure!(begin.elapsed() < Duration::from_secs(10), "the record came after {:?}", begin.elapsed());
        writer.join().map_err(|_| anyhow::anyhow!("the writing thread panicked"))?;
        drop(batch);
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}
