//! What is worth a line in a log, as data.

use crate::{BrokerId, Error};
use std::sync::Arc;

/// Something that happened inside, of no consequence for the application but worth a line in a log. What has consequences comes
/// as an event of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Note {
    /// A connection has greeted. -1 stands for a bootstrap server.
    Connected {
        /// With whom.
        broker: BrokerId,
    },
    /// A connection could not be set up, or its greeting failed.
    Unreachable {
        /// With whom.
        broker: BrokerId,
        /// Why.
        error: Error,
    },
    /// A working connection ended.
    Disconnected {
        /// With whom.
        broker: BrokerId,
        /// Why.
        error: Error,
    },
    /// A partition that had a leader has another, or none.
    LeaderMoved {
        /// Its topic.
        topic: Arc<str>,
        /// Its number.
        partition: i32,
        /// Who led it.
        from: BrokerId,
        /// Who leads it now, and the epoch.
        to: Option<(BrokerId, i32)>,
    },
    /// A broker refused a codec: batches of the topic are packed by another from now on.
    CodecRefused {
        /// The topic.
        topic: Arc<str>,
        /// What was refused.
        codec: crate::codec::Codec,
        /// What comes instead.
        instead: crate::codec::Codec,
    },
    /// A batch will be sent again.
    Retrying {
        /// Its topic.
        topic: Arc<str>,
        /// Its partition.
        partition: i32,
        /// How often it was sent.
        attempts: u32,
        /// What the last attempt came to.
        error: Error,
    },
}
