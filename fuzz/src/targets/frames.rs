//! What stands around messages, and the first answer of a connection.

use crate::feed::Feed;
use klamm_core::ErrorCode;
use klamm_core::wire::frame::{
    LENGTH_PREFIX, decode_correlation, decode_request_header, decode_response_tags, frame_length,
};
use klamm_core::wire::{ApiKey, ApiRanges, Reader, Version, Writer, decode_api_versions};

/// The first byte chooses: the length of a frame, a request's header, an answer's header, the answer to ApiVersions.
pub fn frames(data: &[u8]) {
    let mut feed = Feed::new(data);
    match feed.below(4) {
        0 => length(&mut feed),
        1 => request_header(feed.rest()),
        2 => response_header(&mut feed),
        _ => api_versions(&mut feed),
    }
}

fn length(feed: &mut Feed<'_>) {
    let most = feed.number().unsigned_abs() as usize;
    let mut prefix = [0; LENGTH_PREFIX];
    prefix.fill_with(|| feed.byte());
    let told = i64::from(i32::from_be_bytes(prefix));
    match frame_length(prefix, most) {
        Ok(n) => assert!(n <= most && n as i64 == told),
        Err(_) => assert!(told < 0 || told as u64 > most as u64),
    }
}

fn request_header(bytes: &[u8]) {
    let mut r = Reader::new(bytes);
    let Ok(header) = decode_request_header(&mut r) else { return };
    assert!(r.offset() <= bytes.len());
    let declared = header.key.declared().expect("only declared APIs have a known header");
    let mut w = Writer::new();
    w.i16(header.key.0);
    w.i16(header.version);
    w.i32(header.correlation);
    w.str(header.client_id.as_deref(), Version { number: 1, flexible: false });
    if header.version >= declared.flexible {
        w.uvarint(0);
    }
    assert!(w.len() <= r.offset());
    assert_eq!(decode_request_header(&mut Reader::new(w.as_slice())), Ok(header));
}

fn response_header(feed: &mut Feed<'_>) {
    let key = feed.choose(ApiKey::ALL).expect("there are APIs");
    let version = i16::from(feed.byte() % 20);
    let bytes = feed.rest();
    let mut r = Reader::new(bytes);
    if decode_correlation(&mut r).is_ok() && decode_response_tags(&mut r, key, version).is_ok() {
        assert!(r.offset() >= 4 && r.offset() <= bytes.len());
    }
}

fn api_versions(feed: &mut Feed<'_>) {
    let asked = i16::from(feed.byte() % 6);
    let Ok((version, answer)) = decode_api_versions(&mut Reader::new(feed.rest()), asked) else { return };
    let unsupported = answer.error_code == ErrorCode::UNSUPPORTED_VERSION;
    assert_eq!(version, if unsupported { 0 } else { asked });
    let ranges = ApiRanges::new(&answer);
    assert!(ranges.iter().count() <= answer.api_keys.len());
    assert!(ranges.iter().is_sorted());
    for key in ApiKey::ALL {
        let Some(picked) = ranges.pick_for(*key) else { continue };
        let (min, max) = key.client_range().expect("it was picked for us");
        assert!((min..=max).contains(&picked), "{key} {picked}");
        let offered = |api: &&_| covers(api, *key, picked);
        assert!(answer.api_keys.iter().find(offered).is_some(), "nobody offered {key} {picked}");
    }
}

fn covers(api: &klamm_core::wire::messages::api_versions::ApiVersion, key: ApiKey, version: i16) -> bool {
    api.api_key == key && (api.min_version..=api.max_version).contains(&version)
}
