//! What the core tells a consumer's shelf.

use super::chunk::Shelved;
use super::lane::{Lane, Ownership, Reader};
use super::memory::{Buffer, Credit};
use super::{Shelf, State, Trash};
use klamm_core::client::{Chunk, Command, Event, GroupMeta, Stamp, TopicPartition};
use klamm_core::{Error, FrameIx, PartitionIx};
use std::collections::BTreeSet;

/// Errors that nobody polled for, at most: the first ones say what happened.
const MOST_ERRORS: usize = 64;

impl Shelf {
    /// Takes an event in.
    pub(crate) fn handle(&self, event: Event) {
        self.with(|state, trash| match event {
            Event::Assigned { token, partitions, group, .. } => state.assigned(self, token, partitions, group, trash),
            Event::Revoking { token, partitions, .. } => state.revoking(self, token, &partitions, trash),
            Event::Chosen { topics, .. } => state.chosen(topics),
            Event::Lost { partitions, why, .. } => state.lost(&partitions, why, trash),
            Event::Positioned { partition, stamp, offset, leader_epoch, .. } => {
                if let Some(lane) = state.lanes.get_mut(&partition).filter(|lane| lane.is_assigned()) {
                    trash.chunks.push(lane.positioned(stamp, (offset, leader_epoch)));
                }
            }
            Event::Fetched { frame, bytes, chunks, .. } => state.fetched(self, frame, bytes, chunks, trash),
            Event::ConsumerFailed { error, .. } => {
                if state.errors.len() < MOST_ERRORS {
                    state.errors.push_back(error);
                }
                state.wake_all(trash);
            }
            Event::AutoCommitted { result, .. } => state.uncommitted = result.err(),
            _ => {}
        });
    }
}

impl State {
    fn assigned(
        &mut self,
        shelf: &Shelf,
        token: u64,
        partitions: Vec<(TopicPartition, PartitionIx, Stamp)>,
        group: GroupMeta,
        trash: &mut Trash,
    ) {
        self.group = group;
        let all: BTreeSet<TopicPartition> = partitions.iter().map(|(tp, ..)| tp.clone()).collect();
        if !self.wish.is_manual() {
            // A pause lasts from one assignment to the next, no longer.
            self.wish.paused.retain(|tp| all.contains(tp));
        }
        for (tp, ix, stamp) in partitions {
            if self.lanes.contains_key(&ix) {
                continue;
            }
            self.tenures += 1;
            let mut lane = Lane::new(ix, tp.clone(), stamp, self.tenures, shelf.settings.acked);
            if self.wish.wants(&tp) {
                self.by_name.insert(tp.clone(), ix);
                if let Some((seek, to)) = self.wish.sought.remove(&tp) {
                    lane.sought(seek, to);
                }
                if self.wish.paused.contains(&tp) {
                    lane.paused = true;
                    self.tell(&shelf.front, Command::Pause(shelf.ix, vec![tp.clone()], true));
                }
                if self.streams.is_some() {
                    lane.reader = Reader::Waiting(klamm_core::Time::ZERO);
                    trash.wakers.extend(self.main.wake());
                }
                if !self.wish.is_manual() {
                    self.news.assigned.push(tp);
                }
            } else {
                lane.ownership = Ownership::Dropped;
            }
            self.lanes.insert(ix, lane);
        }
        self.unapplied = Some(token);
        let asks = !self.wish.is_manual() && self.streams.is_none();
        if !asks || (self.main.polling && (self.silent || !shelf.settings.assigned_first)) {
            self.apply(shelf);
        }
        if asks && shelf.settings.assigned_first && !self.news.assigned.is_empty() {
            trash.wakers.extend(self.main.wake());
        }
    }

    fn revoking(&mut self, shelf: &Shelf, token: u64, partitions: &[PartitionIx], trash: &mut Trash) {
        for ix in partitions {
            let Some(lane) = self.lanes.get_mut(ix) else { continue };
            // Of what the application dropped itself nothing is in use.
            let mut passed = lane.ownership == Ownership::Dropped;
            match &mut lane.reader {
                Reader::Main if passed => {}
                Reader::Main => {
                    passed = self.main.polling && self.silent;
                    if !passed {
                        self.news.revoking.push((*lane.tp).clone());
                    }
                }
                Reader::Waiting(_) => passed = true,
                Reader::Stream(waiter) => {
                    passed = true;
                    trash.wakers.extend(waiter.wake());
                }
            }
            let again = matches!(lane.ownership, Ownership::Revoking { .. });
            self.revocations += usize::from(!again);
            lane.ownership = Ownership::Revoking { token, told: passed, passed, released: false };
            trash.chunks.push(lane.clear());
            self.release(shelf, *ix);
        }
        trash.wakers.extend(self.main.wake());
    }

    fn lost(&mut self, partitions: &[PartitionIx], why: Option<Error>, trash: &mut Trash) {
        for ix in partitions {
            let Some(mut lane) = self.lanes.remove(ix) else { continue };
            if self.by_name.get(&*lane.tp) == Some(ix) {
                self.by_name.remove(&*lane.tp);
            }
            trash.chunks.push(lane.clear());
            if let Reader::Stream(waiter) = &mut lane.reader {
                trash.wakers.extend(waiter.wake());
            }
            let tp = &*lane.tp;
            self.news.assigned.retain(|one| one != tp);
            self.news.revoking.retain(|one| one != tp);
            if matches!(lane.ownership, Ownership::Revoking { .. }) {
                self.revocations -= 1;
            }
            let clean = matches!(lane.ownership, Ownership::Dropped | Ownership::Revoking { released: true, .. });
            if (why.is_some() || !clean) && !self.wish.is_manual() && matches!(lane.reader, Reader::Main) {
                self.news.lost.push(tp.clone());
            }
        }
        if why.is_some() {
            self.news.why = why;
            self.fallen = true;
            if self.main.polling {
                self.report = true;
            }
        }
        trash.wakers.extend(self.main.wake());
    }

    fn fetched(&mut self, shelf: &Shelf, frame: FrameIx, bytes: Vec<u8>, chunks: Vec<Chunk>, trash: &mut Trash) {
        let buffer = Buffer::frame(frame, bytes, shelf.home.clone());
        for chunk in chunks {
            let ix = chunk.partition;
            let facts = (chunk.high_watermark, chunk.last_stable, chunk.log_start);
            let credit = Credit { partition: ix, bytes: chunk.bytes.len() as u64, home: shelf.home.clone() };
            let fits = |lane: &&mut Lane| lane.stamp == chunk.stamp && lane.ownership == Ownership::Ours;
            match self.lanes.get_mut(&ix).filter(fits) {
                Some(lane) if !self.closed => {
                    if facts.0 >= 0 {
                        (lane.high_watermark, lane.last_stable, lane.log_start) = facts;
                    }
                    let (tp, frame) = (lane.tp.clone(), buffer.clone());
                    // Boxed: it is moved in and out of its line.
                    lane.queue.push_back(Box::new(Shelved::new(chunk, tp, frame, shelf.settings.limits, credit)));
                    self.offer(ix, trash);
                }
                _ => trash.credits.push(credit),
            }
        }
        // If no chunk keeps it, it goes home once the lock is released.
        trash.frames.push(buffer);
    }
}
