//! Producer ids, epochs and sequence numbers: who mints which stamp, and when a new epoch begins.
//!
//! One identity for the whole producer, one window per partition. A new identity is there for everyone at once, but a
//! partition takes it only when it has nothing unresolved under its old one (contracts A5): there is no global barrier, and
//! no batch is ever under way under two stamps.

use crate::error::Error;
use crate::rng::Rng;
use crate::{Now, Time};
use std::time::Duration;

/// How many batches of a producer a broker remembers, per partition (`ProducerStateEntry`): it recognises a batch that is
/// sent again only among those.
pub(crate) const REMEMBERED: usize = 5;

/// A producer id and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// What a broker knows a batch by. Given once; replaced only if the batch is certainly not in the log (rule 1, contracts A2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) who: Identity,
    /// The sequence number of the first record.
    pub(crate) base: i32,
}

/// The sequence number `by` records after `from`: 2^31-1 is followed by 0 (ID-08).
pub(crate) fn advance(from: i32, by: u32) -> i32 {
    const NUMBERS: i64 = 1 << 31;
    ((i64::from(from) + i64::from(by)) % NUMBERS) as i32
}

/// The number of the first record under an identity.
#[cfg(not(test))]
fn first(_: i64) -> i32 {
    0
}

/// In tests windows under an id with this bit begin close to the last number: nobody counts to 2^31 (ID-08, ID-09).
#[cfg(test)]
pub(crate) const NEAR_WRAP: i64 = 1 << 40;

#[cfg(test)]
pub(crate) fn first(id: i64) -> i32 {
    if id & NEAR_WRAP == 0 { 0 } else { i32::MAX - 9 }
}

/// The numbers of one partition under one identity. Numbers only go forward (rule 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    who: Option<Identity>,
    next: i32,
    minted: u64,
}

impl Window {
    /// Under which identity it counts.
    pub(crate) fn who(&self) -> Option<Identity> {
        self.who
    }

    /// Begins at 0 under a new identity. The caller has nothing unresolved under the old one (rule 7, contracts A5).
    pub(crate) fn adopt(&mut self, who: Identity) {
        *self = Self { who: Some(who), next: first(who.id), minted: 0 };
    }

    /// The stamp of the next batch; `None` before the first `adopt`: a request is never built without a producer id (rule 9).
    pub(crate) fn mint(&mut self, count: u32) -> Option<Stamp> {
        let stamp = Stamp { who: self.who?, base: self.next };
        self.next = advance(self.next, count);
        self.minted += 1;
        Some(stamp)
    }

    /// How many batches it has stamped.
    pub(crate) fn minted(&self) -> u64 {
        self.minted
    }

    /// A batch was split: there are so many more.
    pub(crate) fn insert(&mut self, more: u64) {
        self.minted += more;
    }

    #[cfg(test)]
    pub(crate) fn starting_at(who: Identity, next: i32) -> Self {
        Self { who: Some(who), next, minted: 0 }
    }
}

/// The identity of the producer, and how it comes by one.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    current: Option<Identity>,
    /// InitProducerId is under way.
    asking: bool,
    /// Not to be asked before.
    not_before: Time,
    attempts: u32,
    last: Option<Error>,
}

impl Identities {
    /// What new stamps carry; `None` while a producer id has to be asked for.
    pub(crate) fn current(&self) -> Option<Identity> {
        self.current
    }

    /// Why there is none yet.
    pub(crate) fn last_error(&self) -> Option<&Error> {
        self.last.as_ref()
    }

    /// Whether InitProducerId is to be sent: now, or from the time returned.
    pub(crate) fn wanted(&self) -> Option<Time> {
        (self.current.is_none() && !self.asking).then_some(self.not_before)
    }

    /// InitProducerId is on its way.
    pub(crate) fn asked(&mut self) {
        self.asking = true;
    }

    /// The broker gave an id. A push (EndTxn v5) comes the same way (contracts 4.9).
    pub(crate) fn adopt(&mut self, who: Identity) {
        *self = Self { current: Some(who), ..Self::default() };
    }

    /// InitProducerId failed in a way that may pass (ID-13).
    pub(crate) fn failed(&mut self, now: Now, rng: &mut Rng, first: Duration, max: Duration, error: Error) {
        self.asking = false;
        self.not_before = now.mono + rng.backoff(first, max, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        self.last = Some(error);
    }

    /// A window under `from` cannot be continued: the next epoch, without asking anyone, as Java does for idempotent
    /// producers; after the last epoch a new id (ID-07). If another partition has done it already, nothing changes.
    /// Returns whether it did.
    pub(crate) fn bump(&mut self, from: Identity) -> bool {
        if self.current != Some(from) {
            return false;
        }
        self.current = from.epoch.checked_add(1).map(|epoch| Identity { epoch, ..from });
        true
    }

    /// A broker says that `from` is older than what it knows: only a new id is certain to be newer.
    pub(crate) fn renew(&mut self, from: Identity) -> bool {
        let ours = self.current.is_some_and(|who| who.id == from.id);
        if ours {
            self.current = None;
        }
        ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Identity = Identity { id: 7, epoch: 3 };

    #[test]
    fn the_number_behind_the_last_is_zero_also_inside_a_batch() {
        assert_eq!(advance(0, 1), 1);
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 5), 3);
        assert_eq!(
            advance(i32::MAX, u32::MAX),
            i32::try_from((i64::from(i32::MAX) + i64::from(u32::MAX)) % (1 << 31)).unwrap()
        );
    }

    #[test]
    fn a_window_mints_each_number_once_and_starts_anew_only_under_a_new_identity() {
        let mut window = Window::default();
        assert_eq!(window.mint(1), None, "no id, no stamp");
        window.adopt(WHO);
        assert_eq!(window.mint(3), Some(Stamp { who: WHO, base: 0 }));
        assert_eq!(window.mint(1), Some(Stamp { who: WHO, base: 3 }));
        let next = Identity { epoch: 4, ..WHO };
        window.adopt(next);
        assert_eq!(window.mint(1), Some(Stamp { who: next, base: 0 }));
    }

    #[test]
    fn a_window_wraps() {
        let mut window = Window::starting_at(WHO, i32::MAX - 1);
        assert_eq!(window.mint(3).map(|s| s.base), Some(i32::MAX - 1));
        assert_eq!(window.mint(1).map(|s| s.base), Some(1));
    }

    #[test]
    fn two_partitions_that_fail_under_one_epoch_bump_it_once() {
        let mut ids = Identities::default();
        ids.adopt(WHO);
        assert!(ids.bump(WHO));
        assert!(!ids.bump(WHO));
        assert_eq!(ids.current(), Some(Identity { id: 7, epoch: 4 }));
        assert_eq!(ids.wanted(), None);
    }

    #[test]
    fn behind_the_last_epoch_comes_a_new_id() {
        let mut ids = Identities::default();
        let last = Identity { id: 7, epoch: i16::MAX };
        ids.adopt(last);
        assert!(ids.bump(last));
        assert_eq!(ids.current(), None);
        assert_eq!(ids.wanted(), Some(Time::ZERO));
        ids.asked();
        assert_eq!(ids.wanted(), None, "asked once");
    }

    #[test]
    fn a_failed_request_for_an_id_is_repeated_after_a_growing_pause() {
        let (mut ids, mut rng) = (Identities::default(), Rng::new(1));
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let now = Now { mono: Time(5), ..Now::default() };
        let error = || Error::from_code(crate::ErrorCode(14));
        ids.asked();
        ids.failed(now, &mut rng, first, max, error());
        let once = ids.wanted().unwrap();
        ids.asked();
        ids.failed(now, &mut rng, first, max, error());
        assert!(ids.wanted().unwrap() > once && once > now.mono);
        assert!(ids.last_error().is_some());
    }
}
