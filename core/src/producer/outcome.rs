//! What an answer means for a batch: a pure table, (mode, batch, answer) to verdict.
//!
//! Two questions, never mixed (contracts A2): what to do next, and whether the records may be in the log. The second decides
//! exactly-once: only a batch that is certainly not written may get another stamp, be split, or be reported as not written.

use crate::ErrorCode;
use crate::error::{Action, Fate, produce_class};

/// A batch that so many brokers' checks called corrupt is corrupt here: Java goes on until `delivery.timeout.ms`.
const CORRUPT_ATTEMPTS: u32 = 5;

/// How this producer promises to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Batches carry stamps.
    pub(crate) idempotent: bool,
    /// How often a batch may be sent again.
    pub(crate) retries: u32,
}

/// What is known of the batch that an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// From the answers before this one.
    pub(crate) fate: Fate,
    /// Every doubt about it comes from brokers that refused it as not being the leader and named no offset.
    pub(crate) refused_only: bool,
    /// How often it was sent, this time included.
    pub(crate) attempts: u32,
    /// How many records.
    pub(crate) count: u32,
    /// No batch before it in its partition is unresolved.
    pub(crate) oldest: bool,
    /// Its window is closed: nothing more is sent under its stamp (contracts A3, A4).
    pub(crate) settling: bool,
    /// There is a codec for it that nobody has refused.
    pub(crate) recodable: bool,
}

/// What came back for one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A broker's answer: code and base offset, -1 if it named none.
    Code(ErrorCode, i64),
    /// The answer has no part for it.
    Missing,
    /// The connection ended after a byte of the request was taken, or the answer made no sense.
    Lost,
    /// Not one byte was taken.
    NotSent,
    /// Its last byte was taken, and no answer is due (acks=0).
    Silent,
}

/// What to do with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Acknowledged.
    Done { base_offset: Option<i64> },
    /// Back to its place in the queue, with its own stamp (rule 2).
    Again { backoff: bool },
    /// Back to its place; the window is closed and the batch gets a new stamp from the next one.
    Restamp { renew: bool },
    /// Its halves take its place (rule 8).
    Split,
    /// Packed by another codec it goes again, under its own stamp.
    Recode,
    /// Failed for good; a stamped batch closes its window (rule 11).
    Fail { renew: bool },
}

/// The whole verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) then: Then,
    /// What is known of its fate from now on.
    pub(crate) fate: Fate,
    pub(crate) refused_only: bool,
    /// The view may be wrong about the partition.
    pub(crate) stale: bool,
}

/// The table.
pub(crate) fn outcome(mode: Mode, batch: Known, answer: Answer) -> Verdict {
    let (action, this) = match answer {
        Answer::Code(code, base) if code.is_ok() => return done(Some(base)),
        // Rule 4: in the log already, and too far back for the broker to know where.
        Answer::Code(ErrorCode::DUPLICATE_SEQUENCE_NUMBER, base) if mode.idempotent => return done(Some(base)),
        Answer::Silent => return done(None),
        Answer::Code(code, base) => {
            let class = produce_class(code);
            // An offset means that this broker appended it, whatever it says beside (broker-data 3.1).
            (class.action, if base >= 0 { Fate::Unknown } else { class.fate })
        }
        Answer::Missing => (Action::Retry, Fate::Unknown),
        Answer::Lost => (Action::Refresh, Fate::Unknown),
        Answer::NotSent => (Action::Retry, Fate::NotWritten),
    };
    let refusal = matches!(answer, Answer::Code(_, -1)) && action == Action::Refresh;
    // Sticky (contracts A2): a later refusal says nothing about an earlier attempt.
    let fate = if batch.fate == Fate::Unknown { Fate::Unknown } else { this };
    let before = batch.fate != Fate::Unknown || batch.refused_only;
    let refused_only = fate == Fate::Unknown && before && (this != Fate::Unknown || refusal);
    let verdict = |then| Verdict { then, fate, refused_only, stale: action == Action::Refresh };
    let fail = verdict(Then::Fail { renew: false });
    let spent = batch.attempts > mode.retries;
    let code = match answer {
        Answer::Code(code, _) => Some(code),
        _ => None,
    };
    match action {
        _ if answer == Answer::NotSent => verdict(Then::Again { backoff: false }),
        Action::Retry | Action::Refresh | Action::Rediscover if spent => fail,
        Action::Retry if code == Some(ErrorCode::CORRUPT_MESSAGE) && batch.attempts >= CORRUPT_ATTEMPTS => fail,
        Action::Retry | Action::Refresh | Action::Rediscover => verdict(Then::Again { backoff: true }),
        // Contracts A24: the halves inherit the numbers, so the whole must not be in the log. Without idempotence a retry may
        // duplicate anyway.
        Action::Split if batch.count < 2 => fail,
        Action::Split if fate == Fate::Unknown && !refused_only && mode.idempotent => fail,
        Action::Split => verdict(Then::Split),
        Action::Fatal if batch.recodable && code == Some(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE) => {
            verdict(Then::Recode)
        }
        Action::Bump if !mode.idempotent => fail,
        Action::Bump if spent => fail,
        // Rule 5: out of order while an earlier batch is unresolved is that batch's trouble.
        Action::Bump if !batch.oldest || batch.settling => verdict(Then::Again { backoff: false }),
        // Contracts A23: a refusal is no proof of absence for a batch whose fate was unknown before.
        Action::Bump => {
            let renew = code == Some(ErrorCode::INVALID_PRODUCER_EPOCH);
            verdict(if fate == Fate::NotWritten { Then::Restamp { renew } } else { Then::Fail { renew } })
        }
        Action::Fatal => fail,
    }
}

fn done(base: Option<i64>) -> Verdict {
    // PR-43: no offset is no offset.
    let base_offset = base.filter(|base| *base >= 0);
    Verdict { then: Then::Done { base_offset }, fate: Fate::Written, refused_only: false, stale: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDEMPOTENT: Mode = Mode { idempotent: true, retries: u32::MAX };
    const PLAIN: Mode = Mode { idempotent: false, retries: u32::MAX };
    const FRESH: Known = Known {
        fate: Fate::NotWritten,
        refused_only: false,
        attempts: 1,
        count: 3,
        oldest: true,
        settling: false,
        recodable: false,
    };
    const DOUBTFUL: Known = Known { fate: Fate::Unknown, attempts: 2, ..FRESH };

    fn code(code: i16) -> Answer {
        Answer::Code(ErrorCode(code), -1)
    }

    #[test]
    fn success_and_duplicate_are_success_and_no_offset_is_none() {
        let ok = outcome(IDEMPOTENT, DOUBTFUL, Answer::Code(ErrorCode::NONE, 42));
        assert_eq!((ok.then, ok.fate), (Then::Done { base_offset: Some(42) }, Fate::Written));
        assert_eq!(outcome(IDEMPOTENT, FRESH, code(46)).then, Then::Done { base_offset: None });
        assert_eq!(outcome(IDEMPOTENT, FRESH, code(0)).then, Then::Done { base_offset: None });
        assert_eq!(outcome(PLAIN, FRESH, Answer::Silent).then, Then::Done { base_offset: None });
    }

    #[test]
    fn what_may_have_been_appended_is_unknown_and_goes_again_with_its_stamp() {
        for answer in [code(7), code(6), code(3), code(56), code(20), Answer::Missing, Answer::Lost] {
            let v = outcome(IDEMPOTENT, FRESH, answer);
            assert_eq!((v.then, v.fate), (Then::Again { backoff: true }, Fate::Unknown), "{answer:?}");
        }
        for answer in [code(-1), code(9999)] {
            assert_eq!(outcome(IDEMPOTENT, FRESH, answer).fate, Fate::Unknown, "{answer:?}");
        }
    }

    #[test]
    fn what_was_refused_before_the_append_is_not_written() {
        for answer in [code(19), code(100), code(10), code(87), code(2), code(29), Answer::NotSent] {
            assert_eq!(outcome(IDEMPOTENT, FRESH, answer).fate, Fate::NotWritten, "{answer:?}");
        }
    }

    #[test]
    fn an_offset_beside_an_error_means_that_it_was_appended() {
        let v = outcome(IDEMPOTENT, FRESH, Answer::Code(ErrorCode(19), 5));
        assert_eq!(v.fate, Fate::Unknown);
    }

    #[test]
    fn an_unknown_fate_is_not_cleared_by_a_later_refusal() {
        for answer in [code(19), code(87), code(10), code(45), Answer::NotSent] {
            assert_eq!(outcome(IDEMPOTENT, DOUBTFUL, answer).fate, Fate::Unknown, "{answer:?}");
        }
    }

    #[test]
    fn out_of_order_behind_an_unresolved_batch_is_a_retry() {
        let behind = Known { oldest: false, ..FRESH };
        let v = outcome(IDEMPOTENT, behind, code(45));
        assert_eq!((v.then, v.fate), (Then::Again { backoff: false }, Fate::NotWritten));
        let settling = Known { settling: true, ..FRESH };
        assert_eq!(outcome(IDEMPOTENT, settling, code(45)).then, Then::Again { backoff: false });
    }

    #[test]
    fn out_of_order_at_the_oldest_takes_a_new_stamp_only_if_it_is_certainly_not_written() {
        assert_eq!(outcome(IDEMPOTENT, FRESH, code(45)).then, Then::Restamp { renew: false });
        assert_eq!(outcome(IDEMPOTENT, FRESH, code(59)).then, Then::Restamp { renew: false });
        assert_eq!(outcome(IDEMPOTENT, FRESH, code(47)).then, Then::Restamp { renew: true });
        let v = outcome(IDEMPOTENT, DOUBTFUL, code(45));
        assert_eq!((v.then, v.fate), (Then::Fail { renew: false }, Fate::Unknown));
    }

    #[test]
    fn a_batch_is_split_only_if_its_halves_cannot_meet_it_in_the_log() {
        assert_eq!(outcome(IDEMPOTENT, FRESH, code(10)).then, Then::Split);
        assert_eq!(outcome(IDEMPOTENT, DOUBTFUL, code(10)).then, Then::Fail { renew: false });
        let refused = Known { refused_only: true, ..DOUBTFUL };
        assert_eq!(outcome(IDEMPOTENT, refused, code(10)).then, Then::Split);
        assert_eq!(outcome(PLAIN, DOUBTFUL, code(10)).then, Then::Split);
        let single = Known { count: 1, ..FRESH };
        assert_eq!(outcome(IDEMPOTENT, single, code(10)).then, Then::Fail { renew: false });
    }

    #[test]
    fn doubt_by_refusals_alone_ends_with_any_other_doubt() {
        let v = outcome(IDEMPOTENT, FRESH, code(6));
        assert!(v.refused_only && v.stale);
        let next = Known { fate: v.fate, refused_only: v.refused_only, ..DOUBTFUL };
        assert!(outcome(IDEMPOTENT, next, code(19)).refused_only);
        assert!(!outcome(IDEMPOTENT, next, Answer::Lost).refused_only);
        assert!(!outcome(IDEMPOTENT, FRESH, Answer::Code(ErrorCode(6), 2)).refused_only);
        assert!(!outcome(IDEMPOTENT, DOUBTFUL, code(6)).refused_only);
    }

    #[test]
    fn retries_end_retrying_but_not_what_was_never_sent() {
        let mode = Mode { retries: 1, ..IDEMPOTENT };
        assert_eq!(outcome(mode, FRESH, code(19)).then, Then::Again { backoff: true });
        assert_eq!(outcome(mode, DOUBTFUL, code(19)).then, Then::Fail { renew: false });
        assert_eq!(outcome(mode, DOUBTFUL, Answer::NotSent).then, Then::Again { backoff: false });
    }

    #[test]
    fn a_batch_damaged_on_its_way_goes_again_but_not_for_ever() {
        let v = outcome(IDEMPOTENT, FRESH, code(2));
        assert_eq!((v.then, v.fate), (Then::Again { backoff: true }, Fate::NotWritten));
        let often = Known { attempts: CORRUPT_ATTEMPTS, ..FRESH };
        assert_eq!(outcome(IDEMPOTENT, often, code(2)).then, Then::Fail { renew: false });
        assert_eq!(outcome(PLAIN, FRESH, code(2)).then, Then::Again { backoff: true });
    }

    #[test]
    fn without_idempotence_sequence_errors_are_final() {
        assert_eq!(outcome(PLAIN, FRESH, code(45)).then, Then::Fail { renew: false });
    }

    #[test]
    fn a_refused_codec_is_final_only_if_there_is_no_other_one() {
        assert_eq!(outcome(IDEMPOTENT, FRESH, code(76)).then, Then::Fail { renew: false });
        let v = outcome(IDEMPOTENT, Known { recodable: true, ..FRESH }, code(76));
        assert_eq!((v.then, v.fate), (Then::Recode, Fate::NotWritten));
        // Under its own stamp it can be sent again even if an earlier attempt is in the log.
        let v = outcome(IDEMPOTENT, Known { recodable: true, ..DOUBTFUL }, code(76));
        assert_eq!((v.then, v.fate), (Then::Recode, Fate::Unknown));
        let v = outcome(IDEMPOTENT, Known { recodable: true, ..FRESH }, code(87));
        assert_eq!(v.then, Then::Fail { renew: false }, "another refusal");
    }

    #[test]
    fn definite_refusals_are_final() {
        for number in [87, 29, 31, 32, 17, 21, 48, 49, 53, 90] {
            let v = outcome(IDEMPOTENT, FRESH, code(number));
            assert_eq!(v.then, Then::Fail { renew: false }, "{number}");
        }
    }
}
