//! Durations as `java.time.Duration` writes them: `PT1H`, `P2DT3H4M`, `PT0.5S`.

use std::time::Duration;

/// Reads `PnDTnHnMn.nS`; every part may be missing, not all of them. Negative durations are no durations here.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix(['P', 'p'])?;
    let (date, time) = match rest.split_once(['T', 't']) {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    for (part, units) in [(date, &[('d', 86_400)][..]), (time, &[('h', 3600), ('m', 60), ('s', 1)][..])] {
        let mut rest = part;
        for (letter, seconds) in units {
            let Some(end) = rest.find(|c: char| c.eq_ignore_ascii_case(letter)) else { continue };
            let (number, tail) = (&rest[..end], &rest[end + 1..]);
            total = total.checked_add(amount(number, *seconds)?)?;
            rest = tail;
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Some(total)
}

fn amount(number: &str, seconds: u64) -> Option<Duration> {
    let (whole, part) = match number.split_once(['.', ',']) {
        Some((whole, part)) if seconds == 1 && part.len() <= 9 => (whole, part),
        Some(_) => return None,
        None => (number, ""),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let whole = whole.strip_prefix('+').unwrap_or(whole);
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let nanos = format!("{part:0<9}").parse().ok()?;
    Some(Duration::new(whole.parse::<u64>().ok()?.checked_mul(seconds)?, nanos))
}

/// Writes what [`parse`] reads, and Java's `Duration.toString` for whole hours, minutes and seconds.
pub(super) fn write(duration: Duration) -> String {
    let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let (hours, minutes, seconds) = (secs / 3600, secs / 60 % 60, secs % 60);
    let mut text = String::from("PT");
    for (count, letter) in [(hours, 'H'), (minutes, 'M')] {
        if count > 0 {
            text.push_str(&format!("{count}{letter}"));
        }
    }
    if nanos > 0 {
        text.push_str(&format!("{seconds}.{}S", format!("{nanos:09}").trim_end_matches('0')));
    } else if seconds > 0 || secs == 0 {
        text.push_str(&format!("{seconds}S"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_java_reads_them() {
        let secs = |s| Some(Duration::from_secs(s));
        assert_eq!(parse("PT1H"), secs(3600));
        assert_eq!(parse("P2DT3H4M5S"), secs(2 * 86_400 + 3 * 3600 + 4 * 60 + 5));
        assert_eq!(parse("p1d"), secs(86_400));
        assert_eq!(parse("PT0.5S"), Some(Duration::from_millis(500)));
        assert_eq!(parse("PT36H"), secs(36 * 3600));
        assert_eq!(parse("PT+1M"), secs(60));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "P", "PT", "1H", "P1H", "PT1D", "PT1S1M", "PT-1S", "PT1.5M", "PTS", "PT1", "P99999999999999999D"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for millis in [0, 1, 999, 1000, 60_000, 3_600_000, 90_061_001, 86_400_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse(&write(duration)), Some(duration), "{}", write(duration));
        }
        assert_eq!(write(Duration::from_secs(3600)), "PT1H");
        assert_eq!(write(Duration::ZERO), "PT0S");
    }
}
