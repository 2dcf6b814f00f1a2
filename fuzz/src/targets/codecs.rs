//! Compressed bytes that nobody compressed, and those that somebody did.

use crate::feed::Feed;
use klamm_core::codec::{Codec, CodecError, Compression, Decompressor};

/// What one input may decompress to.
const LIMIT: usize = 256 << 10;

/// The first bytes choose codec, limit and level. The rest is decompressed: never beyond the limit. Then it is compressed
/// and must come back, within its own size and not within less.
pub fn codecs(data: &[u8]) {
    let mut feed = Feed::new(data);
    let codec = Codec::ALL[feed.below(Codec::ALL.len())];
    let mut decompressor = Decompressor::default();
    let limit = match feed.byte() {
        0 => LIMIT,
        other => (usize::from(other) << 8 | usize::from(feed.byte())) % LIMIT,
    };
    let level = feed.flag().then(|| i32::from(feed.byte() as i8));
    let bytes = feed.rest();
    let mut out = Vec::new();
    match decompressor.decompress(codec, bytes, &mut out, limit) {
        Ok(size) => assert!(size <= limit && size <= out.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    assert!(out.len() <= limit, "{} bytes with a limit of {limit}", out.len());
    round_trip(codec, level, bytes, &mut decompressor);
}

fn round_trip(codec: Codec, level: Option<i32>, bytes: &[u8], decompressor: &mut Decompressor) {
    let Ok(compression) = Compression::new(codec, level) else { return };
    let (mut packed, mut out) = (Vec::new(), Vec::new());
    let size = compression.compress(bytes, &mut packed).unwrap_or_else(|e| panic!("{codec}: {e}"));
    let packed = &packed[..size];
    let back = decompressor.decompress(codec, packed, &mut out, bytes.len());
    assert_eq!(back, Ok(bytes.len()), "{codec} at {level:?}");
    assert_eq!(&out[..bytes.len()], bytes, "{codec} at {level:?}");
    if let Some(less) = bytes.len().checked_sub(1) {
        let cut = decompressor.decompress(codec, packed, &mut Vec::new(), less);
        assert_eq!(cut, Err(CodecError::TooLarge { codec, limit: less }));
    }
}
