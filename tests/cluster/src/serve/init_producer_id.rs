//! InitProducerId (broker-data 8, broker-coord 5.3).

use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use crate::txns::Reply;
use crate::txns::transaction::{Identity, Init, Phase, Transaction};
use klamm_core::ErrorCode;
use klamm_core::wire::messages::{InitProducerIdRequest, InitProducerIdResponse};
use std::time::Duration;

fn failed(error_code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() }
}

fn ready(identity: Identity) -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id: identity.id, producer_epoch: identity.epoch, ..Default::default() }
}

impl State {
    fn init_transactional(
        &mut self,
        id: &str,
        request: &InitProducerIdRequest,
        call: &Call,
    ) -> Result<Answer<InitProducerIdResponse>, ErrorCode> {
        if request.enable2_pc && !self.settings.two_phase_commit {
            return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        }
        if request.keep_prepared_txn && !self.settings.keep_prepared {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        let asked = if request.enable2_pc { i32::MAX } else { request.transaction_timeout_ms };
        let timeout = u64::try_from(asked).map_or(Duration::ZERO, Duration::from_millis);
        // This comes before the question whether it is here at all.
        if timeout.is_zero() || (timeout > self.settings.transaction_max_timeout && !request.enable2_pc) {
            return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
        self.coordinates_transaction(call.broker, id)?;
        let known = self.txns.get(id).cloned();
        if self.txns.is_pending(id) {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        let given =
            (request.producer_id != -1).then_some(Identity { id: request.producer_id, epoch: request.producer_epoch });
        let (now, v2) = (self.mono, self.settings.transaction_version >= 2);
        let next = match known {
            None => {
                let identity = Identity { id: self.new_producer_id(call.broker), epoch: self.settings.first_epoch };
                Init::Ready(Transaction::new(identity, timeout, now))
            }
            Some(known) if request.keep_prepared_txn && known.phase == Phase::Ongoing => {
                known.kept_for(given, timeout, || self.new_producer_id(call.broker), now)?
            }
            Some(known) => {
                let fresh = || self.new_producer_id(call.broker);
                known.init(given, timeout, fresh, v2, now)?
            }
        };
        match next {
            Init::Ready(next) => {
                let reply = Reply::Init(match next.client {
                    Some(client) => InitProducerIdResponse {
                        ongoing_txn_producer_id: next.identity.id,
                        ongoing_txn_producer_epoch: next.identity.epoch,
                        ..ready(client)
                    },
                    None => ready(next.identity),
                });
                self.change_transaction(id, next, Some((call.ticket, reply)));
                Ok(Answer::Parked)
            }
            Init::Abort(next) => {
                self.change_transaction(id, next, None);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
        }
    }
}

/// 5.6: how versions before that one name a producer that is fenced.
pub(super) fn named_since(since: i16, version: i16, code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED if version < since => ErrorCode::INVALID_PRODUCER_EPOCH,
        _ => code,
    }
}

impl Serve for InitProducerIdRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<InitProducerIdResponse> {
        // 8.2: exactly one of id and epoch is an error; without a transactional id both are no bump but a new id.
        if (self.producer_id == -1) != (self.producer_epoch == -1) {
            return Answer::Now(failed(ErrorCode::INVALID_REQUEST));
        }
        match self.transactional_id.as_deref() {
            None => {
                let identity = Identity { id: state.new_producer_id(call.broker), epoch: state.settings.first_epoch };
                Answer::Now(ready(identity))
            }
            Some("") => Answer::Now(failed(ErrorCode::INVALID_REQUEST)),
            Some(id) => state
                .init_transactional(id, &self, call)
                .unwrap_or_else(|code| Answer::Now(failed(named_since(4, call.version, code)))),
        }
    }

    fn refuse(&self, error_code: ErrorCode) -> InitProducerIdResponse {
        failed(error_code)
    }
}

impl Respond for InitProducerIdResponse {
    fn fail(&mut self, error_code: ErrorCode) {
        if self.error_code.is_ok() {
            *self = failed(error_code);
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
