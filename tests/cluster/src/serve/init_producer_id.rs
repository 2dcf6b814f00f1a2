//! InitProducerId without a transactional id (broker-data 8).

use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

impl Serve for InitProducerIdRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<InitProducerIdResponse> {
        match self.transactional_id.as_deref() {
            // 8.4.
            Some("") => return Answer::Now(self.refuse(ErrorCode::INVALID_REQUEST)),
            // Said plainly, and fatal to a client: there are no transactions here.
            Some(_) => return Answer::Now(self.refuse(ErrorCode::UNSUPPORTED_VERSION)),
            None => {}
        }
        // 8.2: exactly one of id and epoch is an error; both are no bump but a new id.
        if (self.producer_id == -1) != (self.producer_epoch == -1) {
            return Answer::Now(self.refuse(ErrorCode::INVALID_REQUEST));
        }
        // 8.3: every broker has blocks of its own, so ids of different brokers do not rise together.
        let next = state.producer_ids;
        state.producer_ids += 1;
        let producer_id = i64::from(call.broker) * 1000 + (next / 1000) * 1_000_000 + next % 1000;
        Answer::Now(InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() })
    }

    fn refuse(&self, error_code: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() }
    }
}

impl Respond for InitProducerIdResponse {
    fn fail(&mut self, error_code: ErrorCode) {
        if self.error_code.is_ok() {
            *self = Self { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() };
        }
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
