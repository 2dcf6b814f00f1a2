//! Bytes on the wire: primitives, messages, frames, versions.
//!
//! Messages are declared in the `messages!` notation (`notation.rs`), one file per API, and read like the protocol
//! guide. Whatever is read comes from the network: a [`Reader`] never believes a length, and memory is only allocated
//! for bytes that are there.

mod error;
pub mod fetch;
mod flexible;
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

    /// Reads it, and leaves in `r` what stands behind it.
    fn decode_front(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        if version < Self::MIN || version > Self::MAX {
            return Err(r.error(DecodeErrorKind::Version).of(Self::NAME));
        }
        Self::get(r, Self::version(version)).map_err(|e| e.of(Self::NAME))
    }

    /// Reads it from all that is left in `r`.
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let message = Self::decode_front(r, version)?;
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

/// Reads a message that travels in a byte field of another: its version and itself. As in Java's `ConsumerProtocol`,
/// a newer version is read as the newest that is known, and what is left behind it is ignored.
pub fn decode_embedded<M: Message>(bytes: &Bytes) -> Result<(i16, M), DecodeError> {
    let mut r = Reader::shared(bytes);
    let version = r.i16().map_err(|e| e.of(M::NAME))?;
    if version < M::MIN {
        return Err(r.error(DecodeErrorKind::Version).of(M::NAME));
    }
    let message = M::get(&mut r, M::version(version.min(M::MAX))).map_err(|e| e.of(M::NAME))?;
    Ok((version, message))
}

#[cfg(test)]
mod tests {
    use super::messages::*;
    use super::*;
    use crate::error::ErrorCode;
    use std::fmt::Debug;

    struct RoundTrip(u32);

    impl messages::Visit for RoundTrip {
        fn message<M: Message + Debug + Clone + PartialEq>(&mut self, _: Option<ApiKey>) {
            for version in M::MIN..=M::MAX {
                for seed in 0..10 {
                    let value = M::arbitrary(&mut fastrand::Rng::with_seed(seed), M::version(version));
                    let mut w = Writer::new();
                    value.encode(&mut w, version).unwrap_or_else(|e| panic!("v{version}: {e}"));
                    let bytes = Bytes::from(w.into_vec());
                    assert!(bytes.len() >= M::min_size(M::version(version)), "{} v{version}", M::NAME);
                    assert_eq!(M::decode(&mut Reader::shared(&bytes), version), Ok(value), "{} v{version}", M::NAME);
                    for end in 0..bytes.len() {
                        let cut = M::decode(&mut Reader::new(&bytes[..end]), version);
                        assert!(cut.is_err(), "{} v{version}: {end} of {} bytes are enough", M::NAME, bytes.len());
                    }
                    self.0 += 1;
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read_and_every_shorter_frame_is_refused() {
        let mut trips = RoundTrip(0);
        messages::visit_all(&mut trips);
        assert!(trips.0 > 3_000);
    }

    fn encode<M: Message>(message: &M, version: i16) -> Result<Vec<u8>, String> {
        let mut w = Writer::new();
        message.encode(&mut w, version).map_err(|e| e.to_string())?;
        Ok(w.into_vec())
    }

    #[test]
    fn what_a_version_cannot_say_is_refused_unless_it_may_be_left_out() {
        let request = MetadataRequest { include_cluster_authorized_operations: true, ..Default::default() };
        assert!(encode(&request, 10).is_ok());
        let e = encode(&request, 11).expect_err("gone since 11");
        assert_eq!(
            e,
            "MetadataRequest.include_cluster_authorized_operations: a field is set that this version does not have"
        );
        let e = encode(&MetadataRequest::default(), 0).expect_err("null");
        assert_eq!(e, "MetadataRequest.topics: a field is null that this version cannot send as null");
        let response = MetadataResponse { throttle_time_ms: 5, error_code: ErrorCode(1), ..Default::default() };
        assert_eq!(encode(&response, 2).map(|_| ()), Ok(()), "both are ignorable");
        assert_eq!(
            encode(&response, 14).expect_err("no such version"),
            "MetadataResponse: the message has no such version"
        );
    }

    #[test]
    fn null_where_a_version_has_none_is_refused() {
        // JoinGroupResponse 6: throttle, error, generation, protocol name (null since 7 only).
        let e = JoinGroupResponse::decode(&mut Reader::new(&[0; 30]), 6).expect_err("null");
        assert_eq!((e.kind, e.field, e.message), (DecodeErrorKind::Null, "protocol_name", "JoinGroupResponse"));
        assert_ne!(JoinGroupResponse::decode(&mut Reader::new(&[0; 30]), 7).map_err(|e| e.field), Err("protocol_name"));
    }

    #[test]
    fn the_inputs_that_abort_other_decoders_are_errors() {
        use DecodeErrorKind::{Length, Tag, Trailing};
        let metadata = |bytes: &[u8], version| MetadataResponse::decode(&mut Reader::new(bytes), version).map(drop);
        let api_versions = |bytes: &[u8], v| ApiVersionsResponse::decode(&mut Reader::new(bytes), v).map(drop);
        let fetch = |bytes: &[u8], version| FetchResponse::decode(&mut Reader::new(bytes), version).map(drop);
        let kind = |r: Result<(), DecodeError>| r.map_err(|e| e.kind);
        let mut huge = [0; 20];
        huge[..4].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(kind(metadata(&huge, 1)), Err(Length), "brokers");
        huge[..4].copy_from_slice(&0x0400_0000i32.to_be_bytes());
        assert_eq!(kind(metadata(&huge, 1)), Err(Length), "fewer brokers");
        let mut compact = [0; 20];
        compact[4..9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(kind(metadata(&compact, 12)), Err(Length), "brokers, compact");
        assert_eq!(
            kind(api_versions(&[0, 0, 0x7f, 0xff, 0xff, 0xff], 0)),
            Err(Length),
            "the first bytes of a connection"
        );
        let mut topics = [0; 20];
        topics[10..15].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(kind(fetch(&topics, 13)), Err(Length), "topics");
        // No error, no APIs, no throttling, then one tag: number 1 (an i64) of one byte.
        let lying = [0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(kind(api_versions(&lying, 3)), Err(DecodeErrorKind::Truncated), "a tag that lies about its size");
        let long = [0, 0, 1, 0, 0, 0, 0, 1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(kind(api_versions(&long, 3)), Err(Tag), "a tag that is longer than its value");
        assert_eq!(kind(api_versions(&[0, 0, 0, 0, 0, 0, 7], 0)), Err(Trailing), "bytes behind the message");
    }

    #[test]
    fn an_error_tells_the_message_the_field_and_the_place() {
        let bytes = encode(&MetadataResponse::default(), 1).expect("encodes");
        let mut bad = bytes.clone();
        bad[..4].copy_from_slice(&[0, 0, 0, 1]);
        bad.splice(4..4, [0, 0, 0, 1, 0, 200, b'h']);
        let e = MetadataResponse::decode(&mut Reader::new(&bad), 1).expect_err("a host of 200 bytes");
        assert_eq!(
            e.to_string(),
            "MetadataResponse.host: a length is negative or exceeds the bytes present (at byte 8)"
        );
    }

    #[test]
    fn an_embedded_message_of_a_newer_version_is_read_as_far_as_it_is_known() {
        let subscription = ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() };
        let bytes = encode_embedded(&subscription, 3).expect("encodes");
        assert_eq!(decode_embedded(&bytes), Ok((3, subscription.clone())));
        let mut newer = bytes.to_vec();
        newer[1] = 9;
        newer.extend([1, 2, 3]);
        assert_eq!(decode_embedded(&newer.into()), Ok((9, subscription)));
        let e = decode_embedded::<ConsumerProtocolAssignment>(&Bytes::from_static(&[0xff, 0xff, 0]))
            .expect_err("version -1");
        assert_eq!(e.kind, DecodeErrorKind::Version);
    }
}
