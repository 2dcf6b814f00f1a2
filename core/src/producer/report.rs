//! What a failed batch's senders are told: what happened, where, how often it was tried, and whether it may be written.

use super::entry::Entry;
use crate::error::{Error, ErrorCode, ErrorKind, Phase};
use crate::{BrokerId, Time};
use std::sync::Arc;
use std::time::Duration;

/// The partition and batch that an error is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) topic: &'a Arc<str>,
    pub(crate) partition: i32,
    pub(crate) entry: &'a Entry,
}

impl About<'_> {
    fn dress(&self, error: Error) -> Error {
        let phase = if self.entry.attempts > 0 { Phase::Sent } else { Phase::Buffered };
        let mut error = error
            .with_topic(self.topic.clone())
            .with_partition(self.partition)
            .with_attempts(self.entry.attempts)
            .with_phase(phase)
            .with_possibly_written(self.entry.possibly_written());
        if let Some((last, broker)) = &self.entry.last {
            if let (None, Some(code)) = (error.code(), last.code()) {
                error = error.with_code(code);
            }
            if let Some(broker) = broker {
                error = error.with_broker(broker.0);
            }
        }
        error
    }

    fn tried(&self) -> String {
        let attempts = match self.entry.attempts {
            1 => "1 attempt".to_owned(),
            n => format!("{n} attempts"),
        };
        match &self.entry.last {
            Some((_, Some(broker))) => format!("{attempts}, last on broker {broker}"),
            _ => attempts,
        }
    }

    /// Its deadline passed. `waiting` says what it waited for if it was never sent.
    pub(crate) fn expired(&self, limit: Duration, waiting: impl FnOnce() -> Error) -> Error {
        let place = format!("{}-{}", self.topic, self.partition);
        let limit = seconds(limit);
        let text = if self.entry.attempts == 0 {
            format!("record for {place} not sent within delivery.timeout.ms ({limit})")
        } else {
            format!("record for {place} not acknowledged within delivery.timeout.ms ({limit}): {}", self.tried())
        };
        let source = self.entry.last.as_ref().map_or_else(waiting, |(error, _)| error.clone());
        self.dress(Error::new(ErrorKind::Timeout, text).with_source(source))
    }

    /// The broker refused it for good, or it was retried often enough.
    pub(crate) fn refused(&self, broker: BrokerId, cause: Error, spent: bool) -> Error {
        let place = format!("{}-{}", self.topic, self.partition);
        let (kind, text) = if spent {
            let text = format!("record for {place} not acknowledged after {}, as retries allows", self.tried());
            (ErrorKind::NotDelivered, text)
        } else {
            (cause.kind(), format!("broker {broker} did not take a batch for {place}"))
        };
        let retriable = cause.is_retriable();
        let too_old = cause.code() == Some(ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT);
        let error =
            self.dress(Error::new(kind, text).with_source(cause).with_broker(broker.0).with_retriable(retriable));
        if kind == ErrorKind::RecordTooLarge {
            let (batch, packed) = (self.entry.batch.plain_bytes, self.entry.batch.body.len());
            let hint = format!("{batch} bytes, {packed} as sent: raise the topic's max.message.bytes");
            return error.with_hint(hint);
        }
        if too_old {
            // Sequence numbers and headers came with the format of Kafka 0.11.
            return error.with_hint("set enable.idempotence=false, or raise the topic's message.format.version");
        }
        error
    }

    /// An earlier batch of the partition failed, or its log was replaced, while nobody knew whether this one is written: it can
    /// go neither under its old numbers nor under new ones.
    pub(crate) fn stranded(&self, recreated: bool) -> Error {
        let place = format!("{}-{}", self.topic, self.partition);
        let why = if recreated { "the topic was deleted and created anew" } else { "a batch before it failed" };
        let text = format!("record for {place} not acknowledged after {}: {why}", self.tried());
        let mut error = Error::new(ErrorKind::NotDelivered, text);
        if let Some((last, _)) = &self.entry.last {
            error = error.with_source(last.clone());
        }
        self.dress(error)
    }

    /// The producer ends before it.
    pub(crate) fn given_up(&self, why: Error) -> Error {
        let place = format!("{}-{}", self.topic, self.partition);
        let text = match self.entry.attempts {
            0 => format!("record for {place} not sent"),
            _ => format!("record for {place} not acknowledged after {}", self.tried()),
        };
        let fatal = why.is_fatal();
        let error = self.dress(Error::new(why.kind(), text).with_source(why));
        if fatal { error.with_fatal() } else { error }
    }
}

/// The records that a broker named as the cause (KIP-467).
pub(crate) fn culprit(code: ErrorCode, message: Option<&str>) -> Error {
    match message {
        Some(words) => Error::new(code.kind(), format!("{code}: {words}")).with_code(code),
        None => Error::from_code(code),
    }
}

fn seconds(limit: Duration) -> String {
    match (limit.as_secs(), limit.subsec_millis()) {
        (s, 0) => format!("{s} s"),
        _ => format!("{} ms", limit.as_millis()),
    }
}

/// Whether the oldest record of a batch that entered then is past its deadline.
pub(crate) fn is_past(entered: Time, limit: Duration, now: Time) -> bool {
    entered + limit <= now
}

#[cfg(test)]
mod tests {
    use super::super::model::batch;
    use super::*;
    use crate::error::Fate;

    fn entry(attempts: u32, fate: Fate, last: Option<(i16, i32)>) -> Entry {
        let last = last.map(|(code, broker)| (Error::from_code(ErrorCode(code)), Some(BrokerId(broker))));
        Entry { attempts, fate, last, ..Entry::new(batch(0, 1)) }
    }

    #[test]
    fn an_expired_batch_names_place_attempts_cause_and_doubt() {
        let topic: Arc<str> = "orders".into();
        let entry = entry(4, Fate::Unknown, Some((7, 2)));
        let about = About { topic: &topic, partition: 3, entry: &entry };
        let error = about.expired(Duration::from_secs(120), || unreachable!());
        assert_eq!(
            error.to_string(),
            "record for orders-3 not acknowledged within delivery.timeout.ms (120 s): 4 attempts, last on broker 2: \
             REQUEST_TIMED_OUT: the broker could not finish within the time limit of the request; it may have been written"
        );
        assert_eq!((error.kind(), error.attempts(), error.broker()), (ErrorKind::Timeout, 4, Some(2)));
        assert_eq!((error.code(), error.possibly_written()), (Some(ErrorCode(7)), true));
        assert_eq!((error.topic(), error.partition(), error.phase()), (Some("orders"), Some(3), Some(Phase::Sent)));
    }

    #[test]
    fn a_batch_that_was_never_sent_says_what_it_waited_for_and_that_it_is_not_written() {
        let topic: Arc<str> = "orders".into();
        let entry = entry(0, Fate::NotWritten, None);
        let about = About { topic: &topic, partition: 3, entry: &entry };
        let error = about.expired(Duration::from_millis(1500), || Error::from_code(ErrorCode(5)));
        assert_eq!(
            error.to_string(),
            "record for orders-3 not sent within delivery.timeout.ms (1500 ms): LEADER_NOT_AVAILABLE: the partition has no \
             leader at the moment"
        );
        assert!(!error.possibly_written());
        assert_eq!(error.phase(), Some(Phase::Buffered));
    }

    #[test]
    fn a_record_that_is_too_large_says_both_sizes() {
        let topic: Arc<str> = "orders".into();
        let entry = entry(1, Fate::NotWritten, Some((10, 1)));
        let about = About { topic: &topic, partition: 0, entry: &entry };
        let error = about.refused(BrokerId(1), Error::from_code(ErrorCode(10)), false);
        assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
        assert!(error.hint().unwrap().contains("bytes"), "{error}");
        assert!(!error.possibly_written());
    }
}
