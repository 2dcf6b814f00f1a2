//! What coordinators answer, request by request.

use super::class::{Reaction, reaction};
use super::{Ask, Call, GroupOffsets, State, Transaction, requests};
use crate::client::Reply;
use crate::client::role::{Cx, Response};
use crate::producer::machine::Producer;
use crate::producer::sequence::Identity;
use crate::wire::messages::{AddOffsetsToTxnRequest, EndTxnRequest, InitProducerIdRequest};
use crate::{BrokerId, Error, ErrorCode, ErrorKind, PartitionIx};
use std::sync::Arc;

impl Producer {
    pub(super) fn take_init(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        call: &Call,
        response: &Response,
    ) -> Result<i32, Error> {
        let answer = response.decode::<InitProducerIdRequest>()?;
        if answer.error_code.is_ok() && (answer.producer_id < 0 || answer.producer_epoch < 0) {
            return Err(Error::new(ErrorKind::Corrupt, "a broker gave a producer id that is none"));
        }
        if self.cannot_keep(cx, answer.error_code) {
            return Ok(answer.throttle_time_ms);
        }
        let what = "the coordinator gives no producer id";
        if self.react(cx, broker, call, answer.error_code, what) == Reaction::Done {
            let kept = self.transaction.as_ref().is_some_and(|txn| txn.state == State::Kept);
            self.adopt(Identity { id: answer.producer_id, epoch: answer.producer_epoch });
            if kept {
                self.over(cx, false);
            }
            let reply = self.take_kept(&answer).unwrap_or(Reply::Unit);
            let starters = self.transaction.as_mut().map(|txn| std::mem::take(&mut txn.starters));
            for op in starters.into_iter().flatten() {
                cx.done(op, Ok(reply.clone()));
            }
        }
        Ok(answer.throttle_time_ms)
    }

    pub(super) fn take_added(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        call: &Call,
        response: &Response,
    ) -> Result<i32, Error> {
        let (codes, throttle) = requests::added(response, cx.names)?;
        let Some(txn) = &mut self.transaction else { return Ok(throttle) };
        let mut worst: Option<(PartitionIx, ErrorCode)> = None;
        for partition in &call.partitions {
            // Who is left out is asked for again.
            let code = codes.get(partition).copied().unwrap_or(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
            if code.is_ok() {
                txn.touched = true;
                txn.waiting.remove(partition);
                if let Some(queue) = self.queues.get_mut(partition) {
                    queue.enrolled = txn.generation;
                }
            } else if worst.is_none_or(|(_, before)| rank(call.ask, before) < rank(call.ask, code)) {
                worst = Some((*partition, code));
            }
        }
        self.unfiled = true;
        match worst {
            None => {
                self.react(cx, broker, call, ErrorCode::NONE, "");
            }
            Some((partition, code)) => {
                let (topic, number) = cx.names.named(partition);
                let what = format!("{topic}-{number} cannot be added to the transaction");
                self.react(cx, broker, call, code, &what);
            }
        }
        Ok(throttle)
    }

    pub(super) fn take_group_added(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        call: &Call,
        response: &Response,
    ) -> Result<i32, Error> {
        let answer = response.decode::<AddOffsetsToTxnRequest>()?;
        let Some(txn) = &mut self.transaction else { return Ok(answer.throttle_time_ms) };
        let group: Option<Arc<str>> = call.offsets.as_ref().map(|(_, group)| group.clone());
        txn.touched |= answer.error_code.is_ok();
        if let (Some(group), true) = (&group, answer.error_code.is_ok()) {
            txn.groups.insert(group.clone());
        }
        let what = format!("group \"{}\" cannot be added to the transaction", group.as_deref().unwrap_or_default());
        self.react(cx, broker, call, answer.error_code, &what);
        Ok(answer.throttle_time_ms)
    }

    pub(super) fn take_committed(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        call: &Call,
        response: &Response,
    ) -> Result<i32, Error> {
        // Those that it was about may be dropped by now, and others be first.
        let ours = |offsets: &&mut GroupOffsets| call.offsets.as_ref().is_some_and(|(op, _)| *op == offsets.op);
        let first = self.transaction.as_mut().and_then(|txn| txn.offsets.front_mut()).filter(ours);
        let asked = first.as_ref().map_or(&[][..], |offsets| &offsets.left);
        let (codes, throttle) = requests::committed(response, asked, cx.names)?;
        let Some(offsets) = first else {
            self.transaction.iter_mut().for_each(Transaction::asked);
            return Ok(throttle);
        };
        let mut worst: Option<((crate::TopicIx, i32), ErrorCode)> = None;
        offsets.left.retain(|left| {
            let code = codes.get(&left.place).copied().unwrap_or(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
            if !code.is_ok()
                && worst.is_none_or(|(_, old)| rank(Ask::CommitOffsets, old) < rank(Ask::CommitOffsets, code))
            {
                worst = Some((left.place, code));
            }
            !code.is_ok()
        });
        let (op, group) = (offsets.op, offsets.group.group.clone());
        match worst {
            None => {
                self.react(cx, broker, call, ErrorCode::NONE, "");
                if let Some(txn) = &mut self.transaction {
                    txn.offsets.pop_front();
                }
                cx.done(op, Ok(Reply::Unit));
            }
            Some(((topic, number), code)) => {
                let topic = cx.names.topic_name(topic);
                let what = format!("the offset of {topic}-{number} cannot be committed for group \"{group}\"");
                self.react(cx, broker, call, code, &what);
            }
        }
        Ok(throttle)
    }

    pub(super) fn take_end(
        &mut self,
        cx: &mut Cx<'_>,
        broker: BrokerId,
        call: &Call,
        response: &Response,
    ) -> Result<i32, Error> {
        let answer = response.decode::<EndTxnRequest>()?;
        if self.kept_is_over(answer.error_code) {
            return Ok(answer.throttle_time_ms);
        }
        let Some(txn) = &mut self.transaction else { return Ok(answer.throttle_time_ms) };
        let commit = txn.end.as_ref().is_some_and(|end| end.commit);
        // What a coordinator says whose write was appended and not replicated in time, or that lost its partition meanwhile.
        let doubtful = matches!(
            answer.error_code,
            ErrorCode::UNKNOWN_SERVER_ERROR
                | ErrorCode::REQUEST_TIMED_OUT
                | ErrorCode::NOT_COORDINATOR
                | ErrorCode::COORDINATOR_NOT_AVAILABLE
        );
        if let Some(end) = txn.end.as_mut().filter(|_| doubtful) {
            end.unknown = true;
        }
        let what = if commit { "the transaction cannot be committed" } else { "the transaction cannot be aborted" };
        match self.react(cx, broker, call, answer.error_code, what) {
            Reaction::Done => {
                let next = (answer.producer_id >= 0 && answer.producer_epoch >= 0)
                    .then_some(Identity { id: answer.producer_id, epoch: answer.producer_epoch });
                self.over(cx, false);
                if let Some(next) = next {
                    self.adopt(next);
                } else if let Some(txn) = self.transaction.as_mut().filter(|txn| txn.tainted) {
                    txn.state = State::Bumping;
                }
            }
            reaction @ (Reaction::NotOpen | Reaction::Abort | Reaction::Renew) => {
                let Some(txn) = &mut self.transaction else { return Ok(answer.throttle_time_ms) };
                let cause = txn.last.clone().unwrap_or_else(|| Error::from_code(answer.error_code));
                // An earlier asking may have been carried out: that nothing is open now does not tell how it ended.
                if reaction == Reaction::NotOpen && txn.end.as_ref().is_some_and(|end| end.commit && end.unknown) {
                    self.die(cx, cause);
                } else if commit {
                    txn.was_aborted(&cause);
                } else {
                    // Nothing of it is open, and nothing tells which epoch the coordinator is at.
                    self.over(cx, true);
                }
            }
            Reaction::Retry | Reaction::Soon | Reaction::Rediscover | Reaction::Fatal => {}
        }
        Ok(answer.throttle_time_ms)
    }
}

/// How bad a code is among those of one answer.
fn rank(ask: Ask, code: ErrorCode) -> u8 {
    match reaction(ask, code) {
        Reaction::Done => 0,
        Reaction::Soon => 1,
        Reaction::Retry => 2,
        Reaction::Rediscover => 3,
        // Says that another part failed: that one is the cause.
        _ if code == ErrorCode::OPERATION_NOT_ATTEMPTED => 4,
        Reaction::Abort => 5,
        Reaction::Renew | Reaction::NotOpen => 6,
        Reaction::Fatal => 7,
    }
}
