//! How a link ends, and what its end means for what was under way.

use super::pipeline::Entry;
use super::{Link, State, name};
use crate::client::role::{Lane, RequestError};
use crate::driver::Close;
use crate::{Error, ErrorKind, Now};

impl Link {
    /// Takes no more requests and ends once those under way are answered. Fetch and join lanes park their requests in the
    /// broker: those end as soon as what was begun is written.
    pub(crate) fn close_graceful(&mut self, now: Now) {
        match self.state {
            State::Closed => {}
            State::Dialing | State::Hello(_) => self.end_in_peace(),
            State::Ready => {
                self.draining.get_or_insert(now.mono + self.settings.request_timeout);
                self.settle();
            }
        }
    }

    /// A draining link ends when it has nothing left to wait for.
    pub(super) fn settle(&mut self) {
        let parks = matches!(self.lane, Lane::Fetch(_) | Lane::Join(_));
        let over = self.pipeline.is_empty() || (parks && self.pipeline.queued() == 0);
        if self.draining.is_some() && over && self.state == State::Ready {
            self.end_in_peace();
        }
    }

    pub(super) fn end_in_peace(&mut self) {
        self.end(Error::new(ErrorKind::Closed, "the connection was closed"), Some(Close::Graceful));
    }

    /// Ends it at once; every request under way is returned as lost or not sent.
    pub(crate) fn abort(&mut self, error: Error) {
        if self.state != State::Closed {
            self.end(error.clone(), Some(Close::Abort));
            self.failure = Some(error);
        }
    }

    pub(super) fn end(&mut self, cause: Error, close: Option<Close>) {
        self.state = State::Closed;
        self.close = close;
        self.muted = None;
        self.wants_transmit = false;
        for entry in self.pipeline.take_all() {
            self.lose(entry, &cause);
        }
    }

    pub(super) fn lose(&mut self, entry: Entry, cause: &Error) {
        let Some(tag) = entry.tag else { return };
        let (peer, api) = (&self.settings.peer, name(entry.api));
        let error = |text: String| Error::new(cause.kind(), text).with_api(api).with_source(cause.clone());
        let outcome = if entry.taken == 0 {
            let error = error(format!("the connection to {peer} ended before {api} was sent"));
            RequestError::NotSent(error.with_retriable(true))
        } else {
            RequestError::Lost(error(format!("the connection to {peer} ended before {api} was answered")))
        };
        self.responses.push_back((tag, Err(outcome)));
    }
}
