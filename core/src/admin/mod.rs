//! Administration: one operation is a list of items, each sent where it belongs, retried and answered on its own.

mod acl;
mod ask;
mod config;
mod group;
mod item;
mod older;
mod request;
mod topic;
mod transaction;
pub mod types;

pub use request::{AdminReply, AdminRequest, Value};
pub use types::*;

use crate::client::Reply;
use crate::client::role::{
    Cx, Known, Lane, LinkFacts, Needs, News, Owner, Request, RequestError, Response, RoleMachine, Tag,
};
use crate::config::ClientConfig;
use crate::error::{Action, admin_class, is_stale_metadata};
use crate::metadata::Diff;
use crate::wire;
use crate::{BrokerId, Error, ErrorCode, ErrorKind, OpId, Time, Wake, Why};
use item::{Item, Target};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a broker said of one item.
#[derive(Debug)]
pub(super) struct Answer {
    item: usize,
    code: ErrorCode,
    message: Option<String>,
    value: Value,
}

impl Answer {
    pub(super) fn new(item: usize, code: ErrorCode, message: Option<String>, value: Value) -> Self {
        Self { item, code, message, value }
    }
}

#[derive(Debug)]
struct Operation {
    request: AdminRequest,
    items: Vec<Item>,
    /// The items are the brokers, which are not known yet.
    fan_out: bool,
    /// The broker that was asked for the cluster has no DescribeCluster: its metadata answers.
    by_metadata: bool,
}

/// The machine of all administrative operations.
#[derive(Debug)]
pub(crate) struct Admin {
    open: BTreeMap<OpId, Operation>,
    asked: BTreeMap<u64, (OpId, Vec<usize>)>,
    tokens: u64,
    timeout: Duration,
    backoff: (Duration, Duration),
}

impl Admin {
    pub(crate) fn new(config: &ClientConfig) -> Self {
        Self {
            open: BTreeMap::new(),
            asked: BTreeMap::new(),
            tokens: 0,
            timeout: config.request_timeout,
            backoff: (config.retry_backoff, config.retry_backoff_max),
        }
    }

    pub(crate) fn handle_request(&mut self, cx: &mut Cx<'_>, op: OpId, request: AdminRequest) {
        let fan_out = request.asks_all();
        let items = item::targets(&request, cx.names).into_iter().map(Item::new).collect();
        self.open.insert(op, Operation { request, items, fan_out, by_metadata: false });
        self.spread(cx, op);
        self.finish(cx, op);
    }

    /// Makes the brokers the items of an operation that asks all of them.
    fn spread(&mut self, cx: &Cx<'_>, op: OpId) {
        let Some(operation) = self.open.get_mut(&op).filter(|o| o.fan_out && !cx.view.brokers.is_empty()) else {
            return;
        };
        operation.fan_out = false;
        operation.items = cx.view.brokers.keys().map(|id| Item::new(Target::Broker(*id))).collect();
    }

    fn finish(&mut self, cx: &mut Cx<'_>, op: OpId) {
        let done = self.open.get(&op).is_some_and(|o| !o.fan_out && o.items.iter().all(|i| i.result.is_some()));
        if let Some(operation) = done.then(|| self.open.remove(&op)).flatten() {
            let items = operation.items.into_iter().filter_map(|i| i.result).collect();
            cx.done(op, Ok(Reply::Admin(Box::new(AdminReply { items }))));
        }
    }

    fn millis(&self) -> i32 {
        i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    fn settle(&mut self, cx: &mut Cx<'_>, op: OpId, asked: &[usize], answers: Vec<Answer>, api: &'static str) {
        let backoff = self.backoff;
        let Some(operation) = self.open.get_mut(&op) else { return };
        let mut missing: Vec<usize> = asked.to_vec();
        for answer in answers {
            missing.retain(|n| *n != answer.item);
            let Some(item) = operation.items.get_mut(answer.item).filter(|i| i.result.is_none()) else { continue };
            item.asked = false;
            if answer.code.is_ok() {
                item.result = Some(Ok(answer.value));
                continue;
            }
            let error = refusal(answer.code, answer.message, api);
            item.last = Some(error.clone());
            if let Target::Leader(topic, _) = item.target {
                let unknown = item.is_unknown(answer.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                if is_stale_metadata(answer.code) && !unknown {
                    cx.news.push(News::Stale { topic, code: answer.code, leader_epoch: None });
                    item.retry(cx, backoff);
                    continue;
                }
            }
            match admin_class(answer.code) {
                Action::Retry | Action::Refresh => item.retry(cx, backoff),
                Action::Rediscover => {
                    let found = match &item.target {
                        Target::Coordinator(kind, key) => {
                            Some((*kind, key.clone(), cx.coordinators.get(*kind, key).broker()))
                        }
                        _ => None,
                    };
                    match found {
                        Some((kind, key, Some(broker))) => cx.news.push(News::CoordinatorLost { kind, key, broker }),
                        _ => cx.news.push(News::ClusterStale),
                    }
                    item.retry(cx, backoff);
                }
                _ => item.result = Some(Err(error)),
            }
        }
        for n in missing {
            if let Some(item) = operation.items.get_mut(n).filter(|i| i.result.is_none()) {
                item.asked = false;
                let text = format!("the broker's answer to {api} leaves this out");
                item.result = Some(Err(Error::new(ErrorKind::Corrupt, text).with_api(api).with_outcome_unknown()));
            }
        }
        self.finish(cx, op);
    }

    /// The request did not come to an answer.
    fn lost(&mut self, cx: &mut Cx<'_>, op: OpId, asked: &[usize], error: &RequestError) {
        let backoff = self.backoff;
        let Some(operation) = self.open.get_mut(&op) else { return };
        let repeatable = operation.request.is_repeatable();
        for n in asked {
            let Some(item) = operation.items.get_mut(*n) else { continue };
            item.asked = false;
            item.last = Some(error.error().clone());
            match error {
                RequestError::Lost(error) if !repeatable => {
                    let error = error.clone().with_outcome_unknown();
                    item.result = Some(Err(error.with_hint("look whether it took effect before you repeat it")));
                }
                _ => item.retry(cx, backoff),
            }
        }
        self.finish(cx, op);
    }

    fn fail(&mut self, cx: &mut Cx<'_>, op: OpId, which: &[usize], error: &Error) {
        if let Some(operation) = self.open.get_mut(&op) {
            for n in which {
                if let Some(item) = operation.items.get_mut(*n) {
                    item.result = Some(Err(error.clone()));
                }
            }
        }
        self.finish(cx, op);
    }

    fn send<R: wire::Request>(
        &mut self,
        link: &LinkFacts<'_>,
        op: OpId,
        which: Vec<usize>,
        version: i16,
        request: &R,
    ) -> Result<Request, (Vec<usize>, Error)> {
        let tag = Tag { owner: Owner::Admin, token: self.tokens };
        let request = Request::versioned(tag, request, version, self.timeout)
            .map_err(|e| (which.clone(), e.with_broker(link.broker.0)))?;
        self.tokens += 1;
        if let Some(operation) = self.open.get_mut(&op) {
            for n in &which {
                if let Some(item) = operation.items.get_mut(*n) {
                    item.asked = true;
                }
            }
        }
        self.asked.insert(tag.token, (op, which));
        Ok(request)
    }
}

fn refusal(code: ErrorCode, message: Option<String>, api: &'static str) -> Error {
    let error = Error::from_code(code).with_api(api);
    match message.filter(|m| !m.is_empty()) {
        Some(message) => error.with_hint(format!("the broker says: {message}")),
        None => error,
    }
}

impl RoleMachine for Admin {
    fn needs(&self, out: &mut Needs, known: &Known<'_>) {
        for item in self.open.values().flat_map(|o| &o.items).filter(|i| i.result.is_none()) {
            match &item.target {
                Target::Any => {
                    out.any.insert(Lane::Slow);
                }
                Target::Controller => match known.view.controller.filter(|id| known.view.brokers.contains_key(id)) {
                    Some(id) => {
                        out.links.insert((id, Lane::Slow));
                    }
                    None => {
                        out.any.insert(Lane::Slow);
                    }
                },
                Target::Broker(id) => {
                    out.links.insert((*id, Lane::Slow));
                }
                Target::Coordinator(kind, key) => {
                    out.coordinators.insert((*kind, key.clone()));
                    let broker = known.coordinators.get(*kind, key).broker();
                    out.links.extend(broker.map(|id| (id, Lane::Slow)));
                }
                Target::Leader(topic, number) => {
                    out.topics.entry(*topic).or_insert(false);
                    let leader = known.view.leader((*topic, *number));
                    out.links.extend(leader.map(|(id, _)| (id, Lane::Slow)));
                }
            }
        }
        if self.open.values().any(|o| o.fan_out) {
            out.any.insert(Lane::Control);
        }
    }

    fn poll_request(&mut self, link: &LinkFacts<'_>, cx: &mut Cx<'_>) -> Option<Request> {
        if link.lane != Lane::Slow {
            return None;
        }
        loop {
            let known = Known { view: cx.view, names: cx.names, coordinators: cx.coordinators };
            let now = cx.now.mono;
            let (op, which) = self.open.iter().find_map(|(op, o)| {
                let due = |i: &Item| i.waits() && i.due <= now && i.goes_to(link.broker, &known);
                let which: Vec<usize> = (0..o.items.len()).filter(|n| due(&o.items[*n])).collect();
                (!which.is_empty()).then_some((*op, which))
            })?;
            match self.build(link, op, which) {
                Ok(request) => return Some(request),
                Err((which, error)) => self.fail(cx, op, &which, &error),
            }
        }
    }

    fn handle_response(&mut self, cx: &mut Cx<'_>, broker: BrokerId, tag: Tag, result: Result<Response, RequestError>) {
        let Some((op, which)) = self.asked.remove(&tag.token) else { return };
        let Some(api) = self.open.get(&op).map(|o| o.request.api()) else { return };
        match result {
            Ok(response) => match self.read(op, &which, broker, &response) {
                Ok(answers) => self.settle(cx, op, &which, answers, api),
                Err(error) => {
                    cx.news.push(News::Undecodable { error: error.clone() });
                    self.lost(cx, op, &which, &RequestError::Lost(error));
                }
            },
            Err(error) => self.lost(cx, op, &which, &error),
        }
    }

    fn handle_metadata(&mut self, cx: &mut Cx<'_>, diff: &Diff) {
        let ops: Vec<OpId> = self.open.keys().copied().collect();
        for op in ops {
            self.spread(cx, op);
            let known = Known { view: cx.view, names: cx.names, coordinators: cx.coordinators };
            let items = self.open.get_mut(&op).into_iter().flat_map(|o| o.items.iter_mut().enumerate());
            let waiting = items.filter(|(_, item)| item.result.is_none());
            let refused: Vec<(usize, Error)> =
                waiting.filter_map(|(n, item)| Some((n, item.is_refused(&known, &diff.failed)?))).collect();
            for (n, error) in refused {
                self.fail(cx, op, &[n], &error);
            }
        }
    }

    fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        for item in self.open.values_mut().flat_map(|o| &mut o.items).filter(|i| i.due <= now) {
            item.due = Time::ZERO;
        }
    }

    fn poll_timeout(&self) -> Option<Wake> {
        let waiting = self.open.values().flat_map(|o| &o.items).filter(|i| i.waits() && i.due > Time::ZERO);
        waiting.map(|i| i.due).min().map(|at| Wake { at, why: Why::Backoff })
    }
}
