//! The greeting of a connection: which versions the broker speaks; later also who we are.

use crate::metadata::Features;
use crate::wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use crate::wire::{ApiKey, ApiRanges, Message, Reader, Writer, decode_api_versions};
use crate::{Error, ErrorCode, ErrorKind};
use bytes::Bytes;
use std::time::Duration;

/// The first version asked for. Brokers since 2.4 know it, and what later versions add is of no use to a client: 4 shows
/// supported features from level 0 on, 5 lets the client name the node that it means. Asking for more would cost another
/// round trip on each connection to an older broker.
const FIRST: i16 = 3;

/// The step of the greeting that is on its way. SASL will add its steps behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hello {
    /// ApiVersions in this version.
    Versions(i16),
    /// ApiVersions 0 to librdkafka's mock cluster, known by the form of its refusal.
    Mock,
}

/// The highest versions that librdkafka's mock cluster reads and writes as Kafka does, where it offers higher ones: the
/// leader's epoch of ListOffsets 4 has eight bytes there; the arrays of JoinGroup 6 and SyncGroup 4 are counted as in older
/// versions; LeaveGroup 3 is read as if it named one member.
const MOCK: [(ApiKey, i16); 4] =
    [(ApiKey::LIST_OFFSETS, 3), (ApiKey::JOIN_GROUP, 5), (ApiKey::SYNC_GROUP, 3), (ApiKey::LEAVE_GROUP, 2)];

/// What comes after an answer.
#[derive(Debug)]
pub(super) enum Next {
    /// The greeting goes on.
    Ask(Hello),
    /// The connection may be used.
    Ready {
        ranges: ApiRanges,
        features: Features,
        /// The broker wants to be left alone for so long.
        throttle: Duration,
    },
}

impl Hello {
    pub(super) fn first() -> Self {
        Self::Versions(FIRST)
    }

    fn version(self) -> i16 {
        match self {
            Self::Versions(version) => version,
            Self::Mock => 0,
        }
    }

    /// The API, its version and the body of the request.
    pub(super) fn request(self) -> Result<(ApiKey, i16, Bytes), Error> {
        let version = self.version();
        let request = ApiVersionsRequest {
            client_software_name: "klamm".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        let mut w = Writer::new();
        let encoded = request.encode(&mut w, version);
        encoded.map_err(|e| Error::new(ErrorKind::Unsupported, format!("ApiVersions {version}: {e}")))?;
        Ok((ApiKey::API_VERSIONS, version, w.into_vec().into()))
    }

    /// The body of the answer.
    pub(super) fn answered(self, body: &[u8], peer: &str) -> Result<Next, Error> {
        let asked = self.version();
        let answer = match decode_api_versions(&mut Reader::new(body), asked) {
            Ok((_, answer)) => answer,
            // librdkafka's mock cluster refuses in a form that is neither the version's nor that of version 0.
            Err(_) if asked > 0 && body.starts_with(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes()) => {
                return Ok(Next::Ask(Self::Mock));
            }
            Err(e) => {
                return Err(Error::new(ErrorKind::Corrupt, format!("{peer}: {e}")).with_api("ApiVersions"));
            }
        };
        let mut answer = answer;
        if self == Self::Mock {
            for (key, most) in MOCK {
                let served = answer.api_keys.iter_mut().filter(|api| api.api_key == key);
                served.for_each(|api| api.max_version = api.max_version.min(most));
            }
        }
        match answer.error_code {
            ErrorCode(0) => Ok(Next::Ready {
                features: features(&answer),
                throttle: Duration::from_millis(u64::try_from(answer.throttle_time_ms).unwrap_or(0)),
                ranges: ApiRanges::new(&answer),
            }),
            ErrorCode::UNSUPPORTED_VERSION if asked > 0 => Ok(Next::Ask(Self::Versions(offered(&answer, asked)))),
            code => Err(Error::from_code(code).with_api("ApiVersions")),
        }
    }
}

/// The version to ask for next: the highest that the refusal names below the one refused, 0 if it names none (brokers before
/// 2.4; KIP-511). It always falls, so the greeting ends.
fn offered(answer: &ApiVersionsResponse, refused: i16) -> i16 {
    ApiRanges::new(answer).pick(ApiKey::API_VERSIONS, 0, refused.saturating_sub(1)).unwrap_or(0)
}

fn features(answer: &ApiVersionsResponse) -> Features {
    let levels = answer.finalized_features.iter().map(|f| (f.name.as_str().into(), f.max_version_level));
    Features { epoch: answer.finalized_features_epoch, levels: levels.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::api_versions::{ApiVersion, FinalizedFeatureKey};

    fn body(answer: &ApiVersionsResponse, version: i16) -> Vec<u8> {
        let mut w = Writer::new();
        answer.encode(&mut w, version).unwrap();
        w.into_vec()
    }

    fn versions(error: ErrorCode, ranges: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
        let one = |&(api_key, min_version, max_version)| ApiVersion { api_key, min_version, max_version };
        ApiVersionsResponse { error_code: error, api_keys: ranges.iter().map(one).collect(), ..Default::default() }
    }

    #[test]
    fn a_refusal_that_cannot_be_read_is_followed_by_version_0() {
        // librdkafka 2.0's mock cluster: the length of a compact array, entries without tags.
        let body = [0, 35, 1, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0];
        assert!(matches!(Hello::first().answered(&body, "peer"), Ok(Next::Ask(Hello::Mock))));
        assert!(Hello::Mock.answered(&body, "peer").is_err());
        let offers = versions(ErrorCode::NONE, &[(ApiKey::LIST_OFFSETS, 0, 5), (ApiKey::JOIN_GROUP, 0, 6)]);
        let Ok(Next::Ready { ranges, .. }) = Hello::Mock.answered(&self::body(&offers, 0), "peer") else { panic!() };
        assert_eq!(ranges.pick_for(ApiKey::LIST_OFFSETS), Some(3));
        assert_eq!(ranges.pick_for(ApiKey::JOIN_GROUP), Some(5));
    }

    #[test]
    fn a_refused_version_is_followed_by_the_one_offered() {
        for (offer, then) in [
            (&[(ApiKey::API_VERSIONS, 0, 2)][..], 2),
            (&[(ApiKey::API_VERSIONS, 0, 1)], 1),
            (&[], 0),
            // A broker that contradicts itself must not keep us asking.
            (&[(ApiKey::API_VERSIONS, 0, 9)], 2),
            (&[(ApiKey::API_VERSIONS, 7, 9)], 0),
        ] {
            let refusal = body(&versions(ErrorCode::UNSUPPORTED_VERSION, offer), 0);
            let next = Hello::first().answered(&refusal, "p").unwrap();
            assert!(matches!(next, Next::Ask(Hello::Versions(v)) if v == then), "{next:?}");
        }
    }

    #[test]
    fn version_0_refused_is_the_end() {
        let refusal = body(&versions(ErrorCode::UNSUPPORTED_VERSION, &[]), 0);
        let error = Hello::Versions(0).answered(&refusal, "p").unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::UNSUPPORTED_VERSION));
    }

    #[test]
    fn ranges_features_and_throttle_are_taken_over() {
        let mut answer = versions(ErrorCode(0), &[(ApiKey::FETCH, 4, 18)]);
        answer.throttle_time_ms = 250;
        answer.finalized_features_epoch = 7;
        let level =
            FinalizedFeatureKey { name: "transaction.version".into(), max_version_level: 2, min_version_level: 1 };
        answer.finalized_features = vec![level];
        let next = Hello::first().answered(&body(&answer, 3), "p").unwrap();
        let Next::Ready { ranges, features, throttle } = next else { panic!("{next:?}") };
        assert_eq!(ranges.range(ApiKey::FETCH), Some((4, 18)));
        assert_eq!((features.epoch, features.levels["transaction.version"]), (7, 2));
        assert_eq!(throttle, Duration::from_millis(250));
    }

    #[test]
    fn nonsense_and_other_errors_end_the_greeting() {
        let error = Hello::first().answered(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f], "localhost:9092").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("localhost:9092"), "{error}");
        let refused = body(&versions(ErrorCode(42), &[]), 3);
        assert_eq!(Hello::first().answered(&refused, "p").unwrap_err().code(), Some(ErrorCode(42)));
    }
}
