//! What went wrong with a connection, in words that tell what to do.

use super::{Link, name, noise};
use crate::driver::NetError;
use crate::wire::DecodeError;
use crate::wire::frame::LENGTH_PREFIX;
use crate::{Error, ErrorKind};

impl Link {
    /// The other end, as people know it.
    pub(crate) fn peer(&self) -> &str {
        &self.settings.peer
    }

    pub(super) fn corrupt(&self, what: &str) -> Error {
        let text = format!("{} does not keep to the protocol: {what}", self.settings.peer);
        Error::new(ErrorKind::Corrupt, text)
    }

    pub(super) fn undecodable(&self, error: &DecodeError) -> Error {
        self.corrupt(&error.to_string())
    }

    pub(super) fn bad_length(&self, prefix: [u8; LENGTH_PREFIX], most: usize) -> Error {
        let peer = &self.settings.peer;
        if self.was_ready {
            let length = i32::from_be_bytes(prefix);
            return self.corrupt(&format!("it announced an answer of {length} bytes where {most} were possible"));
        }
        let begun = self.inbox.begun();
        match noise::recognise(begun) {
            Some((what, hint)) => {
                Error::new(ErrorKind::Connect, format!("{peer} is no Kafka broker: {what}")).with_hint(hint)
            }
            None => {
                let text = format!("{peer} does not answer like a Kafka broker: {}", noise::show(begun));
                Error::new(ErrorKind::Connect, text).with_hint("check that a Kafka listener is at that port")
            }
        }
    }

    pub(super) fn closed_by_peer(&self, why: Option<NetError>) -> Error {
        let peer = &self.settings.peer;
        let why = why.map(|w| format!(" ({w})")).unwrap_or_default();
        if self.was_ready {
            return Error::new(ErrorKind::Connect, format!("{peer} closed the connection{why}"));
        }
        let text = format!("{peer} closed the connection before it answered ApiVersions{why}");
        Error::new(ErrorKind::Connect, text).with_hint("it may expect TLS; set security.protocol=SSL or SASL_SSL")
    }

    pub(super) fn timed_out(&self) -> Error {
        let peer = &self.settings.peer;
        let text = match self.pipeline.head() {
            Some(head) if head.taken < head.size => format!("{peer} took only a part of {} in time", name(head.api)),
            Some(head) => format!("{peer} did not answer {} within {} ms", name(head.api), head.timeout.as_millis()),
            None => format!("{peer} did not answer in time"),
        };
        Error::new(ErrorKind::Timeout, text)
    }
}
