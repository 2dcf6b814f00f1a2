//! `klamm produce`: lines become records.

mod input;
mod lines;
mod outcome;
mod transactions;

use crate::client::ClientArgs;
use crate::escape::unescape;
use crate::exit::{Told, Usage};
use anyhow::Context;
use clap::Args;
use input::{Input, Piece};
use klamm::{Header, Producer, Record, Topic};
use lines::Lines;
use memchr::memmem::Finder;
use outcome::Outcomes;
use std::io::{BufWriter, Stdout, Write};
use std::path::PathBuf;
use transactions::Transactions;

/// Records are handed over in stretches of about so many bytes at most: between them back-pressure is felt.
const STRETCH: usize = 64 << 10;

/// What a record takes beside its bytes while it waits for memory, about.
const BESIDE: usize = 64;

/// Writes lines from standard input, or files, as records; done when all are acknowledged
///
/// Records without a key keep the order of the lines within each partition; with a key, per key.
#[derive(Args, Debug)]
pub(crate) struct Produce {
    #[command(flatten)]
    client: ClientArgs,
    /// Where to
    #[arg(short = 't', long)]
    topic: String,
    /// To this partition; -1 lets the partitioner choose
    #[arg(short = 'p', long, default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    partition: i32,
    /// The key of every record
    #[arg(short = 'k', long, conflicts_with = "key_delimiter")]
    key: Option<String>,
    /// What stands between key and value in a line; a line without it has no key
    #[arg(short = 'K', long, value_name = "DELIMITER")]
    key_delimiter: Option<String>,
    /// What stands between records; \n \t \xNN are understood
    #[arg(short = 'D', long, value_name = "DELIMITER", default_value = "\\n")]
    delimiter: String,
    /// Adds a header to every record; without a value it is null
    #[arg(short = 'H', long, value_name = "NAME[=VALUE]")]
    header: Vec<String>,
    /// Compresses with none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC")]
    compression: Option<String>,
    /// An empty key or value is null
    #[arg(short = 'Z', long)]
    null: bool,
    /// Also writes the input to standard output
    #[arg(short = 'T', long)]
    tee: bool,
    /// Files are read line by line; without it each file is one record
    #[arg(short = 'l', long)]
    lines: bool,
    /// Writes in transactions under this name: readers of committed records see all of one or nothing
    #[arg(long, value_name = "ID")]
    transactional_id: Option<String>,
    /// So many records make a transaction
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "transactional_id", value_parser = clap::value_parser!(u32).range(1..))]
    transaction_records: u32,
    /// Ends after so many records
    #[arg(short = 'c', long, value_name = "N")]
    count: Option<u64>,
    /// Read these instead of standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What every record has beside its bytes.
struct Shape<'a> {
    topic: Topic,
    partition: Option<i32>,
    key: Option<&'a [u8]>,
    between: Option<Finder<'a>>,
    headers: Vec<Header<'a>>,
    null: bool,
}

impl Produce {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let delimiter = unescape(&self.delimiter).map_err(|e| Usage(format!("-D {}: {e}", self.delimiter)))?;
        let between = self.key_delimiter.as_deref().map(unescape).transpose().map_err(|e| Usage(format!("-K: {e}")))?;
        if delimiter.is_empty() || between.as_ref().is_some_and(Vec::is_empty) {
            return Err(Usage("a delimiter cannot be empty".to_owned()).into());
        }
        let config = self.client.config(|config| match &self.compression {
            Some(codec) => config.set("compression.type", codec),
            None => config,
        })?;
        let mut headers = Vec::new();
        for text in &self.header {
            headers.push(match text.split_once('=') {
                Some((name, value)) => Header::new(name, value.as_bytes()),
                None => Header::null(text),
            });
        }
        // A stretch must fit into the line of records that wait for memory, which is as long as the memory is large.
        let memory = config.settings().find(|s| s.key == "buffer.memory").and_then(|s| s.value.parse::<usize>().ok());
        let stretch = memory.map_or(STRETCH, |memory| STRETCH.min(memory / 4));
        let client = self.client.connect(config)?;
        let mut sink = match &self.transactional_id {
            Some(id) => {
                let producer = client.kafka.transactional_producer(id).wait()?;
                Sink::Transactions(Transactions::new(producer, self.transaction_records as usize))
            }
            None => Sink::Plain(client.kafka.producer()?),
        };
        let shape = Shape {
            topic: match &sink {
                Sink::Plain(producer) => producer.topic(&self.topic),
                Sink::Transactions(transactions) => transactions.topic(&self.topic),
            },
            partition: (self.partition >= 0).then_some(self.partition),
            key: self.key.as_deref().map(str::as_bytes),
            between: between.as_deref().map(Finder::new),
            headers,
            null: self.null,
        };
        let mut sender = Sender {
            sink: &mut sink,
            shape,
            outcomes: Outcomes::default(),
            stretch,
            left: self.count.unwrap_or(u64::MAX),
            tee: self.tee.then(|| BufWriter::new(std::io::stdout())),
        };
        let whole_files = !self.files.is_empty() && !self.lines;
        let input = Input::open(self.files, whole_files)?;
        let read = sender.run(input, &delimiter).and_then(|()| sender.finish());
        let outcomes = sender.outcomes;
        // What was sent is waited for in any case.
        let failed = outcomes.settle();
        if let Sink::Transactions(transactions) = sink {
            // What failed was told by its commit.
            drop(transactions.close());
        }
        // The failures have been told one by one.
        drop(client.close());
        read?;
        if failed > 0 {
            eprintln!("klamm: {failed} records were not acknowledged");
            return Err(Told.into());
        }
        Ok(())
    }
}

/// Where records go.
enum Sink {
    Plain(Producer),
    Transactions(Transactions),
}

struct Sender<'a> {
    sink: &'a mut Sink,
    shape: Shape<'a>,
    outcomes: Outcomes,
    stretch: usize,
    left: u64,
    tee: Option<BufWriter<Stdout>>,
}

impl Sender<'_> {
    fn run(&mut self, input: Input, delimiter: &[u8]) -> anyhow::Result<()> {
        let mut lines = Lines::new(delimiter);
        for piece in input {
            match piece? {
                Piece::Bytes(bytes) => {
                    let (first, bytes) = lines.end_begun(&bytes)?;
                    self.send(first.as_deref().into_iter())?;
                    let mut split = lines.split(bytes);
                    self.send(&mut split)?;
                    let rest = split.rest();
                    lines.keep(rest);
                }
                Piece::Whole(bytes) => self.send(std::iter::once(bytes.as_slice()))?,
                Piece::EndOfFile => self.send(lines.last().as_deref().into_iter())?,
            }
            if self.left == 0 || self.outcomes.is_hopeless() {
                break;
            }
            self.outcomes.look();
        }
        if let Some(tee) = &mut self.tee {
            tee.flush().context("standard output")?;
        }
        Ok(())
    }

    /// The input has ended.
    fn finish(&mut self) -> anyhow::Result<()> {
        match self.sink {
            Sink::Plain(_) => Ok(()),
            Sink::Transactions(transactions) => transactions.commit(&self.shape),
        }
    }

    /// Sends lines in their order; comes back when all are in the producer's buffer.
    fn send<'l>(&mut self, lines: impl Iterator<Item = &'l [u8]>) -> anyhow::Result<()> {
        let mut lines = lines.peekable();
        while lines.peek().is_some() && self.left > 0 {
            let mut room = self.stretch;
            let mut left = self.left;
            let shape = &self.shape;
            let tee = &mut self.tee;
            let mut written = Ok(());
            let producer = match &mut *self.sink {
                Sink::Plain(producer) => producer,
                Sink::Transactions(transactions) => {
                    let Some(line) = lines.next() else { break };
                    if let Some(tee) = tee {
                        tee.write_all(line).and_then(|()| tee.write_all(b"\n")).context("standard output")?;
                    }
                    self.left -= 1;
                    transactions.push(line, shape)?;
                    continue;
                }
            };
            let stretch = std::iter::from_fn(|| {
                if room == 0 || left == 0 {
                    return None;
                }
                let line = lines.next()?;
                room = room.saturating_sub(line.len() + BESIDE);
                left -= 1;
                if let Some(tee) = tee {
                    written = tee.write_all(line).and_then(|()| tee.write_all(b"\n"));
                }
                Some(shape.record(line))
            });
            let sent = producer.send_batch(stretch);
            self.left = left;
            written.context("standard output")?;
            self.outcomes.add(sent);
        }
        Ok(())
    }
}

impl Shape<'_> {
    #[inline]
    fn record<'r>(&'r self, line: &'r [u8]) -> Record<'r> {
        let (key, value) = match &self.between {
            None => (self.key, line),
            Some(between) => match between.find(line) {
                Some(at) => (line.get(..at), line.get(at + between.needle().len()..).unwrap_or_default()),
                None => (None, line),
            },
        };
        let mut record = Record::to(&self.topic);
        if let Some(key) = key.filter(|key| !(self.null && key.is_empty())) {
            record = record.key(key);
        }
        if !(self.null && value.is_empty()) {
            record = record.value(value);
        }
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        if !self.headers.is_empty() {
            record = record.headers(&self.headers);
        }
        record
    }
}
