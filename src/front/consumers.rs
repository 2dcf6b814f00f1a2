//! The consumers of one client, as the engine knows them.

use super::op::OpSetter;
use super::shelf::Shelf;
use klamm_core::client::{Event, Reply};
use klamm_core::{ConsumerIx, Error, ErrorKind, Now, OpId, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

#[derive(Debug)]
struct Entry {
    shelf: Arc<Shelf>,
    closing: Option<Closing>,
}

#[derive(Debug)]
struct Closing {
    op: OpId,
    setters: Vec<OpSetter>,
}

impl Entry {
    fn tell_closed(&self) {
        if let Some(interceptors) = &self.shelf.interceptors {
            interceptors.closed();
        }
    }
}

/// The consumers, by index.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    all: BTreeMap<ConsumerIx, Entry>,
}

impl Consumers {
    /// A new one.
    pub(crate) fn open(&mut self, shelf: Arc<Shelf>) {
        self.all.insert(shelf.ix, Entry { shelf, closing: None });
    }

    /// Something for one of them.
    pub(crate) fn handle(&mut self, consumer: ConsumerIx, event: Event) {
        let Some(entry) = self.all.get(&consumer) else { return };
        match event {
            Event::Committed { offsets, .. } => {
                if let Some(interceptors) = &entry.shelf.interceptors {
                    interceptors.committed(offsets);
                }
            }
            event => entry.shelf.handle(event),
        }
    }

    /// The shelf of one.
    pub(crate) fn shelf(&self, consumer: ConsumerIx) -> Option<&Arc<Shelf>> {
        self.all.get(&consumer).map(|entry| &entry.shelf)
    }

    /// All shelves.
    pub(crate) fn shelves(&self) -> impl Iterator<Item = &Arc<Shelf>> {
        self.all.values().map(|entry| &entry.shelf)
    }

    /// One is to end. True if the core has to be told, under the name `op`; who is gone already is answered.
    pub(crate) fn close(&mut self, consumer: ConsumerIx, op: OpId, setter: Option<OpSetter>) -> bool {
        let Some(entry) = self.all.get_mut(&consumer) else {
            if let Some(setter) = setter {
                setter.set(Ok(Reply::Unit));
            }
            return false;
        };
        match &mut entry.closing {
            Some(closing) => {
                closing.setters.extend(setter);
                false
            }
            None => {
                entry.closing = Some(Closing { op, setters: setter.into_iter().collect() });
                true
            }
        }
    }

    /// The name of a consumer's close.
    pub(crate) fn closing(&self, consumer: ConsumerIx) -> Option<OpId> {
        self.all.get(&consumer)?.closing.as_ref().map(|closing| closing.op)
    }

    /// An operation ended: true if it was the close of a consumer.
    pub(crate) fn closed(&mut self, op: OpId, result: &Result<Reply, Error>, wakers: &mut Vec<Waker>) -> bool {
        let ended = self.all.iter().find(|(_, entry)| entry.closing.as_ref().is_some_and(|closing| closing.op == op));
        let Some(ix) = ended.map(|(ix, _)| *ix) else { return false };
        if let Some(entry) = self.all.remove(&ix) {
            let unseen = entry.shelf.take_unseen();
            entry.shelf.end(None, wakers);
            entry.tell_closed();
            // That it is closed was the wish.
            let failure = result.as_ref().err().cloned().or(unseen);
            let result = failure.filter(|error| error.kind() != ErrorKind::Closed).map_or(Ok(Reply::Unit), Err);
            for setter in entry.closing.into_iter().flat_map(|closing| closing.setters) {
                setter.set(result.clone());
            }
        }
        true
    }

    /// The earliest end of a waiting poll.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.all.values().filter_map(|entry| entry.shelf.arm()).min()
    }

    /// Wakes the polls whose time is over.
    pub(crate) fn expire(&mut self, now: Now, wakers: &mut Vec<Waker>) {
        for entry in self.all.values() {
            entry.shelf.expire(now, wakers);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether all of them have ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The driver goes away.
    pub(crate) fn abandon(&mut self, error: &Error, wakers: &mut Vec<Waker>) {
        for entry in std::mem::take(&mut self.all).into_values() {
            entry.shelf.end(Some(error), wakers);
            entry.tell_closed();
            for setter in entry.closing.into_iter().flat_map(|closing| closing.setters) {
                setter.set(Err(error.clone()));
            }
        }
    }
}
