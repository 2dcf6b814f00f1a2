//! The back half as a role machine: what it holds, what it needs, when it wakes.
//!
//! The methods of the machine lie with their jobs: `collect` (from the front), `send` (to a link), `answer` (from a broker),
//! `expiry` (by time), `identity` (the producer id).

use super::entry::Entry;
use super::handover::Memory;
use super::index::{Climate, Index};
use super::queue::Queue;
use super::report::About;
use super::request::Item;
use super::sequence::Identities;
use super::state::Minting;
use super::terms::Terms;
use super::topics::Topics;
use super::transaction::Transaction;
use super::warm::Warming;
use crate::client::Event;
use crate::client::role::{
    Cx, Known, Lane, LinkFacts, Needs, Owner, Request, RequestError, Response, RoleMachine, Tag,
};
use crate::codec::Refused;
use crate::config::{ClientConfig, ProducerConfig};
use crate::error::Error;
use crate::metadata::Diff;
use crate::{BrokerId, CollectId, PartitionIx, ProducerIx, Time, TopicIx, Wake, Why};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A producer behind the hand-over.
#[derive(Debug)]
pub(crate) struct Producer {
    pub(super) ix: ProducerIx,
    pub(super) config: Arc<ProducerConfig>,
    pub(super) memory: Option<Arc<dyn Memory>>,
    pub(super) identities: Identities,
    pub(super) queues: BTreeMap<PartitionIx, Queue>,
    pub(super) index: Index,
    pub(super) topics: Topics,
    /// Produce requests under way.
    pub(super) requests: BTreeMap<u64, (Time, Vec<Item>)>,
    /// The InitProducerId request under way.
    pub(super) asking: Option<u64>,
    /// When a failed request for a producer id is to be repeated.
    pub(super) ask_at: Option<Time>,
    pub(super) next_token: u64,
    pub(super) collects: BTreeMap<CollectId, Vec<PartitionIx>>,
    pub(super) next_collect: u64,
    /// Brokers whose link has room and for whom nothing is here: batches are collected for them only, so that open batches
    /// grow while links are busy.
    pub(super) hungry: BTreeSet<BrokerId>,
    /// Who was served last, by broker (PR-33).
    pub(super) cursors: BTreeMap<BrokerId, PartitionIx>,
    pub(super) pressure: bool,
    /// The climate changed for all queues: they are filed again at the next chance.
    pub(super) unfiled: bool,
    /// Why the producer is of no more use.
    pub(super) doomed: Option<Error>,
    /// Its transactions, if it has a transactional id.
    pub(super) transaction: Option<Transaction>,
    /// A batch's error that ends the producer as soon as the answer is read.
    pub(super) dooming: Option<Error>,
    pub(super) closing: Option<super::expiry::Closing>,
    /// Codecs that brokers have refused for a topic.
    pub(super) refused: BTreeMap<TopicIx, Refused>,
    /// Topics whose leaders are to be reached before there is anything to send.
    pub(super) warming: Vec<Warming>,
    pub(super) closed: bool,
}

impl Producer {
    pub(crate) fn new(
        ix: ProducerIx,
        config: Arc<ProducerConfig>,
        memory: Option<Arc<dyn Memory>>,
        _client: &ClientConfig,
    ) -> Self {
        Self {
            ix,
            memory,
            identities: Identities::default(),
            queues: BTreeMap::new(),
            index: Index::default(),
            // A question is kept up for as long as a record may wait for its answer.
            topics: Topics::new(
                ix,
                config.metadata_max_idle.max(config.max_block),
                config.client_rack.clone().filter(|_| config.partitioner_rack_aware),
                config.allow_auto_create_topics,
            ),
            requests: BTreeMap::new(),
            asking: None,
            ask_at: None,
            next_token: 0,
            collects: BTreeMap::new(),
            next_collect: 0,
            hungry: BTreeSet::new(),
            cursors: BTreeMap::new(),
            pressure: false,
            unfiled: false,
            doomed: None,
            transaction: config.transactional_id.clone().map(|id| {
                let mut txn = Transaction::new(id, config.transaction_timeout);
                txn.two_phase = config.transaction_two_phase_commit_enable;
                txn
            }),
            dooming: None,
            closing: None,
            refused: BTreeMap::new(),
            warming: Vec::new(),
            closed: false,
            config,
        }
    }

    /// The front needs a topic: `Event::Topic` follows, at once if the topic is known, and at every change. An error that may
    /// pass (`is_retriable`) does not end the asking.
    pub(crate) fn want_topic(&mut self, cx: &mut Cx<'_>, name: Arc<str>) {
        self.topics.want(cx, &name);
    }

    /// Records wait for memory, or no longer do: while they wait every open batch is ready (contracts B12).
    pub(crate) fn handle_pressure(&mut self, waiting: bool) {
        self.unfiled |= self.pressure != waiting;
        self.pressure = waiting;
    }

    /// Whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn tag(&mut self) -> Tag {
        let token = self.next_token;
        self.next_token += 1;
        Tag { owner: Owner::Producer(self.ix), token }
    }

    /// Whether whatever the front still holds can only fail: nothing waits for its linger or its broker then.
    pub(super) fn is_doomed(&self) -> bool {
        self.doomed.is_some() || self.transaction.as_ref().is_some_and(Transaction::is_lost)
    }

    pub(super) fn climate(&self, now: Time) -> Climate {
        let transaction = self.transaction.as_ref();
        let may_send = transaction.is_none_or(Transaction::is_sending);
        Climate {
            now,
            minting: self.identities.current().filter(|_| may_send).map_or(Minting::Waiting, Minting::Under),
            generation: transaction.map_or(0, |txn| txn.generation),
            pressure: self.pressure || self.closing.is_some(),
            doomed: self.is_doomed(),
        }
    }

    /// The queue of a partition, made at its first use. Queues stay: the sequence of a partition outlives whatever metadata
    /// says of its topic in between (rule 10, ID-01).
    pub(super) fn queue(&mut self, cx: &Cx<'_>, partition: PartitionIx) -> &mut Queue {
        self.queues.entry(partition).or_insert_with(|| {
            let place = cx.names.place(partition);
            let terms = Terms::of(&self.config, cx.names.topic_name(place.0));
            let mut queue = Queue::new(partition, place, terms);
            queue.lead(cx.view.leader(place));
            queue.incarnation = cx.view.topic(place.0).map_or(0, |topic| topic.incarnation);
            queue
        })
    }

    pub(super) fn file(&mut self, now: Time, partition: PartitionIx) {
        self.enrol(partition);
        let climate = self.climate(now);
        if let Some(queue) = self.queues.get_mut(&partition) {
            self.index.file(queue, &climate);
        }
    }

    pub(super) fn file_all(&mut self, now: Time) {
        self.unfiled = false;
        let climate = self.climate(now);
        for partition in self.index.active.clone() {
            self.enrol(partition);
            if let Some(queue) = self.queues.get_mut(&partition) {
                self.index.file(queue, &climate);
            }
        }
    }

    /// A batch ends otherwise than acknowledged.
    pub(super) fn fail(
        &mut self,
        cx: &mut Cx<'_>,
        partition: PartitionIx,
        entry: &Entry,
        error: impl FnOnce(&About<'_>) -> Error,
    ) {
        let (topic, number) = cx.names.named(partition);
        let error = error(&About { topic, partition: number, entry });
        let abortable =
            self.transaction.is_some() && self.doomed.is_none() && !error.code().is_some_and(super::transaction::dooms);
        let error = if abortable { error.with_abort() } else { error };
        self.batch_failed(entry, &error);
        self.leave_no_gap(&error);
        let s = cx.stats.producer(self.ix);
        s.records_failed += u64::from(entry.batch.count);
        s.topic(topic).records_failed += u64::from(entry.batch.count);
        let (producer, batch) = (self.ix, entry.batch.no);
        cx.events.push_back(Event::Failed { producer, partition, batch, error, culprits: Vec::new() });
    }

    /// Ends a closed window whose last answer is in, and goes on under the current identity, or a new epoch if it was the
    /// current one that failed (contracts A3, A5).
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>, partition: PartitionIx) {
        let Some(queue) = self.queues.get_mut(&partition) else { return };
        if queue.settle() {
            let who = queue.window.who();
            let lost = queue.reset();
            let recreated = std::mem::take(&mut queue.recreated);
            if self.transaction.is_some() {
                // It stays closed until the end of the transaction brings an epoch.
                self.window_broke(partition, recreated);
            } else {
                if who.is_some_and(|who| self.identities.bump(who)) {
                    cx.stats.producer(self.ix).bumps += 1;
                    self.unfiled = true;
                }
                if self.identities.current().is_some() {
                    queue.resume();
                }
            }
            for entry in &lost {
                self.fail(cx, partition, entry, |about| about.stranded(recreated));
            }
        }
        self.file(cx.now.mono, partition);
    }

    fn refresh_leaders(&mut self, cx: &mut Cx<'_>, diff: &Diff) {
        for topic in &diff.recreated {
            let Some(view) = cx.view.topic(*topic).cloned() else { continue };
            let of_topic: Vec<PartitionIx> =
                self.queues.values().filter(|q| q.place.0 == *topic).map(|q| q.partition).collect();
            for partition in of_topic {
                let Some(queue) = self.queues.get_mut(&partition) else { continue };
                if queue.incarnation != view.incarnation {
                    // Contracts A18: the new log knows nothing of the old one's numbers.
                    queue.incarnation = view.incarnation;
                    queue.recreated = true;
                    queue.close_window();
                }
                queue.lead(cx.view.leader(queue.place));
                self.settle(cx, partition);
            }
        }
        for partition in &diff.moved {
            if let Some(queue) = self.queues.get_mut(partition) {
                queue.lead(cx.view.leader(queue.place));
                self.file(cx.now.mono, *partition);
            }
        }
    }
}

impl RoleMachine for Producer {
    fn needs(&self, out: &mut Needs, known: &Known<'_>) {
        if self.closed {
            return;
        }
        self.topics.needs(out);
        for broker in self.index.links() {
            out.links.insert((broker, Lane::Produce(self.ix)));
        }
        if self.wants_identity().is_some() {
            out.any.insert(Lane::Control);
        }
        self.warm_needs(out, known);
        self.transaction_needs(out, known);
    }

    fn poll_request(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request> {
        if self.unfiled {
            self.file_all(cx.now.mono);
        }
        match link.lane {
            Lane::Control => self.ask_identity(link, cx),
            Lane::Produce(ix) if ix == self.ix => {
                self.is_warm(cx, link.broker);
                self.send(link, cx)
            }
            Lane::Txn(ix) if ix == self.ix => self.ask_coordinator(link, cx),
            _ => None,
        }
    }

    fn handle_response(&mut self, cx: &mut Cx<'_>, broker: BrokerId, tag: Tag, result: Result<Response, RequestError>) {
        if self.asking == Some(tag.token) {
            self.asking = None;
            self.take_identity(cx, broker, result);
        } else if let Some(call) = self.transaction.as_mut().and_then(|t| t.call.take_if(|c| c.token == tag.token)) {
            self.take_coordinator_answer(cx, broker, &call, result);
        } else if let Some((asked, items)) = self.requests.remove(&tag.token) {
            let (in_flight, answered) = (self.requests.len() as u64, result.is_ok());
            let s = cx.stats.producer(self.ix);
            s.in_flight = in_flight;
            if answered {
                s.latency.add(cx.now.mono.since(asked));
            }
            self.take_answer(cx, broker, tag.token, &items, result);
        }
        self.go_on(cx);
        self.end_if_done(cx);
    }

    fn handle_metadata(&mut self, cx: &mut Cx<'_>, diff: &Diff) {
        self.refresh_leaders(cx, diff);
        self.topics.handle_metadata(cx, diff);
        self.go_on(cx);
        self.end_if_done(cx);
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        self.pass_time(cx);
        self.go_on(cx);
        self.end_if_done(cx);
    }

    fn poll_timeout(&self) -> Option<Wake> {
        let timers = [
            (self.index.linger.next(), Why::Linger),
            (self.index.delivery.next(), Why::Delivery),
            (self.index.backoff.next(), Why::Backoff),
            (self.ask_at, Why::Backoff),
            (self.transaction.as_ref().and_then(|txn| txn.retry_at), Why::Backoff),
            (self.topics.next(), Why::Idle),
            (self.closing.as_ref().map(|closing| closing.deadline), Why::Operation),
            (self.warm_deadline(), Why::Operation),
        ];
        timers.into_iter().filter_map(|(at, why)| Some(Wake { at: at?, why })).min()
    }
}
