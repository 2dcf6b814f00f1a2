//! AddOffsetsToTxn: the partition of the offsets topic in which a group lives joins a transaction (broker-coord 3.4, 5.4).

use super::init_producer_id::named_since;
use super::spoil;
use crate::answer::{Answer, Call, Respond, Serve};
use crate::state::State;
use crate::topics::OFFSETS;
use crate::txns::Reply;
use crate::txns::transaction::Identity;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

impl Serve for AddOffsetsToTxnRequest {
    fn serve(self, state: &mut State, call: &Call) -> Answer<AddOffsetsToTxnResponse> {
        let by = Identity { id: self.producer_id, epoch: self.producer_epoch };
        let id = &self.transactional_id;
        // The group need not exist.
        let place = (OFFSETS.to_owned(), state.group_partition(&self.group_id));
        let reply = (call.ticket, Reply::AddOffsets(AddOffsetsToTxnResponse::default()));
        let added = match id.is_empty() {
            true => Err(ErrorCode::INVALID_REQUEST),
            false => state
                .coordinates_transaction(call.broker, id)
                .and_then(|()| state.add_to_transaction(id, by, &[place], Some(reply))),
        };
        match added {
            Ok(_) => Answer::Parked,
            Err(code) => Answer::Now(self.refuse(named_since(2, call.version, code))),
        }
    }

    fn refuse(&self, error_code: ErrorCode) -> AddOffsetsToTxnResponse {
        AddOffsetsToTxnResponse { error_code, ..Default::default() }
    }
}

impl Respond for AddOffsetsToTxnResponse {
    fn fail(&mut self, code: ErrorCode) {
        spoil(&mut self.error_code, code);
    }
    fn throttle(&mut self, ms: i32) {
        self.throttle_time_ms = ms;
    }
}
