//! One assigned partition: where it stands, what is on the wire, what keeps it from being fetched.
//!
//! Three independent parts, because they change independently (contracts A12): a pause neither moves the position nor
//! recalls a fetch, a seek moves the position while an old fetch is still out.

use crate::client::{SeekTo, Stamp};
use crate::metadata::OffsetSpec;
use crate::{BrokerId, Error, ErrorCode, PartitionIx, Time};

/// Where the fetches of a partition stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// No offset yet; this is how to get one.
    Unpositioned(Want),
    /// The offset may be of a truncated history: the leader is asked where its epoch ends (KIP-320).
    Validating,
    /// `offset` is good.
    Valid,
    /// Nothing can be fetched until the application seeks: the error has been handed out.
    Stuck,
}

/// How a partition gets its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// The group's committed offset; where there is none, as the configuration says.
    Committed,
    /// An end of the log, or a time.
    Listed(OffsetSpec),
    /// There is no committed offset and nothing is configured instead: the application has to say.
    Application,
}

/// What is on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wire {
    #[default]
    Idle,
    /// This fetch, and no other, may bring its data (contracts A11).
    Asked { fetch: u64, broker: BrokerId, offset: i64 },
}

/// Trouble at the fetch position that may only be acted on when all that was fetched before it was consumed
/// (contracts A10).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// The offset is outside of the log.
    OutOfRange,
    /// The log was cut; the leader's history ends here.
    Truncated { end: i64 },
}

/// What may keep a partition from being fetched, each for its own reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gates {
    /// The application paused it.
    pub(super) paused: bool,
    /// It is being revoked.
    pub(super) revoking: bool,
    /// The application has not yet seen that it was assigned.
    pub(super) unseen: bool,
    /// Not before this time.
    pub(super) backoff: Option<Time>,
}

/// An assigned partition.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) ix: PartitionIx,
    pub(super) stamp: Stamp,
    pub(super) position: Position,
    /// The next offset to fetch; meaningful unless unpositioned.
    pub(super) offset: i64,
    /// The leader epoch of the record before it; -1 if not known.
    pub(super) leader_epoch: i32,
    pub(super) wire: Wire,
    pub(super) gates: Gates,
    /// `Event::Assigned` with this token told the application of it.
    pub(super) token: u64,
    /// The offset that it was last placed at.
    pub(super) start: i64,
    /// The offset that the group is known to have for it.
    pub(super) committed: Option<i64>,
    pub(super) trouble: Option<Trouble>,
    /// A replica in our rack, until then (KIP-392).
    pub(super) preferred: Option<(BrokerId, Time)>,
    /// Failures in a row.
    pub(super) attempts: u32,
    /// A position request is out.
    pub(super) asked: Option<u64>,
    /// Not asked for a position before.
    pub(super) position_due: Option<Time>,
    /// A batch that is larger than what is asked for: a broker that cuts even the first batch has to be asked for more.
    pub(super) least_bytes: i32,
    /// The leader and epoch that the position was last found good for.
    pub(super) validated: Option<(BrokerId, i32)>,
    pub(super) last_error: Option<ErrorCode>,
}

impl Partition {
    pub(super) fn new(ix: PartitionIx, assign: u32, token: u64, want: Want) -> Self {
        Self {
            ix,
            stamp: Stamp { assign, seek: 0 },
            position: Position::Unpositioned(want),
            offset: -1,
            leader_epoch: -1,
            wire: Wire::Idle,
            gates: Gates { unseen: true, ..Gates::default() },
            token,
            start: -1,
            committed: None,
            trouble: None,
            preferred: None,
            attempts: 0,
            asked: None,
            position_due: None,
            least_bytes: 0,
            validated: None,
            last_error: None,
        }
    }

    /// The one rule of when it may be fetched, but for room.
    pub(super) fn may_fetch(&self, now: Time) -> bool {
        self.position == Position::Valid
            && self.wire == Wire::Idle
            && self.trouble.is_none()
            && !self.gates.paused
            && !self.gates.revoking
            && !self.gates.unseen
            && self.gates.backoff.is_none_or(|until| until <= now)
    }

    /// Takes an offset as its position. Whatever is on the wire is of another place.
    pub(super) fn place(&mut self, offset: i64, leader_epoch: i32) {
        self.position = if leader_epoch >= 0 { Position::Validating } else { Position::Valid };
        self.offset = offset;
        self.start = offset;
        self.leader_epoch = leader_epoch;
        self.wire = Wire::Idle;
        self.trouble = None;
        self.asked = None;
        self.attempts = 0;
        self.validated = None;
        self.position_due = None;
        self.least_bytes = 0;
        self.last_error = None;
        self.gates.backoff = None;
    }

    /// Goes back to having no offset.
    pub(super) fn unplace(&mut self, want: Want) {
        self.place(-1, -1);
        self.position = Position::Unpositioned(want);
    }

    /// The application moves it: `seek` is the front's new count.
    pub(super) fn seek(&mut self, seek: u32, to: SeekTo) {
        self.stamp.seek = seek;
        match to {
            SeekTo::Offset { offset, leader_epoch } => self.place(offset, leader_epoch),
            SeekTo::Beginning => self.unplace(Want::Listed(OffsetSpec::Earliest)),
            SeekTo::End => self.unplace(Want::Listed(OffsetSpec::Latest)),
            SeekTo::Committed => self.unplace(Want::Committed),
            SeekTo::Timestamp(at) => self.unplace(Want::Listed(OffsetSpec::Timestamp(at))),
        }
    }

    /// Fetched data moved it forward.
    pub(super) fn advance(&mut self, next: i64, leader_epoch: i32) {
        self.offset = next;
        if leader_epoch >= 0 {
            self.leader_epoch = leader_epoch;
        }
        self.attempts = 0;
        self.last_error = None;
        self.gates.backoff = None;
    }

    /// The leader is another, or of another epoch: nothing of an old fetch counts, and the history may be another.
    pub(super) fn leader_changed(&mut self, leader: BrokerId, epoch: i32) {
        if let Wire::Asked { broker, .. } = self.wire {
            if broker != leader {
                self.wire = Wire::Idle;
            }
        }
        self.preferred = None;
        self.gates.backoff = None;
        let known = self.validated.is_some_and(|(_, before)| before == epoch);
        if self.position == Position::Valid && self.leader_epoch >= 0 && epoch >= 0 && !known {
            self.position = Position::Validating;
            self.wire = Wire::Idle;
        }
    }

    /// A request for it failed: not again before `until`.
    pub(super) fn back_off(&mut self, until: Time, code: ErrorCode) {
        self.wire = Wire::Idle;
        self.attempts = self.attempts.saturating_add(1);
        self.gates.backoff = Some(until);
        self.last_error = Some(code);
    }

    /// It has an offset, though perhaps one that is still to be validated.
    pub(super) fn is_placed(&self) -> bool {
        matches!(self.position, Position::Valid | Position::Validating)
    }

    /// When it is to be looked at again.
    pub(super) fn due(&self) -> Option<Time> {
        let lease = self.preferred.map(|(_, until)| until);
        [self.gates.backoff, self.position_due, lease].into_iter().flatten().min()
    }

    /// Waits that are over are forgotten: a wake-up never lies in the past.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.gates.backoff = self.gates.backoff.filter(|at| *at > now);
        self.position_due = self.position_due.filter(|at| *at > now);
        self.preferred = self.preferred.filter(|(_, until)| *until > now);
    }

    /// Whom to fetch from: the replica in our rack while that lasts, else the leader.
    pub(super) fn source(&self, leader: Option<BrokerId>, now: Time) -> Option<BrokerId> {
        match self.preferred {
            Some((replica, until)) if until > now => Some(replica),
            _ => leader,
        }
    }
}

/// Mints the core's half of stamps: no two decisions of one consumer share one.
#[derive(Debug, Default)]
pub(super) struct Minter(u32);

impl Minter {
    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// What a record-level error of a fetch answer means to the application.
pub(super) fn fetch_error(code: ErrorCode, topic: &str, partition: i32, offset: i64) -> Error {
    Error::from_code(code).with_api("Fetch").with_topic(topic).with_partition(partition).with_offset(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000);

    fn valid() -> Partition {
        let mut p = Partition::new(PartitionIx(1), 1, 1, Want::Committed);
        p.gates.unseen = false;
        p.place(10, -1);
        p
    }

    #[test]
    fn it_may_be_fetched_only_if_nothing_at_all_speaks_against_it() {
        assert!(valid().may_fetch(NOW));
        let against: [fn(&mut Partition); 8] = [
            |p| p.position = Position::Validating,
            |p| p.wire = Wire::Asked { fetch: 1, broker: BrokerId(1), offset: 10 },
            |p| p.trouble = Some(Trouble::OutOfRange),
            |p| p.gates.paused = true,
            |p| p.gates.revoking = true,
            |p| p.gates.unseen = true,
            |p| p.gates.backoff = Some(Time(1_001)),
            |p| p.unplace(Want::Committed),
        ];
        for (n, change) in against.iter().enumerate() {
            let mut p = valid();
            change(&mut p);
            assert!(!p.may_fetch(NOW), "{n}");
        }
    }

    #[test]
    fn a_seek_keeps_the_pause_and_forgets_the_fetch() {
        let mut p = valid();
        p.gates.paused = true;
        p.wire = Wire::Asked { fetch: 1, broker: BrokerId(1), offset: 10 };
        p.seek(4, SeekTo::Offset { offset: 99, leader_epoch: -1 });
        assert_eq!((p.offset, p.stamp.seek, p.wire, p.gates.paused), (99, 4, Wire::Idle, true));
        p.gates.paused = false;
        assert!(p.may_fetch(NOW));
    }

    #[test]
    fn an_offset_with_an_epoch_is_validated_first() {
        let mut p = valid();
        p.seek(1, SeekTo::Offset { offset: 5, leader_epoch: 2 });
        assert_eq!(p.position, Position::Validating);
        p.position = Position::Valid;
        p.validated = Some((BrokerId(1), 3));
        p.leader_changed(BrokerId(1), 3);
        assert_eq!(p.position, Position::Valid, "the same leadership again");
        p.leader_changed(BrokerId(2), 4);
        assert_eq!(p.position, Position::Validating);
    }

    #[test]
    fn the_replica_in_our_rack_serves_until_its_time_is_over() {
        let mut p = valid();
        p.preferred = Some((BrokerId(7), Time(2_000)));
        assert_eq!(p.source(Some(BrokerId(1)), NOW), Some(BrokerId(7)));
        assert_eq!(p.source(Some(BrokerId(1)), Time(2_000)), Some(BrokerId(1)));
    }
}
