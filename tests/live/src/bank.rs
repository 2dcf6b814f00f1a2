//! The books of a bank, and who checks them: what tellers say of their transfers, what lies in the log, what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

/// What a teller knows of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is committed.
    Committed,
    /// It is not, and never will be.
    Aborted,
    /// Nobody can say: the teller died or was replaced in the middle of it.
    Unknown,
}

/// A partition of a topic.
pub type Place = (String, i32);

/// What lies in a log or was read of it, by partition: offsets with values.
pub type Log = BTreeMap<Place, Vec<(i64, String)>>;

/// One record of a transfer: a part of the money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Whose it is: a life of a teller.
    pub life: String,
    /// Which transfer of that life.
    pub number: u64,
    /// Which record of the transfer, from 0.
    pub leg: usize,
    /// How many records the transfer has.
    pub legs: usize,
    /// What is moved; the amounts of a transfer add up to nothing.
    pub amount: i64,
}

impl Leg {
    /// The name of the transfer.
    pub fn transfer(&self) -> String {
        format!("{}.{}", self.life, self.number)
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} {} {} {}", self.life, self.number, self.leg, self.legs, self.amount)
    }
}

impl FromStr for Leg {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let not = || format!("not a leg: {text:?}");
        let fields: Vec<&str> = text.split(' ').collect();
        let [transfer, leg, legs, amount] = fields[..] else { anyhow::bail!(not()) };
        let (life, number) = transfer.rsplit_once('.').with_context(not)?;
        Ok(Self {
            life: life.to_owned(),
            number: number.parse()?,
            leg: leg.parse()?,
            legs: legs.parse()?,
            amount: amount.parse()?,
        })
    }
}

/// Holds the committed log against what the tellers said: each transfer is there whole and once or not at all, as its
/// teller says, in the order of its life, and the sum of all is nothing.
///
/// # Errors
/// The first promise that is broken.
pub fn judge_transfers(fates: &BTreeMap<String, Fate>, log: &Log) -> Result<()> {
    let mut legs: BTreeMap<String, (usize, BTreeSet<usize>, i64)> = BTreeMap::new();
    let mut sum = 0;
    for (place, records) in log {
        let mut last: BTreeMap<String, (u64, usize)> = BTreeMap::new();
        for (offset, value) in records {
            let leg: Leg = value.parse().with_context(|| format!("{place:?} at {offset}"))?;
            let transfer = leg.transfer();
            let this = (leg.number, leg.leg);
            if let Some(before) = last.insert(leg.life, this) {
                ensure!(before < this, "{place:?} at {offset}: {transfer} {this:?} lies behind {before:?}");
            }
            let (count, seen, total) = legs.entry(transfer.clone()).or_insert((leg.legs, BTreeSet::new(), 0));
            ensure!(*count == leg.legs, "{transfer} has {count} legs and {}", leg.legs);
            ensure!(seen.insert(leg.leg), "{place:?} at {offset}: {value:?} is there twice");
            *total += leg.amount;
            sum += leg.amount;
        }
    }
    for (transfer, (count, seen, total)) in &legs {
        ensure!(seen.len() == *count, "{transfer} is torn: {seen:?} of {count} legs are committed");
        ensure!(*total == 0, "{transfer} makes {total} out of nothing");
        ensure!(fates.contains_key(transfer), "{transfer} is committed, and nobody began it");
    }
    ensure!(sum == 0, "{sum} was made out of nothing");
    for (transfer, fate) in fates {
        match fate {
            Fate::Committed => ensure!(legs.contains_key(transfer), "{transfer} was committed, and is not there"),
            Fate::Aborted => ensure!(!legs.contains_key(transfer), "{transfer} was aborted, and is there"),
            Fate::Unknown => {}
        }
    }
    Ok(())
}

/// Holds what was seen of partitions against their committed log: the same records, in order, none more, none less.
///
/// # Errors
/// The first difference.
pub fn judge_seen(who: &str, log: &Log, seen: &Log) -> Result<()> {
    for (place, records) in log {
        let read = seen.get(place).map(Vec::as_slice).unwrap_or_default();
        if let Some(at) = (0..records.len().max(read.len())).find(|at| records.get(*at) != read.get(*at)) {
            let (there, was) = (records.get(at), read.get(at));
            anyhow::bail!("{who}: {place:?}, record {at}: in the log is {there:?}, read was {was:?}");
        }
    }
    let stray = seen.iter().find(|(place, records)| !records.is_empty() && !log.contains_key(*place));
    ensure!(stray.is_none(), "{who}: records of nowhere: {stray:?}");
    Ok(())
}

/// Holds what members of a group saw together against the committed log: everything at least once, nothing else.
///
/// # Errors
/// The first difference. Else how many records came more than once.
pub fn judge_shared(who: &str, log: &Log, seen: &[Log]) -> Result<usize> {
    let (mut all, mut times): (BTreeMap<&Place, BTreeMap<i64, &str>>, usize) = Default::default();
    for (place, offset, value) in seen.iter().flatten().flat_map(|(p, r)| r.iter().map(move |(o, v)| (p, *o, v))) {
        times += 1;
        let before = all.entry(place).or_default().insert(offset, value);
        ensure!(before.is_none_or(|b| b == value), "{who}: {place:?} at {offset} is {before:?} and {value:?}");
    }
    let union = |(place, records): (&Place, BTreeMap<i64, &str>)| {
        (place.clone(), records.into_iter().map(|(offset, value)| (offset, value.to_owned())).collect())
    };
    let union: Log = all.into_iter().map(union).collect();
    judge_seen(who, log, &union)?;
    Ok(times - log.values().map(Vec::len).sum::<usize>())
}

/// What the copy of a record in the audit says: where it was and what it is.
pub fn copy_of(place: (&str, i32), offset: i64, value: &str) -> String {
    format!("{} {} {offset} {value}", place.0, place.1)
}

/// Holds the audit against the log that it was copied from: each record once, those of a partition in their order.
///
/// # Errors
/// The first difference.
pub fn judge_copies(log: &Log, audit: &Log) -> Result<()> {
    let mut copied = Log::new();
    for (place, offset, text) in audit.iter().flat_map(|(p, r)| r.iter().map(move |(o, v)| (p, o, v))) {
        let fields: Vec<&str> = text.splitn(4, ' ').collect();
        let [topic, partition, at, value] = fields[..] else { anyhow::bail!("{place:?} at {offset}: {text:?}") };
        let from = (topic.to_owned(), partition.parse()?);
        copied.entry(from).or_default().push((at.parse()?, value.to_owned()));
    }
    judge_seen("the audit", log, &copied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(records: &[(&str, i32, i64, &str)]) -> Log {
        let mut log = Log::new();
        for (topic, partition, offset, value) in records {
            log.entry(((*topic).to_owned(), *partition)).or_default().push((*offset, (*value).to_owned()));
        }
        log
    }

    fn fates(all: &[(&str, Fate)]) -> BTreeMap<String, Fate> {
        all.iter().map(|(transfer, fate)| ((*transfer).to_owned(), *fate)).collect()
    }

    const GOOD: [(&str, i32, i64, &str); 4] = [
        ("a", 0, 0, "t.0.1 0 2 -5"),
        ("b", 1, 3, "t.0.1 1 2 5"),
        ("a", 0, 1, "t.0.2 0 2 -7"),
        ("a", 0, 2, "t.0.2 1 2 7"),
    ];

    fn verdict(fate: Fate, records: &[(&str, i32, i64, &str)]) -> String {
        let fates = fates(&[("t.0.1", fate), ("t.0.2", Fate::Unknown)]);
        judge_transfers(&fates, &log(records)).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn good_books_stand() {
        assert_eq!(verdict(Fate::Committed, &GOOD), "");
        assert_eq!(verdict(Fate::Unknown, &GOOD), "");
        assert_eq!(verdict(Fate::Aborted, &[]), "");
    }

    #[test]
    fn bad_books_do_not() {
        assert!(verdict(Fate::Aborted, &GOOD).contains("was aborted, and is there"));
        assert!(verdict(Fate::Committed, &GOOD[2..]).contains("was committed, and is not there"));
        assert!(verdict(Fate::Unknown, &GOOD[1..]).contains("torn"));
        let twice = [GOOD.as_slice(), &[("b", 0, 9, "t.0.1 1 2 5")]].concat();
        assert!(verdict(Fate::Unknown, &twice).contains("is there twice"));
        let turned = [GOOD[2], GOOD[3], GOOD[0], GOOD[1]];
        assert!(verdict(Fate::Unknown, &turned).contains("lies behind"));
        let stray = [GOOD.as_slice(), &[("b", 0, 9, "x.0.1 0 1 0")]].concat();
        assert!(verdict(Fate::Unknown, &stray).contains("nobody began it"));
    }

    #[test]
    fn a_reader_sees_the_log_and_nothing_else() {
        let good = log(&GOOD);
        assert!(judge_seen("r", &good, &good).is_ok());
        assert!(judge_seen("r", &good, &log(&GOOD[1..])).is_err());
        assert!(judge_seen("r", &log(&GOOD[1..]), &good).is_err());
        assert!(judge_seen("r", &log(&GOOD[..1]), &good).is_err(), "a partition of nowhere");
        let twice = [GOOD.as_slice(), &GOOD[..1]].concat();
        assert!(judge_seen("r", &good, &log(&twice)).is_err());
    }

    #[test]
    fn members_may_see_a_record_twice_but_none_may_be_missing() {
        let good = log(&GOOD);
        assert_eq!(judge_shared("g", &good, &[log(&GOOD[..3]), log(&GOOD[2..])]).unwrap(), 1);
        assert!(judge_shared("g", &good, &[log(&GOOD[..2]), log(&GOOD[3..])]).is_err());
    }

    #[test]
    fn the_audit_is_a_copy() {
        let good = log(&GOOD);
        let copies: Vec<String> = GOOD.iter().map(|(t, p, o, v)| copy_of((t, *p), *o, v)).collect();
        let audit = |order: &[usize]| {
            let line = |(at, of): (usize, &usize)| (("c".to_owned(), 0), (at as i64, copies[*of].clone()));
            let mut log = Log::new();
            for (place, record) in order.iter().enumerate().map(line) {
                log.entry(place).or_default().push(record);
            }
            log
        };
        assert!(judge_copies(&good, &audit(&[0, 1, 2, 3])).is_ok());
        assert!(judge_copies(&good, &audit(&[1, 0, 2, 3])).is_ok());
        assert!(judge_copies(&good, &audit(&[0, 1, 3, 2])).is_err());
        assert!(judge_copies(&good, &audit(&[0, 1, 2, 2, 3])).is_err());
        assert!(judge_copies(&good, &audit(&[0, 1, 2])).is_err());
    }
}
