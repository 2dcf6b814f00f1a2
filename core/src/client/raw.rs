//! Requests that the application encoded itself.

use super::Route;
use super::lookup::{Lookup, Lookups};
use super::role::{CoordinatorKind, Cx, Known, LinkFacts, Owner, Request, Tag};
use crate::wire::ApiKey;
use crate::{BrokerId, Error, ErrorKind, OpId};
use bytes::Bytes;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Raw {
    pub(super) to: Route,
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) body: Bytes,
    pub(super) asked: bool,
}

impl Raw {
    pub(super) fn coordinator(&self) -> Option<(CoordinatorKind, Arc<str>)> {
        match &self.to {
            Route::Group(key) => Some((CoordinatorKind::Group, key.clone())),
            Route::TransactionalId(key) => Some((CoordinatorKind::Transaction, key.clone())),
            _ => None,
        }
    }

    pub(super) fn target(&self, known: &Known<'_>) -> Option<BrokerId> {
        let Known { view, names, .. } = *known;
        match &self.to {
            Route::Any => None,
            Route::Broker(id) => Some(BrokerId(*id)),
            Route::Controller => view.controller,
            Route::Leader(place) => {
                let topic = names.find_topic(&place.topic)?;
                view.leader((topic, place.partition)).map(|(leader, _)| leader)
            }
            Route::Group(_) | Route::TransactionalId(_) => {
                let (kind, key) = self.coordinator()?;
                known.coordinators.get(kind, &key).broker()
            }
        }
    }
}

impl Lookups {
    /// Nobody waits for the answer any more. A raw request that is not on its way stays at home: its sender has been told that it
    /// timed out, and may send it again.
    pub(super) fn forget(&mut self, op: OpId) {
        if matches!(self.open.get(&op), Some(Lookup::Raw(raw)) if !raw.asked) {
            self.open.remove(&op);
        }
    }

    pub(super) fn raw_request(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request> {
        loop {
            let known = Known { view: cx.view, names: cx.names, coordinators: cx.coordinators };
            let goes = |raw: &Raw| matches!(raw.to, Route::Any) || raw.target(&known) == Some(link.broker);
            let (op, raw) = self.open.iter_mut().find_map(|(op, lookup)| match lookup {
                Lookup::Raw(raw) if !raw.asked && goes(raw) => Some((*op, raw)),
                _ => None,
            })?;
            if !link.versions.range(raw.api).is_some_and(|(min, max)| (min..=max).contains(&raw.version)) {
                let text = format!("{} does not serve {} in version {}", named(link.broker), raw.api, raw.version);
                self.open.remove(&op);
                cx.done(op, Err(Error::new(ErrorKind::Unsupported, text).with_broker(link.broker.0)));
                continue;
            }
            raw.asked = true;
            let token = self.tokens;
            self.tokens += 1;
            self.asked.insert(token, (op, Vec::new()));
            return Some(Request {
                tag: Tag { owner: Owner::Lookups, token },
                api: raw.api,
                version: raw.version,
                body: smallvec::smallvec![raw.body.clone()],
                timeout: self.timeout,
                silent: false,
                max_response: super::role::CONTROL_RESPONSE,
            });
        }
    }
}

fn named(broker: BrokerId) -> String {
    if broker.0 < 0 { "a bootstrap server".to_owned() } else { format!("broker {broker}") }
}
