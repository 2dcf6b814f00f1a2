//! Frames: a length, a header, a message. Both sides of the connection.

use super::{
    ApiKey, DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Message, Reader, Request, Version, Writer,
};

/// The bytes in front of a frame that say how long it is.
pub const LENGTH_PREFIX: usize = 4;

/// Client ids have the old form in every version, so that a broker can read the header of an ApiVersions request that
/// is newer than itself.
const OLD_FORM: Version = Version { number: 1, flexible: false };

/// The length of the frame behind its prefix, if it is neither negative nor more than `most` bytes.
pub fn frame_length(prefix: [u8; LENGTH_PREFIX], most: usize) -> Result<usize, DecodeError> {
    match usize::try_from(i32::from_be_bytes(prefix)) {
        Ok(n) if n <= most => Ok(n),
        _ => Err(DecodeError::new(DecodeErrorKind::Length, 0).of("frame")),
    }
}

/// What stands in front of every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API.
    pub key: ApiKey,
    /// The version of the request.
    pub version: i16,
    /// A number that the answer repeats.
    pub correlation: i32,
    /// The `client.id`.
    pub client_id: Option<String>,
}

/// Begins a frame whose length is not known yet; [`end_frame`] wants the place.
pub fn begin_frame(w: &mut Writer) -> usize {
    let start = w.len();
    w.i32(0);
    start
}

/// Writes the length of the frame that began at `start`, plus `beyond` bytes that are sent behind the buffer.
pub fn end_frame(w: &mut Writer, start: usize, beyond: usize) -> Result<(), EncodeError> {
    let length = (w.len() - start - LENGTH_PREFIX).checked_add(beyond).and_then(|n| i32::try_from(n).ok());
    match length {
        Some(length) => {
            w.patch_i32(start, length);
            Ok(())
        }
        None => Err(EncodeError { kind: EncodeErrorKind::TooLong, message: "frame", field: "" }),
    }
}

/// Appends a request header: version 2 in front of a flexible request, else version 1.
pub fn put_request_header<R: Request>(
    w: &mut Writer,
    version: i16,
    correlation: i32,
    client_id: Option<&str>,
) -> Result<(), EncodeError> {
    w.i16(R::KEY.0);
    w.i16(version);
    w.i32(correlation);
    w.field("client_id");
    w.str(client_id, OLD_FORM);
    if R::version(version).flexible {
        w.uvarint(0);
    }
    w.take_error("RequestHeader")
}

/// Appends a whole request. After an error `w` is as it was before.
pub fn encode_request<R: Request>(
    w: &mut Writer,
    request: &R,
    version: i16,
    correlation: i32,
    client_id: Option<&str>,
) -> Result<(), EncodeError> {
    let start = begin_frame(w);
    put_request_header::<R>(w, version, correlation, client_id)
        .and_then(|()| request.encode(w, version))
        .and_then(|()| end_frame(w, start, 0))
        .inspect_err(|_| w.truncate(start))
}

/// Reads a request header (the length prefix is gone). The API must be one that this crate declares, for the form of
/// the header depends on it; the version may be any.
pub fn decode_request_header(r: &mut Reader<'_>) -> Result<RequestHeader, DecodeError> {
    request_header(r).map_err(|e| e.of("RequestHeader"))
}

fn request_header(r: &mut Reader<'_>) -> Result<RequestHeader, DecodeError> {
    let key = ApiKey(r.i16()?);
    let version = r.i16()?;
    let correlation = r.i32()?;
    let declared = key.declared().ok_or_else(|| DecodeError::new(DecodeErrorKind::Value, 0).within("key"))?;
    let client_id = r.str(OLD_FORM).map_err(|e| e.within("client_id"))?.map(str::to_owned);
    if version >= declared.flexible {
        r.tags(|_, _| Ok(false))?;
    }
    Ok(RequestHeader { key, version, correlation, client_id })
}

/// Whether the answer's header ends in tagged fields. That of ApiVersions never does: the client cannot know yet
/// which version it gets.
fn has_tags(key: ApiKey, version: i16) -> bool {
    key != ApiKey::API_VERSIONS && version >= key.flexible_from()
}

/// Reads the number of the request that an answer belongs to, the first thing behind the length prefix.
pub fn decode_correlation(r: &mut Reader<'_>) -> Result<i32, DecodeError> {
    r.i32().map_err(|e| e.within("correlation").of("ResponseHeader"))
}

/// Reads what is left of an answer's header behind the correlation number.
pub fn decode_response_tags(r: &mut Reader<'_>, key: ApiKey, version: i16) -> Result<(), DecodeError> {
    if has_tags(key, version) { r.tags(|_, _| Ok(false)).map_err(|e| e.of("ResponseHeader")) } else { Ok(()) }
}

/// Appends a whole answer. After an error `w` is as it was before.
pub fn encode_response<M: Message>(
    w: &mut Writer,
    response: &M,
    key: ApiKey,
    version: i16,
    correlation: i32,
) -> Result<(), EncodeError> {
    let start = begin_frame(w);
    w.i32(correlation);
    if has_tags(key, version) {
        w.uvarint(0);
    }
    response.encode(w, version).and_then(|()| end_frame(w, start, 0)).inspect_err(|_| w.truncate(start))
}

#[cfg(test)]
mod tests {
    use super::super::messages::{ApiVersionsRequest, ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse};
    use super::*;

    #[test]
    fn a_request_begins_with_its_length_and_header() {
        let mut w = Writer::new();
        let request = HeartbeatRequest { group_id: "g".into(), ..Default::default() };
        encode_request(&mut w, &request, 4, 7, Some("me")).expect("encodes");
        let bytes = w.as_slice();
        assert_eq!(bytes[..15], *b"\0\0\0\x16\0\x0c\0\x04\0\0\0\x07\0\x02m");
        assert_eq!(bytes[16], 0, "no tagged fields");
        let mut r = Reader::new(&bytes[4..]);
        let header = decode_request_header(&mut r).expect("header");
        assert_eq!(
            header,
            RequestHeader { key: ApiKey::HEARTBEAT, version: 4, correlation: 7, client_id: Some("me".into()) }
        );
        assert_eq!(HeartbeatRequest::decode(&mut r, 4), Ok(request));
    }

    #[test]
    fn the_header_of_an_old_request_has_no_tags() {
        let mut w = Writer::new();
        encode_request(&mut w, &ApiVersionsRequest::default(), 0, 1, None).expect("encodes");
        assert_eq!(w.as_slice(), b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff");
    }

    #[test]
    fn the_answer_to_api_versions_has_the_old_header_in_every_version() {
        let mut w = Writer::new();
        encode_response(&mut w, &ApiVersionsResponse::default(), ApiKey::API_VERSIONS, 4, 9).expect("encodes");
        assert_eq!(w.as_slice()[4..10], *b"\0\0\0\x09\0\0");
        w.clear();
        encode_response(&mut w, &HeartbeatResponse::default(), ApiKey::HEARTBEAT, 4, 9).expect("encodes");
        assert_eq!(w.as_slice()[4..], *b"\0\0\0\x09\0\0\0\0\0\0\0\0");
        let mut r = Reader::new(&w.as_slice()[4..]);
        assert_eq!(decode_correlation(&mut r), Ok(9));
        decode_response_tags(&mut r, ApiKey::HEARTBEAT, 4).expect("tags");
        assert_eq!(HeartbeatResponse::decode(&mut r, 4), Ok(HeartbeatResponse::default()));
    }

    #[test]
    fn a_request_that_fails_leaves_nothing_behind() {
        let mut w = Writer::new();
        w.u8(1);
        let long = "x".repeat(40_000);
        assert!(encode_request(&mut w, &HeartbeatRequest::default(), 4, 7, Some(&long)).is_err());
        assert!(encode_request(&mut w, &HeartbeatRequest::default(), 5, 7, None).is_err());
        let request = HeartbeatRequest { group_id: long, ..Default::default() };
        let e = encode_request(&mut w, &request, 4, 7, None).expect_err("too long");
        assert_eq!(e.to_string(), "HeartbeatRequest.group_id: a value is too long for the protocol");
        assert_eq!(w.as_slice(), [1]);
    }

    #[test]
    fn the_length_of_a_frame_is_bounded() {
        assert_eq!(frame_length([0, 0, 1, 0], 256), Ok(256));
        assert!(frame_length([0, 0, 1, 1], 256).is_err());
        assert!(frame_length([0xff; 4], usize::MAX).is_err());
    }
}
