//! Where the consumers' fronts attach to the engine.

use klamm_core::client::Event;
use klamm_core::{ConsumerIx, Error};

/// The consumers of one client, by index. No consumer can be opened yet, so nothing is ever addressed to one.
#[derive(Debug, Default)]
pub(crate) struct Consumers;

impl Consumers {
    /// Something for one of them.
    pub(crate) fn handle(&mut self, _consumer: ConsumerIx, _event: Event) {}

    /// Whether all of them have ended.
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    /// The driver goes away.
    pub(crate) fn abandon(&mut self, _error: &Error) {}
}
