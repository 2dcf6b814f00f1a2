//! Administration: one operation is a list of items, each sent where it belongs, retried and answered on its own.

mod acl;
mod config;
mod group;
mod older;
mod topic;
pub mod types;

pub use types::*;

use crate::client::role::{
    CoordinatorKind, Cx, Known, Lane, LinkFacts, Needs, News, Owner, Request, RequestError, Response, RoleMachine, Tag,
};
use crate::client::{Reply, TopicName};
use crate::cluster::Coordinator;
use crate::config::ClientConfig;
use crate::error::{Action, admin_class};
use crate::metadata::Diff;
use crate::wire;
use crate::wire::messages::*;
use crate::{BrokerId, Error, ErrorCode, ErrorKind, OpId, Time, Wake, Why};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An administrative operation. Its reply has one result per item, in this order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AdminRequest {
    /// Creates topics: [`Value::Created`].
    CreateTopics {
        /// The items.
        topics: Vec<NewTopic>,
        /// Only checks whether it could.
        validate_only: bool,
    },
    /// Deletes topics: [`Value::Unit`].
    DeleteTopics(Vec<TopicName>),
    /// Adds partitions: [`Value::Unit`].
    CreatePartitions {
        /// The items.
        topics: Vec<(Arc<str>, NewPartitions)>,
        /// Only checks whether it could.
        validate_only: bool,
    },
    /// Describes topics: [`Value::Topic`].
    DescribeTopics {
        /// The items.
        topics: Vec<TopicName>,
        /// Also says what this user may do with them.
        authorized_operations: bool,
    },
    /// Describes the cluster, one item: [`Value::Cluster`].
    DescribeCluster {
        /// Also says what this user may do with it.
        authorized_operations: bool,
        /// Also lists brokers that are registered but do not serve.
        fenced_brokers: bool,
    },
    /// Lists groups, one item per broker: [`Value::Groups`].
    ListGroups {
        /// Only those in one of these states; all if empty.
        states: Vec<Arc<str>>,
        /// Only those of one of these types; all if empty.
        types: Vec<Arc<str>>,
    },
    /// Describes groups: [`Value::Group`].
    DescribeGroups {
        /// The items.
        groups: Vec<Arc<str>>,
        /// Also says what this user may do with them.
        authorized_operations: bool,
    },
    /// Creates ACLs: [`Value::Unit`].
    CreateAcls(Vec<AclBinding>),
    /// Lists ACLs, one item: [`Value::Acls`].
    DescribeAcls(AclFilter),
    /// Deletes the ACLs that each filter matches: [`Value::Acls`].
    DeleteAcls(Vec<AclFilter>),
    /// Reads configurations: [`Value::Configs`].
    DescribeConfigs {
        /// The items.
        resources: Vec<ConfigResource>,
        /// Also lists the values behind the values.
        synonyms: bool,
        /// Also explains them.
        documentation: bool,
    },
    /// Changes configurations: [`Value::Unit`].
    AlterConfigs {
        /// The items.
        changes: Vec<(ConfigResource, Vec<ConfigChange>)>,
        /// Only checks whether it could.
        validate_only: bool,
    },
}

/// What one item came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// It is done.
    Unit,
    /// A created topic.
    Created(CreatedTopic),
    /// A described topic.
    Topic(TopicDescription),
    /// The cluster.
    Cluster(ClusterDescription),
    /// One broker's groups.
    Groups(Vec<GroupListing>),
    /// A described group.
    Group(GroupDescription),
    /// Access control lists.
    Acls(Vec<AclBinding>),
    /// A configuration.
    Configs(Vec<ConfigEntry>),
}

/// The results of an operation, one per item.
#[derive(Clone, Debug)]
pub struct AdminReply {
    /// In the order of the request's items; of `ListGroups` one per broker.
    pub items: Vec<Result<Value, Error>>,
}

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

/// Where an item is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Controller,
    Any,
    Broker(BrokerId),
    Coordinator(Arc<str>),
}

#[derive(Debug)]
struct Item {
    target: Target,
    due: Time,
    attempts: u32,
    asked: bool,
    last: Option<Error>,
    result: Option<Result<Value, Error>>,
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
        let fan_out = matches!(request, AdminRequest::ListGroups { .. });
        let items = targets(&request).into_iter().map(Item::new).collect();
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
            match admin_class(answer.code) {
                Action::Retry | Action::Refresh => item.retry(cx, backoff),
                Action::Rediscover => {
                    if let (Target::Coordinator(key), Some(broker)) = (&item.target, cx_coordinator(cx, &item.target)) {
                        let (kind, key) = (CoordinatorKind::Group, key.clone());
                        cx.news.push(News::CoordinatorLost { kind, key, broker });
                    } else {
                        cx.news.push(News::ClusterStale);
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

    fn build(&mut self, link: &LinkFacts<'_>, op: OpId, mut which: Vec<usize>) -> Result<Request, (Vec<usize>, Error)> {
        macro_rules! send {
            ($api:ty, |$v:ident| $make:expr) => {{
                let $v = link.version::<$api>().ok_or_else(|| (which.clone(), link.unsupported::<$api>()))?;
                let request = $make;
                self.send(link, op, which, $v, &request)
            }};
        }
        let millis = self.millis();
        let Some(request) = self.open.get(&op).map(|o| o.request.clone()) else {
            return Err((which, Error::new(ErrorKind::Closed, "the operation has ended")));
        };
        match &request {
            AdminRequest::CreateTopics { topics, validate_only } => {
                older::has_no_defaults(topics, &which, link)?;
                send!(CreateTopicsRequest, |v| topic::create(topics, &which, *validate_only, millis))
            }
            AdminRequest::DeleteTopics(topics) => {
                let version = link.version::<DeleteTopicsRequest>().unwrap_or(0);
                older::knows_names_only(topics, &which, version, topic::FIRST_DELETE_BY_ID)?;
                send!(DeleteTopicsRequest, |v| topic::delete(topics, &which, v, millis))
            }
            AdminRequest::CreatePartitions { topics, validate_only } => {
                send!(CreatePartitionsRequest, |v| topic::grow(topics, &which, *validate_only, millis))
            }
            AdminRequest::DescribeTopics { topics, authorized_operations } => {
                let version = link.version::<MetadataRequest>().unwrap_or(0);
                older::knows_names_only(topics, &which, version, topic::FIRST_DESCRIBE_BY_ID)?;
                let by_id = |n: &usize| matches!(topics.get(*n), Some(TopicName::Id(_)));
                let first = which.first().is_some_and(by_id);
                which.retain(|n| by_id(n) == first);
                send!(MetadataRequest, |v| topic::describe(topics, &which, v, *authorized_operations))
            }
            AdminRequest::DescribeCluster { authorized_operations, fenced_brokers } => {
                older::tells_no_fenced_brokers(*fenced_brokers, &which, link)?;
                let by_metadata = link.version::<DescribeClusterRequest>().is_none();
                if let Some(operation) = self.open.get_mut(&op) {
                    operation.by_metadata = by_metadata;
                }
                if by_metadata {
                    return send!(MetadataRequest, |v| group::cluster_metadata(v, *authorized_operations));
                }
                send!(DescribeClusterRequest, |v| group::cluster(*authorized_operations, *fenced_brokers))
            }
            AdminRequest::ListGroups { states, types } => {
                older::tells_no_states(states, types, &which, link)?;
                send!(ListGroupsRequest, |v| group::list(states, types, v))
            }
            AdminRequest::DescribeGroups { groups, authorized_operations } => {
                send!(DescribeGroupsRequest, |v| group::describe(groups, &which, v, *authorized_operations))
            }
            AdminRequest::CreateAcls(acls) => send!(CreateAclsRequest, |v| acl::create(acls, &which)),
            AdminRequest::DescribeAcls(filter) => send!(DescribeAclsRequest, |v| acl::describe(filter)),
            AdminRequest::DeleteAcls(filters) => send!(DeleteAclsRequest, |v| acl::delete(filters, &which)),
            AdminRequest::DescribeConfigs { resources, synonyms, documentation } => {
                send!(DescribeConfigsRequest, |v| config::describe(resources, &which, *synonyms, *documentation, v))
            }
            AdminRequest::AlterConfigs { changes, validate_only } => {
                send!(IncrementalAlterConfigsRequest, |v| config::alter(changes, &which, *validate_only))
            }
        }
    }

    fn read(&self, op: OpId, which: &[usize], broker: BrokerId, r: &Response) -> Result<Vec<Answer>, Error> {
        let Some(operation) = self.open.get(&op) else { return Ok(Vec::new()) };
        match &operation.request {
            AdminRequest::CreateTopics { topics, .. } => topic::created(r, topics, which),
            AdminRequest::DeleteTopics(topics) => topic::deleted(r, topics, which),
            AdminRequest::CreatePartitions { topics, .. } => topic::grown(r, topics, which),
            AdminRequest::DescribeTopics { topics, .. } => topic::described(r, topics, which),
            AdminRequest::DescribeCluster { .. } if operation.by_metadata => group::cluster_of_metadata(r),
            AdminRequest::DescribeCluster { .. } => group::cluster_described(r),
            AdminRequest::ListGroups { states, types } => group::listed(r, which, states, types),
            AdminRequest::DescribeGroups { groups, .. } => group::described(r, groups, which, broker),
            AdminRequest::CreateAcls(_) => acl::created(r, which),
            AdminRequest::DescribeAcls(_) => acl::described(r),
            AdminRequest::DeleteAcls(_) => acl::deleted(r, which),
            AdminRequest::DescribeConfigs { resources, .. } => config::described(r, resources, which),
            AdminRequest::AlterConfigs { changes, .. } => config::altered(r, changes, which),
        }
    }
}

fn cx_coordinator(cx: &Cx<'_>, target: &Target) -> Option<BrokerId> {
    let Target::Coordinator(key) = target else { return None };
    cx.coordinators.get(CoordinatorKind::Group, key).broker()
}

fn refusal(code: ErrorCode, message: Option<String>, api: &'static str) -> Error {
    let error = Error::from_code(code).with_api(api);
    match message.filter(|m| !m.is_empty()) {
        Some(message) => error.with_hint(format!("the broker says: {message}")),
        None => error,
    }
}

fn targets(request: &AdminRequest) -> Vec<Target> {
    let controller = |n: usize| vec![Target::Controller; n];
    let configured = |r: &ConfigResource| r.only_broker().map_or(Target::Controller, Target::Broker);
    match request {
        AdminRequest::CreateTopics { topics, .. } => controller(topics.len()),
        AdminRequest::DeleteTopics(topics) => controller(topics.len()),
        AdminRequest::CreatePartitions { topics, .. } => controller(topics.len()),
        AdminRequest::DescribeTopics { topics, .. } => vec![Target::Any; topics.len()],
        AdminRequest::DescribeCluster { .. } | AdminRequest::DescribeAcls(_) => vec![Target::Any],
        AdminRequest::ListGroups { .. } => Vec::new(),
        AdminRequest::DescribeGroups { groups, .. } => groups.iter().cloned().map(Target::Coordinator).collect(),
        AdminRequest::CreateAcls(acls) => controller(acls.len()),
        AdminRequest::DeleteAcls(filters) => controller(filters.len()),
        AdminRequest::DescribeConfigs { resources, .. } => resources.iter().map(configured).collect(),
        AdminRequest::AlterConfigs { changes, .. } => changes.iter().map(|(r, _)| configured(r)).collect(),
    }
}

impl AdminRequest {
    /// Whether doing it twice is the same as doing it once, seen from the answer too.
    fn is_repeatable(&self) -> bool {
        match self {
            Self::CreateTopics { validate_only, .. } | Self::CreatePartitions { validate_only, .. } => *validate_only,
            // Its second answer would say that the topic is unknown, or that the ACLs matched nothing.
            Self::DeleteTopics(_) | Self::DeleteAcls(_) => false,
            // Appending twice is not appending once.
            Self::AlterConfigs { changes, validate_only } => {
                let sets = |c: &ConfigChange| matches!(c.change, ConfigOperation::Set | ConfigOperation::Delete);
                *validate_only || changes.iter().all(|(_, changes)| changes.iter().all(sets))
            }
            _ => true,
        }
    }

    fn api(&self) -> &'static str {
        match self {
            Self::CreateTopics { .. } => "CreateTopics",
            Self::DeleteTopics(_) => "DeleteTopics",
            Self::CreatePartitions { .. } => "CreatePartitions",
            Self::DescribeTopics { .. } => "Metadata",
            Self::DescribeCluster { .. } => "DescribeCluster",
            Self::ListGroups { .. } => "ListGroups",
            Self::DescribeGroups { .. } => "DescribeGroups",
            Self::CreateAcls(_) => "CreateAcls",
            Self::DescribeAcls(_) => "DescribeAcls",
            Self::DeleteAcls(_) => "DeleteAcls",
            Self::DescribeConfigs { .. } => "DescribeConfigs",
            Self::AlterConfigs { .. } => "IncrementalAlterConfigs",
        }
    }
}

impl Item {
    fn new(target: Target) -> Self {
        Self { target, due: Time::ZERO, attempts: 0, asked: false, last: None, result: None }
    }

    fn waits(&self) -> bool {
        self.result.is_none() && !self.asked
    }

    fn retry(&mut self, cx: &mut Cx<'_>, backoff: (Duration, Duration)) {
        self.due = cx.now.mono + cx.rng.backoff(backoff.0, backoff.1, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Whether this broker is where it is to be sent.
    fn goes_to(&self, broker: BrokerId, known: &Known<'_>) -> bool {
        match &self.target {
            Target::Any => true,
            Target::Controller => known.view.controller.is_none_or(|id| id == broker),
            Target::Broker(id) => *id == broker,
            Target::Coordinator(key) => {
                *known.coordinators.get(CoordinatorKind::Group, key) == Coordinator::Known(broker)
            }
        }
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
                Target::Coordinator(key) => {
                    out.coordinators.insert((CoordinatorKind::Group, key.clone()));
                    let broker = known.coordinators.get(CoordinatorKind::Group, key).broker();
                    out.links.extend(broker.map(|id| (id, Lane::Slow)));
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

    fn handle_metadata(&mut self, cx: &mut Cx<'_>, _: &Diff) {
        let ops: Vec<OpId> = self.open.keys().copied().collect();
        for op in ops {
            self.spread(cx, op);
            let refused: Vec<(usize, Error)> = self.open.get(&op).map_or_else(Vec::new, |o| {
                let items = o.items.iter().enumerate().filter(|(_, i)| i.result.is_none());
                let refused = items.filter_map(|(n, i)| match &i.target {
                    Target::Coordinator(key) => match cx.coordinators.get(CoordinatorKind::Group, key) {
                        Coordinator::Refused(error) => Some((n, error.clone())),
                        _ => None,
                    },
                    _ => None,
                });
                refused.collect()
            });
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
