//! Who coordinates which group or transactional id, found and kept while a role needs to know (contracts B15).

use crate::client::role::{CoordinatorKind, LinkFacts, Needs, Owner, Request, RequestError, Response, Tag};
use crate::metadata::{self, Node, View};
use crate::rng::Rng;
use crate::wire::messages::FindCoordinatorRequest;
use crate::{BrokerId, Error, ErrorCode, Now, Time, Wake, Why};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Several keys in one request begin here (KIP-699).
const FIRST_BATCHED: i16 = 4;
/// The kind of key is said from here on.
const FIRST_WITH_KIND: i16 = 1;

type Key = (CoordinatorKind, Arc<str>);

/// What is known of a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Coordinator {
    /// It is being looked for.
    Unknown,
    /// This broker.
    Known(BrokerId),
    /// The broker refuses to tell, and asking again will not help soon.
    Refused(Error),
}

impl Coordinator {
    /// The broker, if it is known.
    pub(crate) fn broker(&self) -> Option<BrokerId> {
        match self {
            Self::Known(broker) => Some(*broker),
            Self::Unknown | Self::Refused(_) => None,
        }
    }
}

/// The cache, and the machine that fills it.
#[derive(Debug)]
pub(crate) struct Coordinators {
    entries: BTreeMap<Key, Entry>,
    asked: BTreeMap<u64, Vec<Key>>,
    tokens: u64,
    backoff: (Duration, Duration),
    timeout: Duration,
}

#[derive(Debug)]
struct Entry {
    state: Coordinator,
    due: Time,
    attempts: u32,
    asked: bool,
}

impl Entry {
    fn lost(&mut self, now: Now, backoff: (Duration, Duration), rng: &mut Rng) {
        self.state = Coordinator::Unknown;
        self.attempts = self.attempts.saturating_add(1);
        // The answer may name the old one for a while (broker-coord 1.3): at once, then ever slower.
        let wait = match self.attempts {
            1 => Duration::ZERO,
            n => rng.backoff(backoff.0, backoff.1, n - 2),
        };
        self.due = now.mono + wait;
    }
}

const UNKNOWN: &Coordinator = &Coordinator::Unknown;

impl Coordinators {
    pub(crate) fn new(backoff: (Duration, Duration), timeout: Duration) -> Self {
        Self { entries: BTreeMap::new(), asked: BTreeMap::new(), tokens: 0, backoff, timeout }
    }

    pub(crate) fn get(&self, kind: CoordinatorKind, key: &Arc<str>) -> &Coordinator {
        self.entries.get(&(kind, key.clone())).map_or(UNKNOWN, |e| &e.state)
    }

    /// Takes the sum of what the roles want now; what nobody wants is forgotten.
    pub(crate) fn want(&mut self, needs: &Needs) {
        self.entries.retain(|key, _| needs.coordinators.contains(key));
        for key in &needs.coordinators {
            self.entries.entry(key.clone()).or_insert(Entry {
                state: Coordinator::Unknown,
                due: Time::ZERO,
                attempts: 0,
                asked: false,
            });
        }
    }

    /// A broker says that it is not the coordinator, or cannot be reached. Old news of another broker changes nothing.
    pub(crate) fn lost(&mut self, now: Now, kind: CoordinatorKind, key: &Arc<str>, broker: BrokerId, rng: &mut Rng) {
        if let Some(entry) = self.entries.get_mut(&(kind, key.clone())) {
            if entry.state == Coordinator::Known(broker) {
                entry.lost(now, self.backoff, rng);
            }
        }
    }

    /// A broker cannot be reached: whatever it coordinated may be with another one by now (TX-10).
    pub(crate) fn unreachable(&mut self, now: Now, broker: BrokerId, rng: &mut Rng) {
        for entry in self.entries.values_mut().filter(|e| e.state == Coordinator::Known(broker)) {
            entry.lost(now, self.backoff, rng);
        }
    }

    /// A broker that is not in the cluster's list has no address: it cannot be asked, and does not coordinate anything.
    /// Whether there is something to look for now.
    pub(crate) fn check(&mut self, now: Now, view: &View, rng: &mut Rng) -> bool {
        let gone = |e: &&mut Entry| e.state.broker().is_some_and(|broker| !view.brokers.contains_key(&broker));
        let mut any = false;
        for entry in self.entries.values_mut().filter(gone) {
            entry.lost(now, self.backoff, rng);
            any = true;
        }
        any
    }

    /// The coordinator does its work: earlier failures no longer count.
    pub(crate) fn confirm(&mut self, kind: CoordinatorKind, key: &Arc<str>) {
        if let Some(entry) = self.entries.get_mut(&(kind, key.clone())) {
            entry.attempts = 0;
        }
    }

    fn due(&self) -> Option<Time> {
        let open = self.entries.values().filter(|e| !e.asked && !matches!(e.state, Coordinator::Known(_)));
        open.map(|e| e.due).min()
    }

    pub(crate) fn wants_link(&self, now: Time) -> bool {
        !self.asked.is_empty() || self.due().is_some_and(|at| at <= now)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        Some(Wake { at: self.due()?, why: Why::Metadata })
    }

    pub(crate) fn poll_request(&mut self, link: &LinkFacts<'_>, now: Now) -> Option<Request> {
        let version = link.version::<FindCoordinatorRequest>()?;
        let open = |e: &Entry| !e.asked && !matches!(e.state, Coordinator::Known(_)) && e.due <= now.mono;
        let (kind, _) = self.entries.iter().find(|(_, e)| open(e)).map(|(key, _)| key.clone())?;
        let most = if version >= FIRST_BATCHED { usize::MAX } else { 1 };
        let keys: Vec<Key> = self
            .entries
            .iter()
            .filter(|(key, e)| key.0 == kind && open(e))
            .map(|(key, _)| key.clone())
            .take(most)
            .collect();
        let mut request = FindCoordinatorRequest::default();
        if version >= FIRST_WITH_KIND {
            request.key_type = match kind {
                CoordinatorKind::Group => 0,
                CoordinatorKind::Transaction => 1,
            };
        }
        if version >= FIRST_BATCHED {
            request.coordinator_keys = keys.iter().map(|(_, key)| key.to_string()).collect();
        } else {
            request.key = keys.first()?.1.to_string();
        }
        let tag = Tag { owner: Owner::Coordinators, token: self.tokens };
        let request = Request::versioned(tag, &request, version, self.timeout).ok()?;
        self.tokens += 1;
        for key in &keys {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.asked = true;
            }
        }
        self.asked.insert(tag.token, keys);
        Some(request)
    }

    /// Takes an answer in and returns the brokers that it named.
    pub(crate) fn handle_response(
        &mut self,
        now: Now,
        rng: &mut Rng,
        tag: Tag,
        result: Result<Response, RequestError>,
    ) -> Result<Vec<Node>, Error> {
        let keys = self.asked.remove(&tag.token).unwrap_or_default();
        for key in &keys {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.asked = false;
                entry.due = now.mono + rng.backoff(self.backoff.0, self.backoff.1, entry.attempts);
            }
        }
        let Ok(response) = result else { return Ok(Vec::new()) };
        let answer = response.decode::<FindCoordinatorRequest>()?;
        let mut nodes = Vec::new();
        if response.version >= FIRST_BATCHED {
            for one in answer.coordinators {
                let Some(key) = keys.iter().find(|(_, key)| **key == *one.key).cloned() else { continue };
                self.settle(now, key, one.error_code, one.node_id.0, &one.host, one.port, &mut nodes);
            }
        } else if let Some(key) = keys.into_iter().next() {
            self.settle(now, key, answer.error_code, answer.node_id.0, &answer.host, answer.port, &mut nodes);
        }
        Ok(nodes)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one answer, which two versions lay out differently")]
    fn settle(&mut self, now: Now, key: Key, code: ErrorCode, id: i32, host: &str, port: i32, nodes: &mut Vec<Node>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if code.is_ok() {
            if let Some((id, node)) = metadata::node(id, host, port, None) {
                entry.state = Coordinator::Known(id);
                nodes.push(node);
            }
        } else if code.is_retriable() {
            entry.state = Coordinator::Unknown;
            entry.attempts = entry.attempts.saturating_add(1);
        } else {
            let what = match key.0 {
                CoordinatorKind::Group => "group",
                CoordinatorKind::Transaction => "transactional id",
            };
            let hint = format!("the coordinator of {what} \"{}\" cannot be found", key.1);
            entry.state = Coordinator::Refused(Error::from_code(code).with_api("FindCoordinator").with_hint(hint));
            entry.due = now.mono + self.backoff.1.max(Duration::from_secs(1));
        }
    }
}
