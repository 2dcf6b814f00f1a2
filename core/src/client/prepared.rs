//! Which transaction is prepared: what an outside coordinator stores with its decision (KIP-939).

use crate::error::{Error, ErrorKind};
use std::fmt;
use std::str::FromStr;

/// Names a prepared transaction. Its text, `producerId:epoch` or empty for none, is that of Java's `PreparedTxnState`: one
/// client completes what another has prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PreparedTxnState {
    id: i64,
    epoch: i16,
}

impl PreparedTxnState {
    /// No transaction.
    pub const NONE: Self = Self { id: -1, epoch: -1 };

    /// The transaction of this producer id and epoch; none if one of them is negative.
    pub fn new(producer_id: i64, epoch: i16) -> Self {
        if producer_id < 0 || epoch < 0 { Self::NONE } else { Self { id: producer_id, epoch } }
    }

    /// The producer id, -1 if it names no transaction.
    pub fn producer_id(&self) -> i64 {
        self.id
    }

    /// The epoch, -1 if it names no transaction.
    pub fn epoch(&self) -> i16 {
        self.epoch
    }

    /// Whether it names a transaction.
    #[doc(alias = "hasTransaction")]
    pub fn has_transaction(&self) -> bool {
        self.id >= 0
    }
}

impl Default for PreparedTxnState {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for PreparedTxnState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_transaction() { write!(f, "{}:{}", self.id, self.epoch) } else { Ok(()) }
    }
}

impl FromStr for PreparedTxnState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::NONE);
        }
        let parts = text.split_once(':').and_then(|(id, epoch)| Some((id.parse().ok()?, epoch.parse().ok()?)));
        match parts.map(|(id, epoch)| Self::new(id, epoch)).filter(Self::has_transaction) {
            Some(state) => Ok(state),
            None => {
                let text = format!("\"{text}\" names no prepared transaction: producerId:epoch is wanted");
                Err(Error::new(ErrorKind::Misuse, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_javas_and_comes_back() {
        for (state, text) in [
            (PreparedTxnState::NONE, ""),
            (PreparedTxnState::new(0, 0), "0:0"),
            (PreparedTxnState::new(i64::MAX, i16::MAX), "9223372036854775807:32767"),
        ] {
            assert_eq!(state.to_string(), text);
            assert_eq!(text.parse::<PreparedTxnState>().unwrap(), state);
        }
        assert_eq!(PreparedTxnState::new(5, -1), PreparedTxnState::NONE);
    }

    #[test]
    fn what_names_no_transaction_is_refused() {
        for text in [":", "1", "1:", ":1", "-1:0", "1:-1", "1:2:3", "1:32768", "9223372036854775808:0", "a:b", " 1:2"] {
            assert_eq!(text.parse::<PreparedTxnState>().unwrap_err().kind(), ErrorKind::Misuse, "{text}");
        }
    }
}
