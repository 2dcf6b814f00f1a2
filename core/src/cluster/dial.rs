//! One way to a broker: name, addresses in turn, staggered attempts, the first that stands wins (RFC 8305).

use crate::driver::NetError;
use crate::{ConnId, LookupId, Time};
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// After this long without an answer the next address is tried beside the first (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// What a dial wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Resolve the host.
    Lookup,
    /// Try this address.
    Connect(SocketAddr),
    /// Give up this attempt.
    Abandon(ConnId),
    /// No address is left: the dial failed.
    Failed(NetError),
}

/// A dial under way.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    /// The look-up that is awaited.
    pub(super) lookup: Option<LookupId>,
    addresses: Vec<SocketAddr>,
    next: usize,
    attempts: SmallVec<[(ConnId, Time); 2]>,
    /// What the connection may take, and once it stands its greeting again.
    pub(super) attempt_limit: Duration,
    lookup_deadline: Time,
    error: Option<NetError>,
}

impl Dial {
    pub(super) fn new(now: Time, host: Arc<str>, port: u16, attempt_limit: Duration) -> Self {
        Self {
            host,
            port,
            lookup: None,
            addresses: Vec::new(),
            next: 0,
            attempts: SmallVec::new(),
            attempt_limit,
            lookup_deadline: now + attempt_limit,
            error: None,
        }
    }

    /// The first step: a host that is an address needs no look-up.
    pub(super) fn start(&mut self) -> Step {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => {
                self.addresses = vec![SocketAddr::new(ip, self.port)];
                self.lookup_deadline = Time::MAX;
                self.advance()
            }
            Err(_) => Step::Lookup,
        }
    }

    pub(super) fn handle_lookup(&mut self, answer: Result<&[SocketAddr], NetError>) -> Step {
        self.lookup = None;
        self.lookup_deadline = Time::MAX;
        match answer {
            Ok(addresses) => self.addresses = interleave(addresses),
            Err(error) => self.error = Some(error),
        }
        self.advance()
    }

    /// Notes the connection that stands for the address of the last `Step::Connect`.
    pub(super) fn begun(&mut self, now: Time, conn: ConnId) {
        self.attempts.push((conn, now));
    }

    /// An attempt failed.
    pub(super) fn handle_closed(&mut self, conn: ConnId, why: Option<NetError>) -> Option<Step> {
        self.attempts.retain(|(c, _)| *c != conn);
        if why.is_some() {
            self.error = why;
        }
        if self.next < self.addresses.len() || self.attempts.is_empty() { Some(self.advance()) } else { None }
    }

    /// Every attempt but `winner`.
    pub(super) fn others(&self, winner: Option<ConnId>) -> impl Iterator<Item = ConnId> + '_ {
        self.attempts.iter().map(|(conn, _)| *conn).filter(move |conn| Some(*conn) != winner)
    }

    pub(super) fn handle_timeout(&mut self, now: Time) -> Option<Step> {
        if let Some((conn, _)) = self.attempts.iter().find(|(_, at)| *at + self.attempt_limit <= now) {
            return Some(Step::Abandon(*conn));
        }
        if self.lookup_deadline <= now {
            self.lookup_deadline = Time::MAX;
            self.lookup = None;
            self.error = Some(timed_out("the name was not resolved in time"));
            return Some(self.advance());
        }
        self.stagger_at().filter(|at| *at <= now).map(|_| self.advance())
    }

    pub(super) fn poll_timeout(&self) -> Time {
        let limit = self.attempts.iter().map(|(_, at)| *at + self.attempt_limit).min().unwrap_or(Time::MAX);
        limit.min(self.lookup_deadline).min(self.stagger_at().unwrap_or(Time::MAX))
    }

    fn stagger_at(&self) -> Option<Time> {
        let (_, last) = self.attempts.last().filter(|_| self.next < self.addresses.len())?;
        Some(*last + STAGGER)
    }

    fn advance(&mut self) -> Step {
        match self.addresses.get(self.next) {
            Some(address) => {
                self.next += 1;
                Step::Connect(*address)
            }
            None => {
                let nothing = || timed_out("the name has no address");
                Step::Failed(self.error.clone().unwrap_or_else(nothing))
            }
        }
    }
}

/// An attempt that took too long.
pub(super) fn timed_out(text: &str) -> NetError {
    NetError { kind: std::io::ErrorKind::TimedOut, text: text.into() }
}

/// Each address once, families in turn, beginning with the resolver's first.
fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !unique.contains(address) {
            unique.push(*address);
        }
    }
    let Some(first) = unique.first().map(SocketAddr::is_ipv4) else { return unique };
    let (mut a, mut b): (Vec<_>, Vec<_>) = unique.into_iter().partition(|x| x.is_ipv4() == first);
    let mut ordered = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.drain(..), b.drain(..));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return ordered,
            (x, y) => ordered.extend(x.into_iter().chain(y)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(n: u32) -> ConnId {
        ConnId { index: n, generation: 0 }
    }

    fn ms(n: u64) -> Time {
        Time(n * 1_000_000)
    }

    fn addresses() -> Vec<SocketAddr> {
        ["127.0.0.1:1", "127.0.0.2:1", "[::1]:1", "127.0.0.1:1"].iter().map(|a| a.parse().unwrap()).collect()
    }

    fn dial() -> Dial {
        Dial::new(ms(0), "host".into(), 1, Duration::from_secs(10))
    }

    #[test]
    fn an_address_needs_no_look_up() {
        let mut d = Dial::new(ms(0), "::1".into(), 9092, Duration::from_secs(1));
        assert_eq!(d.start(), Step::Connect("[::1]:9092".parse().unwrap()));
    }

    #[test]
    fn families_take_turns_and_each_address_comes_once() {
        let expected: Vec<SocketAddr> =
            ["127.0.0.1:1", "[::1]:1", "127.0.0.2:1"].iter().map(|a| a.parse().unwrap()).collect();
        assert_eq!(interleave(&addresses()), expected);
    }

    #[test]
    fn a_silent_address_is_joined_by_the_next_after_a_quarter_second() {
        let mut d = dial();
        assert_eq!(d.start(), Step::Lookup);
        assert!(matches!(d.handle_lookup(Ok(&addresses())), Step::Connect(_)));
        d.begun(ms(0), conn(1));
        assert_eq!(d.poll_timeout(), ms(250));
        assert_eq!(d.handle_timeout(ms(249)), None);
        assert!(matches!(d.handle_timeout(ms(250)), Some(Step::Connect(_))));
        d.begun(ms(250), conn(2));
        assert_eq!(d.others(Some(conn(2))).collect::<Vec<_>>(), [conn(1)]);
    }

    #[test]
    fn a_refused_address_makes_way_at_once_and_the_last_refusal_is_the_error() {
        let mut d = dial();
        d.start();
        d.handle_lookup(Ok(&addresses()));
        let refused = || Some(NetError { kind: std::io::ErrorKind::ConnectionRefused, text: "refused".into() });
        for n in 0..3 {
            d.begun(ms(n), conn(n as u32));
            let step = d.handle_closed(conn(n as u32), refused());
            if n < 2 {
                assert!(matches!(step, Some(Step::Connect(_))));
            } else {
                assert_eq!(step, Some(Step::Failed(refused().unwrap())));
            }
        }
    }

    #[test]
    fn a_name_that_does_not_resolve_fails_at_its_deadline() {
        let mut d = dial();
        d.start();
        assert!(matches!(d.handle_timeout(ms(10_000)), Some(Step::Failed(_))));
    }

    #[test]
    fn an_attempt_that_takes_too_long_is_abandoned() {
        let mut d = dial();
        d.start();
        d.handle_lookup(Ok(&addresses()[..1]));
        d.begun(ms(0), conn(1));
        assert_eq!(d.poll_timeout(), ms(10_000));
        assert_eq!(d.handle_timeout(ms(10_000)), Some(Step::Abandon(conn(1))));
    }
}
