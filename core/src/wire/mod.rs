//! Bytes on the wire: primitives, messages, frames, versions.
//!
//! Messages are declared in the `messages!` notation (`notation.rs`), one file per API, and read like the protocol guide. Whatever is
//! read comes from the network: a [`Reader`] never believes a length, and memory is only allocated for bytes that are there.

mod error;
pub mod fetch;
pub mod frame;
#[macro_use]
mod notation;
pub mod messages;
pub(crate) mod primitive;
pub mod produce;
mod reader;
mod schema;
mod uuid;
mod versions;
mod writer;

pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use reader::Reader;
#[doc(hidden)]
pub use schema::Field;
pub use uuid::Uuid;
pub use versions::{ApiKey, ApiRanges, Declared, decode_api_versions};
pub use writer::Writer;

use bytes::Bytes;

/// A version of a message, and whether it is a flexible one (KIP-482: compact lengths and tagged fields).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: i16,
    /// Whether lengths are compact and structures end in tagged fields.
    pub flexible: bool,
}

/// A value that has a form on the wire: a primitive, a structure, an array of them.
pub trait Wire: Sized {
    /// The fields of a structure, for tests that compare them with Kafka's.
    #[doc(hidden)]
    const FIELDS: &'static [Field] = &[];

    /// The least number of bytes that a value takes in this version.
    fn min_size(v: Version) -> usize;

    /// Writes it; what cannot be written leaves an error in `w`.
    fn put(&self, w: &mut Writer, v: Version);

    /// Reads it.
    fn get(r: &mut Reader<'_>, v: Version) -> Result<Self, DecodeError>;

    /// Reads `n` of them; the caller has checked that `n` are possible.
    fn get_many(r: &mut Reader<'_>, v: Version, n: usize) -> Result<Vec<Self>, DecodeError> {
        let mut all = Vec::with_capacity(n);
        for _ in 0..n {
            all.push(Self::get(r, v)?);
        }
        Ok(all)
    }

    /// Whether it is null.
    fn is_null(&self) -> bool {
        false
    }

    /// Any value that this version can carry.
    #[cfg(any(test, feature = "arbitrary"))]
    #[doc(hidden)]
    fn arbitrary(rng: &mut fastrand::Rng, v: Version) -> Self;
}

/// A request, a response or a data structure that travels inside of one.
pub trait Message: Wire {
    /// Its name, as in Kafka's schemas.
    const NAME: &'static str;
    /// The lowest version declared: the lowest that Kafka 4.0 knows.
    const MIN: i16;
    /// The highest version declared: the highest that Kafka 4.4 knows.
    const MAX: i16;
    /// The first flexible version, `i16::MAX` if there is none.
    const FLEXIBLE: i16;

    /// The version of that number.
    fn version(number: i16) -> Version {
        Version { number, flexible: number >= Self::FLEXIBLE }
    }

    /// Appends it to `w`. After an error `w` is as it was before.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version < Self::MIN || version > Self::MAX {
            return Err(EncodeError { kind: EncodeErrorKind::Version, message: Self::NAME, field: "" });
        }
        let start = w.len();
        self.put(w, Self::version(version));
        w.take_error(Self::NAME).inspect_err(|_| w.truncate(start))
    }

    /// Reads it from all that is left in `r`.
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        if version < Self::MIN || version > Self::MAX {
            return Err(r.error(DecodeErrorKind::Version).of(Self::NAME));
        }
        let message = Self::get(r, Self::version(version)).map_err(|e| e.of(Self::NAME))?;
        if r.is_empty() { Ok(message) } else { Err(r.error(DecodeErrorKind::Trailing).of(Self::NAME)) }
    }
}

/// A message that a client sends.
pub trait Request: Message {
    /// Its number in the protocol.
    const KEY: ApiKey;
    /// What a broker answers, in the same version.
    type Response: Message;
}

/// Writes a message that travels in a byte field of another: its version, then itself.
pub fn encode_embedded<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(version);
    message.encode(&mut w, version)?;
    Ok(w.into_vec().into())
}

/// Reads a message that travels in a byte field of another: its version and itself. As in Java's `ConsumerProtocol`, a newer
/// version is read as the newest that is known, and what is left behind it is ignored.
pub fn decode_embedded<M: Message>(bytes: &Bytes) -> Result<(i16, M), DecodeError> {
    let mut r = Reader::shared(bytes);
    let version = r.i16().map_err(|e| e.of(M::NAME))?;
    if version < M::MIN {
        return Err(r.error(DecodeErrorKind::Version).of(M::NAME));
    }
    let message = M::get(&mut r, M::version(version.min(M::MAX))).map_err(|e| e.of(M::NAME))?;
    Ok((version, message))
}
