//! A transactional producer by hand: says what the broker answers, and collects where that is not what was expected.

use super::wire::{Sort, Wire};
use anyhow::{Result, ensure};
use bytes::Bytes;
use klamm_core::ErrorCode;
use klamm_core::record::crc32c;
use klamm_core::wire::Writer;
use klamm_core::wire::messages::add_partitions_to_txn::AddPartitionsToTxnTopic;
use klamm_core::wire::messages::fetch::{FetchPartition, FetchTopic};
use klamm_core::wire::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use klamm_core::wire::messages::produce::{PartitionProduceData, TopicProduceData};
use klamm_core::wire::messages::txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use klamm_core::wire::messages::*;
use klamm_live::Target;
use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// Who writes: producer id and epoch.
pub(crate) type Identity = (i64, i16);

/// A conversation about one topic, one transactional id and one group.
pub(crate) struct Dialogue {
    pub(crate) wire: Wire,
    pub(crate) topic: String,
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) coordinator: i32,
    pub(crate) group_coordinator: i32,
    pub(crate) leaders: Vec<i32>,
    differences: Vec<String>,
}

impl Dialogue {
    pub(crate) fn with(target: &Target, stem: &str) -> Result<Self> {
        let mut wire = Wire::to(target);
        let topic = target.topic(stem);
        let (id, group) = (format!("id-of-{topic}"), format!("group-of-{topic}"));
        let coordinator = wire.coordinator(&id, Sort::Transaction)?;
        let group_coordinator = wire.coordinator(&group, Sort::Group)?;
        let leaders = wire.leaders(&topic)?;
        Ok(Self { wire, topic, id, group, coordinator, group_coordinator, leaders, differences: Vec::new() })
    }

    /// Notes what was answered, if it is not what was expected.
    pub(crate) fn told<T: Debug + PartialEq>(&mut self, what: &str, answered: T, expected: T) {
        if answered != expected {
            self.differences.push(format!("{what}: answered {answered:?}, expected {expected:?}"));
        }
    }

    /// Fails if anything was noted.
    pub(crate) fn end(self) -> Result<()> {
        ensure!(
            self.differences.is_empty(),
            "{} differences:\n{}",
            self.differences.len(),
            self.differences.join("\n")
        );
        Ok(())
    }

    /// Repeats while `busy` says so.
    pub(crate) fn until<T>(
        &mut self,
        mut busy: impl FnMut(&T) -> bool,
        mut ask: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let begin = Instant::now();
        loop {
            let answer = ask(self)?;
            if !busy(&answer) || begin.elapsed() > Duration::from_secs(20) {
                return Ok(answer);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// InitProducerId with what the caller has, -1 for nothing; once.
    pub(crate) fn init_once(&mut self, has: Identity, timeout_ms: i32, version: i16) -> Result<(ErrorCode, Identity)> {
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.clone()),
            transaction_timeout_ms: timeout_ms,
            producer_id: has.0,
            producer_epoch: has.1,
            ..Default::default()
        };
        let answer = self.wire.ask(self.coordinator, &request, version)?;
        Ok((answer.error_code, (answer.producer_id, answer.producer_epoch)))
    }

    /// The same, again and again while the coordinator is busy.
    pub(crate) fn init(&mut self, has: Identity, version: i16) -> Result<(ErrorCode, Identity)> {
        self.until(|told: &(ErrorCode, Identity)| is_busy(told.0), |d| d.init_once(has, 60_000, version))
    }

    /// The code of each partition.
    pub(crate) fn add_once(&mut self, who: Identity, partitions: &[i32], version: i16) -> Result<Vec<ErrorCode>> {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: who.0,
            v3_and_below_producer_epoch: who.1,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: self.topic.clone(),
                partitions: partitions.to_vec(),
            }],
            ..Default::default()
        };
        let answer = self.wire.ask(self.coordinator, &request, version)?;
        let results = answer.results_by_topic_v3_and_below.into_iter().flat_map(|t| t.results_by_partition);
        let mut told: Vec<_> = results.map(|p| (p.partition_index, p.partition_error_code)).collect();
        told.sort_unstable();
        Ok(told.into_iter().map(|(_, code)| code).collect())
    }

    pub(crate) fn add(&mut self, who: Identity, partitions: &[i32], version: i16) -> Result<Vec<ErrorCode>> {
        self.until(|told: &Vec<_>| told.iter().any(|c| is_busy(*c)), |d| d.add_once(who, partitions, version))
    }

    /// EndTxn: code and identity to go on with; once.
    pub(crate) fn end_once(&mut self, who: Identity, committed: bool, version: i16) -> Result<(ErrorCode, Identity)> {
        let request =
            EndTxnRequest { transactional_id: self.id.clone(), producer_id: who.0, producer_epoch: who.1, committed };
        let answer = self.wire.ask(self.coordinator, &request, version)?;
        Ok((answer.error_code, (answer.producer_id, answer.producer_epoch)))
    }

    pub(crate) fn end_txn(&mut self, who: Identity, committed: bool, version: i16) -> Result<(ErrorCode, Identity)> {
        self.until(|told: &(ErrorCode, Identity)| is_busy(told.0), |d| d.end_once(who, committed, version))
    }

    /// A record into a partition: code and base offset.
    pub(crate) fn write(
        &mut self,
        who: Identity,
        partition: i32,
        sequence: i32,
        transactional: bool,
        version: i16,
    ) -> Result<(ErrorCode, i64)> {
        let records = batch(who, sequence, transactional);
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: self.topic.clone(),
                partition_data: vec![PartitionProduceData { index: partition, records: Some(records) }],
                ..Default::default()
            }],
        };
        let leader = self.leaders[usize::try_from(partition)?];
        let ask = |d: &mut Self| -> Result<(ErrorCode, i64)> {
            let answer = d.wire.ask(leader, &request, version)?;
            let told = &answer.responses[0].partition_responses[0];
            Ok((told.error_code, told.base_offset))
        };
        // What is said of a busy coordinator differs by version; both pass.
        self.until(|told: &(ErrorCode, i64)| is_busy(told.0) || told.0 == ErrorCode::NOT_ENOUGH_REPLICAS, ask)
    }

    /// Enrols the group.
    pub(crate) fn add_offsets(&mut self, who: Identity, version: i16) -> Result<ErrorCode> {
        let request = AddOffsetsToTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: who.0,
            producer_epoch: who.1,
            group_id: self.group.clone(),
        };
        let coordinator = self.coordinator;
        self.until(|code| is_busy(*code), |d| Ok(d.wire.ask(coordinator, &request, version)?.error_code))
    }

    /// Commits an offset of partition 0 within the transaction.
    pub(crate) fn commit(&mut self, who: Identity, offset: i64, generation: i32, version: i16) -> Result<ErrorCode> {
        let partitions = vec![TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }];
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: self.group.clone(),
            producer_id: who.0,
            producer_epoch: who.1,
            generation_id_or_member_epoch: generation,
            topics: vec![TxnOffsetCommitRequestTopic { name: self.topic.clone(), partitions, ..Default::default() }],
            ..Default::default()
        };
        let coordinator = self.group_coordinator;
        let ask = |d: &mut Self| {
            let answer = d.wire.ask(coordinator, &request, version)?;
            Ok(answer.topics[0].partitions[0].error_code)
        };
        self.until(|code| is_busy(*code), ask)
    }

    /// The committed offset of partition 0, as a reader who wants stable ones gets it.
    pub(crate) fn committed(&mut self, require_stable: bool) -> Result<(ErrorCode, i64)> {
        let topics = vec![OffsetFetchRequestTopics {
            name: self.topic.clone(),
            partition_indexes: vec![0],
            ..Default::default()
        }];
        let groups =
            vec![OffsetFetchRequestGroup { group_id: self.group.clone(), topics: Some(topics), ..Default::default() }];
        let request = OffsetFetchRequest { groups, require_stable, ..Default::default() };
        let answer = self.wire.ask(self.group_coordinator, &request, 8)?;
        let told = &answer.groups[0].topics[0].partitions[0];
        Ok((told.error_code, told.committed_offset))
    }

    /// High watermark, last stable offset, and the aborted transactions that a reader of committed records is told of.
    pub(crate) fn read(&mut self, partition: i32, offset: i64) -> Result<(i64, i64, Vec<Identity64>, usize)> {
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: 1,
            max_bytes: 1 << 20,
            isolation_level: 1,
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.wire.ask(self.leaders[usize::try_from(partition)?], &request, 11)?;
        let told = &answer.responses[0].partitions[0];
        ensure!(told.error_code.is_ok(), "Fetch: {}", told.error_code);
        let aborted = told.aborted_transactions.iter().flatten().map(|a| (a.producer_id, a.first_offset)).collect();
        let bytes = told.records.as_ref().map_or(0, |records| records.len());
        Ok((told.high_watermark, told.last_stable_offset, aborted, bytes))
    }

    /// The coordinator's description: code, state, epoch and topics.
    pub(crate) fn describe(&mut self, id: &str) -> Result<(ErrorCode, String, i16, usize)> {
        let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
        let coordinator = match id {
            "" => self.coordinator,
            id => self.wire.coordinator(id, Sort::Transaction)?,
        };
        let told = self.wire.ask(coordinator, &request, 0)?.transaction_states.remove(0);
        Ok((told.error_code, told.transaction_state, told.producer_epoch, told.topics.len()))
    }

    /// Waits until the markers of the last transaction are written.
    pub(crate) fn settle(&mut self) -> Result<String> {
        let id = self.id.clone();
        let told = self.until(|told: &(_, String, _, _)| told.1.starts_with("Prepare"), |d| d.describe(&id))?;
        // Readers learn of a marker when it is committed, a moment after it was written.
        thread::sleep(Duration::from_millis(100));
        Ok(told.1)
    }
}

/// A producer id and an offset.
pub(crate) type Identity64 = (i64, i64);

pub(crate) fn is_busy(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CONCURRENT_TRANSACTIONS
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
    )
}

/// A batch of one record without key and value.
fn batch(who: Identity, sequence: i32, transactional: bool) -> Bytes {
    const RECORD: [u8; 7] = [12, 0, 0, 0, 1, 1, 0];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let timestamp = i64::try_from(now.as_millis()).unwrap_or_default();
    let mut w = Writer::new();
    w.i64(0);
    w.i32(49 + RECORD.len() as i32);
    w.i32(-1);
    w.u8(2);
    w.u32(0);
    w.i16(if transactional { 16 } else { 0 });
    w.i32(0);
    w.i64(timestamp);
    w.i64(timestamp);
    w.i64(who.0);
    w.i16(who.1);
    w.i32(sequence);
    w.i32(1);
    w.raw(&RECORD);
    let mut bytes = w.into_vec();
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}
