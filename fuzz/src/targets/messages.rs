//! Every declared message in every version, requests, responses and what travels inside of them.

use crate::feed::Feed;
use bytes::Bytes;
use klamm_core::wire::messages::{Visit, visit_all};
use klamm_core::wire::{ApiKey, Message, Reader, Writer, decode_embedded, encode_embedded};
use std::fmt::Debug;

/// The first byte chooses the message, the second the version, the third the reader; the rest is decoded. What is
/// accepted must be written again, read as the same and not be longer.
pub fn messages(data: &[u8]) {
    let mut feed = Feed::new(data);
    let mut count = Count(0);
    visit_all(&mut count);
    let chosen = feed.below(count.0);
    let version = feed.byte();
    let embedded = feed.byte() == 1;
    visit_all(&mut Decode { left: Some(chosen), version, embedded, bytes: Bytes::copy_from_slice(feed.rest()) });
}

struct Count(usize);

impl Visit for Count {
    fn message<M: Message + Debug + Clone + PartialEq>(&mut self, _: Option<ApiKey>) {
        self.0 += 1;
    }
}

struct Decode {
    /// Messages to pass by; `None` behind the chosen one.
    left: Option<usize>,
    version: u8,
    embedded: bool,
    bytes: Bytes,
}

impl Visit for Decode {
    fn message<M: Message + Debug + Clone + PartialEq>(&mut self, key: Option<ApiKey>) {
        let Some(left) = self.left else { return };
        self.left = left.checked_sub(1);
        if left > 0 {
            return;
        }
        if key.is_none() && self.embedded {
            return embedded::<M>(&self.bytes);
        }
        let versions = i16::from(self.version) % (M::MAX - M::MIN + 1);
        round_trip::<M>(&self.bytes, M::MIN + versions);
    }
}

fn round_trip<M: Message + Debug + PartialEq>(bytes: &Bytes, version: i16) {
    let copied = M::decode(&mut Reader::new(bytes), version);
    let shared = M::decode(&mut Reader::shared(bytes), version);
    assert_eq!(copied.as_ref().err(), shared.as_ref().err(), "{} v{version}: two readers", M::NAME);
    if let Err(e) = &copied {
        assert!(e.offset <= bytes.len(), "{e} is beyond the {} bytes", bytes.len());
        assert!(!e.to_string().is_empty());
    }
    let (Ok(copied), Ok(shared)) = (copied, shared) else { return };
    let first = encode(&copied, version);
    assert_eq!(first, encode(&shared, version), "{} v{version}: two readers", M::NAME);
    // Unknown tags, overlong varints and defaults that were spelled out are gone: never more than there was.
    assert!(first.len() <= bytes.len(), "{} v{version}: {} bytes became {}", M::NAME, bytes.len(), first.len());
    let again = M::decode(&mut Reader::new(&first), version)
        .unwrap_or_else(|e| panic!("{} v{version}: what was written is not read: {e}: {copied:?}", M::NAME));
    // Bytes, not values: a float that is no number differs from itself.
    assert_eq!(encode(&again, version), first, "{} v{version}: {copied:?}", M::NAME);
}

fn encode<M: Message + Debug>(message: &M, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    let written = message.encode(&mut w, version);
    written.unwrap_or_else(|e| panic!("v{version}: what was read is not written: {e}: {message:?}"));
    w.into_vec()
}

fn embedded<M: Message + Debug + PartialEq>(bytes: &Bytes) {
    let Ok((version, message)) = decode_embedded::<M>(bytes) else { return };
    // A newer version is read as the newest known.
    let version = version.min(M::MAX);
    let written = encode_embedded(&message, version).unwrap_or_else(|e| panic!("{e}: {message:?}"));
    assert_eq!(decode_embedded::<M>(&written), Ok((version, message)));
}
