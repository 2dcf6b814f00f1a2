//! What every group protocol has in common: partitions that are owned, let go in order, or lost.
//!
//! `Owned -> Revoking -> gone`, or lost from any state (contracts A14). A revocation ends when the application has let go
//! of every partition, its last positions are committed, and only then does the member join again.

use super::Consumer;
use super::classic::{Classic, State};
use super::commit::Standing;
use super::presence::Presence;
use super::subscription::Mode;
use crate::client::role::{CoordinatorKind, Cx, News};
use crate::client::{Event, Subscription};
use crate::cluster::Coordinator;
use crate::config::AutoCommit;
use crate::{Error, ErrorCode, ErrorKind, PartitionIx, Time, TopicIx};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// If the coordinator's connection cannot take a request for this long, the coordinator is looked for again (GR-13).
const COORDINATOR_PATIENCE: Duration = Duration::from_secs(3);

/// How far a revocation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The application still holds some of the partitions.
    Releasing,
    /// Its last positions are asked for.
    Reporting,
    /// They are being committed, until then.
    Committing(Time),
}

/// Partitions on their way out.
#[derive(Debug)]
pub(super) struct Revocation {
    token: u64,
    left: BTreeSet<PartitionIx>,
    pub(super) deadline: Time,
    pub(super) stage: Stage,
}

/// A consumer's part in its group.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) group: Arc<str>,
    pub(super) classic: Classic,
    /// A rebalance is wanted, and why.
    pub(super) rejoin: Option<String>,
    pub(super) revocation: Option<Revocation>,
    pub(super) presence: Presence,
    /// What is to be read when the membership has ended.
    pub(super) next: Option<Subscription>,
    pub(super) fenced: bool,
    told: Option<Error>,
    /// When to look whether the coordinator can be reached; and whether it could since the last look.
    watch: Option<Time>,
    pub(super) seen: bool,
}

impl Membership {
    pub(super) fn new(group: Arc<str>, classic: Classic, interval: Duration) -> Self {
        Self {
            group,
            classic,
            rejoin: None,
            revocation: None,
            presence: Presence::new(interval),
            next: None,
            fenced: false,
            told: None,
            watch: None,
            seen: true,
        }
    }

    pub(super) fn wants_progress(&self) -> bool {
        self.presence.asked || self.revocation.as_ref().is_some_and(|r| r.stage == Stage::Reporting)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let revocation = self.revocation.as_ref().map(|r| match r.stage {
            Stage::Committing(until) => until,
            _ => r.deadline,
        });
        let electing = match &self.classic.state {
            State::Electing { deadline, .. } => Some(*deadline),
            _ => None,
        };
        let join = self.classic.due;
        let heartbeat = self.classic.heartbeat.poll_timeout();
        [revocation, electing, join, heartbeat, self.presence.poll_timeout(), self.watch].into_iter().flatten().min()
    }
}

impl Consumer {
    /// As whom commits are made now.
    pub(super) fn standing(&self) -> Standing {
        match &self.membership {
            Some(m) if self.subscription.mode == Mode::Group => {
                if m.classic.may_commit() {
                    Standing::Member {
                        generation: m.classic.generation,
                        member: m.classic.member.clone(),
                        instance: self.config.group_instance_id.clone(),
                    }
                } else {
                    Standing::Between
                }
            }
            _ => Standing::Alone,
        }
    }

    pub(super) fn subscribe_group(&mut self, cx: &mut Cx<'_>, topics: BTreeSet<TopicIx>) -> Result<(), Error> {
        if self.membership.as_ref().is_some_and(|m| m.fenced) {
            let text = "this static member was replaced by another process with its group.instance.id";
            return Err(Error::new(ErrorKind::Fenced, text));
        }
        if self.subscription.mode != Mode::Group && !self.partitions.is_empty() {
            self.assign(cx, BTreeMap::new());
        }
        let same = self.subscription.mode == Mode::Group && self.subscription.topics == topics;
        self.subscription.set(Mode::Group, topics);
        if let Some(m) = &mut self.membership {
            let back = m.next.take().is_some();
            m.presence.start(cx.now.mono);
            if !same || back {
                m.rejoin = Some("the subscription changed".into());
            }
        }
        self.go_on(cx);
        Ok(())
    }

    /// Another subscription takes the place of a group's. False: it has to wait until the partitions are let go.
    pub(super) fn may_replace(&mut self, cx: &mut Cx<'_>, next: &Subscription) -> bool {
        if self.subscription.mode != Mode::Group {
            return true;
        }
        let Some(m) = &mut self.membership else { return true };
        m.rejoin = None;
        if self.partitions.is_empty() {
            self.depart("the consumer unsubscribed");
            return true;
        }
        m.next = Some(next.clone());
        // The application has let go by itself: nothing of the partitions is handed out any more.
        let left = BTreeSet::new();
        match &mut m.revocation {
            Some(revocation) => revocation.left = left,
            None => {
                let deadline = cx.now.mono + self.config.max_poll_interval;
                m.revocation = Some(Revocation { token: 0, left, deadline, stage: Stage::Releasing });
            }
        }
        for p in self.partitions.values_mut() {
            p.gates.revoking = true;
        }
        self.go_on(cx);
        false
    }

    /// Leaves the group for what shall be read instead, if anything.
    pub(super) fn take_next(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(next) = self.membership.as_mut().and_then(|m| m.next.take()) else { return false };
        self.depart("the consumer unsubscribed");
        self.subscription.set(Mode::None, BTreeSet::new());
        if let Err(error) = self.subscribe(cx, next) {
            self.fail(cx, error);
        }
        true
    }

    /// Leaves the group, as a dynamic member does.
    pub(super) fn depart(&mut self, reason: &str) {
        let dynamic = self.config.group_instance_id.is_none();
        let Some(m) = &mut self.membership else { return };
        m.classic.leave(reason, dynamic);
        m.presence.stop();
        m.rejoin = None;
        m.revocation = None;
    }

    pub(super) fn released(&mut self, cx: &mut Cx<'_>, token: u64, partition: PartitionIx) {
        let revocation = self.membership.as_mut().and_then(|m| m.revocation.as_mut());
        if let Some(revocation) = revocation.filter(|r| r.token == token) {
            revocation.left.remove(&partition);
        }
        self.go_on(cx);
    }

    /// One step of the membership after the other, as far as it goes now.
    pub(super) fn go_on(&mut self, cx: &mut Cx<'_>) {
        if self.closing.is_some() || self.subscription.mode != Mode::Group {
            return;
        }
        let now = cx.now.mono;
        let auto = self.config.auto_commit != AutoCommit::Off;
        let idle = self.commits.is_idle();
        let Some(m) = &mut self.membership else { return };
        if m.fenced || m.presence.away.is_some() {
            return;
        }
        if let Some(revocation) = &mut m.revocation {
            if revocation.stage == Stage::Releasing && revocation.left.is_empty() {
                let until = revocation.deadline.min(now + self.config.session_timeout / 2);
                revocation.stage = if auto { Stage::Reporting } else { Stage::Committing(until) };
            }
            match revocation.stage {
                Stage::Committing(until) if idle || until <= now => {
                    m.revocation = None;
                    m.classic.held = None;
                    let gone = self.partitions.keys().copied().collect();
                    self.drop_partitions(cx, gone, None);
                    if self.take_next(cx) {
                        return;
                    }
                }
                _ if revocation.deadline <= now => {
                    let text = format!(
                        "the partitions of group \"{}\" were not let go within max.poll.interval.ms ({} s)",
                        m.group,
                        self.config.max_poll_interval.as_secs()
                    );
                    let error = Error::new(ErrorKind::GroupLost, text);
                    return self.lose(cx, error.with_hint("poll oftener, or drop batches sooner"), "a rebalance");
                }
                _ => return,
            }
        }
        let Some(m) = &mut self.membership else { return };
        if m.rejoin.is_none() || !m.classic.is_settled() {
            return;
        }
        if self.partitions.is_empty() {
            let reason = m.rejoin.take().unwrap_or_default();
            m.classic.join(&reason);
        } else {
            self.revoke(cx);
        }
    }

    /// Asks the application to let go of everything: the eager protocol.
    fn revoke(&mut self, cx: &mut Cx<'_>) {
        let Some(m) = &mut self.membership else { return };
        self.assignments += 1;
        // The coordinator's patience began up to a heartbeat ago.
        let patience = self.config.max_poll_interval;
        let patience = patience.saturating_sub(self.config.heartbeat_interval).max(patience / 2);
        let deadline = cx.now.mono + patience;
        let left: BTreeSet<PartitionIx> = self.partitions.keys().copied().collect();
        for p in self.partitions.values_mut() {
            p.gates.revoking = true;
        }
        cx.events.push_back(Event::Revoking {
            consumer: self.ix,
            token: self.assignments,
            partitions: left.iter().copied().collect(),
            deadline,
        });
        m.revocation = Some(Revocation { token: self.assignments, left, deadline, stage: Stage::Releasing });
    }

    /// The group went on without us: nothing that was owned is ours any more.
    pub(super) fn lose(&mut self, cx: &mut Cx<'_>, why: Error, reason: &str) {
        let gone: Vec<PartitionIx> = self.partitions.keys().copied().collect();
        self.drop_partitions(cx, gone, Some(why));
        let Some(m) = &mut self.membership else { return };
        m.classic.restart();
        m.revocation = None;
        m.rejoin = Some(reason.to_owned());
        self.take_next(cx);
        self.go_on(cx);
    }

    pub(super) fn group_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let wanted = self.wants_coordinator();
        let Some(m) = &mut self.membership else { return };
        m.classic.due = m.classic.due.filter(|at| *at > now);
        m.classic.heartbeat.handle_timeout(now);
        m.presence.handle_timeout(now);
        if m.watch.take_if(|at| *at <= now).is_some() && wanted {
            if !std::mem::take(&mut m.seen) {
                if let Some(broker) = cx.coordinators.get(CoordinatorKind::Group, &m.group).broker() {
                    let (kind, key) = (CoordinatorKind::Group, m.group.clone());
                    cx.news.push(News::CoordinatorLost { kind, key, broker });
                }
            }
            m.watch = Some(now + COORDINATOR_PATIENCE);
        }
        if m.classic.heartbeat.is_over(now) {
            m.classic.forget(true);
            if self.closing.is_none() {
                let text = format!(
                    "no answer to the heartbeats of group \"{}\" within session.timeout.ms ({} s)",
                    m.group,
                    self.config.session_timeout.as_secs()
                );
                let error = Error::new(ErrorKind::GroupLost, text).with_hint("is the coordinator reachable?");
                self.lose(cx, error, "the session timed out");
            }
        }
        self.elect(cx);
        self.go_on(cx);
    }

    /// The leader's part, once it knows the topics.
    pub(super) fn elect(&mut self, cx: &mut Cx<'_>) {
        let Some(m) = &mut self.membership else { return };
        if let Err(error) = m.classic.try_assign(cx) {
            m.classic.join("the assignment failed");
            self.fail(cx, error);
        }
    }

    /// Metadata or coordinators changed.
    pub(super) fn group_metadata(&mut self, cx: &mut Cx<'_>, failed: &[(TopicIx, ErrorCode)]) {
        let wanted = self.wants_coordinator();
        let Some(m) = &mut self.membership else { return };
        if wanted && m.watch.is_none() {
            m.seen = true;
            m.watch = Some(cx.now.mono + COORDINATOR_PATIENCE);
        } else if !wanted {
            m.watch = None;
        }
        let refused = match cx.coordinators.get(CoordinatorKind::Group, &m.group) {
            Coordinator::Refused(error) => Some(error.clone()),
            Coordinator::Unknown => m.told.clone(),
            Coordinator::Known(_) => None,
        };
        if refused != m.told {
            m.told.clone_from(&refused);
            if let Some(error) = refused.filter(|_| wanted) {
                self.commits.fail_all(cx, &error);
                self.offsets.fail_all(cx, &error);
                self.fail(cx, error);
            }
        }
        let Some(m) = &mut self.membership else { return };
        m.classic.failed_topics(failed);
        let changed = |(ix, count): (&TopicIx, &usize)| {
            cx.view.topic(*ix).is_some_and(|t| t.doubt.is_none() && t.partitions.len() != *count)
        };
        if m.classic.state == State::Stable && m.classic.watched.iter().any(changed) {
            m.rejoin.get_or_insert_with(|| "the partitions of the group's topics changed".into());
        }
        self.elect(cx);
        self.go_on(cx);
    }

    /// Whether the coordinator has to be known.
    pub(super) fn wants_coordinator(&self) -> bool {
        let Some(m) = &self.membership else { return false };
        let member = self.subscription.mode == Mode::Group && !m.fenced && m.presence.away.is_none();
        let manual = self.subscription.mode == Mode::Manual && !self.partitions.is_empty();
        let commits = !self.commits.is_idle() || self.offsets.is_wanted(&self.partitions);
        ((member || manual) && self.closing.is_none()) || m.classic.is_leaving() || commits
    }
}
