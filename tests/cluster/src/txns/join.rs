//! A partition's leader asks the coordinator about a transaction (broker-coord 5.6, broker-data 4.20).

use super::Reply;
use super::transaction::{Identity, Place};
use crate::answer::Ticket;
use crate::state::State;
use crate::topics::TRANSACTIONS;
use klamm_core::{ErrorCode, Time};

/// What a leader wants to know.
pub(crate) struct Question<'a> {
    pub(crate) id: &'a str,
    pub(crate) by: Identity,
    pub(crate) places: &'a [Place],
    /// To add the partitions (v2), not only to ask whether they belong to the transaction.
    pub(crate) add: bool,
}

/// What it is told.
pub(crate) enum Told {
    /// One code per partition.
    Now(Vec<ErrorCode>),
    /// It is being written until then.
    Later(Time),
}

impl State {
    /// 5.4: adds partitions to a transaction as its coordinator; the caller's answer waits for the write. `Ok(None)`: they
    /// belong to it, `Ok(Some)`: they will from then on.
    pub(crate) fn add_to_transaction(
        &mut self,
        id: &str,
        by: Identity,
        places: &[Place],
        reply: Option<(Ticket, Reply)>,
    ) -> Result<Option<Time>, ErrorCode> {
        let Some(entry) = self.txns.by_id.get(id) else { return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING) };
        // The id is looked up, then comes what is under way, then who asks.
        if entry.is_pending() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        let now = self.moment();
        let is = entry.is.as_ref().ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        match is.add(by, places, now)? {
            None => {
                if let Some((ticket, reply)) = reply {
                    self.reply_transaction(ticket, reply);
                }
                Ok(None)
            }
            Some(to) => Ok(self.change_transaction(id, to, reply)),
        }
    }

    /// Asks the coordinator of a transaction, from another broker.
    pub(crate) fn ask_coordinator(&mut self, question: &Question<'_>) -> Result<Told, ErrorCode> {
        let Question { id, by, places, add } = *question;
        let index = self.transaction_partition(id);
        let leader = self.topics.get(TRANSACTIONS).and_then(|t| t.partition(index)?.now.leader);
        let leader = leader.filter(|b| self.nodes.get(b).is_some_and(|node| node.up));
        let Some(leader) = leader else { return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE) };
        self.coordinates_transaction(leader, id)?;
        if add {
            return Ok(match self.add_to_transaction(id, by, places, None)? {
                Some(at) => Told::Later(at),
                None => Told::Now(vec![ErrorCode::NONE; places.len()]),
            });
        }
        let is = self.txns.get(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        is.verify(by, places).map(Told::Now)
    }
}
