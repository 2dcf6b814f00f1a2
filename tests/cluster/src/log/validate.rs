//! The checks between a request and the log, in a real broker's order (broker-data 3.5, 3.6, 3.15 to 3.23).

use super::batch::{self, HEADER, OVERHEAD, Raw};
use crate::configs::Policy;
use klamm_core::ErrorCode;

/// Why a partition's records were not appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// Whether the answer tells the log start offset (the table's column "start").
    pub(crate) tells_start: bool,
    pub(crate) message: Option<String>,
    pub(crate) records: Vec<(i32, String)>,
}

impl Refusal {
    pub(crate) fn bare(code: ErrorCode) -> Self {
        Self { code, ..Self::default() }
    }

    pub(crate) fn with_start(code: ErrorCode) -> Self {
        Self { code, tells_start: true, ..Self::default() }
    }
}

/// 3.1: whether the first batch is so malformed that the whole request fails.
pub(crate) fn is_malformed(records: &[u8]) -> bool {
    let short = batch::announced(records).is_some_and(|size| size < OVERHEAD + 14);
    let negative = records.len() >= OVERHEAD && batch::announced(records).is_none();
    short || negative || records.get(16).is_some_and(|magic| *magic > 2)
}

/// 3.5, 3.6: exactly one complete batch of magic 2; an incomplete tail is dropped silently (3, note 9).
pub(crate) fn only_batch(records: &[u8], version: i16) -> Result<Raw<'_>, Refusal> {
    let invalid = || Refusal::bare(ErrorCode::INVALID_RECORD);
    let size = batch::announced(records).filter(|n| *n <= records.len()).ok_or_else(invalid)?;
    if records.get(16) != Some(&2) || size < HEADER {
        return Err(invalid());
    }
    let (first, rest) = Raw::split(records).ok_or_else(invalid)?;
    if first.codec() == 4 && version < 7 {
        return Err(Refusal::bare(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE));
    }
    if is_malformed(rest) {
        return Err(Refusal::bare(ErrorCode::CORRUPT_MESSAGE));
    }
    if batch::announced(rest).is_some_and(|n| n <= rest.len()) {
        return Err(invalid());
    }
    Ok(first)
}

/// 3.15 to 3.21: the batch itself, under the topic's rules, at `wall` (ms).
pub(crate) fn validate(raw: Raw<'_>, policy: &Policy, wall: i64) -> Result<(), Refusal> {
    if raw.base_offset() != 0 {
        return Err(Refusal::with_start(ErrorCode::INVALID_RECORD));
    }
    if raw.bytes().len() as i64 > policy.max_message_bytes {
        return Err(Refusal::bare(ErrorCode::MESSAGE_TOO_LARGE));
    }
    if !raw.crc_matches() {
        return Err(Refusal::bare(ErrorCode::CORRUPT_MESSAGE));
    }
    let counted = raw.last_offset_delta().checked_add(1) == Some(raw.count()) && raw.count() > 0;
    let unsequenced = raw.producer_id() >= 0 && raw.base_sequence() < 0;
    if !counted || raw.is_control() || unsequenced {
        return Err(Refusal::with_start(ErrorCode::INVALID_RECORD));
    }
    let plain = raw.unpack().map_err(|_| Refusal::with_start(ErrorCode::UNKNOWN_SERVER_ERROR))?;
    let marked = policy.log_append_time && raw.is_log_append_time();
    let mut faults: Vec<(i32, &str)> = Vec::new();
    let mut code = ErrorCode::NONE;
    let mut count = 0;
    for record in batch::records(&plain) {
        let Ok(record) = record else { return Err(Refusal::with_start(ErrorCode::INVALID_RECORD)) };
        let timestamp = raw.base_timestamp().wrapping_add(record.timestamp_delta);
        let early = wall.saturating_sub(policy.timestamp_before_max);
        let late = wall.saturating_add(policy.timestamp_after_max);
        if marked || (!policy.log_append_time && !(early..=late).contains(&timestamp)) {
            faults.push((count, "the timestamp is out of range"));
            code = ErrorCode::INVALID_TIMESTAMP;
        } else if policy.compacted && record.key.is_none() {
            faults.push((count, "compacted topic cannot accept message without key"));
            // 3.21: 32 wins if any record has it.
            if code.is_ok() {
                code = ErrorCode::INVALID_RECORD;
            }
        }
        count += 1;
    }
    if count != raw.count() {
        return Err(Refusal::with_start(ErrorCode::INVALID_RECORD));
    }
    if !code.is_ok() {
        let records = faults.into_iter().map(|(index, text)| (index, text.to_owned())).collect();
        let message = Some("One or more records have been rejected".to_owned());
        return Err(Refusal { code, tells_start: true, message, records });
    }
    if raw.bytes().len() as i64 > policy.segment_bytes {
        return Err(Refusal::bare(ErrorCode::RECORD_LIST_TOO_LARGE));
    }
    Ok(())
}
