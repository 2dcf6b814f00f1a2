//! From a request in hand to its answer: the one place through which every response leaves, with the faults on its way.

use crate::brokers::Peer;
use crate::fault::After;
use crate::state::State;
use bytes::Bytes;
use klamm_core::wire::frame::encode_response;
use klamm_core::wire::{ApiKey, Message, Request, Uuid, Writer};
use klamm_core::{ErrorCode, Now, Time};
use std::time::Duration;

/// Names a request in hand.
pub(crate) type Ticket = u64;

/// A request and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) ticket: Ticket,
    pub(crate) broker: i32,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    pub(crate) now: Now,
}

/// What a broker does with a request.
pub(crate) enum Answer<R> {
    /// It answers at once.
    Now(R),
    /// It answers when something happens or a time comes; the connection waits.
    Parked,
    /// It does not answer, and reads the next request.
    Quiet,
    /// It never answers, and never reads again.
    Stuck,
    /// It closes the connection.
    Close,
}

/// A request that the cluster serves.
pub(crate) trait Serve: Request<Response: Respond> {
    /// Does it.
    fn serve(self, state: &mut State, call: &Call) -> Answer<Self::Response>;
    /// The answer of a broker that did nothing but fail (1.13).
    fn refuse(&self, code: ErrorCode) -> Self::Response;
    /// The same for an API whose versions cannot be told from the request.
    fn refuse_in(&self, _version: i16, code: ErrorCode) -> Self::Response {
        self.refuse(code)
    }
    /// Whether it names this topic.
    fn names(&self, _topic: &str, _id: Option<Uuid>) -> bool {
        false
    }
}

/// A response that faults can spoil.
pub(crate) trait Respond: Message {
    /// Puts the code into every place that has one and says success.
    fn fail(&mut self, code: ErrorCode);
    /// Leaves out the last thing that was asked for.
    fn omit(&mut self) {}
    /// Breaks the records in it.
    fn corrupt(&mut self) {}
    /// Tells the client to slow down.
    fn throttle(&mut self, ms: i32);
}

/// What is needed to answer.
#[derive(Debug)]
pub(crate) struct Inflight {
    pub(crate) peer: Peer,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    pub(crate) after: Option<After>,
}

/// What is to happen at a later time.
#[derive(Debug)]
pub(crate) enum Later {
    /// An answer is sent.
    Send(Output),
    /// A request is served.
    Serve { peer: Peer, frame: Bytes },
}

/// What leaves the brokers.
#[derive(Debug)]
pub(crate) enum Output {
    /// The answer to the request that the connection waits for. `mute`: the connection is not read for that long.
    Frame { peer: Peer, bytes: Bytes, mute: Option<Duration> },
    /// The request needs no answer.
    Next { peer: Peer },
    /// The connection ends.
    Close { peer: Peer },
}

impl State {
    pub(crate) fn new_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    /// Sends the answer to the request `ticket`, unless its connection is gone.
    pub(crate) fn finish<R: Respond>(&mut self, ticket: Ticket, mut response: R) {
        let Some(Inflight { peer, key, version, correlation, after }) = self.inflight.remove(&ticket) else { return };
        let mut mute = None;
        let mut delay = None;
        let mut cut = false;
        match after {
            None => {}
            Some(After::Error(code)) => response.fail(code),
            Some(After::Omit) => response.omit(),
            Some(After::Corrupt) => response.corrupt(),
            Some(After::Truncate) => cut = true,
            Some(After::Delay(by)) => delay = Some(by),
            Some(After::Throttle(by)) => {
                response.throttle(i32::try_from(by.as_millis()).unwrap_or(i32::MAX));
                mute = Some(by);
            }
            Some(After::Close) => return self.output.push_back(Output::Close { peer }),
            Some(After::Silence) => return,
        }
        let mut w = Writer::new();
        let encoded = encode_response(&mut w, &response, key, version, correlation);
        let mut bytes = w.into_vec();
        // A model that cannot say what it means is a defect of ours; a broker would close.
        debug_assert!(encoded.is_ok(), "{key:?} version {version}: {encoded:?}");
        if encoded.is_err() {
            return self.output.push_back(Output::Close { peer });
        }
        if cut {
            // Header and half of the body, in a frame that says just that length.
            let keep = (bytes.len() + 8) / 2;
            bytes.truncate(keep.max(8).min(bytes.len().saturating_sub(1)));
            let length = (bytes.len() - 4) as u32;
            bytes[..4].copy_from_slice(&length.to_be_bytes());
        }
        let output = Output::Frame { peer, bytes: bytes.into(), mute };
        match delay {
            None => self.output.push_back(output),
            Some(by) => self.at(self.mono + by, Later::Send(output)),
        }
    }

    /// The request needs no answer.
    pub(crate) fn finish_quietly(&mut self, ticket: Ticket) {
        if let Some(Inflight { peer, after, .. }) = self.inflight.remove(&ticket) {
            self.output.push_back(match after {
                Some(After::Close) => Output::Close { peer },
                _ => Output::Next { peer },
            });
        }
    }

    /// The request ends its connection.
    pub(crate) fn finish_by_closing(&mut self, ticket: Ticket) {
        if let Some(Inflight { peer, .. }) = self.inflight.remove(&ticket) {
            self.output.push_back(Output::Close { peer });
        }
    }

    /// Does something at a later time.
    pub(crate) fn at(&mut self, at: Time, later: Later) {
        let ticket = self.new_ticket();
        self.later.insert((at, ticket), later);
    }
}
