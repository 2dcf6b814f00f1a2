//! One partition and its replicas: who leads, who has what, how far it is committed (broker-data 5).

use super::batch::Raw;
use super::producer::{Entry, Producers, Stamp, Terms};
use super::stored::Log;
use super::transaction::marker_of;
use super::validate::{Refusal, validate};
use crate::configs::Policy;
use klamm_core::{ErrorCode, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// What one broker has of the partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    /// The end of its copy (LEO).
    pub(crate) end: i64,
    /// How far the leader knows it to have come: nothing right after an election.
    pub(crate) acked: i64,
    /// The high watermark that it knows: a follower learns it one fetch later (5.2).
    pub(crate) high_watermark: i64,
    /// Its own memory of producers, replayed from what it copied (4.11).
    pub(crate) producers: Producers,
    /// It stays in the ISR but copies nothing: a follower that froze.
    pub(crate) frozen: bool,
}

/// A leader and its epoch, as a broker names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) leader: Option<i32>,
    pub(crate) epoch: i32,
}

/// One partition.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) now: Leadership,
    /// What brokers name that have not heard of the last change yet, and until when (2.8).
    pub(crate) before: Option<(Leadership, Time)>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    /// Who may lead again after the last in-sync replica went (eligible leader replicas).
    pub(crate) eligible: Vec<i32>,
    pub(crate) log: Log,
    pub(crate) copies: BTreeMap<i32, Replica>,
    /// When the followers copy next.
    pub(crate) copy_at: Option<Time>,
    /// Where the current leader's epoch began: below it lookups wait for the high watermark (7.1).
    pub(crate) epoch_start: i64,
}

/// What an append came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// -1 on a CreateTime topic, unless it was a duplicate (3, note 6).
    pub(crate) log_append_time: i64,
    pub(crate) duplicate: bool,
}

/// Circumstances of an append.
pub(crate) struct Append<'a> {
    pub(crate) broker: i32,
    pub(crate) acks: i16,
    pub(crate) policy: &'a Policy,
    pub(crate) mono: Time,
    pub(crate) wall: i64,
    pub(crate) lag: Duration,
    /// The coordinator said that the partition belongs to the batch's transaction.
    pub(crate) verified: bool,
    /// The producer speaks transactions v2.
    pub(crate) v2: bool,
}

impl Partition {
    pub(crate) fn new(replicas: Vec<i32>, live: impl Fn(i32) -> bool) -> Self {
        let isr: Vec<i32> = replicas.iter().copied().filter(|b| live(*b)).collect();
        let mut log = Log::default();
        log.begin_epoch(0);
        Self {
            now: Leadership { leader: isr.first().copied(), epoch: 0 },
            before: None,
            copies: replicas.iter().map(|b| (*b, Replica::default())).collect(),
            replicas,
            isr,
            eligible: Vec::new(),
            log,
            copy_at: None,
            epoch_start: 0,
        }
    }

    /// Who leads, as `broker` knows it at `now`: the new and the old leader know first.
    pub(crate) fn leadership(&self, broker: i32, now: Time) -> Leadership {
        match self.before {
            Some((before, until))
                if now < until && before.leader != Some(broker) && self.now.leader != Some(broker) =>
            {
                before
            }
            _ => self.now,
        }
    }

    pub(crate) fn is_led_by(&self, broker: i32) -> bool {
        self.now.leader == Some(broker)
    }

    /// The leader's high watermark; 0 while nobody leads.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.now.leader.and_then(|b| self.copies.get(&b)).map_or(0, |copy| copy.high_watermark)
    }

    /// 3, note 3.
    pub(crate) fn enough_in_sync(&self, policy: &Policy) -> bool {
        self.isr.len() as i64 >= policy.min_isr.min(self.replicas.len() as i64)
    }

    /// 3.13 to 3.24 and the append itself.
    pub(crate) fn append(&mut self, raw: Raw<'_>, how: &Append<'_>) -> Result<Appended, Refusal> {
        if !self.is_led_by(how.broker) {
            return Err(Refusal::bare(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        }
        // 3.14: before the duplicate check, so it says nothing about an earlier attempt.
        if how.acks == -1 && !self.enough_in_sync(how.policy) {
            return Err(Refusal::with_start(ErrorCode::NOT_ENOUGH_REPLICAS));
        }
        validate(raw, how.policy, how.wall)?;
        let stamp = Stamp {
            id: raw.producer_id(),
            epoch: raw.producer_epoch(),
            first: raw.base_sequence(),
            count: raw.count(),
        };
        let epoch = self.now.epoch;
        let copy = self.copies.entry(how.broker).or_default();
        if stamp.id >= 0 {
            if let Some(Entry { base_offset, last_offset, max_timestamp, .. }) = copy.producers.duplicate(stamp) {
                let log_append_time = max_timestamp;
                return Ok(Appended { base_offset, last_offset, log_append_time, duplicate: true });
            }
            let terms = Terms { transactional: raw.is_transactional(), verified: how.verified, v2: how.v2 };
            copy.producers.check(stamp, terms).map_err(Refusal::with_start)?;
        }
        let base_offset = self.log.append(raw, epoch, how.policy, how.wall);
        copy.end = self.log.end;
        if stamp.id >= 0 {
            let max = if how.policy.log_append_time { how.wall } else { raw.max_timestamp() };
            copy.producers.note(stamp, base_offset, max, raw.is_transactional());
        }
        self.copy_later(how.mono, how.lag, how.policy);
        let log_append_time = if how.policy.log_append_time { how.wall } else { -1 };
        Ok(Appended { base_offset, last_offset: self.log.end - 1, log_append_time, duplicate: false })
    }

    /// Counts records as committed everywhere without keeping them; gives the base offset.
    pub(crate) fn sink(&mut self, count: i32) -> i64 {
        let base = self.log.end;
        self.log.end += i64::from(count.max(1));
        for copy in self.copies.values_mut() {
            copy.end = self.log.end;
            copy.acked = copy.end;
            copy.high_watermark = copy.end;
        }
        base
    }

    /// Lets the followers copy at once, or after `lag`.
    pub(crate) fn copy_later(&mut self, now: Time, lag: Duration, policy: &Policy) {
        if lag.is_zero() {
            self.copy(policy);
            // The second fetch tells them the high watermark.
            self.copy(policy);
        } else {
            self.commit(policy);
            self.copy_at.get_or_insert(now + lag);
        }
    }

    /// The followers fetch: they get the data, and the high watermark as it was before that.
    pub(crate) fn copy(&mut self, policy: &Policy) {
        self.copy_at = None;
        let Some(leader) = self.now.leader else { return };
        // Nothing can be copied from a leader that is down.
        if self.copies.get(&leader).is_some_and(|copy| copy.frozen) {
            return;
        }
        let known = self.high_watermark();
        let Self { copies, log, isr, .. } = self;
        for (broker, copy) in copies.iter_mut() {
            if *broker != leader && isr.contains(broker) && !copy.frozen {
                replay(&mut copy.producers, log, copy.end);
                copy.end = log.end;
                copy.acked = copy.end;
                copy.high_watermark = copy.high_watermark.max(known.min(copy.end));
                copy.producers.settle(copy.high_watermark);
            }
        }
        self.commit(policy);
    }

    /// 5.2: the high watermark is the least end of the ISR, rises only, and only with enough in sync.
    pub(crate) fn commit(&mut self, policy: &Policy) {
        let Some(leader) = self.now.leader else { return };
        if !self.enough_in_sync(policy) {
            return;
        }
        let known = |b: &i32| self.copies.get(b).map(|copy| if *b == leader { copy.end } else { copy.acked });
        let least = self.isr.iter().filter_map(known).min();
        if let (Some(least), Some(copy)) = (least, self.copies.get_mut(&leader)) {
            copy.high_watermark = copy.high_watermark.max(least);
            copy.producers.settle(copy.high_watermark);
        }
    }

    /// Whether the followers that copy have all that the leader has, and know how far it is committed.
    pub(crate) fn is_settled(&self) -> bool {
        let (end, committed) = (self.log.end, self.high_watermark());
        let copies = self.isr.iter().filter_map(|b| self.copies.get(b));
        copies.into_iter().all(|c| c.frozen || (c.end == end && c.high_watermark == committed))
    }
}

/// A follower that copies batches learns of their producers, a replica that was cut starts from what is left (4.12).
pub(crate) fn replay(producers: &mut Producers, log: &Log, from: i64) {
    for batch in log.from(from).filter(|b| b.base >= from) {
        let raw = batch.raw();
        if let Some(marker) = marker_of(raw) {
            producers.note_marker(marker, batch.base, batch.max_timestamp);
        } else if raw.producer_id() >= 0 {
            let stamp = Stamp {
                id: raw.producer_id(),
                epoch: raw.producer_epoch(),
                first: raw.base_sequence(),
                count: raw.count(),
            };
            producers.note(stamp, batch.base, batch.max_timestamp, raw.is_transactional());
        }
    }
}
