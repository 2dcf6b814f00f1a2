//! What must be true of a history in which everything went wrong: the oracles of the simulator, for logs that were read.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::bank::{Log, Place};

/// What a producer was told of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is written.
    Acknowledged,
    /// It may be.
    InDoubt,
    /// It is not.
    NotWritten,
}

/// The value of record `number` of a sender.
pub fn value(sender: &str, number: usize) -> String {
    format!("{sender} {number}")
}

fn parse(value: &str) -> Option<(&str, usize)> {
    let (sender, number) = value.rsplit_once(' ')?;
    Some((sender, number.parse().ok()?))
}

/// Holds the log against what idempotent producers were told, each record by its number: acknowledged is there once, in
/// order; in doubt at most once; not written is not there.
///
/// # Errors
/// The first promise that is broken.
pub fn judge_written(told: &BTreeMap<String, Vec<Told>>, log: &Log) -> Result<()> {
    let mut times: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for (place, records) in log {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for (offset, text) in records {
            let found = parse(text).filter(|(sender, number)| told.get(*sender).is_some_and(|t| t.len() > *number));
            let Some((sender, number)) = found else { anyhow::bail!("{place:?} at {offset}: nobody sent {text:?}") };
            let before = last.insert(sender, number);
            ensure!(before.is_none_or(|b| b < number), "{place:?} at {offset}: {text:?} lies behind {before:?}");
            *times.entry((sender, number)).or_default() += 1;
        }
    }
    for (sender, records) in told {
        for (number, told) in records.iter().enumerate() {
            let times = times.get(&(sender.as_str(), number)).copied().unwrap_or(0);
            let fine = match told {
                Told::Acknowledged => times == 1,
                Told::InDoubt => times <= 1,
                Told::NotWritten => times == 0,
            };
            ensure!(fine, "{sender} {number} was {told:?}, and is there {times} times");
        }
    }
    Ok(())
}

/// What the members of a group did, as a judge sees it.
#[derive(Debug, Default)]
pub struct Watch {
    /// By partition: behind the last record that its application came back after.
    done: BTreeMap<Place, i64>,
    committed: BTreeMap<Place, i64>,
    /// By partition: which records were handed out, and how often.
    handed: BTreeMap<Place, BTreeMap<i64, usize>>,
}

impl Watch {
    /// A record was handed out.
    pub fn hand_out(&mut self, place: &Place, offset: i64) {
        *self.handed.entry(place.clone()).or_default().entry(offset).or_default() += 1;
    }

    /// An application is done with everything before this offset. To be called before it polls again or commits.
    pub fn done(&mut self, place: &Place, offset: i64) {
        let end = self.done.entry(place.clone()).or_insert(0);
        *end = (*end).max(offset);
    }

    /// The group's offset was this, at some time before the call.
    ///
    /// # Errors
    /// It is beyond what is done, or below what it was.
    pub fn committed(&mut self, place: &Place, offset: i64) -> Result<()> {
        let done = self.done.get(place).copied().unwrap_or(0);
        ensure!(offset <= done, "{place:?}: {offset} is committed, only what is before {done} is done");
        let before = self.committed.insert(place.clone(), offset).unwrap_or(0);
        ensure!(before <= offset, "{place:?}: {offset} is committed after {before}");
        Ok(())
    }

    /// How many different records were handed out.
    pub fn count(&self) -> usize {
        self.handed.values().map(BTreeMap::len).sum()
    }

    /// Every record of the log was handed out, and nothing else. Gives how often one came again.
    ///
    /// # Errors
    /// The first difference.
    pub fn judge(&self, log: &Log) -> Result<usize> {
        let mut again = 0;
        for (place, records) in log {
            let handed = self.handed.get(place);
            for (offset, text) in records {
                let times = handed.and_then(|h| h.get(offset)).copied().unwrap_or(0);
                ensure!(times > 0, "{place:?} at {offset}: {text:?} was never handed out");
                again += times - 1;
            }
            let stray = handed.and_then(|h| h.keys().find(|offset| !records.iter().any(|(there, _)| there == *offset)));
            ensure!(stray.is_none(), "{place:?}: a record at {stray:?} was handed out, and there is none");
        }
        Ok(again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(values: &[&str]) -> Log {
        let records = values.iter().zip(0..).map(|(value, offset)| (offset, (*value).to_owned())).collect();
        Log::from([(("t".to_owned(), 0), records)])
    }

    #[test]
    fn the_log_is_held_against_what_was_told() {
        use Told::{Acknowledged, InDoubt, NotWritten};
        let told = BTreeMap::from([("s".to_owned(), vec![Acknowledged, InDoubt, NotWritten, Acknowledged])]);
        let verdict = |values: &[&str]| judge_written(&told, &log(values)).map_err(|e| e.to_string());
        assert_eq!(verdict(&["s 0", "s 1", "s 3"]), Ok(()));
        assert_eq!(verdict(&["s 0", "s 3"]), Ok(()));
        assert!(verdict(&["s 0"]).unwrap_err().contains("s 3 was Acknowledged, and is there 0 times"));
        assert!(verdict(&["s 0", "s 2", "s 3"]).unwrap_err().contains("NotWritten"));
        assert!(verdict(&["s 0", "s 1", "s 1", "s 3"]).unwrap_err().contains("lies behind"));
        assert!(verdict(&["s 3", "s 0"]).unwrap_err().contains("lies behind"));
        assert!(verdict(&["s 0", "s 3", "s 4"]).unwrap_err().contains("nobody sent"));
        assert!(verdict(&["s 0", "x 0", "s 3"]).unwrap_err().contains("nobody sent"));
        let mut twice = log(&["s 0", "s 3"]);
        twice.insert(("t".to_owned(), 1), vec![(0, "s 0".to_owned())]);
        assert!(judge_written(&told, &twice).unwrap_err().to_string().contains("there 2 times"));
    }

    #[test]
    fn commits_stay_behind_what_is_done_and_never_fall() {
        let (mut watch, place) = (Watch::default(), ("t".to_owned(), 0));
        watch.done(&place, 5);
        assert!(watch.committed(&place, 3).is_ok());
        assert!(watch.committed(&place, 5).is_ok());
        assert!(watch.committed(&place, 4).is_err());
        assert!(watch.committed(&place, 6).is_err());
        watch.hand_out(&place, 0);
        assert!(watch.judge(&log(&["a", "b"])).is_err());
        watch.hand_out(&place, 1);
        watch.hand_out(&place, 1);
        assert_eq!(watch.judge(&log(&["a", "b"])).unwrap(), 1);
        watch.hand_out(&place, 2);
        assert!(watch.judge(&log(&["a", "b"])).is_err());
    }
}
