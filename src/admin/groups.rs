//! Groups: listing and describing them.

use super::{Results, once, wrong};
use klamm_core::admin::types::{GroupDescription, GroupListing};
use klamm_core::admin::{AdminRequest, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

words! {
    /// The state of a group.
    GroupState {
        /// Members are joining.
        PreparingRebalance,
        /// The leader's assignment is awaited.
        CompletingRebalance,
        /// Every member has its partitions.
        Stable,
        /// It is being removed.
        Dead,
        /// It has offsets but no members.
        Empty,
        /// A new assignment is computed (KIP-848).
        Assigning,
        /// Members move to their new assignment (KIP-848).
        Reconciling,
    }
    /// The protocol of a group.
    GroupType {
        /// The protocol of Kafka before 4.0.
        Classic,
        /// KIP-848's.
        Consumer,
    }
}

/// The protocol type of groups of consumers.
const CONSUMER: &str = "consumer";

op! {
    /// All groups of consumers (those that only have offsets too), by name, from all brokers.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// use klamm::admin::GroupState;
    /// for group in admin.list_consumer_groups().in_states([GroupState::Empty]).await? {
    ///     println!("{}", group.group);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If any broker cannot tell its groups: a part of the list would look like the whole.
    #[doc(alias = "listConsumerGroups")]
    list_consumer_groups() -> Vec<GroupListing>;
    ListConsumerGroups {
        flags {}
        lists {
            /// Only groups in one of these states (Kafka 2.6 and later; `Unsupported` before).
            #[doc(alias = "inStates")]
            in_states: GroupState,
            /// Only groups of one of these types (Kafka 3.8 and later; before, `Unsupported` for other than classic ones).
            #[doc(alias = "withTypes")]
            with_types: GroupType,
        }
    }
    |op| {
        let request = AdminRequest::ListGroups {
            states: op.in_states.iter().map(|state| state.as_str().into()).collect(),
            types: op.with_types.iter().map(|kind| kind.as_str().into()).collect(),
        };
        op.admin.request(op.limit, request, |reply| {
            // A group that moves between two coordinators may be listed by both.
            let mut groups: BTreeMap<Arc<str>, GroupListing> = BTreeMap::new();
            for broker in reply.items {
                let Value::Groups(listed) = broker? else { return Err(wrong()) };
                let of_consumers = |g: &GroupListing| *g.protocol_type == *CONSUMER || g.protocol_type.is_empty();
                groups.extend(listed.into_iter().filter(of_consumers).map(|group| (group.group.clone(), group)));
            }
            Ok(groups.into_values().collect())
        })
    }
}

op! {
    /// Describes groups with the classic protocol: their state, and which member has which partitions.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// for (name, group) in admin.describe_consumer_groups(["billing"]).await?.all()? {
    ///     println!("{name}: {}, {} members", group.state, group.members.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Per group: `GROUP_ID_NOT_FOUND` if its coordinator does not know it.
    #[doc(alias = "describeConsumerGroups")]
    describe_consumer_groups(groups: Vec<Arc<str>> =
        |groups: impl IntoIterator<Item = impl Into<String>>| once(groups.into_iter().map(|group| group.into().into())))
        -> Results<String, GroupDescription>;
    DescribeConsumerGroups {
        flags {
            /// Also says what this user may do with them (Kafka 2.3 and later). Default false.
            #[doc(alias = "includeAuthorizedOperations")]
            include_authorized_operations,
        }
        lists {}
    }
    |op| {
        let keys = op.groups.iter().map(ToString::to_string).collect();
        let authorized_operations = op.include_authorized_operations;
        let request = AdminRequest::DescribeGroups { groups: op.groups, authorized_operations };
        op.admin.each(op.limit, request, keys, |name: &String| format!("group {name:?}"), |value| match value {
            Value::Group(group) => Some(group),
            _ => None,
        })
    }
}
