//! What the application asks of a consumer.

use super::Consumer;
use super::assignment::not_assigned;
use super::commit::Who;
use super::partition::Want;
use super::subscription::Mode;
use crate::client::role::{Cx, News};
use crate::client::{Command, CommitOffset, Event, Reply, SeekTo, Stamp, Subscription, TopicPartition};
use crate::{Error, ErrorKind, OpId, PartitionIx};
use std::collections::{BTreeMap, BTreeSet};

impl Consumer {
    pub(crate) fn handle_command(&mut self, cx: &mut Cx<'_>, op: OpId, command: Command) {
        if self.closing.is_some() && !matches!(command, Command::Released(..) | Command::Applied(..)) {
            let error = Error::new(ErrorKind::Closed, "the consumer is being closed");
            return cx.done(op, Err(error));
        }
        match command {
            Command::Subscribe(_, subscription) => {
                let result = self.subscribe(cx, subscription);
                cx.done(op, result.map(|()| Reply::Unit));
            }
            Command::Assign(_, partitions) => {
                let result = self.manual(cx, |now, those| now.extend(those), &partitions);
                cx.done(op, result.map(|()| Reply::Unit));
            }
            Command::Unassign(_, partitions) => {
                let result = self.manual(cx, |now, those| now.retain(|ix| !those.contains(ix)), &partitions);
                cx.done(op, result.map(|()| Reply::Unit));
            }
            Command::Applied(_, token) => self.applied(cx, token),
            Command::Released(_, token, partition) => self.released(cx, token, partition),
            Command::Seek(_, partition, seek, to) => self.seek(cx, &partition, seek, to),
            Command::Pause(_, partitions, pause) => self.pause(cx, &partitions, pause),
            Command::Position(_, partition) => self.position(cx, op, &partition),
            Command::Commit(_, entries) => self.commit(cx, op, entries),
            Command::Committed(_, partitions) => self.committed(cx, op, partitions),
            Command::Rejoin(_, reason) => self.ask_rejoin(cx, op, &reason),
            Command::CloseConsumer(_, how, deadline) => {
                cx.news.push(News::Deadline { op, at: deadline });
                self.close(cx, op, how, deadline);
            }
            // The client sends only what is a consumer's.
            _ => cx.done(op, Err(Error::new(ErrorKind::Unsupported, "this is no operation of a consumer"))),
        }
        self.settle(cx);
    }

    pub(super) fn subscribe(&mut self, cx: &mut Cx<'_>, subscription: Subscription) -> Result<(), Error> {
        let subscription = match subscription {
            Subscription::Topics(topics) if topics.is_empty() => Subscription::None,
            other => other,
        };
        let shared = matches!(subscription, Subscription::Topics(_) | Subscription::Chosen(_));
        if !shared && !self.may_replace(cx, &subscription) {
            return Ok(());
        }
        match subscription {
            Subscription::None => {
                self.subscription.set(Mode::None, BTreeSet::new());
                self.assign(cx, BTreeMap::new());
            }
            Subscription::Partitions(partitions) => {
                let wanted = partitions.iter().map(|tp| (index(cx, tp), Want::Committed)).collect();
                self.subscription.set(Mode::Manual, BTreeSet::new());
                self.assign(cx, wanted);
            }
            Subscription::Topics(topics) => {
                self.subscription.choose(None, cx.view);
                let topics = topics.iter().map(|name| cx.names.topic(name)).collect();
                if self.config.group_id.is_some() {
                    return self.subscribe_group(cx, topics);
                }
                self.subscription.set(Mode::All, topics);
                self.assign_all(cx);
            }
            Subscription::Chosen(chooser) => {
                if self.subscription.mode == Mode::Manual {
                    self.subscription.set(Mode::None, BTreeSet::new());
                    self.assign(cx, BTreeMap::new());
                }
                self.subscription.choose(Some(chooser), cx.view);
                // All topics may be watched already, for somebody else.
                cx.news.push(News::ClusterStale);
                if let Some(m) = self.membership.as_mut().filter(|m| m.next.is_some()) {
                    m.next = None;
                    m.rejoin = Some("the subscription changed".into());
                }
            }
        }
        Ok(())
    }

    /// Changes a manual assignment.
    fn manual(
        &mut self,
        cx: &mut Cx<'_>,
        change: impl FnOnce(&mut BTreeSet<PartitionIx>, BTreeSet<PartitionIx>),
        partitions: &[TopicPartition],
    ) -> Result<(), Error> {
        if !matches!(self.subscription.mode, Mode::None | Mode::Manual) {
            let text = "the consumer is subscribed to topics: its partitions cannot be assigned by hand as well";
            return Err(Error::new(ErrorKind::Misuse, text).with_hint("unsubscribe first"));
        }
        let those = partitions.iter().map(|tp| index(cx, tp)).collect();
        let mut now: BTreeSet<PartitionIx> = self.partitions.keys().copied().collect();
        change(&mut now, those);
        self.subscription.set(Mode::Manual, BTreeSet::new());
        self.assign(cx, now.into_iter().map(|ix| (ix, Want::Committed)).collect());
        Ok(())
    }

    /// A seek in a partition that went meanwhile moves nothing: the application is told that it is gone.
    fn seek(&mut self, cx: &mut Cx<'_>, partition: &TopicPartition, seek: u32, to: SeekTo) {
        let Some(ix) = cx.names.find(&partition.topic, partition.partition) else { return };
        let Some(p) = self.partitions.get_mut(&ix) else { return };
        p.seek(seek, to);
        self.troubled.remove(&ix);
        if p.is_placed() {
            cx.events.push_back(Event::Positioned {
                consumer: self.ix,
                partition: ix,
                stamp: p.stamp,
                offset: p.offset,
                leader_epoch: p.leader_epoch,
            });
        }
    }

    fn pause(&mut self, cx: &mut Cx<'_>, partitions: &[TopicPartition], pause: bool) {
        for tp in partitions {
            let Some(ix) = cx.names.find(&tp.topic, tp.partition) else { continue };
            if !pause {
                // A partition that is just on its way back does not come back paused.
                self.paused.remove(&ix);
            }
            if let Some(p) = self.partitions.get_mut(&ix) {
                p.gates.paused = pause;
                if pause {
                    self.paused.insert(ix);
                }
            }
        }
    }

    fn commit(&mut self, cx: &mut Cx<'_>, op: OpId, entries: Vec<(TopicPartition, Option<Stamp>, CommitOffset)>) {
        if self.membership.is_none() {
            return cx.done(op, Err(no_group()));
        }
        let entries = entries.into_iter().map(|(tp, stamp, offset)| (index(cx, &tp), stamp, offset)).collect();
        self.commits.add(cx, Who::Op(op), entries);
    }

    fn committed(&mut self, cx: &mut Cx<'_>, op: OpId, partitions: Vec<TopicPartition>) {
        if self.membership.is_none() {
            return cx.done(op, Err(no_group()));
        }
        if partitions.is_empty() {
            return cx.done(op, Ok(Reply::Committed(Vec::new())));
        }
        self.offsets.ask(cx, op, partitions);
    }

    fn ask_rejoin(&mut self, cx: &mut Cx<'_>, op: OpId, reason: &str) {
        let in_group = self.subscription.mode == Mode::Group;
        let Some(m) = self.membership.as_mut().filter(|_| in_group) else {
            return cx.done(op, Err(no_group()));
        };
        m.rejoin = Some(reason.to_owned());
        cx.done(op, Ok(Reply::Unit));
        self.go_on(cx);
    }

    fn position(&mut self, cx: &mut Cx<'_>, op: OpId, partition: &TopicPartition) {
        let found = cx.names.find(&partition.topic, partition.partition);
        match found.filter(|ix| self.partitions.contains_key(ix)) {
            Some(ix) => self.waiting.push((op, ix)),
            None => cx.done(op, Err(not_assigned(&partition.topic, partition.partition))),
        }
    }
}

/// Says that an operation is one of groups.
fn no_group() -> Error {
    Error::new(ErrorKind::Misuse, "this consumer has no group").with_hint("set group.id")
}

fn index(cx: &mut Cx<'_>, tp: &TopicPartition) -> PartitionIx {
    let topic = cx.names.topic(&tp.topic);
    cx.names.partition(topic, tp.partition)
}
