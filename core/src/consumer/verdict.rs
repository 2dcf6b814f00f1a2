//! What an error of the group's coordinator leaves of a membership: one table for every request (contracts A28).

use crate::ErrorCode;
use crate::error::{GroupAction, group_class};

/// The requests of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Join,
    Sync,
    Heartbeat,
    Commit,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The same request again after a while.
    Retry,
    /// Look for the coordinator, then the same request again.
    Rediscover,
    /// Join (again).
    Join,
    /// Join with the id that came with the answer (KIP-394).
    JoinAs,
    /// Tell the application, and join again after a while.
    Tell,
    /// Another process took the place of this static member: this one is done.
    Fenced,
    /// Tell the application; nothing else changes.
    Report,
}

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) next: Next,
    /// The member id is still good.
    pub(super) member: bool,
    /// The generation is still the one that we are in.
    pub(super) generation: bool,
    /// The partitions are still ours; they are let go in order before the next join.
    pub(super) owned: bool,
}

const fn keep(next: Next) -> Verdict {
    Verdict { next, member: true, generation: true, owned: true }
}

const fn drop(next: Next, member: bool) -> Verdict {
    Verdict { next, member, generation: false, owned: false }
}

/// The table (Java: `AbstractCoordinator`, `ConsumerCoordinator`).
pub(super) const fn verdict(asked: Asked, code: ErrorCode) -> Verdict {
    match (group_class(code), asked) {
        // A sync is not asked again: its generation may be over by then. A join tells.
        (GroupAction::Retry | GroupAction::Rejoin, Asked::Sync) => keep(Next::Join),
        (GroupAction::Retry, _) => keep(Next::Retry),
        (GroupAction::Rediscover, _) => keep(Next::Rediscover),
        (GroupAction::Rejoin, Asked::Join) => keep(Next::Retry),
        (GroupAction::Rejoin, _) => keep(Next::Join),
        (GroupAction::NewGeneration, _) => drop(Next::Join, true),
        (GroupAction::NewMember, _) => drop(Next::Join, false),
        (GroupAction::TakeId, Asked::Join) => drop(Next::JoinAs, true),
        (GroupAction::Fenced, _) => drop(Next::Fenced, false),
        (_, Asked::Commit) => keep(Next::Report),
        (_, Asked::Heartbeat) => keep(Next::Tell),
        (_, Asked::Join | Asked::Sync) => drop(Next::Tell, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_each_request_keeps_and_drops_what_java_keeps_and_drops() {
        use Asked::*;
        let rows: &[(i16, Asked, Next, [bool; 3])] = &[
            // code, request, what next, member id, generation and partitions kept
            (14, Join, Next::Retry, [true, true, true]),
            (14, Sync, Next::Join, [true, true, true]),
            (14, Heartbeat, Next::Retry, [true, true, true]),
            (14, Commit, Next::Retry, [true, true, true]),
            (15, Join, Next::Rediscover, [true, true, true]),
            (15, Commit, Next::Rediscover, [true, true, true]),
            (16, Join, Next::Rediscover, [true, true, true]),
            (16, Sync, Next::Rediscover, [true, true, true]),
            (16, Heartbeat, Next::Rediscover, [true, true, true]),
            (16, Commit, Next::Rediscover, [true, true, true]),
            (22, Join, Next::Join, [true, false, false]),
            (22, Sync, Next::Join, [true, false, false]),
            (22, Heartbeat, Next::Join, [true, false, false]),
            (22, Commit, Next::Join, [true, false, false]),
            (25, Join, Next::Join, [false, false, false]),
            (25, Sync, Next::Join, [false, false, false]),
            (25, Heartbeat, Next::Join, [false, false, false]),
            (25, Commit, Next::Join, [false, false, false]),
            (27, Join, Next::Retry, [true, true, true]),
            (27, Sync, Next::Join, [true, true, true]),
            (27, Heartbeat, Next::Join, [true, true, true]),
            (27, Commit, Next::Join, [true, true, true]),
            (79, Join, Next::JoinAs, [true, false, false]),
            (82, Join, Next::Fenced, [false, false, false]),
            (82, Sync, Next::Fenced, [false, false, false]),
            (82, Heartbeat, Next::Fenced, [false, false, false]),
            (82, Commit, Next::Fenced, [false, false, false]),
            (23, Join, Next::Tell, [true, false, false]),
            (26, Join, Next::Tell, [true, false, false]),
            (30, Join, Next::Tell, [true, false, false]),
            (81, Join, Next::Tell, [true, false, false]),
            (23, Sync, Next::Tell, [true, false, false]),
            (30, Heartbeat, Next::Tell, [true, true, true]),
            (12, Commit, Next::Report, [true, true, true]),
            (29, Commit, Next::Report, [true, true, true]),
            (30, Commit, Next::Report, [true, true, true]),
            (3, Commit, Next::Retry, [true, true, true]),
        ];
        for (code, asked, next, kept) in rows {
            let v = verdict(*asked, ErrorCode(*code));
            assert_eq!((v.next, [v.member, v.generation, v.owned]), (*next, *kept), "{asked:?} {code}");
        }
    }

    #[test]
    fn partitions_outlive_no_generation() {
        for code in ErrorCode::ALL {
            for asked in [Asked::Join, Asked::Sync, Asked::Heartbeat, Asked::Commit] {
                let v = verdict(asked, *code);
                assert!(!v.owned || v.generation, "{asked:?} {code:?}");
                assert!(!v.generation || v.member, "{asked:?} {code:?}");
            }
        }
    }
}
