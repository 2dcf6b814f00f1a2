//! Members go: by LeaveGroup, or because their time is over (broker-coord 2.7, 2.8).

use super::group::{Group, Phase};
use super::join::Joined;
use super::{Env, Reply};
use klamm_core::ErrorCode;

impl Group {
    /// Takes one member of a LeaveGroup out; the group is told by [`after_leaving`](Self::after_leaving).
    pub(crate) fn leave(&mut self, id: &str, instance: Option<&str>, env: &mut Env) -> ErrorCode {
        let id = match (id, instance) {
            ("", Some(instance)) => match self.static_member(instance) {
                Some(id) => id.to_owned(),
                None => return ErrorCode::UNKNOWN_MEMBER_ID,
            },
            (id, _) if self.pending.remove(id).is_some() => return ErrorCode::NONE,
            (id, instance) => match self.validate(id, instance) {
                Ok(()) => id.to_owned(),
                Err(code) => return code,
            },
        };
        self.expel(&id, env);
        ErrorCode::NONE
    }

    /// Removes a member and answers its parked join.
    fn expel(&mut self, id: &str, env: &mut Env) {
        let Some(member) = self.remove(id) else { return };
        if let Some(ticket) = member.join {
            env.out.push((ticket, Reply::Join(Joined::failed(ErrorCode::UNKNOWN_MEMBER_ID, id))));
        }
    }

    /// One rebalance for a whole list of leavers.
    pub(crate) fn after_leaving(&mut self, env: &mut Env) {
        match self.phase {
            Phase::Stable | Phase::Completing => self.prepare(env),
            Phase::Preparing => self.maybe_complete_join(env),
            Phase::Empty => {}
        }
    }

    /// Does what is due.
    pub(crate) fn elapse(&mut self, env: &mut Env) {
        let now = env.now;
        let pending = self.pending.len();
        self.pending.retain(|_, until| *until > now);
        // A pending id that is gone may have been the last to wait for, even within the initial delay (2.3).
        if self.pending.len() < pending && self.phase == Phase::Preparing && self.all_joined() {
            self.complete_join(env);
        }
        let over = |m: &&super::member::Member| !m.waits() && m.expires.is_some_and(|at| at <= now);
        let expired: Vec<String> = self.members.iter().filter(over).map(|m| m.id.clone()).collect();
        for id in expired {
            self.expel(&id, env);
            self.after_leaving(env);
        }
        if self.join_deadline.is_some_and(|at| at <= now) {
            self.join_timeout(env);
        }
        if self.sync_deadline.is_some_and(|at| at <= now) {
            self.sync_timeout(env);
        }
    }
}
