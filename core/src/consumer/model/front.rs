//! The application's side of the model: assignments, a shelf of chunks, polls, commits.

use super::super::handover::{Freed, Progress};
use crate::client::{Chunk, Command, CommitOffset, Event, SeekTo, Stamp, TopicPartition};
use crate::record::batches;
use crate::{ConsumerIx, FrameIx, PartitionIx, Time};
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) number: i32,
    pub(super) stamp: Stamp,
    /// Where data of this stamp goes on.
    expected: Option<i64>,
    pub(super) delivered: i64,
    pub(super) done: i64,
    released: bool,
    revoking: bool,
    pub(super) paused: bool,
}

#[derive(Default)]
pub(super) struct Front {
    pub(super) gates: BTreeMap<PartitionIx, Gate>,
    shelf: VecDeque<(FrameIx, Chunk, Vec<u8>)>,
    frames: BTreeMap<FrameIx, (usize, Vec<u8>)>,
    pub(super) token: Option<u64>,
    revoking: Vec<(u64, Vec<PartitionIx>)>,
    pub(super) polling: bool,
    pub(super) last_return: Time,
    pub(super) errors: Vec<crate::Error>,
    pub(super) lost: u32,
    pub(super) answers: Vec<(crate::OpId, bool)>,
}

impl Front {
    pub(super) fn holds(&self) -> bool {
        self.gates.values().any(|g| !g.released)
    }

    /// Takes an event in; chunks that die at once are returned.
    pub(super) fn event(&mut self, event: Event) -> Vec<Freed> {
        let mut freed = Vec::new();
        match event {
            Event::Assigned { token, partitions, .. } => {
                let mut gates = BTreeMap::new();
                for (tp, ix, stamp) in partitions {
                    let fresh = Gate {
                        number: tp.partition,
                        stamp,
                        expected: None,
                        delivered: -1,
                        done: -1,
                        released: false,
                        revoking: false,
                        paused: false,
                    };
                    let gate = self.gates.remove(&ix).filter(|g| g.stamp == stamp).unwrap_or(fresh);
                    gates.insert(ix, gate);
                }
                assert!(self.gates.is_empty(), "partitions went without a word");
                self.gates = gates;
                self.token = Some(token);
            }
            Event::Positioned { partition, stamp, offset, .. } => {
                let gate = self.gates.get_mut(&partition).expect("a position of a partition that is not assigned");
                gate.stamp = stamp;
                (gate.expected, gate.delivered, gate.done) = (Some(offset), offset, offset);
            }
            Event::Revoking { token, partitions, .. } => {
                for ix in &partitions {
                    self.gates.get_mut(ix).expect("revoked what was not assigned").revoking = true;
                }
                self.revoking.push((token, partitions));
            }
            Event::Lost { partitions, why, .. } => {
                self.lost += u32::from(why.is_some());
                for ix in partitions {
                    let gate = self.gates.remove(&ix).expect("lost what was not assigned");
                    assert!(why.is_some() || gate.released, "it went although nobody let go of it");
                }
                freed.extend(self.sweep());
            }
            Event::Fetched { frame, bytes, chunks, .. } => {
                self.frames.insert(frame, (chunks.len(), bytes));
                for chunk in chunks {
                    let gate = self.gates.get_mut(&chunk.partition).expect("data of a partition that is not assigned");
                    assert_eq!(gate.stamp, chunk.stamp, "data under a stamp that is not the partition's");
                    assert_eq!(gate.expected, Some(chunk.asked), "data comes in order, without gaps");
                    assert!(!gate.revoking, "nothing is fetched of what is being revoked");
                    gate.expected = Some(chunk.next);
                    self.errors.extend(chunk.problem.clone());
                    let bytes = self.frames[&frame].1[chunk.bytes.clone()].to_vec();
                    self.shelf.push_back((frame, chunk, bytes));
                }
                freed.extend(self.sweep());
            }
            Event::ConsumerFailed { error, .. } => self.errors.push(error),
            Event::AutoCommitted { .. } | Event::Committed { .. } => {}
            Event::Done { op, result } => self.answers.push((op, result.is_ok())),
            other => panic!("{other:?}"),
        }
        freed
    }

    fn free(&mut self, frame: FrameIx, chunk: &Chunk) -> Vec<Freed> {
        let mut freed = vec![Freed::Chunk(chunk.partition, chunk.bytes.len() as u64)];
        let entry = self.frames.get_mut(&frame).unwrap();
        entry.0 -= 1;
        if entry.0 == 0 {
            freed.push(Freed::Frame(frame, self.frames.remove(&frame).unwrap().1));
        }
        freed
    }

    /// Throws away what is of no assignment any more.
    fn sweep(&mut self) -> Vec<Freed> {
        let mut freed = Vec::new();
        for (frame, chunk, bytes) in std::mem::take(&mut self.shelf) {
            if self.gates.get(&chunk.partition).is_some_and(|g| g.stamp == chunk.stamp) {
                self.shelf.push_back((frame, chunk, bytes));
            } else {
                freed.extend(self.free(frame, &chunk));
            }
        }
        freed
    }

    /// A poll begins: all that was delivered is done; assignments are seen, revoked partitions let go.
    pub(super) fn poll(&mut self, consumer: ConsumerIx) -> Vec<Command> {
        let mut commands = Vec::new();
        for gate in self.gates.values_mut() {
            gate.done = gate.delivered;
        }
        commands.extend(self.token.take().map(|token| Command::Applied(consumer, token)));
        for (token, partitions) in std::mem::take(&mut self.revoking) {
            for ix in partitions {
                if let Some(gate) = self.gates.get_mut(&ix) {
                    gate.released = true;
                    commands.push(Command::Released(consumer, token, ix));
                }
            }
        }
        commands
    }

    /// Delivers up to `n` chunks: partition numbers and offsets.
    pub(super) fn take(&mut self, n: usize) -> (Vec<(i32, i64)>, Vec<Freed>) {
        let (mut records, mut freed, mut kept) = (Vec::new(), Vec::new(), VecDeque::new());
        for _ in 0..n {
            let Some((frame, chunk, bytes)) = self.shelf.pop_front() else { break };
            let gate = self.gates.get_mut(&chunk.partition).expect("swept");
            if gate.revoking || gate.paused {
                kept.push_back((frame, chunk, bytes));
                continue;
            }
            for batch in batches(&bytes) {
                let batch = batch.unwrap();
                let from = batch.base_offset().max(gate.delivered);
                records.extend((from..batch.next_offset()).map(|o| (gate.number, o)));
                gate.delivered = batch.next_offset().max(gate.delivered);
            }
            freed.extend(self.free(frame, &chunk));
        }
        kept.append(&mut self.shelf);
        self.shelf = kept;
        (records, freed)
    }

    pub(super) fn progress(&self) -> Progress {
        let placed = || self.gates.iter().filter(|(_, g)| g.expected.is_some());
        Progress {
            polling: self.polling,
            last_return: self.last_return,
            done: placed().map(|(ix, g)| (*ix, g.stamp, g.done, -1)).collect(),
            delivered: placed().map(|(ix, g)| (*ix, g.stamp, g.delivered, -1)).collect(),
        }
    }

    /// Goes back to a place that was read before; what was fetched of it is thrown away at once.
    pub(super) fn seek(&mut self, consumer: ConsumerIx, at: usize, back: i64) -> Option<(Command, Vec<Freed>)> {
        let gate = self.gates.values_mut().nth(at).filter(|g| g.done >= 0 && !g.released)?;
        let offset = (gate.done - back).max(0);
        gate.stamp.seek += 1;
        (gate.expected, gate.delivered, gate.done) = (None, offset, offset);
        let partition = TopicPartition { topic: "t".into(), partition: gate.number };
        let to = SeekTo::Offset { offset, leader_epoch: -1 };
        let command = Command::Seek(consumer, partition, gate.stamp.seek, to);
        Some((command, self.sweep()))
    }

    pub(super) fn pause(&mut self, consumer: ConsumerIx, partition: i32, pause: bool) -> Command {
        for gate in self.gates.values_mut().filter(|g| g.number == partition) {
            gate.paused = pause;
        }
        Command::Pause(consumer, vec![TopicPartition { topic: "t".into(), partition }], pause)
    }

    /// An explicit commit of what was delivered.
    pub(super) fn commit(&mut self, consumer: ConsumerIx) -> Command {
        let placed = self.gates.values_mut().filter(|g| g.expected.is_some() && !g.released);
        let one = |g: &mut Gate| {
            // Committing says that it is done.
            g.done = g.delivered;
            let tp = TopicPartition { topic: "t".into(), partition: g.number };
            (tp, Some(g.stamp), CommitOffset { offset: g.delivered, leader_epoch: -1, metadata: "".into() })
        };
        Command::Commit(consumer, placed.map(one).collect())
    }

    pub(super) fn shelved(&self) -> u64 {
        self.shelf.iter().map(|(_, c, _)| c.bytes.len() as u64).sum()
    }
}
