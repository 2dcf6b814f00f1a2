//! EndTxn: versions 0 to 4 keep the epoch, 5 bumps it (broker-coord 5.5).

use super::init_producer_id::named_since;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use crate::txns::Reply;
use crate::txns::transaction::{End, Identity};
use klamm_core::ErrorCode;
use klamm_core::wire::messages::{EndTxnRequest, EndTxnResponse};

fn ended(identity: Identity, version: i16) -> EndTxnResponse {
    if version < 5 {
        return EndTxnResponse::default();
    }
    EndTxnResponse { producer_id: identity.id, producer_epoch: identity.epoch, ..Default::default() }
}

impl State {
    fn end_transaction(&mut self, asked: &EndTxnRequest, call: &Call) -> Result<Answer<EndTxnResponse>, ErrorCode> {
        let id = &asked.transactional_id;
        let by = Identity { id: asked.producer_id, epoch: asked.producer_epoch };
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        self.coordinates_transaction(call.broker, id)?;
        let pending = self.txns.is_pending(id);
        let now = self.mono;
        let end = if call.version >= 5 {
            // Version 2 looks at what is under way before it looks at who asks.
            if pending {
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            let is = self.txns.get(id).cloned().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
            is.end_v2(by, asked.committed, || self.new_producer_id(call.broker), now)?
        } else {
            let is = self.txns.get(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
            if is.identity.id != by.id {
                return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
            }
            if is.identity.epoch != by.epoch || is.client.is_some() {
                return Err(ErrorCode::PRODUCER_FENCED);
            }
            if pending {
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            is.end_v1(asked.committed, now)?
        };
        Ok(match end {
            End::Done(identity) => Answer::Now(ended(identity, call.version)),
            End::Begin(to, identity) => {
                let reply = Reply::End(ended(identity, call.version));
                self.change_transaction(id, to, Some((call.ticket, reply)));
                Answer::Parked
            }
        })
    }
}

impl Serve for EndTxnRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<EndTxnResponse> {
        match state.end_transaction(&self, call) {
            Ok(answer) => answer,
            Err(code) => Answer::Now(self.refuse(named_since(2, call.version, code))),
        }
    }

    fn refuse(&self, error_code: ErrorCode) -> EndTxnResponse {
        EndTxnResponse { error_code, ..Default::default() }
    }
}

impl Respond for EndTxnResponse {
    fn fail(&mut self, error_code: ErrorCode) {
        if self.error_code.is_ok() {
            *self = EndTxnResponse { error_code, ..Default::default() };
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
