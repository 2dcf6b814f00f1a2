//! The links that stand: bytes in and out, requests and answers, idle and unwanted ones.

use super::{Cluster, ClusterNews, Conn, Key, ON_DEMAND_IDLE, Peer};
use crate::client::role::{Lane, LinkFacts, Request, RequestError, Response, Tag};
use crate::driver::{Action, Close, NetError};
use crate::link::Link;
use crate::metadata::View;
use crate::rng::Rng;
use crate::stats::Stats;
use crate::{BrokerId, ConnId, Error, ErrorKind, Now, Time, Wake, Why};
use smallvec::SmallVec;
use std::io::IoSlice;

impl Cluster {
    pub(super) fn link_mut(&mut self, conn: ConnId) -> Option<(Key, &mut Link)> {
        let place = self.conns.get_mut(conn.index as usize).filter(|p| p.generation == conn.generation)?;
        match &mut place.state {
            Conn::Up(key, link) => Some((*key, link)),
            Conn::Free | Conn::Dialing(_) => None,
        }
    }

    fn link(&self, conn: ConnId) -> Option<(Key, &Link)> {
        let place = self.conns.get(conn.index as usize).filter(|p| p.generation == conn.generation)?;
        match &place.state {
            Conn::Up(key, link) => Some((*key, link)),
            Conn::Free | Conn::Dialing(_) => None,
        }
    }

    pub(super) fn note_transmit(&mut self, conn: ConnId) {
        if self.link_mut(conn).is_some_and(|(_, link)| link.take_wants_transmit()) {
            self.transmits.push_back(conn);
        }
    }

    /// True if an answer, the end of the greeting or that of the link came.
    pub(crate) fn handle_received(&mut self, now: Now, conn: ConnId, n: usize, stats: &mut Stats) -> bool {
        stats.bytes_in += n as u64;
        let Some((key, link)) = self.link_mut(conn) else { return false };
        let was_ready = link.is_ready();
        link.handle_received(now, n);
        if key.0.broker().0 >= 0 {
            let node = stats.node(key.0.broker());
            node.bytes_in += n as u64;
            for took in link.take_took() {
                node.responses += 1;
                node.latency.add(took);
            }
        }
        if !was_ready && link.is_ready() {
            let features = link.features().clone();
            self.news.greeted = true;
            self.news.features.push(features);
            self.news.troubles.push((key.0.broker(), None));
            self.health.entry(key.0).or_default().works();
        }
        self.note_transmit(conn);
        self.link_mut(conn)
            .is_some_and(|(_, link)| link.has_response() || link.is_closed() || (!was_ready && link.is_ready()))
    }

    /// True if a request without an answer is through, or the outbox has room again.
    pub(crate) fn handle_sent(&mut self, now: Now, conn: ConnId, n: usize, stats: &mut Stats) -> bool {
        stats.bytes_out += n as u64;
        let Some((key, link)) = self.link_mut(conn) else { return false };
        if key.0.broker().0 >= 0 {
            stats.node(key.0.broker()).bytes_out += n as u64;
        }
        let had_room = link.has_room();
        link.handle_sent(now, n);
        link.has_response() || link.is_closed() || (!had_room && link.has_room())
    }

    /// The stream ended, or a connection attempt failed.
    pub(crate) fn handle_closed(
        &mut self,
        now: Now,
        conn: ConnId,
        why: Option<NetError>,
        rng: &mut Rng,
        stats: &mut Stats,
    ) {
        let Some(place) = self.conns.get_mut(conn.index as usize).filter(|p| p.generation == conn.generation) else {
            return;
        };
        match &mut place.state {
            Conn::Free => {}
            Conn::Dialing(key) => {
                let key = *key;
                self.release(conn);
                let step = self.dials.get_mut(&key).and_then(|dial| dial.handle_closed(conn, why));
                if let Some(step) = step {
                    self.step(now, key, step, rng, stats);
                }
            }
            // The answers that came before the end are still to be taken: `sweep` removes the link after them.
            Conn::Up(_, link) => link.handle_closed(now, why),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Now, view: &View, rng: &mut Rng, stats: &mut Stats) {
        let due: Vec<Key> = self.dials.iter().filter(|(_, d)| d.poll_timeout() <= now.mono).map(|(k, _)| *k).collect();
        for key in due {
            while let Some(step) = self.dials.get_mut(&key).and_then(|d| d.handle_timeout(now.mono)) {
                self.step(now, key, step, rng, stats);
            }
        }
        let conns: Vec<ConnId> = self.up.values().copied().collect();
        for conn in conns {
            if let Some((_, link)) = self.link_mut(conn) {
                link.handle_timeout(now);
            }
        }
        self.reap(now, view);
        self.dial_wanted(now, view, rng, stats);
    }

    /// Closes links that nobody has used for long, and those to brokers that moved to another address.
    fn reap(&mut self, now: Now, view: &View) {
        let idle: Vec<ConnId> = self
            .up
            .iter()
            .filter(|(key, conn)| {
                let wanted = self.wanted.contains(key);
                let on_demand =
                    matches!(key.1, Lane::Join(_) | Lane::Slow | Lane::Txn(_)) || matches!(key.0, Peer::Seed(_));
                let limit = if on_demand && !wanted { Some(ON_DEMAND_IDLE) } else { self.config.connections_max_idle };
                let gone = matches!(key.0, Peer::Broker(id) if !view.brokers.contains_key(&id));
                self.link(**conn).is_some_and(|(_, link)| {
                    link.idle_since().is_some_and(|at| limit.is_some_and(|l| at + l <= now.mono) || (gone && !wanted))
                })
            })
            .map(|(_, conn)| *conn)
            .collect();
        for conn in idle {
            if let Some((_, link)) = self.link_mut(conn) {
                link.close_graceful(now);
            }
        }
    }

    /// Closes every link of these lanes once it is quiet: their owner is gone.
    pub(crate) fn retire(&mut self, now: Now, mut gone: impl FnMut(Lane) -> bool) {
        let conns: Vec<ConnId> = self.up.iter().filter(|(key, _)| gone(key.1)).map(|(_, conn)| *conn).collect();
        for conn in conns {
            if let Some((_, link)) = self.link_mut(conn) {
                link.close_graceful(now);
            }
        }
        let dials: Vec<Key> = self.dials.keys().filter(|key| gone(key.1)).copied().collect();
        for key in dials {
            self.cancel(key);
        }
    }

    fn cancel(&mut self, key: Key) {
        let Some(dial) = self.dials.remove(&key) else { return };
        for conn in dial.others(None).collect::<Vec<_>>() {
            self.release(conn);
            self.actions.push_back(Action::Close { conn, how: Close::Abort });
        }
    }

    /// Ends every connection: gracefully, or at once.
    pub(crate) fn close_all(&mut self, now: Now, abort: bool) {
        for key in self.dials.keys().copied().collect::<Vec<_>>() {
            self.cancel(key);
        }
        for conn in self.up.values().copied().collect::<Vec<_>>() {
            if let Some((_, link)) = self.link_mut(conn) {
                if abort {
                    link.abort(Error::new(ErrorKind::Closed, "the client was closed"));
                } else {
                    link.close_graceful(now);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.up.is_empty() && self.dials.is_empty()
    }

    /// The links that stand at this moment.
    fn standing(&self) -> SmallVec<[(Key, ConnId); 8]> {
        self.up.iter().map(|(key, conn)| (*key, *conn)).collect()
    }

    /// The next answer, or lost request, of any link; removes links that have ended once their last one is taken.
    pub(crate) fn poll_response(
        &mut self,
        now: Now,
        rng: &mut Rng,
        stats: &mut Stats,
    ) -> Option<(ConnId, BrokerId, Tag, Result<Response, RequestError>)> {
        for (key, conn) in self.standing() {
            let Some((_, link)) = self.link_mut(conn) else { continue };
            if let Some((tag, result)) = link.poll_response() {
                match &result {
                    Ok(_) => stats.responses += 1,
                    Err(_) => stats.lost += 1,
                }
                return Some((conn, key.0.broker(), tag, result));
            }
            if link.is_closed() {
                self.remove(now, key, conn, rng, stats);
            }
        }
        None
    }

    fn remove(&mut self, now: Now, key: Key, conn: ConnId, rng: &mut Rng, stats: &mut Stats) {
        self.up.remove(&key);
        stats.connections = self.up.len() as u64;
        let Some(Conn::Up(_, link)) = self.release(conn) else { return };
        if let Some(how) = link.close_action() {
            self.actions.push_back(Action::Close { conn, how });
        }
        let backoff = (self.config.reconnect_backoff, self.config.reconnect_backoff_max);
        match link.failure() {
            // Closed by us, in peace.
            None => {}
            Some(error) if link.was_ready() => {
                if error.kind() == ErrorKind::Timeout {
                    stats.deadlines += 1;
                }
                let health = self.health.entry(key.0).or_default();
                health.ended(now.mono, rng, backoff);
                health.error = Some(error.clone());
                self.news.lost.push((key.0.broker(), error.clone()));
                self.news.ended.push(key.0);
            }
            Some(error) => {
                stats.connect_failures += 1;
                self.fail(now, key.0, rng, error.clone());
            }
        }
    }

    /// Ends a link whose answers cannot be trusted (contracts A25).
    pub(crate) fn abort(&mut self, conn: ConnId, error: Error) {
        if let Some((_, link)) = self.link_mut(conn) {
            link.abort(error);
        }
    }

    /// The broker asks to be left alone for a while (KIP-219).
    pub(crate) fn throttle(&mut self, now: Now, conn: ConnId, ms: i32, stats: &mut Stats) {
        let Some(ms) = u64::try_from(ms).ok().filter(|ms| *ms > 0) else { return };
        stats.throttled_ms += ms;
        if let Some((_, link)) = self.link_mut(conn) {
            link.throttle(now, std::time::Duration::from_millis(ms));
        }
    }

    /// Offers every link that can take a request to `ask`, until it has none for it.
    pub(crate) fn offer(
        &mut self,
        now: Now,
        mut ask: impl FnMut(&LinkFacts<'_>) -> Option<Request>,
    ) -> SmallVec<[(BrokerId, u64); 4]> {
        let mut asked = SmallVec::new();
        for (key, conn) in self.standing() {
            while let Some((_, link)) = self.link_mut(conn) {
                let Some(request) = link.facts(key.0.broker()).and_then(|facts| ask(&facts)) else { break };
                let size: usize = request.body.iter().map(|piece| piece.len()).sum();
                link.send(now, request);
                asked.push((key.0.broker(), size as u64));
            }
            self.note_transmit(conn);
        }
        asked
    }

    pub(crate) fn recv_buf(&mut self, conn: ConnId) -> Option<&mut [u8]> {
        self.link_mut(conn).and_then(|(_, link)| link.recv_buf())
    }

    pub(crate) fn transmit<'a>(&'a self, conn: ConnId, iov: &mut [IoSlice<'a>]) -> usize {
        self.link(conn).map_or(0, |(_, link)| link.transmit(iov))
    }

    /// A response buffer comes home: the next large answer of this lane is read into it.
    pub(crate) fn give_buffer(&mut self, lane: Lane, buffer: Vec<u8>) {
        let conn = self.up.iter().find(|(key, _)| key.1 == lane).map(|(_, conn)| *conn);
        if let Some((_, link)) = conn.and_then(|conn| self.link_mut(conn)) {
            link.give_buffer(buffer);
        }
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<ConnId> {
        self.transmits.pop_front()
    }

    pub(crate) fn poll_resume(&mut self) -> Option<ConnId> {
        self.resumes.pop_front()
    }

    pub(crate) fn take_news(&mut self) -> ClusterNews {
        std::mem::take(&mut self.news)
    }

    /// Why nobody could be reached, for the text of a timeout: the last failure, else an answer that nobody could read, else
    /// who has not answered yet.
    pub(crate) fn trouble(&self) -> Option<Error> {
        let failing = self.health.iter().filter(|(_, h)| h.failures > 0 && h.error.is_some());
        let failed = failing.max_by_key(|(_, h)| h.until).and_then(|(_, h)| h.error.clone());
        let senseless = || {
            let mut ended = self.health.values().filter_map(|h| h.error.as_ref());
            ended.find(|error| error.kind() == ErrorKind::Corrupt).cloned()
        };
        failed.or_else(senseless).or_else(|| self.unanswered())
    }

    fn unanswered(&self) -> Option<Error> {
        let greeted = || self.up.values().filter_map(|conn| Some(self.link(*conn)?.1)).filter(|link| !link.is_ready());
        // One that has just ended is not yet swept.
        if let Some(error) = greeted().find_map(Link::failure) {
            return Some(error.clone());
        }
        let greeted = greeted().map(|link| format!("{} took the connection and does not answer", link.peer()));
        let dialled = self.dials.values().map(|d| format!("{}:{} does not take the connection", d.host, d.port));
        let text = greeted.chain(dialled).next()?;
        Some(Error::new(ErrorKind::Connect, text).with_hint("check that a Kafka listener is at that port"))
    }

    pub(crate) fn poll_timeout(&self, now: Time) -> Option<Wake> {
        let dials = self.dials.values().map(|d| Wake { at: d.poll_timeout(), why: Why::Dial });
        let links = self.up.values().filter_map(|conn| self.link(*conn)?.1.poll_timeout());
        let missing = self.wanted.iter().filter(|k| !self.up.contains_key(k) && !self.dials.contains_key(k));
        let backoff = missing.filter_map(|(peer, _)| self.health.get(peer));
        // A lane that any peer may serve waits for the first that may be dialled again.
        let any = self.wanted_any.iter().any(|lane| !self.has_any(*lane));
        let any = self.health.values().filter(|_| any);
        let backoff = backoff.chain(any).map(|h| Wake { at: h.until, why: Why::Backoff });
        let idle = self.up.values().filter_map(|conn| self.link(*conn)?.1.idle_since());
        let limit = self.config.connections_max_idle;
        let idle = idle.filter_map(|at| Some(Wake { at: at + limit?, why: Why::Idle }));
        dials.chain(links).chain(backoff).chain(idle).filter(|wake| wake.at > now).min()
    }
}
