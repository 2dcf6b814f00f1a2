//! Lines in transactions: so many lines each, all of them visible or none.

use super::Shape;
use anyhow::Context;
use klamm::{Error, TransactionalProducer};

/// A commit of unknown outcome is waited for so often, each time for `max.block.ms`.
const PATIENCE: usize = 5;

/// Gathers lines and writes them in transactions.
pub(super) struct Transactions {
    producer: TransactionalProducer,
    size: usize,
    lines: Vec<Vec<u8>>,
    committed: u64,
}

impl Transactions {
    pub(super) fn new(producer: TransactionalProducer, size: usize) -> Self {
        Self { producer, size, lines: Vec::new(), committed: 0 }
    }

    pub(super) fn topic(&self, name: &str) -> klamm::Topic {
        self.producer.topic(name)
    }

    /// Takes a line; the last of a transaction commits it.
    pub(super) fn push(&mut self, line: &[u8], shape: &Shape<'_>) -> anyhow::Result<()> {
        self.lines.push(line.to_vec());
        if self.lines.len() < self.size {
            return Ok(());
        }
        self.commit(shape)
    }

    /// Commits what is there.
    pub(super) fn commit(&mut self, shape: &Shape<'_>) -> anyhow::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let count = self.lines.len() as u64;
        let told = format!(
            "records {} to {} are not committed; the {} before them are",
            self.committed + 1,
            self.committed + count,
            self.committed
        );
        self.write(shape).context(told)?;
        self.lines.clear();
        self.committed += count;
        Ok(())
    }

    fn write(&mut self, shape: &Shape<'_>) -> Result<(), Error> {
        let txn = self.producer.begin_transaction()?;
        for line in &self.lines {
            let delivery = txn.send(shape.record(line));
            if !delivery.is_queued() {
                // Why it found no room is told by the commit.
                let _ = delivery.queued().wait();
            }
        }
        let mut result = txn.commit().wait();
        for _ in 0..PATIENCE {
            match result {
                Err(error) if error.is_outcome_unknown() && !error.is_fatal() => {
                    eprintln!("klamm: {error}");
                    result = self.producer.resume_commit().wait();
                }
                _ => break,
            }
        }
        result
    }

    /// Ends the producer.
    pub(super) fn close(self) -> Result<(), Error> {
        self.producer.close().wait()
    }
}
