//! The brokers' side of the transactions of one transactional id (broker-coord section 5; `TransactionCoordinator`,
//! `UnifiedLog`), cut down to what a client can see.

use crate::ErrorCode;
use std::collections::{BTreeSet, VecDeque};

/// How many batches of a producer a log remembers.
const REMEMBERED: usize = 5;

/// A producer id and its epoch.
pub(super) type Who = (i64, i16);

/// A batch as it came over the wire.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) who: Who,
    pub(super) base: i32,
    pub(super) count: i32,
    pub(super) no: u64,
}

/// What became of a batch in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Open,
    Committed,
    Aborted,
}

/// One partition's log; a producer is alone in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) batches: Vec<(Seen, Mark)>,
    epoch: Option<i16>,
    last: VecDeque<(i32, i32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Empty,
    Ongoing,
    /// The end is decided, its markers are not written.
    Ending(bool),
    Ended(bool),
}

/// What one transaction of the coordinator held when it ended.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) committed: bool,
    pub(super) batches: Vec<u64>,
    pub(super) offset: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Brokers {
    pub(super) who: Option<Who>,
    /// The epoch before this one may ask for it again: the answer may have been lost.
    again: Option<i16>,
    pub(super) phase: Phase,
    partitions: BTreeSet<usize>,
    group: bool,
    /// Offsets that wait for the end of their transaction, and whose they are.
    offset: Option<(Who, i64)>,
    pub(super) logs: Vec<Log>,
    pub(super) past: Vec<Past>,
    next_id: i64,
    /// The first epoch: runs come to the last one.
    first: i16,
}

type Answer<T> = Result<T, ErrorCode>;

impl Brokers {
    pub(super) fn new(partitions: usize, first: i16) -> Self {
        Self {
            who: None,
            again: None,
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            group: false,
            offset: None,
            logs: vec![Log::default(); partitions],
            past: Vec::new(),
            next_id: 70,
            first,
        }
    }

    /// The identity behind this one.
    fn behind(&mut self, (id, epoch): Who) -> Who {
        match epoch.checked_add(1).filter(|epoch| *epoch < i16::MAX) {
            Some(next) => (id, next),
            None => {
                self.next_id += 1;
                (self.next_id, 0)
            }
        }
    }

    /// InitProducerId.
    pub(super) fn init(&mut self, from: Option<Who>) -> Answer<Who> {
        let Some(who) = self.who else {
            let who = (self.next_id, self.first);
            self.who = Some(who);
            return Ok(who);
        };
        let retry = from.is_some_and(|(_, epoch)| self.again == Some(epoch)) && from != Some(who);
        if from.is_some_and(|from| from != who) && !retry {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.phase {
            Phase::Ending(_) => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            Phase::Ongoing => {
                self.fence();
                self.again = from.map(|(_, epoch)| epoch);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            Phase::Empty | Phase::Ended(_) if retry => Ok(who),
            Phase::Empty | Phase::Ended(_) => {
                self.again = from.map(|(_, epoch)| epoch);
                self.phase = Phase::Empty;
                let next = self.behind(who);
                self.who = Some(next);
                Ok(next)
            }
        }
    }

    /// What is open is aborted, and its producer fenced.
    fn fence(&mut self) {
        self.phase = Phase::Ending(false);
        if let Some((id, epoch)) = self.who {
            self.who = Some((id, epoch.saturating_add(1)));
        }
    }

    /// The open transaction lasts too long.
    pub(super) fn time_out(&mut self) {
        if self.phase == Phase::Ongoing {
            self.fence();
            self.again = None;
        }
    }

    /// Whether the open transaction may have more.
    fn admit(&mut self, who: Who, wrong: ErrorCode) -> Answer<()> {
        if self.who != Some(who) {
            return Err(wrong);
        }
        if let Phase::Ending(_) = self.phase {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        self.phase = Phase::Ongoing;
        self.again = None;
        Ok(())
    }

    /// AddPartitionsToTxn.
    pub(super) fn add(&mut self, who: Who, partitions: &[usize]) -> Answer<()> {
        self.admit(who, ErrorCode::PRODUCER_FENCED)?;
        self.partitions.extend(partitions);
        Ok(())
    }

    /// AddOffsetsToTxn.
    pub(super) fn add_group(&mut self, who: Who) -> Answer<()> {
        self.admit(who, ErrorCode::PRODUCER_FENCED)?;
        self.group = true;
        Ok(())
    }

    /// TxnOffsetCommit; `adds`: the version that adds its group by itself.
    pub(super) fn commit_offset(&mut self, who: Who, offset: i64, adds: bool) -> Answer<()> {
        if adds {
            self.admit(who, ErrorCode::INVALID_PRODUCER_EPOCH)?;
            self.group = true;
        }
        if self.who != Some(who) {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        assert!(self.group && self.phase == Phase::Ongoing, "offsets of a group that was not added");
        self.offset = Some((who, offset));
        Ok(())
    }

    /// One batch of a Produce request; `late`: nobody waits for its answer any more.
    pub(super) fn produce(&mut self, at: usize, seen: &Seen, adds: bool, late: bool) -> Answer<()> {
        let log = &self.logs[at];
        let (_, epoch) = seen.who;
        let same = (seen.base, seen.count);
        if log.epoch == Some(epoch) && log.last.contains(&same) && log.of(seen.who) {
            return Ok(());
        }
        if log.of(seen.who) && log.epoch.is_some_and(|known| epoch < known) {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if adds {
            self.admit(seen.who, ErrorCode::INVALID_PRODUCER_EPOCH)?;
            self.partitions.insert(at);
        } else {
            if self.who != Some(seen.who) {
                return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
            }
            if self.phase != Phase::Ongoing || !self.partitions.contains(&at) {
                // KIP-890: the leader asks the coordinator before it appends.
                assert!(late, "partition {at} gets a batch and is not added");
                return Err(ErrorCode::INVALID_TXN_STATE);
            }
        }
        let log = &mut self.logs[at];
        let next = match log.last.back() {
            Some((base, count)) if log.epoch == Some(epoch) && log.of(seen.who) => base + count,
            _ => 0,
        };
        if seen.base != next {
            return Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        }
        if log.epoch != Some(epoch) || !log.of(seen.who) {
            log.last.clear();
        }
        log.epoch = Some(epoch);
        log.last.push_back(same);
        if log.last.len() > REMEMBERED {
            log.last.pop_front();
        }
        log.batches.push((seen.clone(), Mark::Open));
        Ok(())
    }

    /// EndTxn; `bumps`: the version whose answer brings the next epoch.
    pub(super) fn end(&mut self, who: Who, commit: bool, bumps: bool) -> Answer<Option<Who>> {
        let current = self.who.ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        let again = bumps && current == (who.0, who.1.saturating_add(1));
        if who != current && !again {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        let given = bumps.then_some(current);
        match self.phase {
            Phase::Ongoing if again => Err(ErrorCode::PRODUCER_FENCED),
            Phase::Ongoing if bumps => Ok(Some(self.begin_end(current, Phase::Ending(commit)))),
            Phase::Ongoing => {
                self.phase = Phase::Ending(commit);
                Ok(None)
            }
            Phase::Ending(what) if what == commit => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            Phase::Ended(what) if what == commit && (again || !bumps) => Ok(given),
            // An abort of what nobody has begun.
            Phase::Empty | Phase::Ended(_) if bumps && !again && !commit => {
                Ok(Some(self.begin_end(current, Phase::Ended(false))))
            }
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    fn begin_end(&mut self, current: Who, phase: Phase) -> Who {
        let next = self.behind(current);
        (self.who, self.phase) = (Some(next), phase);
        next
    }

    /// The markers are written.
    pub(super) fn write_markers(&mut self) -> bool {
        let Phase::Ending(commit) = self.phase else { return false };
        let mut past = Past { committed: commit, batches: Vec::new(), offset: None };
        for at in std::mem::take(&mut self.partitions) {
            let log = &mut self.logs[at];
            for (seen, mark) in log.batches.iter_mut().filter(|(_, mark)| *mark == Mark::Open) {
                *mark = if commit { Mark::Committed } else { Mark::Aborted };
                past.batches.push(seen.no);
            }
            // The marker carries the coordinator's epoch: what is older is refused from here on.
            let (id, epoch) = self.who.unwrap_or_default();
            if log.batches.last().is_some_and(|(seen, _)| seen.who.0 == id) && log.epoch < Some(epoch) {
                log.epoch = Some(epoch);
                log.last.clear();
            }
        }
        past.offset = self.offset.take().map(|(_, offset)| offset);
        self.group = false;
        self.phase = Phase::Ended(commit);
        self.past.push(past);
        true
    }
}

impl Log {
    /// Whether its last batch is of this producer id.
    fn of(&self, (id, _): Who) -> bool {
        self.batches.last().is_some_and(|(seen, _)| seen.who.0 == id)
    }
}
