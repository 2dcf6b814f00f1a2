//! The broker's error table: number, name, meaning, class.

use super::ErrorKind;
use std::fmt;

/// An error code as a broker sends it. Numbers that this table does not know are kept.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

macro_rules! codes {
    ($( $number:literal $name:ident $kind:ident $retriable:literal $meaning:literal; )*) => {
        impl ErrorCode {
            $( #[doc = concat!($meaning, ".")] pub const $name: Self = Self($number); )*

            /// Its name in the protocol guide.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $( $number => Some(stringify!($name)), )* _ => None }
            }
            /// What it means.
            pub fn describe(self) -> Option<&'static str> {
                match self.0 { $( $number => Some($meaning), )* _ => None }
            }
            /// The kind of error that it becomes.
            pub fn kind(self) -> ErrorKind {
                match self.0 { $( $number => ErrorKind::$kind, )* _ => ErrorKind::Broker }
            }
            /// Whether the protocol guide lists it as retriable; unknown codes are not.
            pub fn is_retriable(self) -> bool {
                match self.0 { $( $number => $retriable, )* _ => false }
            }
            /// Every code of the table.
            pub const ALL: &'static [Self] = &[ $( Self($number), )* ];
        }
    };
}

codes! {
    -1 UNKNOWN_SERVER_ERROR Broker false "the broker failed in a way it has no code for";
    0 NONE Broker false "no error";
    1 OFFSET_OUT_OF_RANGE NoOffset false "the offset is outside the partition's log";
    2 CORRUPT_MESSAGE Corrupt true "a record batch failed its checksum or is malformed";
    3 UNKNOWN_TOPIC_OR_PARTITION UnknownTopic true "this broker does not host the topic or partition";
}

impl ErrorCode {
    /// Whether it stands for success.
    pub fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.0)
    }
}
