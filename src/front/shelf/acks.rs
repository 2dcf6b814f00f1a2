//! Which records of a partition the application acknowledged, in any order, and how far without a gap.

use super::chunk::Piece;
use super::lane::Place;
use std::collections::VecDeque;

/// Records that were handed out together.
#[derive(Debug)]
struct Run {
    first: i64,
    next: Place,
    /// Offsets relative to `first`, if some are missing in between (compaction, transactions).
    offsets: Option<Vec<u32>>,
    /// A bit for each record.
    acked: Vec<u64>,
    count: u32,
    left: u32,
}

impl Run {
    fn new(piece: &Piece) -> Self {
        let first = piece.records().next().map_or(piece.next, |record| record.offset);
        let dense = i64::from(piece.count) == piece.next.saturating_sub(first);
        let offset = |offset: i64| u32::try_from(offset.saturating_sub(first)).unwrap_or(u32::MAX);
        Self {
            first,
            next: piece.end(),
            offsets: (!dense).then(|| piece.records().map(|record| offset(record.offset)).collect()),
            acked: vec![0; piece.count.div_ceil(64) as usize],
            count: piece.count,
            left: piece.count,
        }
    }

    fn index(&self, offset: i64) -> Option<u32> {
        let relative = u32::try_from(offset.checked_sub(self.first)?).ok()?;
        match &self.offsets {
            Some(offsets) => offsets.binary_search(&relative).ok().and_then(|at| u32::try_from(at).ok()),
            None => (relative < self.count).then_some(relative),
        }
    }

    fn ack(&mut self, index: u32) {
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        if let Some(word) = self.acked.get_mut(word).filter(|word| **word & bit == 0) {
            *word |= bit;
            self.left -= 1;
        }
    }

    fn ack_all(&mut self) {
        self.acked.fill(u64::MAX);
        self.left = 0;
    }

    /// Behind the unbroken run at its beginning; `None` if the first record is not acknowledged.
    fn point(&self) -> Option<i64> {
        let full = self.acked.iter().take_while(|word| **word == u64::MAX).count();
        let tail = self.acked.get(full).map_or(0, |word| word.trailing_ones());
        let run = (full as u32 * 64 + tail).min(self.count);
        let last = run.checked_sub(1)?;
        let relative = match &self.offsets {
            Some(offsets) => *offsets.get(last as usize)?,
            None => last,
        };
        Some(self.first + i64::from(relative) + 1)
    }
}

/// The acknowledgements of one partition since it was last placed.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    runs: VecDeque<Run>,
    base: Option<Place>,
}

impl Acks {
    /// The partition stands elsewhere.
    pub(crate) fn restart(&mut self, place: Place) {
        self.runs.clear();
        self.base = (place.0 >= 0).then_some(place);
    }

    /// Records are handed out.
    pub(crate) fn hand_out(&mut self, pieces: &[Piece]) {
        self.runs.extend(pieces.iter().map(Run::new));
    }

    /// All that was handed out is acknowledged, and the position behind it has moved without a record.
    pub(crate) fn skip_to(&mut self, place: Place) {
        match self.runs.back_mut() {
            Some(last) => last.next = place,
            None => self.base = Some(place),
        }
    }

    /// One record is done. False if it was not handed out.
    pub(crate) fn ack(&mut self, offset: i64) -> bool {
        if self.base.is_some_and(|(base, _)| offset < base) {
            return true;
        }
        let Some((at, index)) = self.find(offset) else { return false };
        if let Some(run) = self.runs.get_mut(at) {
            run.ack(index);
        }
        self.settle();
        true
    }

    /// This record is done and all before it. False if it was not handed out.
    pub(crate) fn ack_through(&mut self, offset: i64) -> bool {
        if self.base.is_some_and(|(base, _)| offset < base) {
            return true;
        }
        let Some((at, last)) = self.find(offset) else { return false };
        self.runs.iter_mut().take(at).for_each(Run::ack_all);
        if let Some(run) = self.runs.get_mut(at) {
            (0..=last).for_each(|index| run.ack(index));
        }
        self.settle();
        true
    }

    fn find(&self, offset: i64) -> Option<(usize, u32)> {
        let at = self.runs.partition_point(|run| run.first <= offset).checked_sub(1)?;
        Some((at, self.runs.get(at)?.index(offset)?))
    }

    fn settle(&mut self) {
        while let Some(run) = self.runs.front().filter(|run| run.left == 0) {
            self.base = Some(run.next);
            self.runs.pop_front();
        }
    }

    /// Behind the last record of the unbroken acknowledged run.
    pub(crate) fn point(&self) -> Option<Place> {
        let partial = self.runs.front().and_then(|run| Some((run.point()?, run.next.1)));
        partial.or(self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_done_as_far_as_there_is_no_gap() {
        let mut run = Run { first: 10, next: (80, 0), offsets: None, acked: vec![0, 0], count: 70, left: 70 };
        assert_eq!(run.point(), None);
        run.ack(0);
        run.ack(2);
        assert_eq!(run.point(), Some(11), "the second is missing");
        run.ack(1);
        assert_eq!(run.point(), Some(13));
        (3..69).for_each(|index| run.ack(index));
        assert_eq!((run.point(), run.left), (Some(79), 1));
    }
}
