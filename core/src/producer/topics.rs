//! The topics that this producer writes to: which it needs to know, and what the front was last told of each.

use crate::client::role::{Cx, Needs};
use crate::client::{Event, PartitionShape, TopicShape};
use crate::error::{Error, ErrorCode};
use crate::metadata::{Diff, TopicView};
use crate::similar::closest;
use crate::{BrokerId, PartitionIx, ProducerIx, Time, Timers, TopicIx};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
struct Topic {
    /// The last that the front was told.
    told: Option<Result<TopicShape, Error>>,
    used: Time,
    /// Not needed at present.
    idle: bool,
}

/// All topics that the front ever asked for.
#[derive(Debug)]
pub(crate) struct Topics {
    producer: ProducerIx,
    topics: BTreeMap<TopicIx, Topic>,
    idle: Timers<TopicIx>,
    max_idle: Duration,
    /// Whose leaders are near.
    rack: Option<Arc<str>>,
    /// Brokers may create them.
    create: bool,
}

impl Topics {
    pub(crate) fn new(producer: ProducerIx, max_idle: Duration, rack: Option<Arc<str>>, create: bool) -> Self {
        Self { producer, topics: BTreeMap::new(), idle: Timers::default(), max_idle, rack, create }
    }

    /// The front has records for a topic that it does not know, or that failed. What is known is told at once.
    pub(crate) fn want(&mut self, cx: &mut Cx<'_>, name: &Arc<str>) {
        let ix = cx.names.topic(name);
        let topic = self.topics.entry(ix).or_default();
        topic.told = None;
        self.touch(ix, cx.now.mono);
        if let Some(view) = cx.view.topic(ix).cloned() {
            self.tell_shape(cx, &view);
        }
    }

    /// The topic is in use now.
    pub(crate) fn touch(&mut self, ix: TopicIx, now: Time) {
        let topic = self.topics.entry(ix).or_default();
        topic.used = now;
        topic.idle = false;
        if self.idle.get(ix).is_none() {
            self.idle.set(ix, now + self.max_idle);
        }
    }

    /// Adds the topics in use. Brokers may create them unless that is switched off: Java's producer always asks for it
    /// (contracts C-8).
    pub(crate) fn needs(&self, out: &mut Needs) {
        for (ix, _) in self.topics.iter().filter(|(_, topic)| !topic.idle) {
            *out.topics.entry(*ix).or_default() |= self.create;
        }
    }

    pub(crate) fn any(&self) -> bool {
        self.topics.values().any(|topic| !topic.idle)
    }

    /// Tells the front what changed, for each topic by itself (contracts B21, PR-34).
    pub(crate) fn handle_metadata(&mut self, cx: &mut Cx<'_>, diff: &Diff) {
        for (ix, code) in &diff.failed {
            self.tell_error(cx, *ix, *code);
        }
        for ix in &diff.topics {
            if let Some(view) = cx.view.topic(*ix).cloned() {
                self.tell_shape(cx, &view);
            }
        }
        // A topic that is as it was may still be news to a front that was told an error, or nothing, before.
        let waiting: Vec<TopicIx> =
            self.topics.iter().filter(|(_, t)| !t.idle && !matches!(t.told, Some(Ok(_)))).map(|(ix, _)| *ix).collect();
        for ix in waiting {
            if let Some(view) = cx.view.topic(ix).cloned() {
                self.tell_shape(cx, &view);
            }
        }
    }

    fn shape(&self, cx: &Cx<'_>, ix: PartitionIx, leader: Option<BrokerId>) -> PartitionShape {
        let rack = leader.and_then(|leader| cx.view.brokers.get(&leader)).and_then(|node| node.rack.as_ref());
        PartitionShape { ix, leader, near: self.rack.is_some() && rack == self.rack.as_ref() }
    }

    fn tell_shape(&mut self, cx: &mut Cx<'_>, view: &TopicView) {
        // What stands in the view of a doubtful topic is old: good enough to go on with, not to answer a question with.
        let partitions = view.partitions.iter().map(|p| self.shape(cx, p.ix, p.leader)).collect();
        let Some(topic) = self.topics.get_mut(&view.ix) else { return };
        if view.partitions.is_empty() || (view.doubt.is_some() && topic.told.is_none()) {
            return;
        }
        let shape = TopicShape { topic: view.ix, incarnation: view.incarnation, partitions };
        if view.doubt.is_some() && matches!(topic.told, Some(Err(_))) || topic.told.as_ref() == Some(&Ok(shape.clone()))
        {
            return;
        }
        topic.told = Some(Ok(shape.clone()));
        cx.events.push_back(Event::Topic { producer: self.producer, name: view.name.clone(), shape: Ok(shape) });
    }

    /// Errors that may pass are told as such (`is_retriable`): the front keeps its records waiting and names the cause when
    /// their time is over; the topic is asked for all the while. Final ones end the waiting at once.
    fn tell_error(&mut self, cx: &mut Cx<'_>, ix: TopicIx, code: ErrorCode) {
        let name = cx.names.topic_name(ix).clone();
        let Some(topic) = self.topics.get_mut(&ix).filter(|t| !t.idle) else { return };
        let passing = code.is_retriable();
        // A topic that the front knows stays as it was while a broker has trouble with it (PR-10, PR-11).
        let known = matches!(topic.told, Some(Ok(_)));
        let same = matches!(&topic.told, Some(Err(told)) if told.code() == Some(code));
        if same || (known && passing) {
            return;
        }
        let mut error = Error::from_code(code).with_topic(name.clone()).with_retriable(passing);
        if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
            let known = cx.view.topics.values().filter(|topic| !topic.partitions.is_empty());
            let like = closest(&name, known.map(|topic| &*topic.name));
            let like = like.map(|like| format!("did you mean {like:?}? ")).unwrap_or_default();
            error = error.with_hint(format!(
                "{like}create it (Admin::create_topics), or let brokers create topics (auto.create.topics.enable)"
            ));
        }
        topic.told = Some(Err(error.clone()));
        topic.idle = !passing;
        cx.events.push_back(Event::Topic { producer: self.producer, name, shape: Err(error) });
    }

    /// Topics that nobody has written to for `metadata.max.idle.ms` are no longer kept fresh, unless `busy`.
    pub(crate) fn expire(&mut self, now: Time, busy: impl Fn(TopicIx) -> bool) {
        while let Some(ix) = self.idle.pop(now) {
            let Some(topic) = self.topics.get_mut(&ix) else { continue };
            if busy(ix) {
                topic.used = now;
            }
            let at = topic.used + self.max_idle;
            if at > now {
                self.idle.set(ix, at);
            } else {
                topic.idle = true;
            }
        }
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.idle.next()
    }
}
