//! What ties a producer's transactions to its batches, its links and the application.

use super::class::{Reaction, reaction};
use super::requests::{self, Address};
use super::{Ask, Call, GroupOffset, GroupOffsets, Protocol, State, Transaction, dooms};
use crate::client::role::{CoordinatorKind, Cx, Known, Lane, LinkFacts, Needs, News, Request, RequestError, Response};
use crate::client::{EndTransaction, Reply, SendOffsets};
use crate::cluster::Coordinator;
use crate::producer::entry::Entry;
use crate::producer::machine::Producer;
use crate::producer::sequence::Identity;
use crate::{BrokerId, Error, ErrorCode, ErrorKind, OpId, PartitionIx};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How soon a coordinator is asked again that still writes out the transaction before (`ADD_PARTITIONS_RETRY_BACKOFF_MS`).
const SOON: Duration = Duration::from_millis(20);

impl Producer {
    /// The first producer id: answered when transactions can begin.
    pub(crate) fn init_transactions(&mut self, cx: &mut Cx<'_>, op: OpId) {
        let refusal = match (&self.transaction, &self.doomed) {
            (_, Some(error)) => Some(error.clone()),
            (None, _) => Some(Error::new(ErrorKind::Misuse, "the producer has no transactional.id")),
            (Some(_), None) => None,
        };
        match (&mut self.transaction, refusal) {
            (Some(txn), None) if txn.state == State::Starting => txn.starters.push(op),
            (_, None) => cx.done(op, Ok(Reply::Unit)),
            (_, Some(error)) => cx.done(op, Err(error)),
        }
    }

    /// Batches of this generation belong to a new transaction.
    pub(crate) fn begin_transaction(&mut self, cx: &mut Cx<'_>, generation: u64) {
        if let Some(txn) = &mut self.transaction {
            txn.begin(generation);
        }
        self.go_on(cx);
    }

    /// Offsets become their group's if the open transaction commits; answered when the group's coordinator has them.
    pub(crate) fn send_offsets(&mut self, cx: &mut Cx<'_>, op: OpId, asked: SendOffsets) {
        let Some(txn) = &mut self.transaction else {
            return cx.done(op, Err(Error::new(ErrorKind::Misuse, "the producer has no transactional.id")));
        };
        if txn.refuses(asked.generation) {
            let why = self.doomed.clone().or_else(|| txn.trouble.clone());
            return cx.done(op, Err(dropped(why)));
        }
        if asked.offsets.is_empty() {
            return cx.done(op, Ok(Reply::Unit));
        }
        let left = asked.offsets.into_iter().map(|(tp, offset)| {
            let place = (cx.names.topic(&tp.topic), tp.partition);
            let topic_id = cx.view.topic(place.0).map(|topic| topic.id).unwrap_or_default();
            GroupOffset { place, topic_id, offset }
        });
        txn.offsets.push_back(GroupOffsets {
            op,
            generation: asked.generation,
            group: asked.group,
            left: left.collect(),
        });
        self.go_on(cx);
    }

    /// The application asks for the end of the open transaction.
    pub(crate) fn end_transaction(&mut self, cx: &mut Cx<'_>, op: OpId, how: &EndTransaction) {
        let misuse = || Err(Error::new(ErrorKind::Misuse, "the producer has no transactional.id"));
        let asked = self.transaction.as_mut().map_or_else(misuse, |txn| txn.finish(op, how));
        match (asked, &self.doomed) {
            (Ok(()), _) => self.go_on(cx),
            (Err(_), Some(doom)) => cx.done(op, Err(doom.clone())),
            (Err(error), None) => cx.done(op, Err(error)),
        }
    }

    /// What a failed batch means for its transaction.
    pub(in crate::producer) fn batch_failed(&mut self, entry: &Entry, error: &Error) {
        let Some(txn) = &mut self.transaction else { return };
        txn.tainted |= entry.stamp.is_some();
        if entry.batch.generation == txn.generation {
            txn.fail(error);
        }
        if error.code().is_some_and(dooms) {
            self.dooming.get_or_insert_with(|| error.clone());
        }
    }

    /// A partition's numbers cannot go on under this epoch.
    pub(in crate::producer) fn window_broke(&mut self, partition: PartitionIx, recreated: bool) {
        let Some(txn) = &mut self.transaction else { return };
        txn.tainted = true;
        match txn.state {
            State::Ready => txn.state = State::Bumping,
            State::Open if self.queues.get(&partition).is_some_and(|q| q.enrolled == txn.generation) => {
                let text = if recreated { "a topic was deleted and created anew" } else { "a batch failed" };
                txn.fail(&Error::new(ErrorKind::NotDelivered, text));
            }
            _ => {}
        }
    }

    /// The highest version of Produce that leaves the adding of partitions to whom the protocol does.
    pub(in crate::producer) fn highest_produce(&self) -> i16 {
        match &self.transaction {
            Some(txn) if txn.protocol == Protocol::V1 => requests::LAST_PRODUCE_V1,
            _ => i16::MAX,
        }
    }

    /// Whether batches of the open transaction, or late answers, are still to come.
    fn is_busy(&self) -> bool {
        let generation = self.transaction.as_ref().map_or(0, |txn| txn.generation);
        let mut active = self.index.active.iter().filter_map(|partition| self.queues.get(partition));
        active.any(|q| q.owing().is_some() || q.entries().any(|e| e.batch.generation <= generation))
    }

    /// A partition with batches becomes part of the open transaction.
    pub(in crate::producer) fn enrol(&mut self, partition: PartitionIx) {
        let Some(txn) = self.transaction.as_mut().filter(|txn| txn.end.is_none() && txn.is_sending()) else { return };
        let Some(queue) = self.queues.get_mut(&partition) else { return };
        if queue.enrolled == txn.generation || !queue.is_active() {
            return;
        }
        match txn.protocol {
            Protocol::V1 => {
                txn.waiting.insert(partition);
            }
            Protocol::V2 => queue.enrolled = txn.generation,
        }
    }

    pub(in crate::producer) fn transaction_needs(&self, out: &mut Needs, known: &Known<'_>) {
        let Some(txn) = self.transaction.as_ref().filter(|txn| txn.state != State::Dead) else { return };
        out.coordinators.insert((CoordinatorKind::Transaction, txn.id.clone()));
        if let Some(offsets) = txn.offsets.front() {
            out.coordinators.insert((CoordinatorKind::Group, offsets.group.group.clone()));
        }
        let coordinator = match &txn.call {
            Some(call) => Some(asked_of(txn, call)),
            None => txn.next(self.is_busy()).and_then(|ask| to_ask(txn, ask)),
        };
        let broker = coordinator.and_then(|(kind, key)| known.coordinators.get(kind, &key).broker());
        out.links.extend(broker.map(|broker| (broker, Lane::Txn(self.ix))));
    }

    pub(in crate::producer) fn ask_coordinator(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request> {
        let txn = self.transaction.as_ref().filter(|txn| txn.retry_at.is_none())?;
        let ask = txn.next(self.is_busy())?;
        let (kind, key) = to_ask(txn, ask)?;
        if cx.coordinators.get(kind, &key).broker() != Some(link.broker) {
            return None;
        }
        let tag = self.tag();
        let to = Address { tag, link, timeout: self.config.request_timeout };
        let who = self.identities.current();
        let txn = self.transaction.as_mut()?;
        let partitions = if ask == Ask::AddPartitions { txn.waiting.iter().copied().collect() } else { Vec::new() };
        let built = match ask {
            Ask::Init => match who.filter(|_| txn.state == State::Bumping) {
                Some(_) if !to.can_bump() => Err(too_old(link.broker)),
                from => requests::init(&to, txn, from),
            },
            Ask::AddPartitions => requests::add_partitions(&to, txn, who?, &partitions, cx.names),
            Ask::AddOffsets => requests::add_offsets(&to, txn, who?, &txn.offsets.front()?.group.group),
            Ask::CommitOffsets => requests::commit_offsets(&to, txn, who?, txn.offsets.front()?, cx.names),
            Ask::End => requests::end(&to, txn, txn.ends_as(who)?, txn.end.as_ref()?.commit),
        };
        match built {
            Ok(request) => {
                txn.touched |= ask == Ask::CommitOffsets;
                if let Some(end) = txn.end.as_mut().filter(|_| ask == Ask::End) {
                    end.asked = true;
                }
                let offsets = txn.offsets.front().filter(|_| matches!(ask, Ask::AddOffsets | Ask::CommitOffsets));
                let offsets = offsets.map(|offsets| (offsets.op, offsets.group.group.clone()));
                txn.call = Some(Call { token: tag.token, ask, partitions, offsets });
                Some(request)
            }
            Err(error) => {
                self.die(cx, error);
                None
            }
        }
    }

    /// The answer to the request under way.
    pub(in crate::producer) fn take_coordinator_answer(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        call: &Call,
        result: Result<Response, RequestError>,
    ) {
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.miss(cx, broker, call, &error),
        };
        let read = match call.ask {
            Ask::Init => self.take_init(cx, broker, call, &response),
            Ask::AddPartitions => self.take_added(cx, broker, call, &response),
            Ask::AddOffsets => self.take_group_added(cx, broker, call, &response),
            Ask::CommitOffsets => self.take_committed(cx, broker, call, &response),
            Ask::End => self.take_end(cx, broker, call, &response),
        };
        match read {
            Ok(throttle) if throttle > 0 => cx.news.push(News::Throttled { ms: throttle }),
            Ok(_) => {}
            Err(error) => {
                cx.news.push(News::Undecodable { error: error.clone() });
                self.miss(cx, broker, call, &RequestError::Lost(error));
            }
        }
    }

    /// There is no answer. Every one of these requests may be made twice.
    fn miss(&mut self, cx: &mut Cx<'_>, broker: BrokerId, call: &Call, error: &RequestError) {
        let Some(txn) = &mut self.transaction else { return };
        if matches!(error, RequestError::Lost(_)) {
            match (call.ask, &mut txn.end) {
                (Ask::End, Some(end)) => end.unknown = true,
                (Ask::AddPartitions | Ask::AddOffsets, _) => txn.touched = true,
                _ => {}
            }
        }
        txn.last = Some(error.error().clone());
        self.rediscover(cx, broker, call);
    }

    fn rediscover(&mut self, cx: &mut Cx<'_>, broker: BrokerId, call: &Call) {
        let Some(txn) = &self.transaction else { return };
        let (kind, key) = asked_of(txn, call);
        cx.news.push(News::CoordinatorLost { kind, key, broker });
        self.again(cx, None);
    }

    fn again(&mut self, cx: &mut Cx<'_>, wait: Option<Duration>) {
        let (first, max) = (self.config.retry_backoff, self.config.retry_backoff_max);
        let Some(txn) = &mut self.transaction else { return };
        let wait = wait.unwrap_or_else(|| cx.rng.backoff(first, max, txn.attempts));
        txn.retry_at = Some(cx.now.mono + wait);
        txn.attempts = txn.attempts.saturating_add(1);
    }

    /// Does what a code calls for, and gives it.
    pub(super) fn react(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        call: &Call,
        code: ErrorCode,
        what: &str,
    ) -> Reaction {
        let ask = call.ask;
        let reaction = match reaction(ask, code) {
            // Between two transactions there is nothing to abort.
            Reaction::Abort if ask == Ask::Init => Reaction::Retry,
            other => other,
        };
        let Some(txn) = &mut self.transaction else { return reaction };
        if reaction == Reaction::Done {
            txn.asked();
            let (kind, key) = asked_of(txn, call);
            cx.news.push(News::CoordinatorWorks { kind, key });
            return reaction;
        }
        let text = format!("transactional id \"{}\": {what}", txn.id);
        let error = Error::new(code.kind(), text).with_source(Error::from_code(code)).with_code(code);
        let error = error.with_broker(broker.0);
        txn.last = Some(error.clone());
        match reaction {
            Reaction::Done | Reaction::NotOpen => {}
            Reaction::Retry => self.again(cx, None),
            Reaction::Soon => self.again(cx, Some(SOON)),
            Reaction::Rediscover => self.rediscover(cx, broker, call),
            Reaction::Abort | Reaction::Renew => {
                txn.tainted |= reaction == Reaction::Renew;
                txn.asked();
                if ask != Ask::End {
                    txn.fail(&error.with_abort());
                }
            }
            Reaction::Fatal => self.die(cx, error),
        }
        reaction
    }

    pub(super) fn adopt(&mut self, who: Identity) {
        self.identities.adopt(who);
        for queue in self.queues.values_mut() {
            queue.resume();
        }
        self.unfiled = true;
        if let Some(txn) = &mut self.transaction {
            txn.renewed();
        }
    }

    pub(super) fn over(&mut self, cx: &mut Cx<'_>, renew: bool) {
        let Some(txn) = &mut self.transaction else { return };
        self.unfiled = true;
        if let Some((op, result)) = txn.over(renew) {
            cx.done(op, result.map(|()| Reply::Unit));
        }
    }

    /// The producer can do nothing more.
    pub(super) fn die(&mut self, cx: &mut Cx<'_>, error: Error) {
        // That a batch may be written says nothing of its transaction: without an EndTxn nothing of it is visible.
        let error = error.with_possibly_written(false).with_fatal();
        self.doom(cx, error.clone());
        let waiting = self.transaction.as_mut().map(|txn| txn.die(&error));
        for (op, error) in waiting.into_iter().flatten() {
            cx.done(op, Err(error));
        }
    }

    /// What follows from all that came in: batches that can only fail do, a transaction that nobody knows of is over, the
    /// next one opens.
    pub(in crate::producer) fn go_on(&mut self, cx: &mut Cx<'_>) {
        if let Some(error) = self.dooming.take().filter(|_| self.doomed.is_none()) {
            self.die(cx, error);
        }
        if self.transaction.is_none() {
            return;
        }
        self.watch_coordinators(cx);
        loop {
            self.sweep(cx);
            let busy = self.is_busy();
            self.prepare_if_done(cx, busy);
            if self.transaction.as_ref().is_some_and(|txn| txn.ends_unheard(busy)) {
                let renew = self.transaction.as_ref().is_some_and(|txn| txn.tainted);
                self.over(cx, renew);
            }
            let protocol = Protocol::of(&cx.view.features);
            if !self.transaction.as_mut().is_some_and(|txn| txn.open(protocol)) {
                return;
            }
            // Its end may have been asked for before it opened.
            self.file_all(cx.now.mono);
        }
    }

    /// Fails what belongs to a transaction that can only be aborted; what is on the wire comes back first.
    fn sweep(&mut self, cx: &mut Cx<'_>) {
        let Some(txn) = self.transaction.as_mut().filter(|txn| txn.state == State::Open && !txn.is_sending()) else {
            return;
        };
        let (generation, cause) = (txn.generation, txn.trouble.clone());
        // What lingers in the front has to come and fail: whoever commits waits for it.
        self.unfiled |= cause.is_some();
        let (gone, later) =
            std::mem::take(&mut txn.offsets).into_iter().partition(|offsets| offsets.generation <= generation);
        txn.offsets = later;
        let gone: VecDeque<GroupOffsets> = gone;
        for offsets in gone {
            cx.done(offsets.op, Err(dropped(cause.clone())));
        }
        let partitions: Vec<PartitionIx> = self.index.active.iter().copied().collect();
        for partition in partitions {
            let Some(queue) = self.queues.get_mut(&partition) else { continue };
            let unsent = queue.take_unsent(generation);
            if unsent.is_empty() {
                continue;
            }
            for entry in &unsent {
                self.fail(cx, partition, entry, |about| about.given_up(dropped(cause.clone())));
            }
            self.settle(cx, partition);
        }
    }

    /// Why a batch that comes now can only fail.
    pub(in crate::producer) fn too_late(&self, generation: u64) -> Option<Error> {
        let txn = self.transaction.as_ref()?;
        txn.refuses(generation).then(|| dropped(txn.trouble.clone()))
    }

    fn watch_coordinators(&mut self, cx: &mut Cx<'_>) {
        let Some(txn) = self.transaction.as_mut().filter(|txn| txn.state != State::Dead) else { return };
        if let Coordinator::Refused(error) = cx.coordinators.get(CoordinatorKind::Transaction, &txn.id) {
            let error = error.clone();
            return self.die(cx, error);
        }
        let Some(group) = txn.offsets.front().map(|offsets| offsets.group.group.clone()) else { return };
        if let Coordinator::Refused(error) = cx.coordinators.get(CoordinatorKind::Group, &group) {
            txn.fail(&error.clone().with_abort());
        }
    }
}

/// Whom to ask.
fn to_ask(txn: &Transaction, ask: Ask) -> Option<(CoordinatorKind, Arc<str>)> {
    match ask {
        Ask::CommitOffsets => Some((CoordinatorKind::Group, txn.offsets.front()?.group.group.clone())),
        _ => Some((CoordinatorKind::Transaction, txn.id.clone())),
    }
}

/// Who was asked.
fn asked_of(txn: &Transaction, call: &Call) -> (CoordinatorKind, Arc<str>) {
    match &call.offsets {
        Some((_, group)) if call.ask == Ask::CommitOffsets => (CoordinatorKind::Group, group.clone()),
        _ => (CoordinatorKind::Transaction, txn.id.clone()),
    }
}

/// What belongs to a transaction that is aborted.
fn dropped(cause: Option<Error>) -> Error {
    let error = Error::new(ErrorKind::Aborted, "its transaction is aborted");
    cause.map_or(error.clone(), |cause| error.with_source(cause))
}

fn too_old(broker: BrokerId) -> Error {
    let text = format!("broker {broker} cannot give a new epoch to a producer whose batch failed");
    let hint = "brokers from 2.5 on can (KIP-360); with older ones go on with a new transactional producer";
    Error::new(ErrorKind::Unsupported, text).with_broker(broker.0).with_hint(hint)
}
