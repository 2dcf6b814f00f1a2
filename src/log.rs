//! What the client tells to `tracing`, with the feature of that name.
//!
//! Targets, for `RUST_LOG` and its like: `klamm::link` (connections), `klamm::metadata` (leaders), `klamm::producer` (retries,
//! failed and split batches), `klamm::group` (assignments, commits). Nothing is told per record.

use klamm_core::ErrorKind;
use klamm_core::client::{Event, Note};
use tracing::{debug, error, info, warn};

const LINK: &str = "klamm::link";
const METADATA: &str = "klamm::metadata";
const PRODUCER: &str = "klamm::producer";
const GROUP: &str = "klamm::group";

/// Tells of an event of the core.
pub(crate) fn event(event: &Event) {
    match event {
        Event::Note(happened) => note(happened),
        Event::Topic { name, shape: Err(error), .. } => {
            warn!(target: METADATA, topic = %name, %error, "topic cannot be had")
        }
        Event::Failed { error, .. } if error.is_fatal() => error!(target: PRODUCER, %error, "producer is done"),
        Event::Failed { error, .. } => warn!(target: PRODUCER, %error, "batch failed"),
        Event::Split { into, .. } => info!(target: PRODUCER, parts = into.len(), "batch was too large and is split"),
        Event::Assigned { partitions, group, .. } => {
            info!(target: GROUP, group = %group.group, generation = group.generation, partitions = partitions.len(), "assigned");
        }
        Event::Revoking { partitions, .. } => {
            info!(target: GROUP, partitions = partitions.len(), "partitions are taken away")
        }
        Event::Lost { partitions, why: Some(error), .. } => {
            warn!(target: GROUP, partitions = partitions.len(), %error, "partitions are lost");
        }
        Event::Lost { partitions, why: None, .. } => {
            debug!(target: GROUP, partitions = partitions.len(), "partitions let go")
        }
        Event::ConsumerFailed { error, .. } if matches!(error.kind(), ErrorKind::DataLoss | ErrorKind::Fenced) => {
            error!(target: GROUP, %error, "consumer cannot go on");
        }
        Event::ConsumerFailed { error, .. } => warn!(target: GROUP, %error, "consumer failed"),
        Event::AutoCommitted { result: Err(error), .. } => warn!(target: GROUP, %error, "automatic commit failed"),
        Event::Chosen { topics, .. } => {
            info!(target: GROUP, topics = topics.len(), "topics that fit the pattern changed")
        }
        _ => {}
    }
}

fn note(note: &Note) {
    match note {
        Note::Connected { broker } => debug!(target: LINK, broker = broker.0, "connected"),
        Note::Unreachable { broker, error } => warn!(target: LINK, broker = broker.0, %error, "cannot connect"),
        Note::Disconnected { broker, error } => info!(target: LINK, broker = broker.0, %error, "disconnected"),
        Note::LeaderMoved { topic, partition, from, to } => {
            let (to, epoch) = to.map_or((-1, -1), |(leader, epoch)| (leader.0, epoch));
            info!(target: METADATA, %topic, partition, from = from.0, to, epoch, "leader moved");
        }
        Note::CodecRefused { topic, codec, instead } => {
            warn!(target: PRODUCER, topic = &**topic, %codec, %instead, "the codec is refused, another one follows");
        }
        Note::Retrying { topic, partition, attempts, error } => {
            debug!(target: PRODUCER, %topic, partition, attempts, %error, "batch is sent again");
        }
        _ => {}
    }
}
