//! What brokers of an older Kafka cannot be asked for: it is refused before they are asked, and never left out in silence.

use super::types::NewTopic;
use crate::client::TopicName;
use crate::client::role::LinkFacts;
use crate::wire::messages::{CreateTopicsRequest, DescribeClusterRequest, ListGroupsRequest, ListTransactionsRequest};
use crate::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// KIP-464.
const FIRST_WITH_DEFAULTS: i16 = 4;
/// KIP-518.
const FIRST_WITH_STATES: i16 = 4;
/// KIP-848.
const FIRST_WITH_TYPES: i16 = 5;
/// KIP-1073.
const FIRST_WITH_FENCED: i16 = 2;

/// KIP-994.
const FIRST_WITH_DURATION: i16 = 1;
/// KIP-1152.
const FIRST_WITH_PATTERN: i16 = 2;

/// The type that groups had before there were types.
const CLASSIC: &str = "classic";

/// The items that cannot be asked for, and why.
type Refused = Result<(), (Vec<usize>, Error)>;

fn refused(link: &LinkFacts<'_>, which: Vec<usize>, what: &str, hint: &str) -> Refused {
    let error = Error::new(ErrorKind::Unsupported, format!("broker {} is too old {what}", link.broker));
    Err((which, error.with_broker(link.broker.0).with_hint(hint)))
}

/// Before `first`, topics have no ids.
pub(super) fn knows_names_only(topics: &[TopicName], which: &[usize], version: i16, first: i16) -> Refused {
    let by_id = |n: &&usize| matches!(topics.get(**n), Some(TopicName::Id(_)));
    let ids: Vec<usize> = which.iter().filter(by_id).copied().collect();
    if version >= first || ids.is_empty() {
        return Ok(());
    }
    Err((ids, Error::new(ErrorKind::Unsupported, "the broker knows topics by name only, not by id")))
}

/// The broker's own number of partitions and replicas can be had since Kafka 2.4.
pub(super) fn has_no_defaults(topics: &[NewTopic], which: &[usize], link: &LinkFacts<'_>) -> Refused {
    let left_open = |t: &NewTopic| t.assignments.is_empty() && (t.partitions < 0 || t.replication_factor < 0);
    let open: Vec<usize> = which.iter().copied().filter(|n| topics.get(*n).is_some_and(left_open)).collect();
    if open.is_empty() || link.version::<CreateTopicsRequest>().is_none_or(|version| version >= FIRST_WITH_DEFAULTS) {
        return Ok(());
    }
    let what = "to choose the number of partitions and replicas";
    refused(link, open, what, "give both, or use Kafka 2.4 or later")
}

/// Groups can be listed by their state since Kafka 2.6, by their type since 3.8.
pub(super) fn tells_no_states(
    states: &[Arc<str>],
    types: &[Arc<str>],
    which: &[usize],
    link: &LinkFacts<'_>,
) -> Refused {
    let Some(version) = link.version::<ListGroupsRequest>() else { return Ok(()) };
    if version < FIRST_WITH_STATES && !states.is_empty() {
        return refused(link, which.to_vec(), "to list groups by their state", "list all, or use Kafka 2.6 or later");
    }
    let other_types = types.iter().any(|kind| !kind.eq_ignore_ascii_case(CLASSIC));
    if version < FIRST_WITH_TYPES && other_types {
        return refused(link, which.to_vec(), "to list groups by their type", "all of its groups are classic ones");
    }
    Ok(())
}

/// Brokers that are registered and do not serve are listed since Kafka 4.0.
pub(super) fn tells_no_fenced_brokers(wanted: bool, which: &[usize], link: &LinkFacts<'_>) -> Refused {
    if !wanted || link.version::<DescribeClusterRequest>().is_some_and(|version| version >= FIRST_WITH_FENCED) {
        return Ok(());
    }
    refused(link, which.to_vec(), "to list fenced brokers", "leave them out, or use Kafka 4.0 or later")
}

/// Transactions can be listed by how long they have been open since Kafka 3.8, by a pattern since 4.1.
pub(super) fn filters_no_transactions(
    open_for: Option<Duration>,
    pattern: Option<&str>,
    which: &[usize],
    link: &LinkFacts<'_>,
) -> Refused {
    let Some(version) = link.version::<ListTransactionsRequest>() else { return Ok(()) };
    if version < FIRST_WITH_DURATION && open_for.is_some() {
        let what = "to list transactions by how long they have been open";
        return refused(link, which.to_vec(), what, "list all, or use Kafka 3.8 or later");
    }
    if version < FIRST_WITH_PATTERN && pattern.is_some() {
        let what = "to list transactional ids by a pattern";
        return refused(link, which.to_vec(), what, "list all, or use Kafka 4.1 or later");
    }
    Ok(())
}
