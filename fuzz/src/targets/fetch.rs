//! The hand-written reader of fetch answers against the declared message.

use crate::feed::Feed;
use klamm_core::wire::fetch::{Fetched, FetchedPartition};
use klamm_core::wire::messages::FetchResponse;
use klamm_core::wire::messages::fetch::{FetchableTopicResponse, PartitionData, SnapshotId};
use klamm_core::wire::{Message, Reader};

/// The first byte chooses the version, the rest is the body: both readers accept the same and say the same of it.
pub fn fetch(data: &[u8]) {
    let mut feed = Feed::new(data);
    let versions = (FetchResponse::MAX - FetchResponse::MIN + 1) as usize;
    let version = FetchResponse::MIN + feed.below(versions) as i16;
    let body = feed.rest();
    let fetched = Fetched::decode(&mut Reader::new(body), version);
    let declared = FetchResponse::decode(&mut Reader::new(body), version);
    match (fetched, declared) {
        (Ok(fetched), Ok(declared)) => assert_eq!(as_declared(&fetched, body), without_snapshots(declared)),
        (Err(ours), Err(theirs)) => assert_eq!((ours.kind, ours.message), (theirs.kind, theirs.message), "v{version}"),
        (ours, theirs) => panic!("v{version}: by hand {ours:?}, declared {theirs:?}"),
    }
}

/// Only controllers want snapshot ids: the reader for consumers leaves them out.
fn without_snapshots(mut response: FetchResponse) -> FetchResponse {
    for partition in response.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.snapshot_id = SnapshotId::default();
    }
    response
}

fn as_declared(fetched: &Fetched<'_>, body: &[u8]) -> FetchResponse {
    let topic = |t: &klamm_core::wire::fetch::FetchedTopic<'_>| FetchableTopicResponse {
        topic: t.name.to_owned(),
        topic_id: t.id,
        partitions: fetched.of(t).iter().map(|p| partition(p, body)).collect(),
    };
    FetchResponse {
        throttle_time_ms: fetched.throttle_time_ms,
        error_code: fetched.error_code,
        session_id: fetched.session_id,
        responses: fetched.topics.iter().map(topic).collect(),
        node_endpoints: fetched.node_endpoints.clone(),
    }
}

fn partition(p: &FetchedPartition<'_>, body: &[u8]) -> PartitionData {
    PartitionData {
        partition_index: p.index,
        error_code: p.error_code,
        high_watermark: p.high_watermark,
        last_stable_offset: p.last_stable_offset,
        log_start_offset: p.log_start_offset,
        diverging_epoch: p.diverging_epoch.clone(),
        current_leader: p.current_leader.clone(),
        snapshot_id: SnapshotId::default(),
        aborted_transactions: p.aborted.map(|aborted| {
            assert_eq!(aborted.iter().count(), aborted.len());
            aborted.iter().collect()
        }),
        preferred_read_replica: p.preferred_read_replica,
        records: p.records.clone().map(|range| body[range].to_vec().into()),
    }
}
