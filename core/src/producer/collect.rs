//! What comes over from the front: levels of slots, and the batches that were asked for.

use super::entry::Entry;
use super::handover::{Batch, Collect, Left, Take, Taken};
use super::index::NOBODY;
use super::machine::Producer;
use super::report::is_past;
use crate::client::role::Cx;
use crate::error::{Error, ErrorKind};
use crate::metadata::{Names, View};
use crate::{BrokerId, CollectId, Now, PartitionIx, Time};
use smallvec::SmallVec;
use std::time::Duration;

impl Producer {
    /// The slots whose level changed. A slot is known by its last level only.
    pub(crate) fn handle_slots(&mut self, cx: &mut Cx<'_>, slots: &[(PartitionIx, Left)]) {
        for (partition, left) in slots {
            let queue = self.queue(cx, *partition);
            queue.left = *left;
            queue.stalled = false;
            let topic = queue.place.0;
            self.topics.touch(topic, cx.now.mono);
            self.file(cx.now.mono, *partition);
        }
        self.go_on(cx);
        self.end_if_done(cx);
    }

    /// Asks the front for batches; false if there is nothing to ask for. Never names a slot that has nothing to give for this
    /// purpose, nor one that an open collect names (contracts B1).
    pub(crate) fn poll_collect(&mut self, now: Now, _view: &View, _names: &Names, into: &mut Collect) -> bool {
        if self.unfiled {
            self.file_all(now.mono);
        }
        into.from.clear();
        let mut asked = self.collect_overdue(now.mono, into);
        if !asked {
            let doomed = self.is_doomed().then_some(NOBODY);
            let brokers: SmallVec<[BrokerId; 8]> = doomed.into_iter().chain(self.hungry.iter().copied()).collect();
            for broker in brokers {
                if self.collect_for(broker, into) {
                    // Fed for now: the link says so if it has room for more.
                    self.hungry.remove(&broker);
                    asked = true;
                    break;
                }
            }
        }
        if asked {
            into.id = CollectId(self.next_collect);
            into.producer = self.ix;
            self.next_collect += 1;
            for partition in &into.from {
                if let Some(queue) = self.queues.get_mut(partition) {
                    queue.collecting = true;
                }
                self.file(now.mono, *partition);
            }
            self.collects.insert(into.id, into.from.clone());
        }
        asked
    }

    /// Whole batches that lie in the front past their deadline: no link would ever ask for them (contracts B11).
    fn collect_overdue(&mut self, now: Time, into: &mut Collect) -> bool {
        let mut limit: Option<Duration> = None;
        for partition in std::mem::take(&mut self.index.overdue) {
            let Some(queue) = self.queues.get(&partition).filter(|q| !q.collecting && !q.stalled) else { continue };
            let Some(oldest) = queue.left.oldest_entry else { continue };
            if !is_past(oldest, queue.terms.delivery_timeout, now) {
                continue;
            }
            if *limit.get_or_insert(queue.terms.delivery_timeout) == queue.terms.delivery_timeout {
                into.from.push(partition);
            } else {
                self.index.overdue.insert(partition);
            }
        }
        let Some(limit) = limit else { return false };
        into.take = Take::Expire { entered_before: (now - limit) + Duration::from_nanos(1) };
        into.max_bytes = usize::MAX;
        true
    }

    fn collect_for(&mut self, broker: BrokerId, into: &mut Collect) -> bool {
        let cursor = self.cursors.get(&broker).copied().unwrap_or_default();
        let mut bytes = 0u64;
        for partition in self.index.collectable(broker, cursor) {
            let Some(queue) = self.queues.get(&partition) else { continue };
            into.from.push(partition);
            bytes += queue.left.bytes.clamp(1, self.config.batch_size.max(1) as u64);
            if bytes >= self.config.max_request_size as u64 {
                break;
            }
        }
        // What can only fail does not linger, and waits for no flush: the front would keep it back otherwise.
        into.take = match broker {
            NOBODY => Take::Expire { entered_before: Time(u64::MAX) },
            _ => Take::Send,
        };
        into.max_bytes = self.config.max_request_size;
        !into.from.is_empty()
    }

    /// Answers a collect; `taken` is empty afterwards. Whatever comes is taken over: asked for or not, late or expired
    /// (contracts 4.1).
    pub(crate) fn handle_taken(&mut self, cx: &mut Cx<'_>, id: CollectId, taken: &mut Vec<Taken>) {
        let named = self.collects.remove(&id).unwrap_or_default();
        for partition in &named {
            if let Some(queue) = self.queues.get_mut(partition) {
                queue.collecting = false;
            }
        }
        let brought = taken.iter().any(|t| t.batch.is_some());
        let mut changed: SmallVec<[PartitionIx; 16]> = SmallVec::from_slice(&named);
        for Taken { partition, batch, left } in taken.drain(..) {
            self.queue(cx, partition).left = left;
            if let Some(batch) = batch {
                self.accept(cx, partition, batch);
            }
            changed.push(partition);
        }
        changed.sort_unstable();
        changed.dedup();
        for partition in changed {
            // A front that says it has something and brings nothing would be asked for ever.
            if let Some(queue) = self.queues.get_mut(&partition) {
                queue.stalled |= !brought && named.contains(&partition);
            }
            self.file(cx.now.mono, partition);
        }
        self.go_on(cx);
        self.end_if_done(cx);
    }

    fn accept(&mut self, cx: &mut Cx<'_>, partition: PartitionIx, batch: Batch) {
        let now = cx.now.mono;
        let limit = self.queue(cx, partition).terms.delivery_timeout;
        if let Some(why) = self.doomed.clone() {
            self.fail(cx, partition, &Entry::new(batch), |about| about.given_up(why));
        } else if self.closed {
            let why = Error::new(ErrorKind::Closed, "the producer was closed");
            self.fail(cx, partition, &Entry::new(batch), |about| about.given_up(why));
        } else if let Some(why) = self.too_late(batch.generation) {
            self.fail(cx, partition, &Entry::new(batch), |about| about.given_up(why));
        } else if is_past(batch.entered, limit, now) {
            let waited = self.waited_for(cx, partition);
            self.fail(cx, partition, &Entry::new(batch), |about| about.expired(limit, || waited));
        } else {
            self.queue(cx, partition).push(batch);
        }
    }

    /// What keeps the batches of a partition from leaving.
    pub(super) fn waited_for(&self, cx: &Cx<'_>, partition: PartitionIx) -> Error {
        let place = cx.names.place(partition);
        let doubt = cx.view.topic(place.0).map(|topic| topic.doubt);
        let queue = self.queues.get(&partition);
        match (cx.view.leader(place), doubt) {
            (None, None) => Error::new(ErrorKind::UnknownTopic, "no broker has told of the topic"),
            (None, Some(Some(code))) => Error::from_code(code),
            (None, Some(None)) => Error::new(ErrorKind::Broker, "the partition has no leader"),
            (Some(_), _) if self.config.enable_idempotence && self.identities.current().is_none() => {
                let text = "no broker has given a producer id";
                let error = Error::new(ErrorKind::Broker, text);
                self.identities.last_error().map_or(error.clone(), |last| error.with_source(last.clone()))
            }
            (Some((broker, _)), _) => {
                let stuck = queue.and_then(|q| q.entries().find_map(|e| e.last.clone()));
                if let (None, Some(trouble)) = (&stuck, cx.troubles.get(&broker)) {
                    return trouble.clone();
                }
                let text = match &stuck {
                    Some(_) => format!("batches before it wait for broker {broker}"),
                    None => format!("no room on a connection to broker {broker}, the leader"),
                };
                let error = Error::new(ErrorKind::Connect, text).with_broker(broker.0);
                stuck.map_or(error.clone(), |(last, _)| error.with_source(last))
            }
        }
    }
}
