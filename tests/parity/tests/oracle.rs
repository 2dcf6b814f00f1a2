//! What klamm writes, `kafka-protocol` reads, and writes again: byte for byte the same.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey as Key, ConsumerProtocolAssignment, ConsumerProtocolSubscription, RequestKind, ResponseKind,
};
use kafka_protocol::protocol::{Decodable, Encodable};
use klamm_core::wire::messages::{Visit, visit_all};
use klamm_core::wire::{ApiKey, Message, Reader, Writer};
use std::fmt::Debug;

/// How many values of each message are tried in each version.
const VALUES: u64 = 40;

/// What `kafka-protocol` 0.18 says it speaks and then refuses: its generator takes the request schemas of Kafka 4.1,
/// where these versions were unstable. (Its response side has them.)
const REFUSED: [(&str, i16); 3] =
    [("OffsetCommitRequest", 10), ("OffsetFetchRequest", 10), ("InitProducerIdRequest", 6)];

struct Differ {
    pairs: usize,
    beyond: Vec<String>,
    refused: Vec<(&'static str, i16)>,
}

/// Theirs for ours, `Err` if it cannot read or write it.
fn theirs<M: Message>(key: Option<ApiKey>, version: i16, bytes: &Bytes) -> Result<(BytesMut, usize), String> {
    let mut left = bytes.clone();
    let mut out = BytesMut::new();
    let text = |e: &dyn std::fmt::Display| e.to_string();
    match key {
        Some(key) => {
            let key = Key::try_from(key.0).map_err(|()| "an API that it does not know".to_owned())?;
            if M::NAME.ends_with("Request") {
                let read = RequestKind::decode(key, &mut left, version).map_err(|e| text(&e))?;
                read.encode(&mut out, version).map_err(|e| text(&e))?;
            } else {
                let read = ResponseKind::decode(key, &mut left, version).map_err(|e| text(&e))?;
                read.encode(&mut out, version).map_err(|e| text(&e))?;
            }
        }
        None if M::NAME == "ConsumerProtocolSubscription" => {
            let read = ConsumerProtocolSubscription::decode(&mut left, version).map_err(|e| text(&e))?;
            read.encode(&mut out, version).map_err(|e| text(&e))?;
        }
        None => {
            let read = ConsumerProtocolAssignment::decode(&mut left, version).map_err(|e| text(&e))?;
            read.encode(&mut out, version).map_err(|e| text(&e))?;
        }
    }
    Ok((out, left.len()))
}

fn highest_of_theirs(key: Option<ApiKey>) -> i16 {
    // The embedded messages are at version 3 there as here.
    key.map_or(3, |key| Key::try_from(key.0).map_or(-1, |key| key.valid_versions().max))
}

impl Visit for Differ {
    fn message<M: Message + Debug + Clone + PartialEq>(&mut self, key: Option<ApiKey>) {
        for version in M::MIN..=M::MAX {
            if version > highest_of_theirs(key) {
                self.beyond.push(format!("{} v{version}", M::NAME));
                continue;
            }
            if REFUSED.contains(&(M::NAME, version)) {
                let mut w = Writer::new();
                M::arbitrary(&mut fastrand::Rng::with_seed(0), M::version(version))
                    .encode(&mut w, version)
                    .expect("ours");
                if theirs::<M>(key, version, &w.into_vec().into()).is_err() {
                    self.refused.push((M::NAME, version));
                }
                continue;
            }
            self.pairs += 1;
            for seed in 0..VALUES {
                let value = M::arbitrary(&mut fastrand::Rng::with_seed(seed), M::version(version));
                let mut w = Writer::new();
                value.encode(&mut w, version).unwrap_or_else(|e| panic!("v{version} seed {seed}: {e}: {value:?}"));
                let ours = Bytes::from(w.into_vec());
                let back = M::decode(&mut Reader::shared(&ours), version);
                assert_eq!(back.as_ref(), Ok(&value), "{} v{version} seed {seed}: read by klamm", M::NAME);
                let (again, left) = theirs::<M>(key, version, &ours)
                    .unwrap_or_else(|e| panic!("{} v{version} seed {seed}: {e}: {value:?}", M::NAME));
                assert_eq!(left, 0, "{} v{version} seed {seed}: bytes left: {value:?}", M::NAME);
                assert!(
                    again == ours,
                    "{} v{version} seed {seed}: {value:?}\nours   {ours:?}\ntheirs {again:?}",
                    M::NAME
                );
            }
        }
    }
}

#[test]
fn an_independent_codec_reads_and_writes_the_same_bytes() {
    let mut differ = Differ { pairs: 0, beyond: Vec::new(), refused: Vec::new() };
    visit_all(&mut differ);
    println!(
        "{} (message, version) pairs agree; versions that kafka-protocol lacks: {:?}",
        differ.pairs, differ.beyond
    );
    assert!(differ.pairs > 250, "only {} pairs were compared", differ.pairs);
    differ.refused.sort_unstable();
    let mut expected = REFUSED;
    expected.sort_unstable();
    assert_eq!(differ.refused, expected, "kafka-protocol has learnt a version: take it out of the list");
}
