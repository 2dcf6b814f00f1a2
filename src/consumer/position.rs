//! Where a consumer stands: seeks, pauses, lag.

use super::told::{All, ask};
use super::{Consumer, Offsets, Position, TopicPartition, partitions};
use crate::op::Op;
use crate::producer::unexpected;
use crate::{Error, Result, Timestamp};
use klamm_core::client::{Command, Reply, SeekTo};

impl Consumer {
    /// Goes on here: an offset, or an offset with its leader epoch. Takes effect at once: no record from before comes out
    /// of a later poll.
    ///
    /// # Errors
    /// `Misuse` if the partition is not assigned to this consumer.
    pub fn seek(&self, partition: impl Into<TopicPartition>, to: impl Into<Position>) -> Result<()> {
        self.shelf.seek(&[(partition.into(), to.into().target())])
    }

    /// Goes on at the first record.
    ///
    /// # Errors
    /// As [`seek`](Self::seek); nothing is moved then.
    #[doc(alias = "seekToBeginning")]
    pub fn seek_to_beginning<T: Into<TopicPartition>>(&self, of: impl IntoIterator<Item = T>) -> Result<()> {
        self.seek_all(partitions(of), SeekTo::Beginning)
    }

    /// Goes on behind the last record (with `read_committed`: behind the last stable one).
    ///
    /// # Errors
    /// As [`seek`](Self::seek); nothing is moved then.
    #[doc(alias = "seekToEnd")]
    pub fn seek_to_end<T: Into<TopicPartition>>(&self, of: impl IntoIterator<Item = T>) -> Result<()> {
        self.seek_all(partitions(of), SeekTo::End)
    }

    /// Goes on at the first record that is not older, or at the end where there is none. The seek takes effect at once;
    /// the answer tells where it led.
    ///
    /// # Errors
    /// As [`seek`](Self::seek); `Timeout` if the offsets could not be looked up in time: the seek goes on all the same.
    #[must_use = "await it, or `.wait()`"]
    #[doc(alias = "offsetsForTimes")]
    pub fn seek_to_timestamp<T: Into<TopicPartition>>(
        &self,
        of: impl IntoIterator<Item = T>,
        at: impl Into<Timestamp>,
    ) -> Op<Offsets> {
        let all = partitions(of);
        if let Err(error) = self.seek_all(all.clone(), SeekTo::Timestamp(at.into())) {
            return Op::ready(Err(error));
        }
        let commands = all.iter().map(|tp| Command::Position(self.shelf.ix, tp.clone())).collect();
        All::start(&self.shelf, commands, move |replies| {
            all.iter().zip(replies).map(|(tp, reply)| Ok((tp.clone(), offset(&reply)?))).collect()
        })
    }

    fn seek_all(&self, all: Vec<TopicPartition>, to: SeekTo) -> Result<()> {
        let targets: Vec<_> = all.into_iter().map(|tp| (tp, to)).collect();
        self.shelf.seek(&targets)
    }

    /// The offset of the next record that the application gets. Answers at once if it is known, right after a seek too.
    ///
    /// # Errors
    /// `Misuse` if the partition is not assigned to this consumer; `Timeout`.
    #[must_use = "await it, or `.wait()`"]
    pub fn position(&self, partition: impl Into<TopicPartition>) -> Op<i64> {
        let tp = partition.into();
        match self.shelf.position(&tp) {
            Ok(Some(offset)) => Op::ready(Ok(offset)),
            Err(error) => Op::ready(Err(error)),
            Ok(None) => {
                let (shelf, command) = (self.shelf.clone(), Command::Position(self.shelf.ix, tp.clone()));
                ask(&self.shelf, command, move |reply| {
                    let start = offset(&reply)?;
                    // Polls may have gone on meanwhile.
                    Ok(shelf.position(&tp).ok().flatten().unwrap_or(start))
                })
            }
        }
    }

    /// Holds these partitions back: nothing of them is handed out, what was fetched is kept. Lasts until
    /// [`resume`](Self::resume), through rebalances after which the partition is still ours.
    ///
    /// # Errors
    /// `Misuse` if one of them is not assigned to this consumer; none is paused then.
    pub fn pause<T: Into<TopicPartition>>(&self, these: impl IntoIterator<Item = T>) -> Result<()> {
        self.shelf.pause(&partitions(these), true)
    }

    /// Goes on with these partitions, where they were. Does nothing for one that is not paused.
    ///
    /// # Errors
    /// `Misuse` if one of them is not assigned to this consumer.
    pub fn resume<T: Into<TopicPartition>>(&self, these: impl IntoIterator<Item = T>) -> Result<()> {
        self.shelf.pause(&partitions(these), false)
    }

    /// The partitions that are paused.
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.shelf.paused()
    }

    /// How many records the partition is behind its end, as of the last answer; `None` before the first. No round trip.
    #[doc(alias = "currentLag")]
    pub fn current_lag(&self, partition: impl Into<TopicPartition>) -> Option<i64> {
        self.shelf.lag(&partition.into())
    }

    /// After a poll failed with `Corrupt`: goes on behind the batch that cannot be read. Its records are not seen.
    ///
    /// # Errors
    /// `Misuse` if the error names no place, or a partition that is not assigned to this consumer.
    pub fn skip_past(&self, error: &Error) -> Result<()> {
        self.shelf.skip_past(error)
    }
}

fn offset(reply: &Reply) -> Result<i64> {
    match reply {
        Reply::Position(offset) => Ok(*offset),
        other => Err(unexpected(other)),
    }
}
