//! Lines out of pieces of input.

use memchr::memmem::{FindIter, Finder};

/// No record can be larger: Kafka's sizes are signed 32-bit numbers.
const LONGEST: usize = i32::MAX as usize;

/// Puts lines together from pieces; copies only the line that two pieces share.
pub(super) struct Lines {
    delimiter: Finder<'static>,
    /// The beginning of a line whose end has not come. There is no delimiter in it.
    begun: Vec<u8>,
}

/// The lines that a piece has to itself.
pub(super) struct Split<'a, 'd> {
    bytes: &'a [u8],
    ends: FindIter<'a, 'd>,
    width: usize,
    from: usize,
}

impl Lines {
    pub(super) fn new(delimiter: &[u8]) -> Self {
        Self { delimiter: Finder::new(delimiter).into_owned(), begun: Vec::new() }
    }

    /// Ends the line that an earlier piece began, if this one does: gives it, and what is behind it.
    pub(super) fn end_begun<'a>(&mut self, bytes: &'a [u8]) -> anyhow::Result<(Option<Vec<u8>>, &'a [u8])> {
        if self.begun.is_empty() {
            return Ok((None, bytes));
        }
        let width = self.delimiter.needle().len();
        let before = self.begun.len();
        // The delimiter itself may lie across the border.
        let looked = before.saturating_sub(width - 1);
        self.begun.extend_from_slice(&bytes[..bytes.len().min(width - 1)]);
        let across = self.delimiter.find(&self.begun[looked..]).map(|at| looked + at);
        self.begun.truncate(before);
        let Some(end) = across.or_else(|| Some(before + self.delimiter.find(bytes)?)) else {
            anyhow::ensure!(before + bytes.len() <= LONGEST, "a record of more than {LONGEST} bytes has no end");
            self.begun.extend_from_slice(bytes);
            return Ok((None, &[]));
        };
        let mut line = std::mem::take(&mut self.begun);
        line.extend_from_slice(&bytes[..end.saturating_sub(before)]);
        line.truncate(end);
        Ok((Some(line), &bytes[end + width - before..]))
    }

    /// The lines that end in `bytes`.
    pub(super) fn split<'a, 'd>(&'d self, bytes: &'a [u8]) -> Split<'a, 'd> {
        Split { bytes, ends: self.delimiter.find_iter(bytes), width: self.delimiter.needle().len(), from: 0 }
    }

    /// Keeps what no delimiter has ended.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.begun.extend_from_slice(rest);
    }

    /// The line that the end of the input ends, if it is not empty.
    pub(super) fn last(&mut self) -> Option<Vec<u8>> {
        (!self.begun.is_empty()).then(|| std::mem::take(&mut self.begun))
    }
}

impl<'a> Split<'a, '_> {
    /// What is behind the last line that was given.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }
}

impl<'a> Iterator for Split<'a, '_> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.ends.next()?;
        let line = self.bytes.get(self.from..end)?;
        self.from = end + self.width;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `text`, given in pieces of `size` bytes.
    fn split(text: &[u8], delimiter: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(delimiter);
        let mut all = Vec::new();
        for piece in text.chunks(size) {
            let (first, bytes) = lines.end_begun(piece).unwrap();
            all.extend(first);
            let mut split = lines.split(bytes);
            all.extend(split.by_ref().map(<[u8]>::to_vec));
            let rest = split.rest();
            lines.keep(rest);
        }
        all.extend(lines.last());
        all
    }

    #[test]
    fn lines_are_the_same_in_pieces_of_any_size() {
        for (text, delimiter) in [
            (&b"a\nbb\n\nccc\nd"[..], &b"\n"[..]),
            (b"\n\n\n", b"\n"),
            (b"", b"\n"),
            (b"one--two---three--", b"--"),
            (b"--", b"--"),
            (b"aXYZbXYXYZcXYXY", b"XYZ"),
        ] {
            let mut expected: Vec<Vec<u8>> = Vec::new();
            let mut rest = text;
            while let Some(at) = memchr::memmem::find(rest, delimiter) {
                expected.push(rest[..at].to_vec());
                rest = &rest[at + delimiter.len()..];
            }
            if !rest.is_empty() {
                expected.push(rest.to_vec());
            }
            for size in 1..=text.len().max(1) {
                assert_eq!(split(text, delimiter, size), expected, "{text:?} in pieces of {size}");
            }
        }
    }
}
