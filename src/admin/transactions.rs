//! Transactions: who writes where, which are open, and the end of those that nobody else ends.

use super::{Results, once, unit, wrong};
use klamm_core::admin::types::{
    AbortTransactionSpec, FencedProducer, ProducerState, TransactionDescription, TransactionListing,
};
use klamm_core::admin::{AdminRequest, Value};
use klamm_core::client::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

words! {
    /// The state of a transactional id.
    TransactionState {
        /// It has written nothing yet.
        Empty,
        /// A transaction is open.
        Ongoing,
        /// It is being committed: its partitions are told.
        PrepareCommit,
        /// It is being aborted: its partitions are told.
        PrepareAbort,
        /// The last one was committed.
        CompleteCommit,
        /// The last one was aborted.
        CompleteAbort,
        /// It is being removed.
        Dead,
        /// Its producer is being fenced.
        PrepareEpochFence,
    }
}

fn named(id: &String) -> String {
    format!("transactional id {id:?}")
}

fn ids(of: impl IntoIterator<Item = impl Into<String>>) -> Vec<Arc<str>> {
    once(of.into_iter().map(|id| id.into().into()))
}

fn keys(ids: &[Arc<str>]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

op! {
    /// Describes the producers that partitions know (KIP-664, Kafka 2.8 and later): those that wrote to them with a
    /// producer id, and where their open transactions begin. So a transaction is found that holds readers of committed
    /// records up.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// for (partition, producers) in admin.describe_producers([("orders", 0)]).await?.all()? {
    ///     for producer in producers.iter().filter(|p| p.current_transaction_start.is_some()) {
    ///         println!("{partition}: {producer:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Per partition: `UnknownTopic` if it does not exist.
    #[doc(alias = "describeProducers")]
    describe_producers(partitions: Vec<TopicPartition> =
        |partitions: impl IntoIterator<Item = impl Into<TopicPartition>>| once(partitions.into_iter().map(Into::into)))
        -> Results<TopicPartition, Vec<ProducerState>>;
    DescribeProducers {
        flags {}
        lists {}
        values {
            /// Asks this broker, which must have a replica of each partition, instead of the leaders.
            #[doc(alias = "brokerId")]
            broker(id: i32) = id => i32,
        }
    }
    |op| {
        let request = AdminRequest::DescribeProducers { partitions: op.partitions.clone(), broker: op.broker };
        op.admin.each(op.limit, request, op.partitions, |place| format!("partition {place}"), |value| match value {
            Value::Producers(producers) => Some(producers),
            _ => None,
        })
    }
}

op! {
    /// Describes transactional ids (KIP-664, Kafka 3.0 and later): their state, who has them, and which partitions their
    /// open transactions have written to.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// for (id, transaction) in admin.describe_transactions(["payments-1"]).await?.all()? {
    ///     println!("{id}: {} {:?}", transaction.state, transaction.partitions);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Per id: `TRANSACTIONAL_ID_NOT_FOUND` if its coordinator does not know it.
    #[doc(alias = "describeTransactions")]
    describe_transactions(transactional_ids: Vec<Arc<str>> =
        |transactional_ids: impl IntoIterator<Item = impl Into<String>>| ids(transactional_ids))
        -> Results<String, TransactionDescription>;
    DescribeTransactions { flags {} lists {} }
    |op| {
        let keys = keys(&op.transactional_ids);
        let request = AdminRequest::DescribeTransactions(op.transactional_ids);
        op.admin.each(op.limit, request, keys, named, |value| match value {
            Value::Transaction(transaction) => Some(transaction),
            _ => None,
        })
    }
}

op! {
    /// All transactional ids, by name, from all brokers (KIP-664, Kafka 3.0 and later).
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// use klamm::admin::TransactionState;
    /// use std::time::Duration;
    /// let long = admin.list_transactions().in_states([TransactionState::Ongoing]).open_for(Duration::from_secs(900));
    /// for transaction in long.await? {
    ///     println!("{} of producer {}", transaction.transactional_id, transaction.producer_id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If any broker cannot tell its transactional ids: a part of the list would look like the whole.
    #[doc(alias = "listTransactions")]
    list_transactions() -> Vec<TransactionListing>;
    ListTransactions {
        flags {}
        lists {
            /// Only those in one of these states.
            #[doc(alias = "filterStates")]
            in_states: TransactionState,
            /// Only those that one of these producer ids has.
            #[doc(alias = "filterProducerIds")]
            with_producer_ids: i64,
        }
        values {
            /// Only those whose transaction has been open for longer (KIP-994, Kafka 3.8 and later; `Unsupported` before).
            #[doc(alias = "filterOnDuration")]
            open_for(longer_than: Duration) = longer_than => Duration,
            /// Only those that this regular expression, in the brokers' syntax, matches as a whole (KIP-1152, Kafka 4.1 and
            /// later; `Unsupported` before).
            #[doc(alias = "filterOnTransactionalIdPattern")]
            matching(pattern: impl Into<Arc<str>>) = pattern.into() => Arc<str>,
        }
    }
    |op| {
        let request = AdminRequest::ListTransactions {
            states: op.in_states.iter().map(|state| state.as_str().into()).collect(),
            producer_ids: op.with_producer_ids,
            open_for: op.open_for,
            pattern: op.matching.filter(|pattern| !pattern.is_empty()),
        };
        op.admin.request(op.limit, request, |reply| {
            // An id that moves between two coordinators may be listed by both.
            let mut all: BTreeMap<Arc<str>, TransactionListing> = BTreeMap::new();
            for broker in reply.items {
                let Value::Transactions(listed) = broker? else { return Err(wrong()) };
                all.extend(listed.into_iter().map(|one| (one.transactional_id.clone(), one)));
            }
            Ok(all.into_values().collect())
        })
    }
}

op! {
    /// Aborts what a transaction wrote to one partition, past its coordinator (KIP-664, Kafka 3.0 and later): for a
    /// transaction that no coordinator knows any more and that holds readers of committed records up. One that is open at
    /// its coordinator is ended by [`force_terminate_transaction`](Self::force_terminate_transaction) instead.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin, hanging: klamm::admin::ProducerState) -> klamm::Result<()> {
    /// use klamm::admin::AbortTransactionSpec;
    /// if let Some(spec) = AbortTransactionSpec::of(("orders", 0), &hanging) {
    ///     admin.abort_transaction(spec).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` or `TRANSACTION_COORDINATOR_FENCED` if the partition knows a later epoch than given.
    #[doc(alias = "abortTransaction")]
    abort_transaction(spec: AbortTransactionSpec = |spec: AbortTransactionSpec| spec) -> ();
    AbortTransaction { flags {} lists {} }
    |op| {
        let subject = format!("partition {}", op.spec.partition());
        op.admin.request(op.limit, AdminRequest::AbortTransaction(op.spec), move |reply| {
            match reply.items.into_iter().next() {
                Some(Ok(value)) => unit(value).ok_or_else(wrong),
                Some(Err(error)) => Err(error.with_subject(subject.clone())),
                None => Err(wrong()),
            }
        })
    }
}

op! {
    /// Fences the producers that have these transactional ids now: their open transactions are aborted, and whatever they
    /// do next with the id fails.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// admin.fence_producers(["payments-1", "payments-2"]).await?.all()?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "fenceProducers")]
    fence_producers(transactional_ids: Vec<Arc<str>> =
        |transactional_ids: impl IntoIterator<Item = impl Into<String>>| ids(transactional_ids))
        -> Results<String, FencedProducer>;
    FenceProducers { flags {} lists {} }
    |op| {
        let keys = keys(&op.transactional_ids);
        op.admin.each(op.limit, AdminRequest::FenceProducers(op.transactional_ids), keys, named, fence)
    }
}

op! {
    /// Ends the open transaction of an id, a prepared one too, by an abort, and fences its producer (KIP-939): the same as
    /// [`fence_producers`](Self::fence_producers) for one id.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// admin.force_terminate_transaction("payments-1").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "forceTerminateTransaction")]
    force_terminate_transaction(transactional_id: String = |transactional_id: impl Into<String>| transactional_id.into())
        -> ();
    ForceTerminateTransaction { flags {} lists {} }
    |op| {
        let subject = named(&op.transactional_id);
        let request = AdminRequest::FenceProducers(vec![op.transactional_id.into()]);
        op.admin.request(op.limit, request, move |reply| match reply.items.into_iter().next() {
            Some(Ok(value)) => fence(value).map(drop).ok_or_else(wrong),
            Some(Err(error)) => Err(error.with_subject(subject.clone())),
            None => Err(wrong()),
        })
    }
}

fn fence(value: Value) -> Option<FencedProducer> {
    match value {
        Value::Fenced(fenced) => Some(fenced),
        _ => None,
    }
}
