//! A leader makes sure of a transaction before it takes records of it (broker-data 3.7, 3.8, 4.20).

use super::join::{Question, Told};
use super::transaction::{Identity, Place};
use crate::answer::Call;
use crate::log::validate::{Refusal, only_batch};
use crate::state::State;
use klamm_core::wire::messages::ProduceRequest;
use klamm_core::{ErrorCode, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a leader asks again a coordinator that is busy with the producer's last transaction.
const AGAIN: Duration = Duration::from_millis(20);
/// The first version of Produce that adds partitions to transactions.
const FIRST_V2: i16 = 12;
/// For how long.
const PATIENCE: Duration = Duration::from_millis(100);

/// For each partition with records of a transaction: whether the coordinator vouched for it, or why it is not taken.
pub(crate) type Guards = BTreeMap<Place, Result<bool, Refusal>>;

/// What is done with a request that has records of transactions.
pub(crate) enum Verdict {
    Go(Guards),
    /// It is looked at again then.
    Hold(Time),
    /// It is refused as a whole (3.7).
    Refuse,
}

impl State {
    /// Asks the coordinator about every partition of a request that holds records of a transaction not open here.
    pub(crate) fn guard(&mut self, request: &ProduceRequest, call: &Call, since: Time) -> Verdict {
        let mut guards = Guards::new();
        let mut asked: Vec<Place> = Vec::new();
        let trusts = call.version < FIRST_V2 && !self.verifies_transactions(call.broker);
        let mut by = None;
        for topic in &request.topic_data {
            let name = match call.version >= 13 {
                true => self.topics.name(topic.topic_id),
                false => Some(topic.name.as_str()),
            };
            let Some(name) = name else { continue };
            for data in &topic.partition_data {
                let records = data.records.as_deref().unwrap_or_default();
                let Ok(raw) = only_batch(records, call.version) else { continue };
                let partition = self.topics.get(name).and_then(|t| t.partition(data.index));
                let (Some(partition), true) = (partition, raw.is_transactional()) else { continue };
                let identity = Identity { id: raw.producer_id(), epoch: raw.producer_epoch() };
                if by.is_some_and(|by| by != identity) {
                    return Verdict::Refuse;
                }
                by = Some(identity);
                let place = (name.to_owned(), data.index);
                let Some(copy) = partition.copies.get(&call.broker).filter(|_| partition.is_led_by(call.broker)) else {
                    guards.insert(place, Err(Refusal::bare(ErrorCode::NOT_LEADER_OR_FOLLOWER)));
                    continue;
                };
                if copy.producers.is_open(identity.id, identity.epoch) {
                    guards.insert(place, Ok(false));
                } else if trusts {
                    guards.insert(place, Ok(true));
                } else if copy.producers.epoch(identity.id).is_some_and(|epoch| identity.epoch < epoch) {
                    guards.insert(place, Err(Refusal::bare(ErrorCode::INVALID_PRODUCER_EPOCH)));
                } else if !asked.contains(&place) {
                    asked.push(place);
                }
            }
        }
        let (Some(by), false) = (by, asked.is_empty()) else { return Verdict::Go(guards) };
        let id = request.transactional_id.as_deref().unwrap_or_default();
        let add = call.version >= FIRST_V2;
        let codes = match self.ask_coordinator(&Question { id, by, places: &asked, add }) {
            Ok(Told::Later(at)) => return Verdict::Hold(at),
            Ok(Told::Now(codes)) => codes,
            Err(ErrorCode::CONCURRENT_TRANSACTIONS) if add && self.mono + AGAIN <= since + PATIENCE => {
                return Verdict::Hold(self.mono + AGAIN);
            }
            Err(code) => vec![code; asked.len()],
        };
        for (place, code) in asked.into_iter().zip(codes) {
            let guard = if code.is_ok() { Ok(true) } else { Err(refusal(code, call.version)) };
            guards.insert(place, guard);
        }
        Verdict::Go(guards)
    }
}

/// How a leader names what the coordinator said.
fn refusal(code: ErrorCode, version: i16) -> Refusal {
    let code = match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if version <= 10 => ErrorCode::INVALID_TXN_STATE,
        // The client is to try again; a code that it takes for the leader's own makes it do so.
        ErrorCode::CONCURRENT_TRANSACTIONS if version <= 11 => ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS | ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => {
            ErrorCode::NOT_ENOUGH_REPLICAS
        }
        code => code,
    };
    let text = match code {
        ErrorCode::NOT_ENOUGH_REPLICAS => "Unable to verify the partition has been added to the transaction",
        ErrorCode::INVALID_TXN_STATE | ErrorCode::TRANSACTION_ABORTABLE => "Partition was not added to the transaction",
        _ => return Refusal::bare(code),
    };
    Refusal { message: Some(text.to_owned()), ..Refusal::bare(code) }
}
