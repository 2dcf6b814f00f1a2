//! What goes wrong in a run, and until when.

use klamm_cluster::{Api, Cluster};
use std::time::Duration;

/// Which faults are drawn from the seed. They stop after [`until`](Self::until), so that a run can heal and be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    pub(crate) short: bool,
    pub(crate) resets: bool,
    pub(crate) delays: bool,
    pub(crate) names: bool,
    pub(crate) moves: bool,
    pub(crate) crashes: bool,
    pub(crate) answers: bool,
    pub(crate) until: Duration,
}

impl Faults {
    /// Nothing goes wrong; bytes arrive in one piece after a steady delay.
    pub fn none() -> Self {
        Self {
            short: false,
            resets: false,
            delays: false,
            names: false,
            moves: false,
            crashes: false,
            answers: false,
            until: Duration::ZERO,
        }
    }

    /// Everything below, for ten seconds of virtual time.
    pub fn all() -> Self {
        Self {
            short: true,
            resets: true,
            delays: true,
            names: true,
            moves: true,
            crashes: true,
            answers: true,
            until: Duration::from_secs(10),
        }
    }

    /// Only a network that cuts bytes anywhere, delays them unevenly and resets connections.
    pub fn network() -> Self {
        Self { short: true, resets: true, delays: true, names: true, until: Duration::from_secs(10), ..Self::none() }
    }

    /// Slow answers only: nothing may break because of them.
    pub fn slowness() -> Self {
        Self { short: true, delays: true, until: Duration::from_secs(10), ..Self::none() }
    }

    /// Reads and writes take any part of what is there.
    #[must_use]
    pub fn short_reads_and_writes(self, on: bool) -> Self {
        Self { short: on, ..self }
    }
    /// Connections break, in the middle of anything.
    #[must_use]
    pub fn resets(self, on: bool) -> Self {
        Self { resets: on, ..self }
    }
    /// Bytes take anything from nothing to 200 ms.
    #[must_use]
    pub fn delays(self, on: bool) -> Self {
        Self { delays: on, ..self }
    }
    /// Names do not resolve now and then.
    #[must_use]
    pub fn names(self, on: bool) -> Self {
        Self { names: on, ..self }
    }
    /// Leaders and coordinators move.
    #[must_use]
    pub fn moves(self, on: bool) -> Self {
        Self { moves: on, ..self }
    }
    /// Brokers die and come back.
    #[must_use]
    pub fn crashes(self, on: bool) -> Self {
        Self { crashes: on, ..self }
    }
    /// Requests are refused, applied but not answered, answered late or in part.
    #[must_use]
    pub fn answers(self, on: bool) -> Self {
        Self { answers: on, ..self }
    }
    /// When the faults stop, counted from the start of the run.
    #[must_use]
    pub fn until(self, until: Duration) -> Self {
        Self { until, ..self }
    }

    /// Does one thing that goes wrong on the brokers' side, if any is wanted. Returns a broker that died.
    pub(crate) fn strike(&self, cluster: &Cluster, rng: &mut fastrand::Rng) -> Option<i32> {
        let kinds = [self.moves, self.moves, self.crashes, self.answers, self.answers, self.answers];
        let wanted: Vec<usize> = (0..kinds.len()).filter(|n| kinds[*n]).collect();
        let kind = *wanted.get(rng.usize(..wanted.len().max(1)))?;
        let (brokers, topics) = cluster
            .with(|b, _| (b.broker_ids().into_iter().filter(|id| b.is_up(*id)).collect::<Vec<_>>(), b.topic_names()));
        let broker = *brokers.get(rng.usize(..brokers.len().max(1)))?;
        match kind {
            0 | 1 => {
                let topic = topics.get(rng.usize(..topics.len().max(1)))?;
                // A replica that is not in sync cannot lead: the move is refused, and nothing happens.
                cluster.move_leader(topic, rng.i32(0..4), broker).ok();
                None
            }
            // One at a time, so that a majority of the replicas is always there.
            2 if brokers.len() > 1 && brokers.len() == cluster.with(|b, _| b.broker_ids().len()) => {
                cluster.kill_broker(broker);
                Some(broker)
            }
            2 => None,
            _ => {
                answer_fault(cluster, rng);
                None
            }
        }
    }
}

fn answer_fault(cluster: &Cluster, rng: &mut fastrand::Rng) {
    const APIS: [Api; 12] = [
        Api::Produce,
        Api::Produce,
        Api::Produce,
        Api::Fetch,
        Api::Fetch,
        Api::Metadata,
        Api::InitProducerId,
        Api::FindCoordinator,
        Api::ListOffsets,
        Api::OffsetCommit,
        Api::OffsetFetch,
        Api::JoinGroup,
    ];
    // What a leader may answer although the records are in its log (broker-data, fate rule).
    const AFTER: [i16; 5] = [6, 7, 3, 56, -1];
    let api = APIS[rng.usize(..APIS.len())];
    let fault = || cluster.fault(api).times(1);
    let choice = rng.u8(..9);
    match choice {
        0 if api == Api::Produce => fault().error_after_apply(AFTER[rng.usize(..AFTER.len())]),
        1 if api == Api::Produce => fault().omit_after_apply(),
        2 => fault().truncate_after_apply(),
        3 => fault().disconnect(),
        4 => fault().disconnect_after_apply(),
        5 => fault().silence_after_apply(),
        6 => fault().silence(),
        7 => fault().throttle(Duration::from_millis(rng.u64(1..500))),
        _ => fault().delay(Duration::from_millis(rng.u64(1..2_000))),
    }
}
