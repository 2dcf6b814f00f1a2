//! What the group's coordinator and the application's levels do to the membership.

use super::classic::Outcome;
use super::commit::{Standing, Who};
use super::membership::Stage;
use super::partition::Want;
use super::presence::Seen;
use super::subscription::Mode;
use super::verdict::{Asked, Next, Verdict};
use super::{Consumer, Progress};
use crate::client::role::{CoordinatorKind, Cx, News};
use crate::client::{CommitOffset, Stamp};
use crate::config::AutoCommit;
use crate::{BrokerId, Error, ErrorCode, ErrorKind, PartitionIx};
use std::time::Duration;

impl Consumer {
    /// What an answer of the coordinator calls for.
    pub(super) fn take_outcome(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        outcome: (Outcome, ErrorCode),
        asked: Next,
    ) {
        let (outcome, code) = outcome;
        let Some(m) = &mut self.membership else { return };
        let key = m.group.clone();
        if asked == Next::Rediscover {
            cx.news.push(News::CoordinatorLost { kind: CoordinatorKind::Group, key, broker });
        } else if code.is_ok() {
            cx.news.push(News::CoordinatorWorks { kind: CoordinatorKind::Group, key });
        }
        match outcome {
            Outcome::Nothing => {}
            Outcome::Rebalance => {
                m.rejoin.get_or_insert_with(|| "the group rebalances".into());
            }
            Outcome::Lost(code) => {
                let text = format!("the group \"{}\" went on without this member", m.group);
                let error = Error::new(ErrorKind::GroupLost, text).with_source(Error::from_code(code));
                return self.lose(cx, error, "the membership was lost");
            }
            Outcome::Failed(error) => {
                m.rejoin.get_or_insert_with(|| "the last attempt failed".into());
                self.fail(cx, error);
            }
            Outcome::Fenced(error) => {
                m.fenced = true;
                m.presence.stop();
                m.rejoin = None;
                m.revocation = None;
                let gone: Vec<PartitionIx> = self.partitions.keys().copied().collect();
                self.drop_partitions(cx, gone, Some(error.clone()));
                self.commits.fail_all(cx, &error);
                self.fail(cx, error);
            }
            Outcome::Assigned(partitions) => self.take_share(cx, partitions),
        }
        self.go_on(cx);
    }

    /// Takes what the group's leader gave us.
    fn take_share(&mut self, cx: &mut Cx<'_>, partitions: Vec<(String, i32)>) {
        let Some(m) = &mut self.membership else { return };
        // Asked for another rebalance meanwhile: what it gave is not taken up (GR-05).
        if m.rejoin.is_some() || self.closing.is_some() {
            return;
        }
        let wanted = partitions.iter().filter_map(|(topic, number)| {
            let topic = cx.names.topic(topic);
            let subscribed = self.subscription.topics.contains(&topic) && *number >= 0;
            subscribed.then(|| (cx.names.partition(topic, *number), Want::Committed))
        });
        let wanted = wanted.collect();
        self.assign(cx, wanted);
    }

    /// What the error of a commit says of the membership.
    pub(super) fn take_verdict(&mut self, cx: &mut Cx<'_>, broker: BrokerId, (verdict, code): (Verdict, ErrorCode)) {
        let alone = self.standing() == Standing::Alone;
        let Some(m) = &mut self.membership else { return };
        if verdict.next == Next::Rediscover || alone {
            return self.take_outcome(cx, broker, (Outcome::Nothing, ErrorCode::NOT_COORDINATOR), verdict.next);
        }
        let outcome = m.classic.verdict_of(cx, Asked::Commit, code, "");
        self.take_outcome(cx, broker, outcome, verdict.next);
    }

    /// The front's levels: presence, and offsets to commit.
    pub(super) fn take_progress(&mut self, cx: &mut Cx<'_>, progress: &Progress) {
        let now = cx.now.mono;
        let in_group = self.subscription.mode == Mode::Group;
        let Some(m) = &mut self.membership else { return };
        let seen = if in_group { m.presence.look(now, progress) } else { Seen::Nothing };
        let reporting = m.revocation.as_mut().filter(|r| r.stage == Stage::Reporting);
        let last = reporting.is_some();
        if let Some(revocation) = reporting {
            revocation.stage = Stage::Committing(revocation.deadline.min(now + self.config.session_timeout / 2));
        }
        let closing = self.closing.as_mut().is_some_and(|c| std::mem::take(&mut c.reporting));
        let due = self.auto_commit.take_asked(now);
        if last || closing || (due && seen == Seen::Nothing) {
            self.commit_done(cx, progress);
        }
        match seen {
            Seen::Nothing => {}
            Seen::Back => {
                if let Some(m) = &mut self.membership {
                    m.rejoin = Some("the application polls again".into());
                }
            }
            Seen::Away(since) => self.put_out(cx, since),
        }
        self.go_on(cx);
    }

    /// The application has not polled for too long: another member shall have its partitions.
    fn put_out(&mut self, cx: &mut Cx<'_>, since: Duration) {
        let names: Vec<String> =
            self.partitions.keys().take(3).map(|ix| cx.names.named(*ix)).map(|(t, n)| format!("{t}-{n}")).collect();
        let more = self.partitions.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let Some(m) = &mut self.membership else { return };
        let ours =
            if names.is_empty() { String::new() } else { format!("; {}{more} are no longer ours", names.join(", ")) };
        let text = format!(
            "left group \"{}\": {} s between two polls, max.poll.interval.ms is {} s{ours}",
            m.group,
            since.as_secs(),
            self.config.max_poll_interval.as_secs()
        );
        let error = Error::new(ErrorKind::GroupLost, text).with_hint("poll oftener, or lower max.poll.records");
        m.classic
            .leave("the time between two polls exceeded max.poll.interval.ms", self.config.group_instance_id.is_none());
        m.revocation = None;
        m.rejoin = None;
        let gone: Vec<PartitionIx> = self.partitions.keys().copied().collect();
        self.drop_partitions(cx, gone, Some(error));
        self.take_next(cx);
    }

    /// Commits what the front says is done.
    fn commit_done(&mut self, cx: &mut Cx<'_>, progress: &Progress) {
        if self.config.auto_commit == AutoCommit::Off {
            return;
        }
        let ours = |(ix, stamp, offset, epoch): &(PartitionIx, Stamp, i64, i32)| {
            let p = self.partitions.get(ix).filter(|p| p.stamp == *stamp && *offset >= 0)?;
            let offset = CommitOffset { offset: *offset, leader_epoch: *epoch, metadata: "".into() };
            (p.committed != Some(offset.offset)).then_some((*ix, Some(*stamp), offset))
        };
        let entries = progress.done.iter().filter_map(ours).collect();
        self.commits.add(cx, Who::Auto, entries);
    }
}
