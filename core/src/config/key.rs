//! What one configuration key is: names, type, default, range, and how far klamm has it.

/// The type of a key's value, in Java's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// 16 bits.
    Short,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// Any text.
    Text,
    /// Texts with commas between them.
    List,
    /// A text that is never shown.
    Password,
    /// The name of a Java class, for which klamm takes its own counterpart.
    Class,
}

/// Which values a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// All of its kind.
    Any,
    /// Whole numbers from here to there, both included.
    Whole(i64, i64),
    /// The same, or this one number.
    WholeOr(i64, i64, i64),
    /// Numbers from here to there, both included.
    Real(f64, f64),
    /// One of these words, in lower case, whatever the case of the value.
    Words(&'static [&'static str]),
    /// A text that is not empty.
    NonEmpty,
    /// What [`OffsetReset`](super::OffsetReset) spells.
    Reset,
    /// What [`StartOffset`](super::StartOffset) spells.
    Start,
}

/// Which part of the client a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The connection, shared by all roles.
    Client,
    /// Producers.
    Producer,
    /// Consumers.
    Consumer,
}

impl Section {
    /// In lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// How far klamm has a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does what it says.
    Supported,
    /// Understood; klamm need not do anything for it. Why.
    Accepted(&'static str),
    /// Known, but without effect: a warning. Why.
    Unsupported(&'static str),
    /// Known, and too important to be ignored: an error, unless the value is the default. Why.
    Refused(&'static str),
    /// Part of TLS or SASL, which this version does not have yet: an error wherever the alternative would be to talk
    /// in the clear without having been told to.
    Security,
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The Java client.
    Java,
    /// librdkafka; Java has nothing like it.
    Librdkafka,
    /// klamm itself.
    Klamm,
}

/// Another name of a key, mostly librdkafka's.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The name.
    pub name: &'static str,
    /// What a number given under this name is multiplied with.
    pub scale: i64,
    /// Values that mean something else under this name, and what they mean.
    pub values: &'static [(&'static str, &'static str)],
}

/// One row of the table of keys.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Key {
    /// Its name in Java's properties.
    pub name: &'static str,
    /// Its other names.
    pub aliases: &'static [Alias],
    /// Where it belongs.
    pub section: Section,
    /// The type of its value.
    pub kind: Kind,
    /// `ms`, `bytes`, `s`, or nothing.
    pub unit: &'static str,
    /// The value if it is not set: that of the Java client 4.4 unless the documentation says otherwise.
    pub default: Option<&'static str>,
    /// The value of the preset for Kafka 2.5, where it differs.
    pub kafka_2_5: Option<&'static str>,
    /// Which values it takes.
    pub range: Range,
    /// Words that stand for a value.
    pub synonyms: &'static [(&'static str, &'static str)],
    /// How far klamm has it.
    pub status: Status,
    /// Where it comes from.
    pub source: Source,
    /// The field of the validated configuration that it goes into; empty if there is none.
    pub field: &'static str,
    /// What it does.
    pub doc: &'static str,
}

impl Key {
    /// A supported key of Java's, without default.
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        let range = match kind {
            Kind::Short => Range::Whole(i16::MIN as i64, i16::MAX as i64),
            Kind::Int => Range::Whole(i32::MIN as i64, i32::MAX as i64),
            Kind::Long => Range::Whole(i64::MIN, i64::MAX),
            _ => Range::Any,
        };
        Self {
            name,
            aliases: &[],
            section: Section::Client,
            kind,
            unit: unit_of(name),
            default: None,
            kafka_2_5: None,
            range,
            synonyms: &[],
            status: Status::Supported,
            source: Source::Java,
            field: "",
            doc: "",
        }
    }
    pub(super) const fn default(mut self, value: Option<&'static str>) -> Self {
        self.default = value;
        self
    }
    pub(super) const fn kafka_2_5(mut self, value: &'static str) -> Self {
        self.kafka_2_5 = Some(value);
        self
    }
    /// Whole numbers from `low` on.
    pub(super) const fn min(mut self, low: i64) -> Self {
        self.range = match self.range {
            Range::Whole(_, high) => Range::Whole(low, high),
            other => other,
        };
        self
    }
    pub(super) const fn range(mut self, range: Range) -> Self {
        self.range = range;
        self
    }
    pub(super) const fn words(self, words: &'static [&'static str]) -> Self {
        self.range(Range::Words(words))
    }
    pub(super) const fn bytes(mut self) -> Self {
        self.unit = "bytes";
        self
    }
    pub(super) const fn aliases(mut self, aliases: &'static [Alias]) -> Self {
        self.aliases = aliases;
        self
    }
    pub(super) const fn synonyms(mut self, synonyms: &'static [(&'static str, &'static str)]) -> Self {
        self.synonyms = synonyms;
        self
    }
    pub(super) const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }
    pub(super) const fn klamm(mut self) -> Self {
        self.source = Source::Klamm;
        self
    }
    pub(super) const fn librdkafka(mut self) -> Self {
        self.source = Source::Librdkafka;
        self
    }
    pub(super) const fn field(mut self, field: &'static str) -> Self {
        self.field = field;
        self
    }
    pub(super) const fn placed(mut self, section: Section, doc: &'static str) -> Self {
        self.section = section;
        self.doc = doc;
        self
    }

    /// The default under these defaults.
    pub const fn default_in(&self, defaults: super::Defaults) -> Option<&'static str> {
        match (defaults, self.kafka_2_5) {
            (super::Defaults::Kafka25, Some(old)) => Some(old),
            _ => self.default,
        }
    }

    /// Whether a section may set it for itself: its own keys, and what every role of Java's has for itself.
    pub fn is_of(&self, section: Section) -> bool {
        self.section == section
            || (self.section == Section::Client && PER_ROLE.contains(&self.name))
            || (section == Section::Producer && WITH_PRODUCER.contains(&self.name))
    }

    /// Checks a value given under this key's own name.
    ///
    /// # Errors
    /// Says in words what the value should be.
    pub fn check(&self, text: &str) -> Result<(), String> {
        super::value::check(self, &super::keys::translate(self, self.name, text))
    }

    /// Whether its value is never shown.
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Password)
    }
}

/// Keys of the connection that a producer or consumer may set for itself.
pub(super) const PER_ROLE: &[&str] = &[
    "request.timeout.ms",
    "default.api.timeout.ms",
    "retry.backoff.ms",
    "retry.backoff.max.ms",
    "client.rack",
    "metadata.max.age.ms",
];

/// Keys of consumers that producers have too; set for all, they count for both.
pub(super) const WITH_PRODUCER: &[&str] = &["allow.auto.create.topics", "interceptor.classes"];

impl Alias {
    /// Another name for the same values.
    pub(super) const fn of(name: &'static str) -> Self {
        Self { name, scale: 1, values: &[] }
    }
    pub(super) const fn scale(mut self, scale: i64) -> Self {
        self.scale = scale;
        self
    }
    pub(super) const fn values(mut self, values: &'static [(&'static str, &'static str)]) -> Self {
        self.values = values;
        self
    }
}

const fn ends_with(name: &str, tail: &str) -> bool {
    let (name, tail) = (name.as_bytes(), tail.as_bytes());
    if name.len() < tail.len() {
        return false;
    }
    let mut at = 0;
    while at < tail.len() {
        if name[name.len() - tail.len() + at] != tail[at] {
            return false;
        }
        at += 1;
    }
    true
}

const fn unit_of(name: &str) -> &'static str {
    if ends_with(name, ".ms") {
        "ms"
    } else if ends_with(name, ".bytes") {
        "bytes"
    } else if ends_with(name, ".seconds") {
        "s"
    } else {
        ""
    }
}
