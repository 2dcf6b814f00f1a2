//! How a partition is let go: not before nothing of it is in the application's hands.

use super::lane::{Ownership, Reader};
use super::{Shelf, State};
use klamm_core::PartitionIx;
use klamm_core::client::Command;
use std::sync::Arc;

/// A batch in the application's hands; the partition stays as long as it lives.
#[derive(Debug)]
pub(crate) struct Hold {
    shelf: Arc<Shelf>,
    ix: PartitionIx,
    tenure: u64,
    id: u64,
}

impl Hold {
    pub(crate) fn new(shelf: Arc<Shelf>, ix: PartitionIx, tenure: u64, id: u64) -> Self {
        Self { shelf, ix, tenure, id }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shelf.with(|state, _| {
            let Some(lane) = state.lanes.get_mut(&self.ix).filter(|lane| lane.tenure == self.tenure) else { return };
            lane.let_go(self.id);
            // Streams come back by themselves; the main poll is to learn that there is more that is done.
            state.moved.push(self.ix);
            state.release(&self.shelf, self.ix);
        });
    }
}

impl State {
    /// The application came back to the consumer: what it got is done, and it has seen what it was told.
    pub(super) fn came_back(&mut self, shelf: &Shelf) {
        for ix in std::mem::take(&mut self.moved) {
            if let Some(lane) = self.lanes.get_mut(&ix).filter(|lane| matches!(lane.reader, Reader::Main)) {
                lane.came_back();
            }
        }
        if self.revocations == 0 {
            return;
        }
        for lane in self.lanes.values_mut().filter(|lane| matches!(lane.reader, Reader::Main)) {
            if let Ownership::Revoking { told, .. } = &mut lane.ownership {
                *told |= self.silent;
                lane.came_back();
            }
        }
        if self.silent {
            self.news.revoking.clear();
        }
        self.release_all(shelf);
    }

    /// A poll tells the application which partitions go.
    pub(super) fn told_revocations(&mut self) {
        for lane in self.lanes.values_mut() {
            if let Ownership::Revoking { told, .. } = &mut lane.ownership {
                *told = true;
            }
        }
    }

    pub(super) fn release_all(&mut self, shelf: &Shelf) {
        let all: Vec<PartitionIx> = self.lanes.keys().copied().collect();
        all.into_iter().for_each(|ix| self.release(shelf, ix));
    }

    /// Lets a partition go that is to be let go, if nothing of it is in use.
    pub(super) fn release(&mut self, shelf: &Shelf, ix: PartitionIx) {
        let Some(lane) = self.lanes.get_mut(&ix) else { return };
        let free = lane.held() == 0 && !lane.out && !matches!(lane.reader, Reader::Stream(_));
        if let Ownership::Revoking { token, passed: true, released, .. } = &mut lane.ownership {
            if free && !std::mem::replace(released, true) {
                let token = *token;
                lane.came_back();
                self.tell(&shelf.front, Command::Released(shelf.ix, token, ix));
            }
        }
    }

    /// The application has seen the assignment, or does not ask for it: its partitions may be fetched.
    pub(super) fn apply(&mut self, shelf: &Shelf) {
        if shelf.settings.assigned_first && !self.silent && !self.news.assigned.is_empty() && self.streams.is_none() {
            return;
        }
        if let Some(token) = self.unapplied.take() {
            self.tell(&shelf.front, Command::Applied(shelf.ix, token));
        }
        if self.silent {
            self.news.assigned.clear();
            self.news.lost.clear();
            self.news.why = None;
        }
    }
}
