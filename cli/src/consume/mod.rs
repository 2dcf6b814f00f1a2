//! `klamm consume`: records become lines.

mod ends;
mod format;
mod json;
mod start;

use crate::client::ClientArgs;
use crate::escape::unescape;
use crate::exit::Usage;
use crate::stop::on_signal;
use anyhow::Context;
use clap::Args;
use ends::Ends;
use format::Format;
use klamm::{Batch, Config, Consumer, ConsumerRecord, Kafka, Offsets, PartitionBatch, TopicPartition};
use start::{Bound, Start};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::time::{Duration, Instant};

/// What is written is committed at least so often.
const COMMIT: Duration = Duration::from_secs(1);

/// Prints records: all of a topic (-t), or as a member of a group (-G)
///
/// Runs until Ctrl-C unless -e, -c or -o e@.. end it. A group's offsets are committed when their records are written.
#[derive(Args, Debug)]
pub(crate) struct Consume {
    #[command(flatten)]
    client: ClientArgs,
    /// Of this topic
    #[arg(short = 't', long)]
    topic: Option<String>,
    /// Only of this partition
    #[arg(short = 'p', long)]
    partition: Vec<i32>,
    /// As a member of this group, which reads TOPICS
    #[arg(short = 'G', long, conflicts_with = "partition")]
    group: Option<String>,
    /// Begins at beginning, end, stored, N, -N (before the end), s@MS (since a time); e@MS ends before a time
    #[arg(short = 'o', long, value_name = "OFFSET", allow_hyphen_values = true)]
    offset: Vec<Bound>,
    /// Ends at the end that each partition has now
    #[arg(short = 'e', long)]
    exit: bool,
    /// Ends after so many records
    #[arg(short = 'c', long, value_name = "N")]
    count: Option<u64>,
    /// How to print a record: %t topic, %p partition, %o offset, %k key, %s value, %T timestamp, %h headers, %K %S their
    /// lengths, %R the value's length in binary, \n \t \xNN
    #[arg(short = 'f', long, conflicts_with = "json")]
    format: Option<String>,
    /// Prints one JSON object per record
    #[arg(short = 'J', long)]
    json: bool,
    /// Prints the key before the value, and this between them
    #[arg(short = 'K', long, value_name = "DELIMITER", conflicts_with_all = ["format", "json"])]
    key_delimiter: Option<String>,
    /// What is printed behind each record
    #[arg(short = 'D', long, value_name = "DELIMITER", default_value = "\\n", conflicts_with = "json")]
    delimiter: String,
    /// Prints NULL for a null key or value
    #[arg(short = 'Z', long)]
    null: bool,
    /// What a group reads
    #[arg(value_name = "TOPICS", requires = "group")]
    topics: Vec<String>,
}

/// How records are printed.
enum Shape {
    Text(Format),
    Json,
}

impl Shape {
    #[inline]
    fn print(&self, record: &ConsumerRecord<'_>, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Text(format) => format.print(record, out),
            Self::Json => json::print(record, out),
        }
    }
}

impl Consume {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let shape = self.shape()?;
        let (start, until) = self.bounds();
        let topics: Vec<&String> = self.topic.iter().chain(&self.topics).collect();
        if topics.is_empty() {
            return Err(Usage("what? give -t TOPIC, or -G GROUP TOPICS".to_owned()).into());
        }
        let config = self.client.config(|config| defaults(config, start))?;
        if start == Start::Stored && self.group.is_none() && stored_by(&config).is_none() {
            return Err(Usage("-o stored: by which group? give -G GROUP or -X group.id=GROUP".to_owned()).into());
        }
        let client = self.client.connect(config)?;
        let consumer = match &self.group {
            Some(group) => {
                let consumer = client.kafka.consumer(group)?;
                consumer.subscribe(&topics)?;
                consumer
            }
            None => self.alone(&client.kafka, &topics, start)?,
        };
        let ends = (self.exit || until.is_some()).then(|| Ends::new(until));
        let handle = consumer.handle();
        on_signal(move || handle.wakeup()).context("cannot listen for signals")?;
        let mut printer = Printer {
            shape,
            out: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
            left: self.count.unwrap_or(u64::MAX),
            commits: (self.group.is_some() || start == Start::Stored).then(|| (Offsets::new(), Instant::now())),
            ends,
        };
        let printed = printer.run(consumer);
        drop(client.close());
        printed
    }

    fn shape(&self) -> Result<Shape, Usage> {
        if self.json {
            return Ok(Shape::Json);
        }
        let null = if self.null { "NULL" } else { "" };
        if let Some(format) = &self.format {
            return Ok(Shape::Text(Format::parse(format, null).map_err(|e| Usage(format!("-f {format}: {e}")))?));
        }
        let bytes = |option: &str, text: &str| unescape(text).map_err(|e| Usage(format!("{option} {text}: {e}")));
        let between = self.key_delimiter.as_deref().map(|text| bytes("-K", text)).transpose()?;
        Ok(Shape::Text(Format::lines(between.as_deref(), &bytes("-D", &self.delimiter)?, null)))
    }

    fn bounds(&self) -> (Start, Option<klamm::Timestamp>) {
        let (mut start, mut until) = (Start::default(), None);
        for bound in &self.offset {
            match bound {
                Bound::From(from) => start = *from,
                Bound::Until(at) => until = Some(*at),
            }
        }
        (start, until)
    }

    /// A consumer outside of any membership.
    fn alone(&self, kafka: &Kafka, topics: &[&String], start: Start) -> anyhow::Result<Consumer> {
        let consumer = match stored_by(kafka.config()) {
            // The group is for its offsets only.
            Some(group) if start == Start::Stored => kafka.consumer(&group)?,
            _ => kafka.standalone_consumer()?,
        };
        let mut all: Vec<TopicPartition> = Vec::new();
        for topic in topics {
            let there = consumer.partitions_for(topic).wait().with_context(|| format!("topic {topic}"))?;
            let numbers = there.iter().map(klamm::PartitionInfo::partition);
            let wanted = numbers.filter(|p| self.partition.is_empty() || self.partition.contains(p));
            all.extend(wanted.map(|partition| TopicPartition::from((topic.as_str(), partition))));
        }
        if all.is_empty() || all.len() < self.partition.len() {
            return Err(Usage(format!("topic {topics:?} has no partition {:?}", self.partition)).into());
        }
        consumer.assign(all.clone())?;
        begin(&consumer, all, start)?;
        Ok(consumer)
    }
}

/// What a command line expects, where nobody said otherwise.
fn defaults(config: Config, start: Start) -> Config {
    let reset = if start == Start::End { "latest" } else { "earliest" };
    config.set("auto.offset.reset", reset).set("enable.auto.commit", false).set("max.poll.records", 10_000)
}

fn stored_by(config: &Config) -> Option<String> {
    let group = config.settings().find(|setting| setting.key == "group.id")?;
    Some(group.value).filter(|group| !group.is_empty())
}

fn begin(consumer: &Consumer, all: Vec<TopicPartition>, start: Start) -> klamm::Result<()> {
    match start {
        Start::Beginning => consumer.seek_to_beginning(all),
        Start::End => consumer.seek_to_end(all),
        Start::Stored => Ok(()),
        Start::At(offset) => {
            let first = consumer.beginning_offsets(all.clone()).wait()?;
            for (partition, end) in consumer.end_offsets(all).wait()? {
                let first = first.get(&partition).copied().unwrap_or(0);
                // Left to auto.offset.reset, an offset behind the end would bring the whole log.
                let at = offset.clamp(first, end.max(first));
                if at != offset {
                    eprintln!(
                        "klamm: {partition} has the offsets from {first} to {end}: begins at {at}, not at {offset}"
                    );
                }
                consumer.seek(partition, at)?;
            }
            Ok(())
        }
        Start::Since(at) => consumer.seek_to_timestamp(all, at).wait().map(drop),
        Start::BeforeEnd(records) => {
            let first = consumer.beginning_offsets(all.clone()).wait()?;
            for (partition, end) in consumer.end_offsets(all).wait()? {
                let first = first.get(&partition).copied().unwrap_or(0);
                consumer.seek(partition, end.saturating_sub(records).max(first))?;
            }
            Ok(())
        }
    }
}

struct Printer<'a> {
    shape: Shape,
    out: BufWriter<StdoutLock<'a>>,
    left: u64,
    /// What is written and not committed, since when.
    commits: Option<(Offsets, Instant)>,
    ends: Option<Ends>,
}

impl Printer<'_> {
    fn run(&mut self, mut consumer: Consumer) -> anyhow::Result<()> {
        let printed = self.print_all(&mut consumer);
        // What was written stays read, whatever ended the loop; a broken pipe has swallowed an unknown part of it.
        if self.out.flush().is_ok() {
            if let Some((offsets, _)) = self.commits.take().filter(|(offsets, _)| !offsets.is_empty()) {
                consumer.commit_sync_offsets(offsets).wait()?;
            }
        }
        consumer.close().wait()?;
        printed
    }

    fn print_all(&mut self, consumer: &mut Consumer) -> anyhow::Result<()> {
        if let Some(ends) = &mut self.ends {
            ends.add(consumer, consumer.assignment())?;
        }
        let wait = if self.ends.is_some() { Duration::from_millis(100) } else { Duration::from_secs(1) };
        while self.left > 0 && !self.ends.as_ref().is_some_and(Ends::reached) {
            let Some(batch) = consumer.poll(wait).wait()? else { break };
            if let Some(ends) = &mut self.ends {
                ends.remove(batch.lost());
                ends.add(consumer, batch.assigned().to_vec())?;
            }
            for part in batch.partitions() {
                self.print(part)?;
            }
            self.out.flush()?;
            self.commit(consumer, &batch)?;
            if let Some(ends) = self.ends.as_mut().filter(|_| batch.is_empty()) {
                ends.look(consumer);
            }
            if let Some(ends) = &mut self.ends {
                ends.remove(batch.revoking());
            }
        }
        Ok(())
    }

    fn print(&mut self, part: &PartitionBatch) -> io::Result<()> {
        let partition = part.topic_partition();
        let end = self.ends.as_ref().map_or(i64::MAX, |ends| ends.of(partition));
        let mut last = None;
        for record in part.iter().take_while(|record| record.offset() < end) {
            if self.left == 0 {
                break;
            }
            self.shape.print(&record, &mut self.out)?;
            self.left -= 1;
            last = Some(record);
        }
        if let (Some((offsets, _)), Some(last)) = (&mut self.commits, last) {
            offsets.merge(Offsets::after(last));
        }
        if let Some(ends) = &mut self.ends {
            ends.passed(partition, part.next_offset());
        }
        Ok(())
    }

    /// Commits what is written: now and then, and before a partition goes.
    fn commit(&mut self, consumer: &Consumer, batch: &Batch) -> klamm::Result<()> {
        let Some((offsets, since)) = &mut self.commits else { return Ok(()) };
        if !batch.revoking().is_empty() && !offsets.is_empty() {
            consumer.commit_sync_offsets(std::mem::take(offsets)).wait()?;
        } else if since.elapsed() >= COMMIT && !offsets.is_empty() {
            // Its failure is told by the next one, or by `close`.
            drop(consumer.commit_async_offsets(std::mem::take(offsets)));
            *since = Instant::now();
        }
        Ok(())
    }
}
