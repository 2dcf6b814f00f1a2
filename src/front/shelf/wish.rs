//! What the application wants of a consumer. It takes effect here at the call, before the core hears of it
//! (contracts A9).

use super::lane::{Lane, Ownership};
use super::{Outgoing, Paused, Shelf, Sought, State, Trash};
use crate::front::op::{OpSlot, op_slot};
use crate::{Error, ErrorKind, Result};
use klamm_core::OpId;
use klamm_core::client::{Command, CommitOffset, SeekTo, Stamp, Subscription, TopicChooser, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug, Default)]
enum Mode {
    #[default]
    Nothing,
    Topics(Vec<Arc<str>>),
    /// Those that the chooser takes, and which they are as far as is known.
    Chosen(TopicChooser, Vec<Arc<str>>),
    Partitions(BTreeSet<TopicPartition>),
}

/// What the application asked for.
#[derive(Debug, Default)]
pub(super) struct Wish {
    mode: Mode,
    /// The subscription goes to the core when the next poll begins.
    pending: bool,
    pub(super) paused: Paused,
    pub(super) sought: Sought,
}

impl Wish {
    pub(super) fn is_manual(&self) -> bool {
        matches!(self.mode, Mode::Partitions(_))
    }

    pub(super) fn wants(&self, tp: &TopicPartition) -> bool {
        match &self.mode {
            Mode::Nothing => false,
            Mode::Topics(topics) => topics.contains(&tp.topic),
            Mode::Chosen(chooser, _) => chooser.chooses(&tp.topic),
            Mode::Partitions(all) => all.contains(tp),
        }
    }
}

/// What to commit: partition, under which decision, offset.
pub(crate) type Entry = (TopicPartition, Option<Stamp>, CommitOffset);

impl Shelf {
    /// Reads these topics, beginning with the next poll.
    pub(crate) fn subscribe(&self, topics: Vec<Arc<str>>) -> Result<()> {
        self.wishing(|state, trash| {
            state.wish.mode = Mode::Topics(topics);
            state.wish.pending = true;
            state.drop_unwanted(self, trash);
            Ok(())
        })
    }

    /// Reads the topics that the chooser takes, beginning with the next poll.
    pub(crate) fn subscribe_chosen(&self, chooser: TopicChooser) -> Result<()> {
        self.wishing(|state, trash| {
            state.wish.mode = Mode::Chosen(chooser, Vec::new());
            state.wish.pending = true;
            state.drop_unwanted(self, trash);
            Ok(())
        })
    }

    /// Reads nothing.
    pub(crate) fn unsubscribe(&self) -> (OpId, Arc<OpSlot>) {
        self.with(|state, trash| {
            state.wish = Wish::default();
            state.drop_unwanted(self, trash);
        });
        self.start(Command::Subscribe(self.ix, Subscription::None))
    }

    /// Reads these partitions.
    pub(crate) fn assign(&self, partitions: Vec<TopicPartition>) -> Result<()> {
        self.wishing(|state, trash| {
            state.wish.mode = Mode::Partitions(partitions.iter().cloned().collect());
            state.wish.pending = false;
            state.drop_unwanted(self, trash);
            state.watch(self, Command::Subscribe(self.ix, Subscription::Partitions(partitions)));
            Ok(())
        })
    }

    /// Adds partitions to a manual assignment, or takes them out of it.
    pub(crate) fn change(&self, partitions: Vec<TopicPartition>, add: bool) -> Result<()> {
        self.wishing(|state, trash| {
            if matches!(state.wish.mode, Mode::Nothing) {
                state.wish.mode = Mode::Partitions(BTreeSet::new());
            }
            let Mode::Partitions(all) = &mut state.wish.mode else {
                let text = "the consumer is subscribed to topics: its partitions cannot be assigned by hand as well";
                return Err(Error::new(ErrorKind::Misuse, text).with_hint("unsubscribe first"));
            };
            if add {
                all.extend(partitions.iter().cloned());
                state.watch(self, Command::Assign(self.ix, partitions));
            } else {
                all.retain(|tp| !partitions.contains(tp));
                state.drop_unwanted(self, trash);
                state.watch(self, Command::Unassign(self.ix, partitions));
            }
            Ok(())
        })
    }

    fn wishing<R>(&self, work: impl FnOnce(&mut State, &mut Trash) -> Result<R>) -> Result<R> {
        self.front.check_process()?;
        self.with(|state, trash| match state.refusal() {
            Some(error) => Err(error),
            None => work(state, trash),
        })
    }

    /// Moves the position.
    pub(crate) fn seek(&self, targets: &[(TopicPartition, SeekTo)]) -> Result<()> {
        self.wishing(|state, trash| {
            for (tp, _) in targets {
                state.check_assigned(tp)?;
            }
            for (tp, to) in targets {
                state.seek(self, tp, *to, trash);
            }
            Ok(())
        })
    }

    /// Moves positions back to these offsets, where the stamp is still the same: whatever was decided since counts.
    pub(crate) fn rewind(&self, to: &[(Arc<TopicPartition>, Stamp, i64)]) {
        // Without a driver there is nothing to read any more.
        let _ = self.wishing(|state, trash| {
            for (tp, stamp, offset) in to {
                if state.lane_of(tp).is_some_and(|lane| lane.stamp == *stamp && lane.is_assigned()) {
                    state.seek(self, tp, SeekTo::Offset { offset: *offset, leader_epoch: -1 }, trash);
                }
            }
            Ok(())
        });
    }

    /// Holds partitions back, or no longer.
    pub(crate) fn pause(&self, partitions: &[TopicPartition], pause: bool) -> Result<()> {
        self.wishing(|state, trash| {
            for tp in partitions {
                state.check_assigned(tp)?;
            }
            for tp in partitions {
                if pause {
                    state.wish.paused.insert(tp.clone());
                } else {
                    state.wish.paused.remove(tp);
                }
                if let Some(lane) = state.lane_of(tp) {
                    lane.paused = pause;
                    let ix = lane.ix;
                    state.offer(ix, trash);
                }
            }
            state.tell(&self.front, Command::Pause(self.ix, partitions.to_vec(), pause));
            Ok(())
        })
    }

    /// The partitions that are paused.
    pub(crate) fn paused(&self) -> Vec<TopicPartition> {
        self.with(|state, _| state.wish.paused.iter().cloned().collect())
    }

    /// The partitions that are read.
    pub(crate) fn assignment(&self) -> Vec<TopicPartition> {
        self.with(|state, _| match &state.wish.mode {
            Mode::Partitions(all) => all.iter().cloned().collect(),
            _ => state.by_name.keys().cloned().collect(),
        })
    }

    /// The topics that are subscribed.
    pub(crate) fn subscription(&self) -> Vec<Arc<str>> {
        self.with(|state, _| match &state.wish.mode {
            Mode::Topics(topics) | Mode::Chosen(_, topics) => topics.clone(),
            _ => Vec::new(),
        })
    }

    /// The position that the application sees, if it is known here.
    pub(crate) fn position(&self, tp: &TopicPartition) -> Result<Option<i64>> {
        self.wishing(|state, _| {
            state.check_assigned(tp)?;
            if let Some(lane) = state.lane_of(tp) {
                return Ok(lane.delivered().map(|(offset, _)| offset));
            }
            Ok(match state.wish.sought.get(tp) {
                Some((_, SeekTo::Offset { offset, .. })) => Some(*offset),
                _ => None,
            })
        })
    }

    /// The way past a batch that cannot be read: where to go on.
    pub(crate) fn skip_past(&self, error: &Error) -> Result<()> {
        let unknown = || Error::new(ErrorKind::Misuse, "the error does not name the place of a record to skip");
        let (Some(topic), Some(partition), Some(offset)) = (error.topic(), error.partition(), error.offset()) else {
            return Err(unknown().with_source(error.clone()));
        };
        let tp = TopicPartition { topic: topic.into(), partition };
        self.wishing(|state, trash| {
            state.check_assigned(&tp)?;
            let behind = state.lane_of(&tp).and_then(|lane| lane.queue.front()).map(|chunk| chunk.behind_problem());
            let behind = behind.unwrap_or(offset).max(offset.saturating_add(1));
            state.seek(self, &tp, SeekTo::Offset { offset: behind, leader_epoch: -1 }, trash);
            Ok(())
        })
    }

    /// A record is done, and with `through` all before it. False if it is no longer ours.
    pub(crate) fn ack(&self, tp: &TopicPartition, stamp: Stamp, offset: i64, through: bool) -> bool {
        self.with(|state, _| {
            let Some(lane) = state.lane_of(tp).filter(|lane| lane.stamp == stamp && lane.is_assigned()) else {
                return false;
            };
            let ix = lane.ix;
            let known = match &mut lane.acks {
                Some(acks) if through => acks.ack_through(offset),
                Some(acks) => acks.ack(offset),
                None => return true,
            };
            if known {
                lane.acked();
                state.release(self, ix);
            }
            known
        })
    }

    /// Everything that was consumed, of one partition or of all.
    pub(crate) fn consumed(&self, only: Option<&TopicPartition>) -> Vec<Entry> {
        self.with(|state, _| {
            let wanted = |lane: &&Lane| lane.is_assigned() && only.is_none_or(|tp| *tp == *lane.tp);
            let entry = |lane: &Lane| {
                let (offset, leader_epoch) = lane.consumed()?;
                let commit = CommitOffset { offset, leader_epoch, metadata: "".into() };
                Some(((*lane.tp).clone(), Some(lane.stamp), commit))
            };
            state.lanes.values().filter(wanted).filter_map(entry).collect()
        })
    }

    /// Puts today's stamp on offsets that carry none, where the partition is ours.
    pub(crate) fn stamp(&self, entries: &mut [Entry]) {
        self.with(|state, _| {
            for (tp, stamp, _) in entries {
                if stamp.is_none() {
                    *stamp = state.lane_of(tp).map(|lane| lane.stamp);
                }
            }
        });
    }
}

impl State {
    pub(super) fn check_assigned(&self, tp: &TopicPartition) -> Result<()> {
        let manual = self.wish.is_manual() && self.wish.wants(tp);
        if manual || self.by_name.contains_key(tp) {
            return Ok(());
        }
        let text = format!("{}-{} is not assigned to this consumer", tp.topic, tp.partition);
        Err(Error::new(ErrorKind::Misuse, text).with_topic(tp.topic.clone()).with_partition(tp.partition))
    }

    pub(super) fn seek(&mut self, shelf: &Shelf, tp: &TopicPartition, to: SeekTo, trash: &mut Trash) {
        let seek = match self.lane_of(tp) {
            Some(lane) => {
                trash.chunks.push(lane.seek(to));
                lane.stamp.seek
            }
            None => {
                let before = self.wish.sought.get(tp).map_or(0, |(seek, _)| *seek);
                self.wish.sought.insert(tp.clone(), (before + 1, to));
                before + 1
            }
        };
        self.tell(&shelf.front, Command::Seek(shelf.ix, tp.clone(), seek, to));
    }

    /// The subscription goes to the core.
    pub(super) fn tell_wish(&mut self, shelf: &Shelf) {
        if !std::mem::take(&mut self.wish.pending) {
            return;
        }
        let subscription = match &self.wish.mode {
            Mode::Topics(topics) => Subscription::Topics(topics.clone()),
            Mode::Chosen(chooser, _) => Subscription::Chosen(chooser.clone()),
            Mode::Nothing | Mode::Partitions(_) => return,
        };
        self.watch(shelf, Command::Subscribe(shelf.ix, subscription));
    }

    pub(super) fn chosen(&mut self, chosen: Vec<Arc<str>>) {
        if let Mode::Chosen(_, topics) = &mut self.wish.mode {
            *topics = chosen;
        }
    }

    /// A command whose failure the next poll returns.
    fn watch(&mut self, shelf: &Shelf, command: Command) {
        let (setter, slot) = op_slot();
        self.outgoing.push(Outgoing { op: shelf.front.op(), setter: Some(setter), command });
        self.watched.push(slot);
    }

    /// What is no longer wanted is not handed out any more, though the core still has to hear where it stands.
    fn drop_unwanted(&mut self, shelf: &Shelf, trash: &mut Trash) {
        self.came_back(shelf);
        let wish = &mut self.wish;
        wish.sought.retain(|tp, _| matches!(&wish.mode, Mode::Partitions(all) if all.contains(tp)));
        if let Mode::Partitions(all) = &wish.mode {
            wish.paused.retain(|tp| all.contains(tp));
        }
        let (wish, by_name) = (&self.wish, &mut self.by_name);
        let mut loose = Vec::new();
        for lane in self.lanes.values_mut().filter(|lane| lane.is_assigned() && !wish.wants(&lane.tp)) {
            match &mut lane.ownership {
                Ownership::Revoking { passed, told, .. } => {
                    (*passed, *told) = (true, true);
                    loose.push(lane.ix);
                }
                Ownership::Ours | Ownership::Dropped => lane.ownership = Ownership::Dropped,
            }
            by_name.remove(&*lane.tp);
            trash.chunks.push(lane.clear());
            if let super::lane::Reader::Stream(waiter) = &mut lane.reader {
                trash.wakers.extend(waiter.wake());
            }
        }
        self.news.assigned.retain(|tp| wish.wants(tp));
        loose.into_iter().for_each(|ix| self.release(shelf, ix));
    }
}
