//! One connection to a broker: greeting, frames in and out, requests in order, deadlines. Pure: the driver brings the bytes.

mod end;
mod failure;
mod frame;
mod hello;
mod inbox;
mod lane;
mod noise;
mod pipeline;
#[cfg(test)]
mod tests;

use crate::client::role::{Lane, LinkFacts, Request, RequestError, Response, Tag};
use crate::driver::{Close, NetError};
use crate::metadata::Features;
use crate::time::{Wake, Why};
use crate::wire::frame::{LENGTH_PREFIX, decode_correlation, decode_response_tags};
use crate::wire::{ApiKey, ApiRanges, Reader};
use crate::{BrokerId, ConnId, Error, ErrorKind, Now, Time};
use hello::{Hello, Next};
use inbox::{BadLength, Inbox};
use pipeline::{Answer, Entry, Pipeline};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

/// The largest answer of a greeting: a broker offers a hundred APIs in a few hundred bytes.
const HELLO_RESPONSE: usize = 1024 * 1024;
/// What a link is set up with.
#[derive(Clone, Debug)]
pub(crate) struct LinkSettings {
    /// `client.id`.
    pub(crate) client_id: Arc<str>,
    /// How long the whole greeting may take: `socket.connection.setup.timeout.ms`, grown by earlier failures.
    pub(crate) setup_limit: Duration,
    /// `request.timeout.ms`: the bound of a graceful end.
    pub(crate) request_timeout: Duration,
    /// No answer may be larger, whatever its request allows.
    pub(crate) max_response: usize,
    /// `max.in.flight.requests.per.connection`, for produce lanes.
    pub(crate) in_flight: usize,
    /// The other end, as people know it; for errors.
    pub(crate) peer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Dialing,
    Hello(Hello),
    Ready,
    Closed,
}

/// One connection.
pub(crate) struct Link {
    conn: ConnId,
    lane: Lane,
    settings: LinkSettings,
    state: State,
    /// The greeting is over by then, whatever its steps, or the link is given up.
    greeted_by: Time,
    /// It takes no more requests and ends once the ones under way are answered, at this time at the latest.
    draining: Option<Time>,
    /// The broker does not read before (KIP-219).
    muted: Option<Time>,
    /// Reading was stopped by back-pressure: deadlines rest (contracts B2).
    stopped: bool,
    // TLS will sit between these two and the socket: bytes come in by `handle_received` and go out by `transmit` and
    // `handle_sent` only. Encrypted bytes count as taken, since they cannot be withdrawn (contracts C-4).
    inbox: Inbox,
    pipeline: Pipeline,
    ranges: ApiRanges,
    features: Features,
    /// How long the last answers took, until that is taken.
    took: SmallVec<[Duration; 4]>,
    responses: VecDeque<(Tag, Result<Response, RequestError>)>,
    wants_transmit: bool,
    was_ready: bool,
    last_used: Time,
    failure: Option<Error>,
    close: Option<Close>,
}

impl Link {
    /// A link whose connection is being opened.
    pub(crate) fn new(conn: ConnId, lane: Lane, settings: LinkSettings, now: Now) -> Self {
        Self {
            conn,
            lane,
            settings,
            state: State::Dialing,
            greeted_by: Time::MAX,
            draining: None,
            muted: None,
            stopped: false,
            inbox: Inbox::new(matches!(lane, Lane::Fetch(_))),
            pipeline: Pipeline::new(),
            ranges: ApiRanges::default(),
            features: Features::default(),
            took: SmallVec::new(),
            responses: VecDeque::new(),
            wants_transmit: false,
            was_ready: false,
            last_used: now.mono,
            failure: None,
            close: None,
        }
    }

    /// The connection stands: the greeting begins.
    pub(crate) fn handle_connected(&mut self, now: Now) {
        if self.state == State::Dialing {
            self.greeted_by = now.mono + self.settings.setup_limit;
            self.greet(now, Hello::first());
        }
    }

    fn greet(&mut self, now: Now, hello: Hello) {
        self.state = State::Hello(hello);
        let timeout = self.settings.setup_limit;
        let pushed = hello.request().and_then(|(api, version, body)| {
            let entry = self.entry(now, None, api, version, &[body])?;
            self.push(Entry { timeout, max_response: HELLO_RESPONSE, ..entry });
            Ok(())
        });
        if let Err(error) = pushed {
            self.abort(error);
        }
    }

    /// Sends a request. Whatever becomes of it comes out of [`poll_response`](Self::poll_response) exactly once.
    pub(crate) fn send(&mut self, now: Now, request: Request) {
        let Request { tag, api, version, body, timeout, silent, max_response } = request;
        let entry = match self.state {
            State::Closed => Err(Error::new(ErrorKind::Connect, "the connection has ended")),
            _ => self.entry(now, Some(tag), api, version, &body),
        };
        match entry {
            Ok(entry) => self.push(Entry { timeout, silent, max_response, ..entry }),
            Err(error) => self.responses.push_back((tag, Err(RequestError::NotSent(error)))),
        }
    }

    fn push(&mut self, entry: Entry) {
        self.wants_transmit |= self.pipeline.queued() == 0;
        self.pipeline.push(entry);
    }

    /// Where received bytes go: never empty. `None`: reading is stopped, or the link has ended.
    pub(crate) fn recv_buf(&mut self) -> Option<&mut [u8]> {
        let open = !self.stopped && self.state != State::Closed;
        open.then(|| self.inbox.space())
    }

    /// `n` bytes now stand in what `recv_buf` lent.
    pub(crate) fn handle_received(&mut self, now: Now, n: usize) {
        self.inbox.received(n);
        while self.state != State::Closed && !self.inbox.is_empty() {
            let Some(most) = self.pipeline.max_answer() else {
                return self.abort(self.corrupt("it sent bytes that nobody asked for"));
            };
            match self.inbox.next(most.min(self.settings.max_response)) {
                Ok(None) => break,
                Ok(Some((frame, at))) => self.handle_frame(now, frame, at),
                Err(BadLength(prefix)) => {
                    let error = self.bad_length(prefix, most);
                    self.abort(error);
                }
            }
        }
        self.settle();
    }

    /// A whole answer stands in `frame` from `start` on.
    fn handle_frame(&mut self, now: Now, frame: Vec<u8>, start: usize) {
        let mut r = Reader::new(frame.get(start + LENGTH_PREFIX..).unwrap_or_default());
        let answer = decode_correlation(&mut r).map(|n| (n, self.pipeline.answer(now, n)));
        let entry = match answer {
            Ok((_, Answer::Head(entry))) => entry,
            Ok((_, Answer::Late)) => return,
            Ok((n, Answer::Unknown)) => {
                return self.abort(self.corrupt(&format!("it answered a request that was not its turn (number {n})")));
            }
            Err(error) => return self.abort(self.undecodable(&error)),
        };
        self.last_used = now.mono;
        if let Err(error) = decode_response_tags(&mut r, entry.api, entry.version) {
            let error = self.undecodable(&error);
            // The answer is there and makes no sense: its request is lost like those behind it (contracts A25).
            self.lose(entry, &error);
            return self.abort(error);
        }
        let at = start + LENGTH_PREFIX + r.offset();
        match entry.tag {
            Some(tag) => {
                // What parks in the broker tells of the wait that was asked for.
                if !matches!(self.lane, Lane::Fetch(_) | Lane::Join(_)) {
                    self.took.push(now.mono.since(entry.since));
                }
                self.responses.push_back((tag, Ok(Response { version: entry.version, frame, at })));
            }
            None => self.handle_hello(now, frame.get(at..).unwrap_or_default()),
        }
    }

    fn handle_hello(&mut self, now: Now, body: &[u8]) {
        let State::Hello(hello) = self.state else { return };
        match hello.answered(body, &self.settings.peer) {
            Ok(Next::Ask(next)) => self.greet(now, next),
            Ok(Next::Ready { ranges, features, throttle }) => {
                self.ranges = ranges;
                self.features = features;
                self.state = State::Ready;
                self.was_ready = true;
                if throttle > Duration::ZERO {
                    self.throttle(now, throttle);
                }
            }
            Err(error) => self.abort(error),
        }
    }

    /// A vectored view of the bytes to send; returns how many slices were filled.
    pub(crate) fn transmit<'a>(&'a self, iov: &mut [IoSlice<'a>]) -> usize {
        self.pipeline.transmit(iov)
    }

    /// Whether bytes to send appeared since the last call.
    pub(crate) fn take_wants_transmit(&mut self) -> bool {
        std::mem::take(&mut self.wants_transmit)
    }

    /// The socket took `n` bytes of `transmit`.
    pub(crate) fn handle_sent(&mut self, now: Now, n: usize) {
        for entry in self.pipeline.sent(now, n) {
            self.last_used = now.mono;
            let response = Response { version: entry.version, frame: Vec::new(), at: 0 };
            self.responses.extend(entry.tag.map(|tag| (tag, Ok(response))));
        }
        self.settle();
    }

    /// The connection ended, or was never made. What was under way comes out of `poll_response`.
    pub(crate) fn handle_closed(&mut self, _now: Now, why: Option<NetError>) {
        if self.state == State::Closed {
            return;
        }
        let quiet = self.pipeline.is_empty();
        let idle_end = self.state == State::Ready && quiet && why.is_none();
        let error = self.closed_by_peer(why);
        self.end(error.clone(), None);
        // Draining, or an idle connection that the broker has had enough of (broker-data 1.12): no failure.
        self.failure = (!(idle_end || (self.draining.is_some() && quiet))).then_some(error);
    }

    /// What has its time now; too early is no harm.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        self.muted = self.muted.filter(|until| *until > now.mono);
        if self.state == State::Closed {
            return;
        }
        if self.deadline().is_some_and(|at| at <= now.mono) {
            return self.abort(self.timed_out());
        }
        while let Some(entry) = self.queue_deadline().and_then(|_| self.pipeline.expire_queued(now.mono)) {
            let text = format!("{} could not be written to {} in time", name(entry.api), self.settings.peer);
            let error = Error::new(ErrorKind::Timeout, text);
            match entry.tag {
                Some(tag) => self.responses.push_back((tag, Err(RequestError::NotSent(error)))),
                None => return self.abort(error),
            }
        }
        if self.draining.is_some_and(|at| at <= now.mono) {
            return self.end_in_peace();
        }
        self.settle();
    }

    fn deadline(&self) -> Option<Time> {
        if matches!(self.state, State::Hello(_)) {
            return Some(self.greeted_by);
        }
        self.pipeline.deadline().filter(|_| !self.stopped)
    }

    fn queue_deadline(&self) -> Option<Time> {
        self.pipeline.queue_deadline().filter(|_| !self.stopped)
    }

    /// When it wants `handle_timeout`.
    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        if self.state == State::Closed {
            return None;
        }
        let wakes = [
            (self.deadline(), Why::Request),
            (self.queue_deadline(), Why::Request),
            (self.muted, Why::Throttle),
            (self.draining, Why::Request),
        ];
        wakes.into_iter().filter_map(|(at, why)| Some(Wake { at: at?, why })).min()
    }

    /// How long answers took since the last call.
    pub(crate) fn take_took(&mut self) -> SmallVec<[Duration; 4]> {
        std::mem::take(&mut self.took)
    }

    /// The next outcome of a request.
    pub(crate) fn poll_response(&mut self) -> Option<(Tag, Result<Response, RequestError>)> {
        self.responses.pop_front()
    }

    /// Whether an outcome waits to be taken.
    pub(crate) fn has_response(&self) -> bool {
        !self.responses.is_empty()
    }

    /// Whether the outbox is below its high-water mark.
    pub(crate) fn has_room(&self) -> bool {
        self.pipeline.queued() < lane::QUEUED
    }

    /// What a role may know of it while it can take a request.
    pub(crate) fn facts(&self, broker: BrokerId) -> Option<LinkFacts<'_>> {
        let may = self.state == State::Ready
            && self.draining.is_none()
            && self.muted.is_none()
            && self.pipeline.len() < lane::in_flight(self.lane, self.settings.in_flight)
            && self.pipeline.queued() < lane::QUEUED;
        may.then(|| LinkFacts {
            broker,
            lane: self.lane,
            conn: self.conn,
            versions: &self.ranges,
            in_flight: self.pipeline.len(),
        })
    }

    /// The broker told by an answer that it will not read for so long from now on (KIP-219).
    pub(crate) fn throttle(&mut self, now: Now, pause: Duration) {
        let until = now.mono + pause;
        self.muted = Some(self.muted.map_or(until, |at| at.max(until)));
        // What is already on its way waits in the broker's socket meanwhile (broker-data 1): it is not late.
        self.pipeline.restart(until);
    }

    /// Lends no more buffers: fetch lanes only. Deadlines rest until `resume_reading`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "credits bound what is asked for, so no consumer stops a read yet")
    )]
    pub(crate) fn stop_reading(&mut self) {
        self.stopped |= matches!(self.lane, Lane::Fetch(_));
    }

    /// Reads on; true if reading was stopped: the driver is to be told by `poll_resume`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "credits bound what is asked for, so no consumer stops a read yet")
    )]
    pub(crate) fn resume_reading(&mut self, now: Now) -> bool {
        self.pipeline.restart(now.mono);
        std::mem::take(&mut self.stopped)
    }

    /// A buffer that left as [`Response::frame`] comes home.
    pub(crate) fn give_buffer(&mut self, buffer: Vec<u8>) {
        self.inbox.give(buffer);
    }

    /// The cluster's features, from its greeting.
    pub(crate) fn features(&self) -> &Features {
        &self.features
    }

    /// Whether the greeting is over and the link stands.
    pub(crate) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Whether the greeting ever ended well.
    pub(crate) fn was_ready(&self) -> bool {
        self.was_ready
    }

    /// Whether it has ended; its last outcomes may still be in `poll_response`.
    pub(crate) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// How the driver is to close the connection, if it does not know that it ended.
    pub(crate) fn close_action(&self) -> Option<Close> {
        self.close
    }

    /// Why it ended; `None` if in peace.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Since when it has had nothing to do; `None` while it has.
    pub(crate) fn idle_since(&self) -> Option<Time> {
        (self.is_ready() && self.pipeline.is_empty()).then_some(self.last_used)
    }
}

fn name(api: ApiKey) -> &'static str {
    api.name().unwrap_or("a request")
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("conn", &self.conn)
            .field("lane", &self.lane)
            .field("state", &self.state)
            .field("in_flight", &self.pipeline.len())
            .finish_non_exhaustive()
    }
}
