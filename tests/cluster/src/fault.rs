//! Faults of chosen requests: before they are applied, or after.

use crate::api::Api;
use klamm_core::ErrorCode;
use klamm_core::wire::ApiKey;
use std::fmt;
use std::time::Duration;

/// What goes wrong before the request is applied: nothing of it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Error(ErrorCode),
    Close,
    Silence,
    Delay(Duration),
}

/// What goes wrong after the request was applied: the client is not told the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Error(ErrorCode),
    Omit,
    Truncate,
    Corrupt,
    Close,
    Silence,
    Delay(Duration),
    Throttle(Duration),
}

/// A fault's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Before(Before),
    After(After),
}

/// An installed fault.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) key: Option<ApiKey>,
    pub(crate) broker: Option<i32>,
    pub(crate) topic: Option<String>,
    /// How many matching requests pass first.
    pub(crate) skip: u64,
    /// How many it strikes; `None` is no limit.
    pub(crate) left: Option<u64>,
    /// It strikes one in so many, drawn from the seed.
    pub(crate) one_in: u64,
    pub(crate) effect: Effect,
}

/// A fault that is being described; the method that says what goes wrong installs it.
///
/// By default it strikes the next request of its API, once, on any broker.
#[must_use = "say what goes wrong, e.g. `.disconnect_after_apply()`"]
pub struct Fault<'a> {
    plan: Plan,
    install: Box<dyn FnOnce(Plan) + 'a>,
}

impl fmt::Debug for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fault").field(&self.plan).finish()
    }
}

impl<'a> Fault<'a> {
    pub(crate) fn new(api: Option<Api>, install: impl FnOnce(Plan) + 'a) -> Self {
        let plan = Plan {
            key: api.map(Api::key),
            broker: None,
            topic: None,
            skip: 0,
            left: Some(1),
            one_in: 1,
            effect: Effect::Before(Before::Close),
        };
        Self { plan, install: Box::new(install) }
    }

    /// It strikes `n` requests. Default 1.
    pub fn times(mut self, n: u64) -> Self {
        self.plan.left = Some(n);
        self
    }

    /// It strikes every request until [`clear_faults`](crate::Cluster::clear_faults).
    pub fn always(mut self) -> Self {
        self.plan.left = None;
        self
    }

    /// It lets `n` matching requests pass first. Default 0.
    pub fn after(mut self, n: u64) -> Self {
        self.plan.skip = n;
        self
    }

    /// It strikes one in `n` of the matching requests, drawn from the cluster's seed. Default 1: each.
    pub fn one_in(mut self, n: u64) -> Self {
        self.plan.one_in = n.max(1);
        self
    }

    /// It strikes requests to this broker only.
    pub fn on_broker(mut self, broker: i32) -> Self {
        self.plan.broker = Some(broker);
        self
    }

    /// It strikes requests that name this topic only (Produce, Fetch, ListOffsets, Metadata, OffsetCommit).
    pub fn on_topic(mut self, topic: &str) -> Self {
        self.plan.topic = Some(topic.to_owned());
        self
    }

    fn install(mut self, effect: Effect) {
        self.plan.effect = effect;
        (self.install)(self.plan);
    }

    /// The request is not applied, and answered with this error code.
    pub fn error(self, code: i16) {
        self.install(Effect::Before(Before::Error(ErrorCode(code))));
    }

    /// The request is applied, and answered with this error code nevertheless. Produce answers with 3, 6, 7, 20 and 56 keep
    /// the real base offset, as a real broker's do; others say -1.
    pub fn error_after_apply(self, code: i16) {
        self.install(Effect::After(After::Error(ErrorCode(code))));
    }

    /// The request is applied, but the answer leaves out the last partition (or topic, or group) that was asked for.
    pub fn omit_after_apply(self) {
        self.install(Effect::After(After::Omit));
    }

    /// The request is applied, but the answer ends in the middle, in a frame that is whole.
    pub fn truncate_after_apply(self) {
        self.install(Effect::After(After::Truncate));
    }

    /// The answer comes late by `by`; the request is applied at once.
    pub fn delay(self, by: Duration) {
        self.install(Effect::After(After::Delay(by)));
    }

    /// The request is applied late by `by`.
    pub fn delay_before_apply(self, by: Duration) {
        self.install(Effect::Before(Before::Delay(by)));
    }

    /// The connection breaks; the request is not applied.
    pub fn disconnect(self) {
        self.install(Effect::Before(Before::Close));
    }

    /// The request is applied, then the connection breaks without an answer.
    pub fn disconnect_after_apply(self) {
        self.install(Effect::After(After::Close));
    }

    /// The request is not applied and never answered; the connection stays open and is not read any more.
    pub fn silence(self) {
        self.install(Effect::Before(Before::Silence));
    }

    /// The request is applied and never answered; the connection stays open and is not read any more.
    pub fn silence_after_apply(self) {
        self.install(Effect::After(After::Silence));
    }

    /// A fetch gets records with a flipped bit; the log stays whole.
    pub fn corrupt_records(self) {
        self.install(Effect::After(After::Corrupt));
    }

    /// The answer comes at once and tells the client to slow down; its connection is not read for that long.
    pub fn throttle(self, by: Duration) {
        self.install(Effect::After(After::Throttle(by)));
    }
}

impl Plan {
    /// Whether it matches; counts down if so.
    pub(crate) fn strikes(
        &mut self,
        key: ApiKey,
        broker: i32,
        names: impl Fn(&str) -> bool,
        draw: impl FnOnce(u64) -> u64,
    ) -> bool {
        let matches = self.key.is_none_or(|k| k == key)
            && self.broker.is_none_or(|b| b == broker)
            && self.left != Some(0)
            && self.topic.as_deref().is_none_or(names);
        if !matches {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.one_in > 1 && draw(self.one_in) != 0 {
            return false;
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        true
    }
}
