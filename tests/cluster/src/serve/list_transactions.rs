//! ListTransactions (broker-coord 5.7).

use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::list_transactions::ListedTransaction;
use klamm_core::wire::messages::{ListTransactionsRequest, ListTransactionsResponse};
use regex_lite::Regex;
use std::time::Duration;

/// Every state that a filter may name.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

impl Serve for ListTransactionsRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<ListTransactionsResponse> {
        let loading = (0..state.settings.transaction_partitions).any(|index| state.transactions_load(index));
        if loading {
            return Answer::Now(self.refuse(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
        }
        // The pattern must match the whole id.
        let pattern = self.transactional_id_pattern.as_deref().filter(|p| !p.is_empty());
        let pattern = match pattern.map(|p| Regex::new(&format!("^(?:{p})$"))).transpose() {
            Ok(pattern) => pattern,
            Err(_) => return Answer::Now(self.refuse(ErrorCode::INVALID_REGULAR_EXPRESSION)),
        };
        let least = u64::try_from(self.duration_filter).ok().map(Duration::from_millis);
        let mut transaction_states = Vec::new();
        for (id, is) in state.txns.iter() {
            let phase = is.phase.name();
            let lasts = is.start.map(|start| state.mono.since(start.mono));
            let shown = state.coordinates_transaction(call.broker, id).is_ok()
                && (self.state_filters.is_empty() || self.state_filters.iter().any(|s| s == phase))
                && (self.producer_id_filters.is_empty() || self.producer_id_filters.contains(&is.identity.id))
                && least.is_none_or(|least| lasts.is_some_and(|lasts| lasts > least))
                && pattern.as_ref().is_none_or(|p| p.is_match(id));
            if shown {
                transaction_states.push(ListedTransaction {
                    transactional_id: id.to_owned(),
                    producer_id: is.identity.id,
                    transaction_state: phase.to_owned(),
                });
            }
        }
        let unknown = self.state_filters.iter().filter(|s| !STATES.contains(&s.as_str()));
        Answer::Now(ListTransactionsResponse {
            unknown_state_filters: unknown.cloned().collect(),
            transaction_states,
            ..Default::default()
        })
    }

    fn refuse(&self, error_code: ErrorCode) -> ListTransactionsResponse {
        ListTransactionsResponse { error_code, ..Default::default() }
    }
}

impl Respond for ListTransactionsResponse {
    fn fail(&mut self, code: ErrorCode) {
        spoil(&mut self.error_code, code);
    }
    fn omit(&mut self) {
        self.transaction_states.pop();
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
