//! Between the text of a property and a typed value, both ways.

use super::{
    Acks, Address, Assignor, BufferSize, DnsLookup, IsolationLevel, Key, Kind, MetadataRecovery, OffsetReset, Range,
    StartOffset, TimestampPrecision, iso8601,
};
use std::sync::Arc;
use std::time::Duration;

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// Reads a text that [`check`] has let pass; `None` if it is nevertheless no value of this type.
    fn read(text: &str) -> Option<Self>;
    /// The text that [`Value::read`] reads as this.
    fn write(&self) -> String;
}

/// Checks a value's kind and range; says in words what it should be.
pub(super) fn check(key: &Key, text: &str) -> Result<(), String> {
    match key.kind {
        Kind::Bool => match bool::read(text) {
            Some(_) => Ok(()),
            None => Err("is neither true nor false".into()),
        },
        Kind::Short | Kind::Int | Kind::Long => check_whole(key, text),
        Kind::Double => match (text.parse::<f64>(), key.range) {
            (Ok(x), Range::Real(low, high)) if !(low..=high).contains(&x) => {
                Err(format!("is not between {low} and {high}"))
            }
            (Ok(_), _) => Ok(()),
            (Err(_), _) => Err("is not a number".into()),
        },
        Kind::Text | Kind::List | Kind::Password | Kind::Class => match key.range {
            Range::Words(words) if !words.contains(&text.to_ascii_lowercase().as_str()) => {
                Err(format!("is not one of {}", words.join(", ")))
            }
            Range::NonEmpty if text.is_empty() => Err("is empty".into()),
            Range::Reset if OffsetReset::read(text).is_none() => {
                Err("is not one of latest, earliest, none, by_duration:PnDTnHnMn.nS".into())
            }
            Range::Start if StartOffset::read(text).is_none() => {
                Err("is not one of reset, latest, earliest, by_duration:PnDTnHnMn.nS, timestamp:milliseconds".into())
            }
            _ => Ok(()),
        },
    }
}

fn check_whole(key: &Key, text: &str) -> Result<(), String> {
    // Times may have a fraction, as librdkafka's have: 0.5 ms.
    let whole = if key.unit == "ms" { text.split('.').next().unwrap_or(text) } else { text };
    let Ok(number) = whole.parse::<i64>() else {
        let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        return Err(if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            "is beyond 64 bits".into()
        } else {
            "is not a whole number".into()
        });
    };
    if key.unit == "ms" && Duration::read(text).is_none() && number >= 0 {
        return Err("is not a number of milliseconds".into());
    }
    let (low, high, or) = match key.range {
        Range::Whole(low, high) => (low, high, None),
        Range::WholeOr(low, high, or) => (low, high, Some(or)),
        _ => return Ok(()),
    };
    if (low..=high).contains(&number) || or == Some(number) {
        return Ok(());
    }
    let or = or.map_or_else(String::new, |or| format!(", and not {or}"));
    Err(match (low, high) {
        (low, i64::MAX) => format!("is below {low}{or}"),
        _ => format!("is not between {low} and {high}{or}"),
    })
}

/// The parts of a list, as Java splits it: blanks around the commas do not count.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

impl Value for bool {
    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Some(true),
            "false" | "f" | "0" => Some(false),
            _ => None,
        }
    }
    fn write(&self) -> String {
        self.to_string()
    }
}

macro_rules! numbers {
    ($($ty:ty)*) => { $(
        impl Value for $ty {
            fn read(text: &str) -> Option<Self> {
                text.parse::<i64>().ok()?.try_into().ok()
            }
            fn write(&self) -> String {
                self.to_string()
            }
        }
    )* };
}
numbers! { i32 u32 u64 usize }

/// Milliseconds, with up to six digits behind the point.
impl Value for Duration {
    fn read(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        if part.len() > 6 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let nanos = format!("{part:0<6}").parse::<u64>().ok()?;
        Self::from_millis(whole.parse().ok()?).checked_add(Self::from_nanos(nanos))
    }
    fn write(&self) -> String {
        match self.subsec_nanos() % 1_000_000 {
            0 => self.as_millis().to_string(),
            nanos => format!("{}.{}", self.as_millis(), format!("{nanos:06}").trim_end_matches('0')),
        }
    }
}

/// Milliseconds; a negative number is "never".
impl Value for Option<Duration> {
    fn read(text: &str) -> Option<Self> {
        if text.starts_with('-') { Some(None) } else { Duration::read(text).map(Some) }
    }
    fn write(&self) -> String {
        self.map_or_else(|| "-1".into(), |d| d.write())
    }
}

impl Value for Arc<str> {
    fn read(text: &str) -> Option<Self> {
        Some(text.into())
    }
    fn write(&self) -> String {
        self.to_string()
    }
}

/// Text; none at all is "not set".
impl Value for Option<Arc<str>> {
    fn read(text: &str) -> Option<Self> {
        Some((!text.is_empty()).then(|| text.into()))
    }
    fn write(&self) -> String {
        self.as_deref().unwrap_or_default().into()
    }
}

impl Value for BufferSize {
    fn read(text: &str) -> Option<Self> {
        match text.parse::<i64>().ok()? {
            ..0 => Some(Self::Os),
            size => size.try_into().ok().map(Self::Bytes),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::Os => "-1".into(),
            Self::Bytes(size) => size.to_string(),
        }
    }
}

macro_rules! words {
    ($( $ty:ty { $($word:literal $(| $other:literal)* => $value:path),+ $(,)? } )*) => { $(
        impl Value for $ty {
            fn read(text: &str) -> Option<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $( $word $(| $other)* => Some($value), )+
                    _ => None,
                }
            }
            fn write(&self) -> String {
                match self { $( $value => $word, )+ }.into()
            }
        }
    )* };
}
words! {
    Acks { "0" => Acks::Zero, "1" => Acks::One, "all" | "-1" => Acks::All }
    IsolationLevel {
        "read_uncommitted" => IsolationLevel::ReadUncommitted,
        "read_committed" => IsolationLevel::ReadCommitted,
    }
    DnsLookup {
        "use_all_dns_ips" => DnsLookup::UseAllDnsIps,
        "resolve_canonical_bootstrap_servers_only" => DnsLookup::ResolveCanonicalBootstrapServersOnly,
    }
    MetadataRecovery { "rebootstrap" => MetadataRecovery::Rebootstrap, "none" => MetadataRecovery::None }
    TimestampPrecision { "coarse" => TimestampPrecision::Coarse, "exact" => TimestampPrecision::Exact }
    super::Defaults { "4.4" => super::Defaults::Kafka44, "2.5" => super::Defaults::Kafka25 }
}

impl Value for OffsetReset {
    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            "none" => Some(Self::None),
            other => iso8601::parse(other.strip_prefix("by_duration:")?).map(Self::ByDuration),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::Earliest => "earliest".into(),
            Self::Latest => "latest".into(),
            Self::None => "none".into(),
            Self::ByDuration(age) => format!("by_duration:{}", iso8601::write(*age)),
        }
    }
}

impl Value for StartOffset {
    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "reset" => Some(Self::AsReset),
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            other => match other.strip_prefix("timestamp:") {
                Some(millis) => millis.parse().ok().map(|millis| Self::Timestamp(crate::Timestamp(millis))),
                None => iso8601::parse(other.strip_prefix("by_duration:")?).map(Self::ByDuration),
            },
        }
    }
    fn write(&self) -> String {
        match self {
            Self::AsReset => "reset".into(),
            Self::Earliest => "earliest".into(),
            Self::Latest => "latest".into(),
            Self::ByDuration(age) => format!("by_duration:{}", iso8601::write(*age)),
            Self::Timestamp(millis) => format!("timestamp:{millis}"),
        }
    }
}

/// Comma-separated, in the order given, each once.
impl Value for Vec<Address> {
    fn read(text: &str) -> Option<Self> {
        let mut all = Self::new();
        for part in list(text) {
            let address = Address::parse(part).ok()?;
            if !all.contains(&address) {
                all.push(address);
            }
        }
        Some(all)
    }
    fn write(&self) -> String {
        self.iter().map(Address::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Value for Vec<Assignor> {
    fn read(text: &str) -> Option<Self> {
        Some(list(text).map(super::classes::assignor).collect())
    }
    fn write(&self) -> String {
        self.iter().map(Assignor::name).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys;
    use super::*;

    fn checked(name: &str, text: &str) -> Result<(), String> {
        check(keys::named(name), text)
    }

    #[test]
    fn a_value_of_the_wrong_kind_or_out_of_range_is_told_in_words() {
        for (name, text, why) in [
            ("linger.ms", "soon", "is not a whole number"),
            ("linger.ms", "", "is not a whole number"),
            ("linger.ms", "-1", "is below 0"),
            ("linger.ms", "1.x", "is not a number of milliseconds"),
            ("linger.ms", "99999999999999999999", "is beyond 64 bits"),
            ("request.timeout.ms", "3000000000", "is not between 0 and 2147483647"),
            ("batch.size", "1.5", "is not a whole number"),
            ("metadata.max.idle.ms", "4999", "is below 5000"),
            ("compression.gzip.level", "0", "is not between 1 and 9, and not -1"),
            ("enable.idempotence", "maybe", "is neither true nor false"),
            ("acks", "2", "is not one of all, -1, 0, 1"),
            ("group.instance.id", "", "is empty"),
            ("sasl.login.refresh.window.factor", "2", "is not between 0.5 and 1"),
            ("sasl.login.refresh.window.factor", "x", "is not a number"),
        ] {
            assert_eq!(checked(name, text), Err(why.into()), "{name}={text}");
        }
        for (name, text) in [
            ("linger.ms", "0"),
            ("linger.ms", "0.5"),
            ("compression.gzip.level", "-1"),
            ("connections.max.idle.ms", "-1"),
            ("acks", "ALL"),
            ("security.protocol", "sasl_ssl"),
            ("enable.idempotence", "TRUE"),
            ("retries", "2147483647"),
        ] {
            assert_eq!(checked(name, text), Ok(()), "{name}={text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        fn both<T: Value + PartialEq + std::fmt::Debug>(values: impl IntoIterator<Item = T>) {
            for value in values {
                let text = value.write();
                assert_eq!(T::read(&text), Some(value), "{text}");
            }
        }
        both([true, false]);
        both([Acks::Zero, Acks::One, Acks::All]);
        both([Duration::ZERO, Duration::from_millis(5), Duration::from_micros(500), Duration::from_nanos(1_000_001)]);
        both([None, Some(Duration::from_secs(9))]);
        both([BufferSize::Os, BufferSize::Bytes(0), BufferSize::Bytes(131_072)]);
        both([OffsetReset::Earliest, OffsetReset::None, OffsetReset::ByDuration(Duration::from_secs(90_061))]);
        both([
            StartOffset::AsReset,
            StartOffset::Timestamp(crate::Timestamp(-1)),
            StartOffset::ByDuration(Duration::from_millis(1)),
        ]);
        both([vec![Assignor::Range, Assignor::CooperativeSticky, Assignor::Custom("mine".into())]]);
        both([IsolationLevel::ReadCommitted, IsolationLevel::ReadUncommitted]);
        both([MetadataRecovery::Rebootstrap, MetadataRecovery::None]);
        both([0_usize, 1, 67_108_864]);
    }

    #[test]
    fn numbers_that_do_not_fit_are_no_values() {
        assert_eq!(u32::read("4294967296"), None);
        assert_eq!(i32::read("-2147483649"), None);
        assert_eq!(Duration::read("-1"), None);
        assert_eq!(Duration::read("1.0000001"), None);
        assert_eq!(Duration::read("1.5"), Some(Duration::from_micros(1500)));
    }
}
