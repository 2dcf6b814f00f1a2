//! DescribeTransactions (broker-coord 5.7).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use crate::txns::transaction::Place;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::describe_transactions::{DescribedTransaction, DescribedTransactionTopic};
use klamm_core::wire::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

fn failed(id: &str, error_code: ErrorCode) -> DescribedTransaction {
    DescribedTransaction { error_code, transactional_id: id.to_owned(), ..Default::default() }
}

/// Partitions by topic.
fn grouped<'a>(places: impl Iterator<Item = &'a Place>) -> Vec<DescribedTransactionTopic> {
    let mut topics: Vec<DescribedTransactionTopic> = Vec::new();
    for (name, index) in places {
        match topics.iter_mut().find(|t| t.topic == *name) {
            Some(topic) => topic.partitions.push(*index),
            None => topics.push(DescribedTransactionTopic { topic: name.clone(), partitions: vec![*index] }),
        }
    }
    topics
}

impl State {
    fn describe_transaction(&self, id: &str, broker: i32) -> DescribedTransaction {
        if id.is_empty() {
            return failed(id, ErrorCode::INVALID_REQUEST);
        }
        if let Err(code) = self.coordinates_transaction(broker, id) {
            return failed(id, code);
        }
        let Some(is) = self.txns.get(id) else { return failed(id, ErrorCode::TRANSACTIONAL_ID_NOT_FOUND) };
        DescribedTransaction {
            error_code: ErrorCode::NONE,
            transactional_id: id.to_owned(),
            transaction_state: is.phase.name().to_owned(),
            transaction_timeout_ms: i32::try_from(is.timeout.as_millis()).unwrap_or(i32::MAX),
            transaction_start_time_ms: is.start.map_or(-1, |start| start.wall),
            producer_id: is.identity.id,
            producer_epoch: is.identity.epoch,
            // While it ends, those that have no marker yet.
            topics: match self.txns.owed(id) {
                Some(owed) => grouped(owed),
                None => grouped(is.partitions.iter()),
            },
        }
    }
}

impl Serve for DescribeTransactionsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<DescribeTransactionsResponse> {
        let states = self.transactional_ids.iter().map(|id| state.describe_transaction(id, call.broker));
        Answer::Now(DescribeTransactionsResponse { transaction_states: states.collect(), ..Default::default() })
    }

    fn refuse(&self, code: ErrorCode) -> DescribeTransactionsResponse {
        let states = self.transactional_ids.iter().map(|id| failed(id, code));
        DescribeTransactionsResponse { transaction_states: states.collect(), ..Default::default() }
    }
}

impl Respond for DescribeTransactionsResponse {
    fn fail(&mut self, code: ErrorCode) {
        for state in &mut self.transaction_states {
            spoil(&mut state.error_code, code);
        }
    }
    fn omit(&mut self) {
        self.transaction_states.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
