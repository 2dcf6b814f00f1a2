//! The end of a consumer, in order: last positions, commits, leave, fetch sessions (contracts B14).

use super::Consumer;
use super::commit::Standing;
use super::subscription::Mode;
use crate::client::role::{Cx, LinkFacts, Request};
use crate::client::{CloseConsumer, Reply};
use crate::config::AutoCommit;
use crate::{Error, ErrorKind, OpId, Time};
use std::time::Duration;

/// How long a close waits for the links on which fetch sessions are ended: brokers forget them anyhow.
const SESSIONS_PATIENCE: Duration = Duration::from_millis(100);

/// A close under way.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) op: OpId,
    pub(super) deadline: Time,
    how: CloseConsumer,
    /// The front's last positions are awaited.
    pub(super) reporting: bool,
    left: bool,
    /// Fetch sessions are ended until then.
    pub(super) sessions: Option<Time>,
}

impl Consumer {
    /// Nothing is fetched or assigned from here on.
    pub(super) fn close(&mut self, cx: &mut Cx<'_>, op: OpId, how: CloseConsumer, deadline: Time) {
        let closed = Error::new(ErrorKind::Closed, "the consumer was closed");
        for (waiting, _) in std::mem::take(&mut self.waiting) {
            cx.done(waiting, Err(closed.clone()));
        }
        self.offsets.fail_all(cx, &closed);
        let auto = self.config.auto_commit != AutoCommit::Off && self.membership.is_some();
        let reporting = how.commit && auto && !self.partitions.is_empty();
        if let Some(m) = &mut self.membership {
            m.revocation = None;
            m.presence.stop();
        }
        self.closing = Some(Closing { op, deadline, how, reporting, left: false, sessions: None });
    }

    /// One step of a close after the other.
    pub(super) fn go_on_closing(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let standing = self.standing();
        let Some(closing) = self.closing.as_mut().filter(|_| !self.closed) else { return };
        let in_time = now < closing.deadline;
        if in_time && closing.reporting {
            return;
        }
        // Between two generations nothing is owned, so nothing can be committed.
        if in_time && !self.commits.is_idle() && standing != Standing::Between {
            return;
        }
        if !closing.left {
            closing.left = true;
            let dynamic = self.config.group_instance_id.is_none();
            let tell = closing.how.leave.unwrap_or(dynamic);
            if let Some(m) = self.membership.as_mut().filter(|_| self.subscription.mode == Mode::Group) {
                m.classic.leave("the consumer is being closed", tell);
            }
        }
        if in_time && self.membership.as_ref().is_some_and(|m| m.classic.is_leaving()) {
            return;
        }
        let until = *closing.sessions.get_or_insert((now + SESSIONS_PATIENCE).min(closing.deadline));
        if self.fetcher.has_sessions() && now < until {
            return;
        }
        let op = closing.op;
        self.closed = true;
        self.partitions.clear();
        self.commits.abandon(cx);
        cx.done(op, Ok(Reply::Unit));
    }

    /// The last request to a broker that was fetched from.
    pub(super) fn close_session(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>, token: u64) -> Option<Request> {
        self.closing.as_ref().filter(|c| c.sessions.is_some())?;
        let request = self.fetcher.close_session(link, token);
        self.go_on_closing(cx);
        request
    }
}
