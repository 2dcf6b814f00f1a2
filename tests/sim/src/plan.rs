//! What goes wrong in a run, as a list that is drawn before it begins: a run that fails can be made shorter by leaving
//! things out.

use crate::faults::Faults;
use klamm_cluster::Api;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Parts of a plan that are not at a time of their own: short reads and writes, delays, names, lags.
pub(crate) const CLIMATES: [&str; 4] =
    ["short reads and writes", "uneven delays", "names that do not resolve", "lagging brokers"];

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoil {
    ErrorAfter(i16),
    OmitAfter,
    TruncateAfter,
    Disconnect,
    DisconnectAfter,
    SilenceAfter,
    Silence,
    Throttle(u64),
    Late(u64),
}

/// One thing that goes wrong. Numbers choose among what there is at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// A connection breaks.
    Reset(usize),
    /// A partition gets another leader.
    Lead { topic: usize, partition: i32, broker: usize },
    /// A group gets another coordinator.
    Coordinate { broker: usize },
    /// The transactional ids of a partition get another coordinator.
    CoordinateTransactions { partition: i32, broker: usize },
    /// A replica falls out of sync, or comes back.
    Isr { topic: usize, partition: i32, broker: usize, back: bool },
    /// A broker dies and comes back after so many ms.
    Kill { broker: usize, back: u64 },
    /// The next request of an API fares badly.
    Answer(Api, Spoil),
    /// The next answer of a broker comes twice.
    Twice,
    /// The clients' wall clocks jump: they are so many ms from the brokers' from now on.
    Clock(i64),
    /// A topic gets one more partition.
    Grow { topic: usize },
    /// A topic is deleted and created anew.
    Recreate { topic: usize },
    /// `transaction.version` is finalized at 2, if it was not.
    Upgrade,
}

/// How slow the brokers are to learn, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lags {
    pub(crate) replication: u64,
    pub(crate) metadata: u64,
    pub(crate) session: u64,
    pub(crate) load: u64,
}

/// The whole list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) climates: [bool; CLIMATES.len()],
    pub(crate) lags: Lags,
    pub(crate) blows: Vec<(Duration, Blow)>,
    /// What is left out, by place: climates first, then blows.
    without: BTreeSet<usize>,
}

impl Plan {
    /// Draws the plan of a seed.
    pub(crate) fn draw(seed: u64, faults: &Faults, without: BTreeSet<usize>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0xb10_5eed);
        let lags = Lags {
            replication: [0, rng.u64(1..60)][rng.usize(..2)],
            metadata: [0, rng.u64(1..1_500)][rng.usize(..2)],
            session: rng.u64(50..3_000),
            load: [0, rng.u64(1..800)][rng.usize(..2)],
        };
        let mut blows = Vec::new();
        let mut at = Duration::from_millis(5);
        let kinds = kinds(faults);
        while at < faults.until && !kinds.is_empty() {
            let kind = kinds[rng.usize(..kinds.len())];
            blows.push((at, draw(&mut rng, kind, faults.transactions)));
            at += Duration::from_millis(rng.u64(5..400));
        }
        let climates = [faults.short, faults.delays, faults.names, faults.lags];
        Self { climates, lags, blows, without }
    }

    /// How many parts can be left out.
    pub(crate) fn len(&self) -> usize {
        CLIMATES.len() + self.blows.len()
    }

    pub(crate) fn has_climate(&self, place: usize) -> bool {
        self.climates[place] && !self.without.contains(&place)
    }

    /// The blow at this place and its time, unless it is left out.
    pub(crate) fn blow(&self, place: usize) -> Option<(Duration, Option<Blow>)> {
        let (at, blow) = *self.blows.get(place)?;
        Some((at, (!self.without.contains(&(CLIMATES.len() + place))).then_some(blow)))
    }

    /// Whether a part does nothing anyway.
    pub(crate) fn is_idle(&self, place: usize) -> bool {
        self.without.contains(&place) || self.climates.get(place).is_some_and(|on| !on)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in CLIMATES.iter().enumerate().filter(|(place, _)| self.has_climate(*place)) {
            if place == 3 {
                writeln!(f, "  all the time: {name}: {:?}", self.lags)?;
            } else {
                writeln!(f, "  all the time: {name}")?;
            }
        }
        for place in 0..self.blows.len() {
            if let Some((at, Some(blow))) = self.blow(place) {
                writeln!(f, "  at {:>5} ms: {blow:?}", at.as_millis())?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Reset,
    Move,
    Kill,
    Answer,
    Clock,
    Grow,
    Recreate,
    Upgrade,
}

fn kinds(faults: &Faults) -> Vec<Kind> {
    let all = [
        (faults.resets, Kind::Reset, 3),
        (faults.moves, Kind::Move, 3),
        (faults.crashes, Kind::Kill, 2),
        (faults.answers, Kind::Answer, 5),
        (faults.clocks, Kind::Clock, 1),
        (faults.growth, Kind::Grow, 1),
        (faults.recreations, Kind::Recreate, 1),
        (faults.transactions, Kind::Upgrade, 1),
    ];
    all.iter().filter(|(on, ..)| *on).flat_map(|(_, kind, weight)| vec![*kind; *weight]).collect()
}

fn draw(rng: &mut fastrand::Rng, kind: Kind, transactions: bool) -> Blow {
    let (topic, partition, broker) = (rng.usize(..8), rng.i32(0..4), rng.usize(..3));
    match kind {
        Kind::Reset => Blow::Reset(rng.usize(..64)),
        Kind::Move if transactions && rng.u8(..3) == 0 => Blow::CoordinateTransactions { partition, broker },
        Kind::Move => match rng.u8(..6) {
            0..=2 => Blow::Lead { topic, partition, broker },
            3 => Blow::Coordinate { broker },
            _ => Blow::Isr { topic, partition, broker, back: rng.bool() },
        },
        Kind::Kill => Blow::Kill { broker, back: rng.u64(50..4_000) },
        Kind::Answer => answer(rng, transactions),
        // Timestamps more than an hour ahead are refused (`message.timestamp.after.max.ms`).
        Kind::Clock => Blow::Clock(rng.i64(-86_400_000..3_000_000)),
        Kind::Grow => Blow::Grow { topic },
        Kind::Recreate => Blow::Recreate { topic },
        Kind::Upgrade => Blow::Upgrade,
    }
}

fn answer(rng: &mut fastrand::Rng, transactions: bool) -> Blow {
    const APIS: [Api; 18] = [
        Api::Produce,
        Api::Produce,
        Api::Produce,
        Api::Produce,
        Api::Fetch,
        Api::Fetch,
        Api::Fetch,
        Api::Metadata,
        Api::InitProducerId,
        Api::FindCoordinator,
        Api::ListOffsets,
        Api::OffsetForLeaderEpoch,
        Api::OffsetCommit,
        Api::OffsetFetch,
        Api::JoinGroup,
        Api::SyncGroup,
        Api::Heartbeat,
        Api::LeaveGroup,
    ];
    // What a leader may answer although the records are in its log (broker-data, fate rule).
    const AFTER: [i16; 5] = [6, 7, 3, 56, -1];
    const TRANSACTIONS: [Api; 8] = [
        Api::InitProducerId,
        Api::FindCoordinator,
        Api::AddPartitionsToTxn,
        Api::AddOffsetsToTxn,
        Api::TxnOffsetCommit,
        Api::EndTxn,
        Api::EndTxn,
        Api::EndTxn,
    ];
    let api = match transactions && rng.bool() {
        true => TRANSACTIONS[rng.usize(..TRANSACTIONS.len())],
        false => APIS[rng.usize(..APIS.len())],
    };
    let spoil = match rng.u8(..10) {
        0 if api == Api::Produce => Spoil::ErrorAfter(AFTER[rng.usize(..AFTER.len())]),
        1 if matches!(api, Api::Produce | Api::OffsetFetch | Api::OffsetCommit | Api::ListOffsets) => Spoil::OmitAfter,
        2 => Spoil::TruncateAfter,
        3 => Spoil::Disconnect,
        4 => Spoil::DisconnectAfter,
        5 => Spoil::SilenceAfter,
        6 => Spoil::Silence,
        7 => Spoil::Throttle(rng.u64(1..500)),
        8 => return Blow::Twice,
        _ => Spoil::Late(rng.u64(1..2_000)),
    };
    Blow::Answer(api, spoil)
}
