//! What bytes mean: serializers and deserializers in Java's wire forms.
//!
//! All of them read and write; numbers are big-endian. Null is never serialized: it is the absence of a key or value.

use std::error::Error as StdError;
use std::fmt;

/// Any error of a serializer or deserializer.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Where a value is on its way out.
#[derive(Debug)]
#[non_exhaustive]
pub struct SerializeContext<'a> {
    topic: &'a str,
    key: bool,
}

impl<'a> SerializeContext<'a> {
    pub(crate) fn new(topic: &'a str, key: bool) -> Self {
        Self { topic, key }
    }
    /// The topic.
    pub fn topic(&self) -> &'a str {
        self.topic
    }
    /// Whether it is a key; else a value.
    pub fn is_key(&self) -> bool {
        self.key
    }
}

/// Where bytes came from.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeserializeContext<'a> {
    topic: &'a str,
    key: bool,
}

impl<'a> DeserializeContext<'a> {
    pub(crate) fn new(topic: &'a str, key: bool) -> Self {
        Self { topic, key }
    }
    /// The topic.
    pub fn topic(&self) -> &'a str {
        self.topic
    }
    /// Whether they are a key; else a value.
    pub fn is_key(&self) -> bool {
        self.key
    }
}

/// Turns values into bytes.
#[doc(alias = "org.apache.kafka.common.serialization.Serializer")]
pub trait Serializer<T: ?Sized>: Send + Sync {
    /// Appends the bytes of `value` to `out`. Never called for null.
    ///
    /// # Errors
    /// Why the value has no bytes: the record then fails with `ErrorKind::Serialize`.
    fn serialize(&self, cx: &mut SerializeContext<'_>, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError>;

    /// The Java class with the same wire form.
    fn java_class(&self) -> Option<&'static str> {
        None
    }
}

/// Turns bytes into values, which may borrow from them.
#[doc(alias = "org.apache.kafka.common.serialization.Deserializer")]
pub trait Deserializer: Send + Sync {
    /// What it makes.
    type Value<'b>;

    /// The value of these bytes. Never called for null.
    ///
    /// # Errors
    /// Why the bytes are no such value.
    fn deserialize<'b>(&self, cx: &DeserializeContext<'_>, bytes: &'b [u8]) -> Result<Self::Value<'b>, BoxError>;
}

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WrongLength {
    what: &'static str,
    wanted: usize,
    got: usize,
}

impl fmt::Display for WrongLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has {} bytes, not {}", self.what, self.wanted, self.got)
    }
}

impl StdError for WrongLength {}

fn exactly<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<[u8; N], BoxError> {
    bytes.try_into().map_err(|_| WrongLength { what, wanted: N, got: bytes.len() }.into())
}

/// Bytes as they are (`ByteArraySerializer`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw;

impl<T: AsRef<[u8]> + ?Sized> Serializer<T> for Raw {
    fn serialize(&self, _: &mut SerializeContext<'_>, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(value.as_ref());
        Ok(())
    }
    fn java_class(&self) -> Option<&'static str> {
        Some("org.apache.kafka.common.serialization.ByteArraySerializer")
    }
}

impl Deserializer for Raw {
    type Value<'b> = &'b [u8];
    fn deserialize<'b>(&self, _: &DeserializeContext<'_>, bytes: &'b [u8]) -> Result<&'b [u8], BoxError> {
        Ok(bytes)
    }
}

/// Text (`StringSerializer`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utf8;

impl<T: AsRef<str> + ?Sized> Serializer<T> for Utf8 {
    fn serialize(&self, _: &mut SerializeContext<'_>, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(value.as_ref().as_bytes());
        Ok(())
    }
    fn java_class(&self) -> Option<&'static str> {
        Some("org.apache.kafka.common.serialization.StringSerializer")
    }
}

impl Deserializer for Utf8 {
    type Value<'b> = &'b str;
    fn deserialize<'b>(&self, _: &DeserializeContext<'_>, bytes: &'b [u8]) -> Result<&'b str, BoxError> {
        Ok(std::str::from_utf8(bytes)?)
    }
}

macro_rules! numbers {
    ($($name:ident $ty:ty, $what:literal, $java:literal;)*) => { $(
        #[doc = concat!("`", stringify!($ty), "`, big-endian (`", $java, "Serializer`).")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl Serializer<$ty> for $name {
            fn serialize(&self, _: &mut SerializeContext<'_>, value: &$ty, out: &mut Vec<u8>) -> Result<(), BoxError> {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(())
            }
            fn java_class(&self) -> Option<&'static str> {
                Some(concat!("org.apache.kafka.common.serialization.", $java, "Serializer"))
            }
        }

        impl Deserializer for $name {
            type Value<'b> = $ty;
            fn deserialize(&self, _: &DeserializeContext<'_>, bytes: &[u8]) -> Result<$ty, BoxError> {
                Ok(<$ty>::from_be_bytes(exactly($what, bytes)?))
            }
        }
    )* };
}

numbers! {
    I16 i16, "a 16-bit integer", "Short";
    I32 i32, "a 32-bit integer", "Integer";
    I64 i64, "a 64-bit integer", "Long";
    F32 f32, "a 32-bit float", "Float";
    F64 f64, "a 64-bit float", "Double";
}

/// One byte, 0 or 1 (`BooleanSerializer`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bool;

impl Serializer<bool> for Bool {
    fn serialize(&self, _: &mut SerializeContext<'_>, value: &bool, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.push(u8::from(*value));
        Ok(())
    }
    fn java_class(&self) -> Option<&'static str> {
        Some("org.apache.kafka.common.serialization.BooleanSerializer")
    }
}

impl Deserializer for Bool {
    type Value<'b> = bool;
    fn deserialize(&self, _: &DeserializeContext<'_>, bytes: &[u8]) -> Result<bool, BoxError> {
        match exactly("a boolean", bytes)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(format!("a boolean is 0 or 1, not {other}").into()),
        }
    }
}

/// The text form of a UUID, 36 letters (`UUIDSerializer`). With feature `uuid` it takes `uuid::Uuid` too; bytes are the
/// 16 of the UUID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UuidBytes;

impl Serializer<[u8; 16]> for UuidBytes {
    fn serialize(&self, _: &mut SerializeContext<'_>, value: &[u8; 16], out: &mut Vec<u8>) -> Result<(), BoxError> {
        for (at, byte) in value.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                out.push(b'-');
            }
            out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
        }
        Ok(())
    }
    fn java_class(&self) -> Option<&'static str> {
        Some("org.apache.kafka.common.serialization.UUIDSerializer")
    }
}

#[cfg(feature = "uuid")]
impl Serializer<uuid::Uuid> for UuidBytes {
    fn serialize(&self, cx: &mut SerializeContext<'_>, value: &uuid::Uuid, out: &mut Vec<u8>) -> Result<(), BoxError> {
        self.serialize(cx, value.as_bytes(), out)
    }
    fn java_class(&self) -> Option<&'static str> {
        Serializer::<[u8; 16]>::java_class(self)
    }
}

impl Deserializer for UuidBytes {
    type Value<'b> = [u8; 16];
    fn deserialize(&self, _: &DeserializeContext<'_>, bytes: &[u8]) -> Result<[u8; 16], BoxError> {
        let text: [u8; 36] = exactly("the text of a UUID", bytes)?;
        let mut digits = text.iter().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
        let mut digit = || digits.next().and_then(|(_, c)| char::from(*c).to_digit(16));
        let mut out = [0u8; 16];
        for byte in &mut out {
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return Err("a UUID is written in hexadecimal digits".into());
            };
            *byte = (high << 4 | low) as u8;
        }
        match [8, 13, 18, 23].iter().all(|at| text.get(*at) == Some(&b'-')) {
            true => Ok(out),
            false => Err("a UUID has dashes after 8, 12, 16 and 20 digits".into()),
        }
    }
}

/// Always null (`VoidSerializer`): there is no value to serialize, and bytes are an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Null;

impl Serializer<()> for Null {
    fn serialize(&self, _: &mut SerializeContext<'_>, (): &(), _: &mut Vec<u8>) -> Result<(), BoxError> {
        Err("there is only null here: give None".into())
    }
    fn java_class(&self) -> Option<&'static str> {
        Some("org.apache.kafka.common.serialization.VoidSerializer")
    }
}

impl Deserializer for Null {
    type Value<'b> = ();
    fn deserialize(&self, _: &DeserializeContext<'_>, bytes: &[u8]) -> Result<(), BoxError> {
        Err(format!("{} bytes where only null may be", bytes.len()).into())
    }
}

/// JSON of one type.
#[cfg(feature = "json")]
pub struct Json<T>(std::marker::PhantomData<fn() -> T>);

#[cfg(feature = "json")]
impl<T> Json<T> {
    /// For a constant [`TypedTopic`](crate::TypedTopic).
    pub const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

#[cfg(feature = "json")]
mod json {
    use super::{BoxError, DeserializeContext, Deserializer, Json, SerializeContext, Serializer};

    impl<T> Default for Json<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T> Clone for Json<T> {
        fn clone(&self) -> Self {
            *self
        }
    }

    impl<T> Copy for Json<T> {}

    impl<T> std::fmt::Debug for Json<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Json")
        }
    }

    impl<T: serde::Serialize> Serializer<T> for Json<T> {
        fn serialize(&self, _: &mut SerializeContext<'_>, value: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
            Ok(serde_json::to_writer(out, value)?)
        }
    }

    impl<T: serde::de::DeserializeOwned> Deserializer for Json<T> {
        type Value<'b> = T;
        fn deserialize(&self, _: &DeserializeContext<'_>, bytes: &[u8]) -> Result<T, BoxError> {
            Ok(serde_json::from_slice(bytes)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round<S, T, D>(serde: &S, value: &T, wire: &[u8]) -> D
    where
        S: Serializer<T> + for<'b> Deserializer<Value<'b> = D>,
    {
        let mut out = Vec::new();
        serde.serialize(&mut SerializeContext::new("t", false), value, &mut out).unwrap();
        assert_eq!(out, wire);
        serde.deserialize(&DeserializeContext::new("t", false), wire).unwrap()
    }

    #[test]
    fn numbers_have_javas_wire_form() {
        assert_eq!(round(&I16, &-2i16, &[0xff, 0xfe]), -2);
        assert_eq!(round(&I32, &1i32, &[0, 0, 0, 1]), 1);
        assert_eq!(round(&I64, &256i64, &[0, 0, 0, 0, 0, 0, 1, 0]), 256);
        assert_eq!(round(&F32, &1.5f32, &[0x3f, 0xc0, 0, 0]), 1.5);
        assert_eq!(round(&F64, &-2.0f64, &[0xc0, 0, 0, 0, 0, 0, 0, 0]), -2.0);
        assert!(round(&Bool, &true, &[1]));
    }

    #[test]
    fn a_uuid_is_its_text() {
        let bytes: [u8; 16] = std::array::from_fn(|i| i as u8 * 17);
        assert_eq!(round(&UuidBytes, &bytes, b"00112233-4455-6677-8899-aabbccddeeff"), bytes);
        let cx = DeserializeContext::new("t", true);
        assert!(UuidBytes.deserialize(&cx, b"00112233x4455-6677-8899-aabbccddeeff").is_err());
        assert!(UuidBytes.deserialize(&cx, b"0011").is_err());
    }

    #[test]
    fn bytes_of_another_length_are_refused_with_both_lengths() {
        let error = I64.deserialize(&DeserializeContext::new("t", false), b"abc").unwrap_err().to_string();
        assert_eq!(error, "a 64-bit integer has 8 bytes, not 3");
    }
}
