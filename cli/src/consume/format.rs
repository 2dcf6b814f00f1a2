//! `-f`: how a record is printed, in kcat's tokens.

use crate::escape::unescape;
use klamm::ConsumerRecord;
use std::io::{self, Write};

/// A format, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    tokens: Vec<Token>,
    null: &'static [u8],
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Text(Vec<u8>),
    Value,
    ValueLength,
    ValueLengthBinary,
    Key,
    KeyLength,
    Timestamp,
    Headers,
    Topic,
    Partition,
    Offset,
}

impl Format {
    /// Reads a format; null keys and values are printed as `null`.
    pub(super) fn parse(text: &str, null: &'static str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            push_text(&mut tokens, &rest[..at])?;
            let mut chars = rest[at + 1..].chars();
            tokens.push(match chars.next() {
                Some('s') => Token::Value,
                Some('S') => Token::ValueLength,
                Some('R') => Token::ValueLengthBinary,
                Some('k') => Token::Key,
                Some('K') => Token::KeyLength,
                Some('T') => Token::Timestamp,
                Some('h') => Token::Headers,
                Some('t') => Token::Topic,
                Some('p') => Token::Partition,
                Some('o') => Token::Offset,
                Some('%') => Token::Text(b"%".to_vec()),
                Some(other) => return Err(format!("%{other} is not known: %s %S %R %k %K %T %h %t %p %o %% are")),
                None => return Err("a single % at the end".to_owned()),
            });
            rest = chars.as_str();
        }
        push_text(&mut tokens, rest)?;
        Ok(Self { tokens, null: null.as_bytes() })
    }

    /// The value and what stands behind it; with `between`, the key and that before it.
    pub(super) fn lines(between: Option<&[u8]>, behind: &[u8], null: &'static str) -> Self {
        let mut tokens = Vec::new();
        if let Some(between) = between {
            tokens.extend([Token::Key, Token::Text(between.to_vec())]);
        }
        tokens.extend([Token::Value, Token::Text(behind.to_vec())]);
        Self { tokens, null: null.as_bytes() }
    }

    /// Prints a record.
    pub(super) fn print(&self, record: &ConsumerRecord<'_>, out: &mut impl Write) -> io::Result<()> {
        for token in &self.tokens {
            match token {
                Token::Text(text) => out.write_all(text)?,
                Token::Value => out.write_all(record.value().unwrap_or(self.null))?,
                Token::ValueLength => write!(out, "{}", length(record.value()))?,
                Token::ValueLengthBinary => out.write_all(&length(record.value()).to_be_bytes())?,
                Token::Key => out.write_all(record.key().unwrap_or(self.null))?,
                Token::KeyLength => write!(out, "{}", length(record.key()))?,
                Token::Timestamp => write!(out, "{}", record.timestamp())?,
                Token::Headers => self.headers(record, out)?,
                Token::Topic => out.write_all(record.topic().as_bytes())?,
                Token::Partition => write!(out, "{}", record.partition())?,
                Token::Offset => write!(out, "{}", record.offset())?,
            }
        }
        Ok(())
    }

    fn headers(&self, record: &ConsumerRecord<'_>, out: &mut impl Write) -> io::Result<()> {
        let mut between: &[u8] = b"";
        for header in record.headers() {
            out.write_all(between)?;
            out.write_all(header.key)?;
            out.write_all(b"=")?;
            out.write_all(header.value.unwrap_or(b"NULL"))?;
            between = b",";
        }
        Ok(())
    }
}

fn push_text(tokens: &mut Vec<Token>, text: &str) -> Result<(), String> {
    if !text.is_empty() {
        tokens.push(Token::Text(unescape(text)?));
    }
    Ok(())
}

/// -1 is null.
fn length(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_text_alternate() {
        let format = Format::parse(r"%t[%p]@%o:\x41%%\n", "").unwrap();
        let text = |text: &str| Token::Text(text.as_bytes().to_vec());
        let tokens =
            [Token::Topic, text("["), Token::Partition, text("]@"), Token::Offset, text(":A"), text("%"), text("\n")];
        assert_eq!(format.tokens, tokens);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(Format::parse("%q", "").is_err());
        assert!(Format::parse("100%", "").is_err());
        assert!(Format::parse(r"\q", "").is_err());
    }

    #[test]
    fn null_has_a_length_of_its_own() {
        assert_eq!((length(None), length(Some(b"")), length(Some(b"ab"))), (-1, 0, 2));
    }
}
