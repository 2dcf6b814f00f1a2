//! Answers that no broker gave.

use bytes::Bytes;
use fastrand::Rng;
use klamm_core::wire::frame::{LENGTH_PREFIX, RequestHeader, decode_request_header, encode_response};
use klamm_core::wire::messages::{ProduceRequest, Visit, visit_all};
use klamm_core::wire::{ApiKey, Message, Reader, Writer};
use std::fmt::{self, Debug};

/// A request as it is seen on the way.
pub(super) struct Asked {
    header: RequestHeader,
    body: Bytes,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RequestHeader { key, version, correlation, .. } = &self.header;
        write!(f, "request {key} {version}, number {correlation}")
    }
}

impl Asked {
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        let bytes = Bytes::copy_from_slice(frame.get(LENGTH_PREFIX..)?);
        let mut r = Reader::shared(&bytes);
        let header = decode_request_header(&mut r).ok()?;
        Some(Self { header, body: bytes.slice(r.offset()..) })
    }

    /// Whether anybody waits for an answer.
    pub(super) fn is_answered(&self) -> bool {
        if self.header.key != ApiKey::PRODUCE {
            return true;
        }
        let request = ProduceRequest::decode(&mut Reader::shared(&self.body), self.header.version);
        request.is_ok_and(|request| request.acks != 0)
    }

    /// An answer of the right form and any content; noise if the request is of a form that we do not declare, as a raw
    /// one may be.
    pub(super) fn lie(&self, seed: u8) -> Vec<u8> {
        let mut lie = Lie { asked: &self.header, rng: Rng::with_seed(u64::from(seed)), frame: None };
        visit_all(&mut lie);
        lie.frame.unwrap_or_else(|| self.noise(seed))
    }

    /// The right number, and noise.
    pub(super) fn noise(&self, seed: u8) -> Vec<u8> {
        let mut rng = Rng::with_seed(u64::from(seed));
        let noise: Vec<u8> = (0..rng.usize(..200)).map(|_| rng.u8(..) >> rng.u8(..8)).collect();
        frame(self.header.correlation, &noise)
    }

    /// An empty answer to a request nearby.
    pub(super) fn foreign(&self, by: u8) -> Vec<u8> {
        frame(self.header.correlation.wrapping_add(i32::from(by as i8)), &[])
    }
}

fn frame(correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut w = Writer::new();
    w.i32(body.len() as i32 + 4);
    w.i32(correlation);
    w.raw(body);
    w.into_vec()
}

struct Lie<'a> {
    asked: &'a RequestHeader,
    rng: Rng,
    frame: Option<Vec<u8>>,
}

impl Visit for Lie<'_> {
    fn message<M: Message + Debug + Clone + PartialEq>(&mut self, key: Option<ApiKey>) {
        let (key_asked, version) = (self.asked.key, self.asked.version);
        let declared = (M::MIN..=M::MAX).contains(&version);
        if key != Some(key_asked) || !M::NAME.ends_with("Response") || !declared {
            return;
        }
        let message = M::arbitrary(&mut self.rng, M::version(version));
        let mut w = Writer::new();
        encode_response(&mut w, &message, key_asked, version, self.asked.correlation).expect("any value is encodable");
        self.frame = Some(w.into_vec());
    }
}
