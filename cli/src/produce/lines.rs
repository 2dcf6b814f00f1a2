//! Lines out of pieces of input.

use memchr::memmem::{FindIter, Finder};

/// No record can be larger: Kafka's sizes are signed 32-bit numbers.
const LONGEST: usize = i32::MAX as usize;

/// Puts lines together from pieces; copies only the line that two pieces share.
pub(super) struct Lines {
    delimiter: Finder<'static>,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// The piece that was pushed last: where the line begins that it does not end.
    rest: usize,
    shared: Vec<u8>,
}

/// The lines that end in a piece.
pub(super) struct Whole<'a> {
    /// The one that began in an earlier piece.
    pub(super) first: Option<&'a [u8]>,
    /// Those that the piece has to itself.
    pub(super) rest: Split<'a>,
}

/// Lines that lie in one piece.
pub(super) struct Split<'a> {
    bytes: &'a [u8],
    ends: FindIter<'a, 'a>,
    width: usize,
    from: usize,
}

impl Lines {
    pub(super) fn new(delimiter: &[u8]) -> Self {
        Self { delimiter: Finder::new(delimiter).into_owned(), begun: Vec::new(), rest: 0, shared: Vec::new() }
    }

    /// Gives the lines that end in `bytes`; call [`keep`](Self::keep) with the same bytes then.
    pub(super) fn push<'a>(&'a mut self, bytes: &'a [u8]) -> anyhow::Result<Whole<'a>> {
        let width = self.delimiter.needle().len();
        let mut from = 0;
        self.shared.clear();
        let mut has_first = false;
        if !self.begun.is_empty() {
            // The delimiter itself may lie across the border.
            let looked = self.begun.len().saturating_sub(width - 1);
            let border = bytes.len().min(width - 1);
            let before = self.begun.len();
            self.begun.extend_from_slice(&bytes[..border]);
            let across = self.delimiter.find(&self.begun[looked..]).map(|at| looked + at);
            self.begun.truncate(before);
            let end = match across {
                Some(end) => Some((end, end + width - before)),
                None => self.delimiter.find(bytes).map(|at| (before + at, at + width)),
            };
            match end {
                Some((end, next)) => {
                    self.shared.append(&mut self.begun);
                    self.shared.extend_from_slice(&bytes[..end.saturating_sub(before)]);
                    self.shared.truncate(end);
                    (from, has_first) = (next, true);
                }
                None => {
                    anyhow::ensure!(
                        before + bytes.len() <= LONGEST,
                        "a record of more than {LONGEST} bytes has no end"
                    );
                    self.rest = 0;
                    let ends = self.delimiter.find_iter(&[]);
                    return Ok(Whole { first: None, rest: Split { bytes: &[], ends, width, from: 0 } });
                }
            }
        }
        let bytes = &bytes[from..];
        self.rest = from + memchr::memmem::rfind(bytes, self.delimiter.needle()).map_or(0, |at| at + width);
        let ends = self.delimiter.find_iter(bytes);
        let first = has_first.then_some(self.shared.as_slice());
        Ok(Whole { first, rest: Split { bytes, ends, width, from: 0 } })
    }

    /// Keeps what no delimiter has ended.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.begun.extend_from_slice(bytes.get(self.rest..).unwrap_or_default());
    }

    /// The line that the end of the input ends, if it is not empty.
    pub(super) fn last(&mut self) -> Option<Vec<u8>> {
        (!self.begun.is_empty()).then(|| std::mem::take(&mut self.begun))
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.ends.next()?;
        let line = self.bytes.get(self.from..end)?;
        self.from = end + self.width;
        Some(line)
    }
}

/// Reads `\n`, `\r`, `\t`, `\0`, `\\` and `\xNN`.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let mut chars = rest[at + 1..].chars();
        let escaped = chars.next();
        rest = chars.as_str();
        out.push(match escaped {
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let digits = rest.get(..2).unwrap_or(rest);
                let byte =
                    u8::from_str_radix(digits, 16).map_err(|_| format!("\\x{digits}: two hex digits are wanted"))?;
                rest = &rest[digits.len()..];
                byte
            }
            Some(other) => return Err(format!("\\{other} is not known")),
            None => return Err("a single \\ at the end".to_owned()),
        });
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `text`, given in pieces of `size` bytes.
    fn split(text: &[u8], delimiter: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(delimiter);
        let mut all = Vec::new();
        for piece in text.chunks(size) {
            let whole = lines.push(piece).unwrap();
            all.extend(whole.first.map(<[u8]>::to_vec));
            all.extend(whole.rest.map(<[u8]>::to_vec));
            lines.keep(piece);
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

    #[test]
    fn escapes_are_read_and_unknown_ones_refused() {
        assert_eq!(unescape(r"a\n\t\x00\xfF\\").unwrap(), b"a\n\t\x00\xff\\");
        for wrong in [r"\q", r"\", r"\x", r"\x1", r"\xzz"] {
            assert!(unescape(wrong).is_err(), "{wrong}");
        }
    }
}
