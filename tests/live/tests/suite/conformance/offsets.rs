//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords, InitProducerId without transactions (broker-data 7 and 8).

use super::batch::{Batch, TIME};
use super::script::Script;
use anyhow::{Result, ensure};
use klamm_core::wire::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use klamm_core::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use klamm_core::wire::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use klamm_core::wire::messages::produce::{PartitionProduceData, TopicProduceData};
use klamm_core::wire::messages::{
    DeleteRecordsRequest, InitProducerIdRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest, ProduceRequest,
};

const TOPIC: &str = "conformance-offsets";
const COMPACTED: &str = "conformance-offsets-compacted";

fn list(partition: i32, timestamp: i64) -> ListOffsetsRequest {
    let asked = ListOffsetsPartition { partition_index: partition, timestamp, ..Default::default() };
    ListOffsetsRequest {
        topics: vec![ListOffsetsTopic { name: TOPIC.to_owned(), partitions: vec![asked] }],
        ..Default::default()
    }
}

fn write(s: &mut Script, times: &[i64]) -> Result<()> {
    let records = vec![(None, Some("v")); times.len()];
    let records = Some(Batch { records: &records, timestamps: Some(times), ..Batch::default() }.bytes());
    let request = ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 5000,
        topic_data: vec![TopicProduceData {
            name: TOPIC.to_owned(),
            partition_data: vec![PartitionProduceData { index: 0, records }],
            ..Default::default()
        }],
    };
    let told = s.wire.ask(1, &request, 11)?;
    ensure!(told.responses[0].partition_responses[0].error_code.is_ok(), "{told:?}");
    Ok(())
}

pub(super) fn play(s: &mut Script) -> Result<()> {
    s.topic(TOPIC, &[&[1, 2, 3], &[1, 2, 3], &[2, 3, 1]], &[])?;
    s.topic(COMPACTED, &[&[1, 2, 3]], &[("cleanup.policy", "compact")])?;
    write(s, &[TIME, TIME + 500, TIME + 200])?;
    write(s, &[TIME + 100, TIME + 900, TIME + 900])?;
    listed(s)?;
    epochs(s)?;
    deleted(s)?;
    ids(s)
}

fn listed(s: &mut Script) -> Result<()> {
    let names =
        [(-1, "latest"), (-2, "earliest"), (-3, "largest timestamp"), (-4, "earliest local"), (-5, "latest tiered")];
    for (timestamp, name) in names {
        s.ask(("D 7.1", name), 1, &list(0, timestamp), 10)?;
        s.ask(("D 7.1", &format!("{name}, empty partition")), 1, &list(1, timestamp), 10)?;
    }
    for version in [1, 2, 4, 5, 6, 7] {
        s.ask(("D 7.1", &format!("latest, version {version}")), 1, &list(0, -1), version)?;
    }
    for later in [-1, 0, 1, 100, 200, 201, 500, 501, 900, 901] {
        s.ask(("D 7.2", &format!("{later} ms behind the first")), 1, &list(0, TIME + later), 7)?;
    }
    for (timestamp, version) in [(-3, 6), (-4, 7), (-5, 8), (-6, 10), (-7, 10), (-99, 10)] {
        s.ask(("D 7.3", &format!("special {timestamp} in version {version}")), 1, &list(0, timestamp), version)?;
    }
    s.ask(("D 7.4", "unknown partition"), 1, &list(9, -1), 7)?;
    let mut unknown = list(0, -1);
    unknown.topics[0].name = "conformance-nowhere".to_owned();
    s.ask(("D 7.4", "unknown topic"), 1, &unknown, 7)?;
    s.ask(("D 7.4", "of a follower"), 2, &list(0, -1), 7)?;
    let mut twice = list(0, -1);
    let again = twice.topics[0].partitions[0].clone();
    twice.topics[0].partitions.push(again);
    s.ask(("D 7.4", "a partition twice"), 1, &twice, 7)?;
    for epoch in [0, 1, 5] {
        for broker in [1, 2] {
            let mut request = list(0, -1);
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            s.ask(("D 7.4", &format!("leader epoch {epoch} of broker {broker}")), broker, &request, 7)?;
        }
    }
    for timestamp in [-1, TIME + 900] {
        let request = ListOffsetsRequest { isolation_level: 1, ..list(0, timestamp) };
        s.ask(("D 7.1", &format!("committed records, {}", timestamp - TIME)), 1, &request, 7)?;
    }
    Ok(())
}

fn epochs(s: &mut Script) -> Result<()> {
    let request = |topic: &str, partition: i32, current: i32, epoch: i32| OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: topic.to_owned(),
            partitions: vec![OffsetForLeaderPartition {
                partition,
                current_leader_epoch: current,
                leader_epoch: epoch,
            }],
        }],
        ..Default::default()
    };
    for version in [2, 3, 4] {
        s.ask(("D 7.5", &format!("the present epoch, version {version}")), 1, &request(TOPIC, 0, -1, 0), version)?;
    }
    for epoch in [-1, 1, 9] {
        s.ask(("D 7.5", &format!("epoch {epoch}")), 1, &request(TOPIC, 0, -1, epoch), 4)?;
    }
    s.ask(("D 7.5", "nothing written"), 1, &request(TOPIC, 1, -1, 0), 4)?;
    for current in [0, 3] {
        for broker in [1, 2] {
            let what = format!("leader epoch {current} of broker {broker}");
            s.ask(("D 7.5", &what), broker, &request(TOPIC, 0, current, 0), 4)?;
        }
    }
    s.ask(("D 7.5", "of a follower"), 2, &request(TOPIC, 0, -1, 0), 4)?;
    s.ask(("D 7.5", "unknown partition"), 1, &request(TOPIC, 9, -1, 0), 4)?;
    s.ask(("D 7.5", "unknown topic"), 1, &request("conformance-nowhere", 0, -1, 0), 4)?;
    Ok(())
}

fn deleted(s: &mut Script) -> Result<()> {
    let request = |topic: &str, partition: i32, offset: i64| DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.to_owned(),
            partitions: vec![DeleteRecordsPartition { partition_index: partition, offset }],
        }],
        timeout_ms: 5000,
    };
    for (what, topic, partition, offset) in [
        ("behind the end", TOPIC, 0, 7),
        ("a negative offset", TOPIC, 0, -2),
        ("within a batch", TOPIC, 0, 2),
        ("below the start", TOPIC, 0, 1),
        ("unknown partition", TOPIC, 9, 0),
        ("unknown topic", "conformance-nowhere", 0, 0),
        ("a compacted topic", COMPACTED, 0, 0),
        ("an internal topic", "__consumer_offsets", 0, 0),
    ] {
        s.ask(("D 7.6", what), 1, &request(topic, partition, offset), 2)?;
    }
    s.ask(("D 7.6", "of a follower"), 2, &request(TOPIC, 0, 3), 2)?;
    s.ask(("D 7.1", "earliest behind a deletion"), 1, &list(0, -2), 7)?;
    s.ask(("D 7.2", "the first time behind a deletion"), 1, &list(0, TIME), 7)?;
    s.ask(("D 7.6", "all"), 1, &request(TOPIC, 0, -1), 2)?;
    s.ask(("D 7.1", "earliest when all is deleted"), 1, &list(0, -2), 7)?;
    s.ask(
        ("D 7.5", "the present epoch when all is deleted"),
        1,
        &OffsetForLeaderEpochRequest {
            topics: vec![OffsetForLeaderTopic {
                topic: TOPIC.to_owned(),
                partitions: vec![OffsetForLeaderPartition { partition: 0, current_leader_epoch: -1, leader_epoch: 0 }],
            }],
            ..Default::default()
        },
        4,
    )?;
    Ok(())
}

fn ids(s: &mut Script) -> Result<()> {
    let request = |id: Option<&str>, producer_id: i64, producer_epoch: i16| InitProducerIdRequest {
        transactional_id: id.map(str::to_owned),
        transaction_timeout_ms: -1,
        producer_id,
        producer_epoch,
        ..Default::default()
    };
    let is_ready = |s: &mut Script| Ok(s.wire.ask(1, &request(None, -1, -1), 4)?.error_code.is_ok().then_some(()));
    s.until(is_ready, "block of producer ids")?;
    for version in [0, 1, 4, 5] {
        s.ask(("D 8.1", &format!("version {version}")), 1, &request(None, -1, -1), version)?;
    }
    s.ask(("D 8.2", "an id and its epoch"), 1, &request(None, 5, 7), 4)?;
    s.ask(("D 8.2", "an id without an epoch"), 1, &request(None, 5, -1), 4)?;
    s.ask(("D 8.2", "an epoch without an id"), 1, &request(None, -1, 3), 4)?;
    s.ask(("D 8.4", "an empty transactional id"), 1, &request(Some(""), -1, -1), 4)?;
    Ok(())
}
