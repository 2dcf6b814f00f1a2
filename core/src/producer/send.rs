//! Produce requests for a link that has room.

use super::drain::pick;
use super::machine::Producer;
use super::request::{self, Item, Part};
use crate::client::role::{Cx, LinkFacts, Request};
use crate::error::Error;
use crate::wire::Uuid;
use smallvec::SmallVec;

impl Producer {
    pub(super) fn send(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request> {
        let broker = link.broker;
        let most = usize::try_from(self.config.max_in_flight_requests_per_connection).unwrap_or(usize::MAX);
        if link.in_flight >= most {
            self.hungry.remove(&broker);
            return None;
        }
        let climate = self.climate(cx.now.mono);
        let from = self.cursors.get(&broker).copied().unwrap_or_default();
        let (limits, mut picks) = pick(&self.index, &self.queues, &climate, broker, from, self.config.max_request_size);
        let Some(((acks, timeout), last)) = limits.zip(picks.last()) else {
            self.hungry.insert(broker);
            return None;
        };
        self.cursors.insert(broker, last.partition);
        // Batches of one topic side by side, as the wire wants them.
        picks.sort_unstable_by_key(|pick| self.queues.get(&pick.partition).map(|queue| queue.place));
        let ids: SmallVec<[Uuid; 8]> = picks
            .iter()
            .map(|pick| {
                self.queues.get(&pick.partition).and_then(|q| cx.view.topic(q.place.0)).map_or(Uuid::ZERO, |t| t.id)
            })
            .collect();
        let version = request::version(link, ids.iter().all(|id| !id.is_zero()), self.highest_produce());
        let tag = self.tag();
        let mut parts = Vec::with_capacity(picks.len());
        for (pick, topic_id) in picks.into_iter().zip(ids) {
            let Some(queue) = self.queues.get_mut(&pick.partition) else { continue };
            queue.over(link.conn);
            let stamp = queue.send(pick.at, tag.token, broker, climate.minting(queue), cx.now.mono);
            let Some(entry) = queue.entry(pick.at) else { continue };
            let (again, records, size) = (entry.attempts > 1, u64::from(entry.batch.count), entry.size() as u64);
            let (waited, name) = (cx.now.mono.since(entry.batch.entered), cx.names.topic_name(queue.place.0));
            let s = cx.stats.producer(self.ix);
            s.batches += 1;
            s.records_sent += records;
            if again {
                s.retries += 1;
                s.records_retried += records;
                let topic = s.topic(name);
                topic.retries += 1;
                topic.records_retried += records;
            } else {
                s.queue_time.add(waited);
                s.batch_size.add_value(size);
            }
            let item = Item { partition: pick.partition, place: queue.place, topic_id, no: entry.batch.no };
            parts.push(Part { item, stamp, batch: entry.batch.clone() });
            self.index.file(queue, &climate);
        }
        let items: Vec<Item> = parts.iter().map(|part| part.item).collect();
        let built =
            version.ok_or_else(|| link.unsupported::<crate::wire::messages::ProduceRequest>()).and_then(|version| {
                let transaction = self.config.transactional_id.as_deref();
                request::build(tag, version, acks, timeout, transaction, &parts, cx.names)
            });
        match built {
            Ok(request) => {
                self.requests.insert(tag.token, (cx.now.mono, items));
                let in_flight = self.requests.len() as u64;
                let s = cx.stats.producer(self.ix);
                s.requests += 1;
                s.in_flight = in_flight;
                if let Some(txn) = &mut self.transaction {
                    txn.touched = true;
                }
                Some(request)
            }
            Err(error) => {
                self.unsendable(cx, link, tag.token, &items, &error);
                None
            }
        }
    }

    /// The broker speaks no version that can say this: that does not pass.
    fn unsendable(&mut self, cx: &mut Cx<'_>, link: &LinkFacts<'_>, token: u64, items: &[Item], error: &Error) {
        for item in items {
            let Some(queue) = self.queues.get_mut(&item.partition) else { continue };
            let entry = queue.returned(token, item.no).and_then(|at| queue.resolve(at));
            if let Some(entry) = entry {
                if entry.stamp.is_some() {
                    queue.close_window();
                }
                self.fail(cx, item.partition, &entry, |about| about.refused(link.broker, error.clone(), false));
            }
            self.settle(cx, item.partition);
        }
    }
}
