//! Who gets what: commands to roles, answers to their owners, links to those who may use them.

use super::role::{Known, Lane, Needs, News, Owner, RequestError, Response, RoleMachine, Tag};
use super::{Client, Command, End, Event, Note, call};
use crate::consumer::Consumer;
use crate::metadata::{Diff, View};
use crate::producer::Producer;
use crate::{BrokerId, ConnId, Error, ErrorKind, Now, OpId};

/// Rounds of one `settle`: each either answers something or ends it; the bound keeps a broken role from spinning.
const MAX_ROUNDS: usize = 64;

impl Client {
    /// An application's command. Every command but those that say so is answered once by `Event::Done` with `op`.
    pub fn handle_command(&mut self, now: Now, op: OpId, command: Command) {
        self.touch(now);
        let answered = !matches!(
            command,
            Command::Deadline(_)
                | Command::OpenProducer(..)
                | Command::Topic(..)
                | Command::BeginTransaction(..)
                | Command::OpenConsumer(..)
                | Command::Applied(..)
                | Command::Released(..)
                | Command::Seek(..)
                | Command::Pause(..)
        );
        if answered {
            self.ops.begin(op, command.describe());
        }
        match command {
            Command::Connect => {
                self.metadata.refresh_cluster();
                self.ops.await_view(op, self.metadata.view().version);
            }
            Command::Deadline(at) => self.ops.deadline(op, at),
            Command::Shutdown { deadline } => {
                let none = || End { ops: Vec::new(), deadline, aborted: false, done: false };
                let end = self.end.get_or_insert_with(none);
                end.ops.push(op);
                end.deadline = deadline;
            }
            Command::OpenProducer(ix, config, memory) => {
                let limit = usize::try_from(config.max_in_flight_requests_per_connection).unwrap_or(usize::MAX);
                self.cluster.limit_in_flight(ix, limit);
                self.producers.insert(ix, Producer::new(ix, config, memory, &self.config));
            }
            Command::Topic(ix, name) => {
                if let Some(producer) = self.producers.get_mut(&ix) {
                    call!(self, producer, want_topic(name));
                }
            }
            Command::CloseProducer(ix, deadline) => match self.producers.get_mut(&ix) {
                Some(producer) => call!(self, producer, close(op, deadline)),
                None => self.refuse(op),
            },
            Command::Purge(ix, in_flight) => match self.producers.get_mut(&ix) {
                Some(producer) => call!(self, producer, purge(op, in_flight)),
                None => self.refuse(op),
            },
            Command::WarmUp(ix, name, until) => match self.producers.get_mut(&ix) {
                Some(producer) => call!(self, producer, warm_up(op, name, until)),
                None => self.refuse(op),
            },
            Command::InitTransactions(ix) => match self.producers.get_mut(&ix) {
                Some(producer) => call!(self, producer, init_transactions(op)),
                None => self.refuse(op),
            },
            Command::BeginTransaction(ix, generation) => {
                if let Some(producer) = self.producers.get_mut(&ix) {
                    call!(self, producer, begin_transaction(generation));
                }
            }
            Command::SendOffsets(ix, offsets) => match self.producers.get_mut(&ix) {
                Some(producer) => call!(self, producer, send_offsets(op, offsets)),
                None => self.refuse(op),
            },
            Command::EndTransaction(ix, how) => match self.producers.get_mut(&ix) {
                Some(producer) => call!(self, producer, end_transaction(op, &how)),
                None => self.refuse(op),
            },
            Command::PrepareTransaction(ix, generation) => match self.producers.get_mut(&ix) {
                Some(producer) => call!(self, producer, prepare_transaction(op, generation)),
                None => self.refuse(op),
            },
            Command::KeepPrepared(ix) => match self.producers.get_mut(&ix) {
                Some(producer) => call!(self, producer, keep_prepared(op)),
                None => self.refuse(op),
            },
            Command::CompleteTransaction(ix, decision) => match self.producers.get_mut(&ix) {
                Some(producer) => call!(self, producer, complete_transaction(op, decision)),
                None => self.refuse(op),
            },
            Command::OpenConsumer(ix, config) => {
                self.consumers.insert(ix, Consumer::new(ix, config, &self.config));
            }
            Command::Admin(request) => call!(self, self.admin, handle_request(op, *request)),
            Command::ListOffsets(..) | Command::DescribePartitions(_) | Command::ListTopics | Command::Raw { .. } => {
                call!(self, self.lookups, handle_command(op, command));
            }
            command => match command.consumer().and_then(|ix| self.consumers.get_mut(&ix)) {
                Some(consumer) => call!(self, consumer, handle_command(op, command)),
                None => self.refuse(op),
            },
        }
    }

    fn refuse(&mut self, op: OpId) {
        let error = Error::new(ErrorKind::Closed, "it was closed before this call");
        self.shared.events.push_back(Event::Done { op, result: Err(error) });
    }

    /// Lets everything that came in take its effect: answers, news, needs, requests.
    pub(super) fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            if !std::mem::take(&mut self.dirty) {
                return;
            }
            self.take_responses();
            self.take_cluster_news();
            self.drop_closed();
            self.answer_views();
            let needs = self.needs();
            self.metadata.want(&needs);
            self.coordinators.want(&needs);
            let view = self.metadata.view().clone();
            self.dirty |= self.coordinators.check(self.now, &view, &mut self.rng);
            self.cluster.want(self.now, &needs, &view, &mut self.rng, &mut self.shared.stats);
            self.offer_links();
            self.take_news(None);
            self.end();
        }
    }

    fn take_responses(&mut self) {
        while let Some((conn, broker, tag, result)) =
            self.cluster.poll_response(self.now, &mut self.rng, &mut self.shared.stats)
        {
            self.route(conn, broker, tag, result);
            self.take_news(Some(conn));
        }
    }

    fn route(&mut self, conn: ConnId, broker: BrokerId, tag: Tag, result: Result<Response, RequestError>) {
        let (now, rng) = (self.now, &mut self.rng);
        match tag.owner {
            Owner::Metadata => {
                let before = self.metadata.view().clone();
                match self.metadata.handle_response(now, rng, &mut self.shared.names, tag, result) {
                    Ok(Some(diff)) => {
                        self.shared.stats.metadata += 1;
                        self.shared.stats.metadata_at = Some(now.mono);
                        self.note_leaders(&before, &diff);
                        self.tell_metadata(&diff);
                    }
                    Ok(None) => {}
                    Err(error) => self.cluster.abort(conn, error),
                }
                self.dirty = true;
            }
            Owner::Coordinators => {
                match self.coordinators.handle_response(now, rng, tag, result) {
                    Ok(nodes) => self.metadata.learn(nodes),
                    Err(error) => self.cluster.abort(conn, error),
                }
                // A coordinator that became known, or cannot be: the roles look again.
                self.tell_metadata(&Diff::default());
                self.dirty = true;
            }
            Owner::Producer(ix) => {
                if let Some(producer) = self.producers.get_mut(&ix) {
                    call!(self, producer, handle_response(broker, tag, result));
                }
            }
            Owner::Consumer(ix) => {
                if let Some(consumer) = self.consumers.get_mut(&ix) {
                    call!(self, consumer, handle_response(broker, tag, result));
                    while let Some(buffer) = consumer.take_spare_buffer() {
                        self.cluster.give_buffer(Lane::Fetch(ix), buffer);
                    }
                }
            }
            Owner::Admin => call!(self, self.admin, handle_response(broker, tag, result)),
            Owner::Lookups => call!(self, self.lookups, handle_response(broker, tag, result)),
        }
    }

    /// One diff to all roles in the same turn: they never see different worlds.
    fn tell_metadata(&mut self, diff: &Diff) {
        for producer in self.producers.values_mut() {
            call!(self, producer, handle_metadata(diff));
        }
        for consumer in self.consumers.values_mut() {
            call!(self, consumer, handle_metadata(diff));
        }
        call!(self, self.admin, handle_metadata(diff));
        call!(self, self.lookups, handle_metadata(diff));
    }

    /// What roles told the shared machines; `conn` is where the answer came from that made them speak.
    fn take_news(&mut self, conn: Option<ConnId>) {
        while !self.shared.news.is_empty() {
            self.dirty = true;
            for news in std::mem::take(&mut self.shared.news) {
                match news {
                    News::Stale { topic, leader_epoch, .. } => {
                        self.metadata.stale(self.now, topic, leader_epoch, &mut self.rng);
                    }
                    News::Leader { partition, broker, leader_epoch, endpoint } => {
                        let names = &self.shared.names;
                        if let Some(diff) = self.metadata.hint(names, partition, broker, leader_epoch, endpoint) {
                            self.tell_metadata(&diff);
                        }
                    }
                    News::CoordinatorLost { kind, key, broker } => {
                        self.coordinators.lost(self.now, kind, &key, broker, &mut self.rng);
                    }
                    News::CoordinatorWorks { kind, key } => self.coordinators.confirm(kind, &key),
                    News::Undecodable { error } => {
                        if let Some(conn) = conn {
                            self.cluster.abort(conn, error);
                        }
                    }
                    News::Throttled { ms } => {
                        if let Some(conn) = conn {
                            self.cluster.throttle(self.now, conn, ms, &mut self.shared.stats);
                        }
                    }
                    News::ClusterStale => self.metadata.refresh_cluster(),
                    News::Deadline { op, at } => self.ops.deadline(op, at),
                }
            }
        }
    }

    /// Tells of partitions that others lead now; those that were not known before are no news.
    fn note_leaders(&mut self, before: &View, diff: &Diff) {
        let view = self.metadata.view();
        for ix in &diff.moved {
            let place = self.shared.names.place(*ix);
            let (Some((from, _)), to) = (before.leader(place), view.leader(place)) else { continue };
            if to.map(|(leader, _)| leader) != Some(from) {
                let topic = self.shared.names.topic_name(place.0).clone();
                self.shared.events.push_back(Event::Note(Note::LeaderMoved { topic, partition: place.1, from, to }));
            }
        }
    }

    fn take_cluster_news(&mut self) {
        let news = self.cluster.take_news();
        for features in &news.features {
            self.metadata.features(features);
        }
        for (broker, trouble) in news.troubles {
            self.shared.events.push_back(Event::Note(match &trouble {
                Some(error) => Note::Unreachable { broker, error: error.clone() },
                None => Note::Connected { broker },
            }));
            match trouble {
                Some(error) => {
                    self.coordinators.unreachable(self.now, broker, &mut self.rng);
                    self.shared.troubles.insert(broker, error)
                }
                None => self.shared.troubles.remove(&broker),
            };
        }
        for (broker, error) in news.lost {
            self.shared.events.push_back(Event::Note(Note::Disconnected { broker, error }));
        }
        for peer in news.ended {
            self.metadata.lost(self.now, peer.broker(), &mut self.rng);
            self.dirty = true;
        }
    }

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        if self.end.is_some() {
            return needs;
        }
        let known = Known { view: self.metadata.view(), names: &self.shared.names, coordinators: &self.coordinators };
        for producer in self.producers.values() {
            producer.needs(&mut needs, &known);
        }
        for consumer in self.consumers.values() {
            consumer.needs(&mut needs, &known);
        }
        self.admin.needs(&mut needs, &known);
        self.lookups.needs(&mut needs, &known);
        let now = self.now.mono;
        // What is wanted beyond the brokers' names can only be asked for by somebody who can be reached.
        let asks = self.ops.awaits_view() || !needs.is_empty();
        if asks && (self.metadata.wants_link(now) || self.coordinators.wants_link(now) || self.ops.awaits_view()) {
            needs.any.insert(Lane::Control);
        }
        needs
    }

    fn offer_links(&mut self) {
        let Self { cluster, metadata, coordinators, producers, consumers, admin, lookups, shared, now, .. } = self;
        let view = metadata.view().clone();
        let requests = cluster.offer(*now, |link| {
            if link.lane == Lane::Control {
                let own =
                    metadata.poll_request(link, *now, &shared.names).or_else(|| coordinators.poll_request(link, *now));
                if own.is_some() {
                    return own;
                }
            }
            let mut cx = shared.cx(*now, &view, coordinators);
            match link.lane {
                Lane::Produce(ix) | Lane::Txn(ix) => producers.get_mut(&ix)?.poll_request(link, &mut cx),
                Lane::Fetch(ix) | Lane::Group(ix) | Lane::Join(ix) => {
                    consumers.get_mut(&ix)?.poll_request(link, &mut cx)
                }
                Lane::Control | Lane::Slow => {
                    let roles = producers.values_mut().find_map(|p| p.poll_request(link, &mut cx));
                    let roles = roles.or_else(|| consumers.values_mut().find_map(|c| c.poll_request(link, &mut cx)));
                    let roles = roles.or_else(|| lookups.poll_request(link, &mut cx));
                    roles.or_else(|| admin.poll_request(link, &mut cx))
                }
            }
        });
        shared.stats.requests += requests.len() as u64;
        for (broker, size) in requests.into_iter().filter(|(broker, _)| broker.0 >= 0) {
            let node = shared.stats.node(broker);
            node.requests += 1;
            node.request_size.add_value(size);
        }
    }

    /// Producers and consumers that have ended let go of their links.
    fn drop_closed(&mut self) {
        let before = self.producers.len() + self.consumers.len();
        self.producers.retain(|_, p| !p.is_closed());
        self.consumers.retain(|_, c| !c.is_closed());
        if self.producers.len() + self.consumers.len() != before {
            let (producers, consumers) = (&self.producers, &self.consumers);
            self.cluster.retire(self.now, |lane| match lane {
                Lane::Produce(ix) | Lane::Txn(ix) => !producers.contains_key(&ix),
                Lane::Fetch(ix) | Lane::Group(ix) | Lane::Join(ix) => !consumers.contains_key(&ix),
                Lane::Control | Lane::Slow => false,
            });
        }
    }

    fn end(&mut self) {
        let Some(end) = &mut self.end else { return };
        if end.done && end.ops.is_empty() {
            return;
        }
        let late = end.deadline <= self.now.mono;
        if !end.aborted {
            end.aborted = late;
            self.cluster.close_all(self.now, late);
            // Links that ended in peace just now are forgotten here: no input will come for them any more.
            self.take_responses();
        }
        let Some(end) = &mut self.end else { return };
        if self.cluster.is_empty() {
            end.done = true;
            for op in std::mem::take(&mut end.ops) {
                self.shared.events.push_back(Event::Done { op, result: Ok(super::Reply::Unit) });
            }
        }
    }
}
