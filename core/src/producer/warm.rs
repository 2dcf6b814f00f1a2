//! Connections that are opened before there is anything to send: whoever warms a topic up is told when each of its leaders can
//! take a request.

use super::machine::Producer;
use crate::client::Reply;
use crate::client::role::{Cx, Known, Lane, Needs};
use crate::error::{Error, ErrorKind};
use crate::metadata::View;
use crate::{BrokerId, OpId, Time, TopicIx};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A topic whose leaders are to be reached.
#[derive(Debug)]
pub(crate) struct Warming {
    op: OpId,
    topic: TopicIx,
    until: Time,
    /// Who could take a request.
    ready: BTreeSet<BrokerId>,
}

/// The leaders of a topic, once all of them are known.
fn leaders(view: &View, topic: TopicIx) -> Option<BTreeSet<BrokerId>> {
    let known = view.topic(topic).filter(|topic| !topic.partitions.is_empty())?;
    known.partitions.iter().map(|partition| partition.leader).collect()
}

impl Producer {
    /// Opens a connection to each leader of a topic.
    pub(crate) fn warm_up(&mut self, cx: &mut Cx<'_>, op: OpId, name: Arc<str>, until: Time) {
        self.topics.want(cx, &name);
        let topic = cx.names.topic(&name);
        self.warming.push(Warming { op, topic, until, ready: BTreeSet::new() });
    }

    pub(super) fn warm_needs(&self, out: &mut Needs, known: &Known<'_>) {
        for warming in &self.warming {
            let leaders = leaders(known.view, warming.topic).into_iter().flatten();
            out.links.extend(leaders.map(|broker| (broker, Lane::Produce(self.ix))));
        }
    }

    /// A link to this broker can take a request.
    pub(super) fn is_warm(&mut self, cx: &mut Cx<'_>, broker: BrokerId) {
        self.warming.retain_mut(|warming| {
            warming.ready.insert(broker);
            let done = leaders(cx.view, warming.topic).is_some_and(|all| all.is_subset(&warming.ready));
            if done {
                cx.done(warming.op, Ok(Reply::Unit));
            }
            !done
        });
    }

    /// Those that were not reached in time are given up.
    pub(super) fn cool_down(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let (late, keep) = std::mem::take(&mut self.warming).into_iter().partition(|warming| warming.until <= now);
        self.warming = keep;
        let late: Vec<Warming> = late;
        for late in late {
            let name = cx.names.topic_name(late.topic).clone();
            let missing =
                leaders(cx.view, late.topic).map(|all| all.difference(&late.ready).copied().collect::<Vec<_>>());
            let text = match missing.as_deref() {
                None => format!("not every partition of {name} has a leader"),
                Some(missing) => format!("{} leaders of {name} were not reached", missing.len()),
            };
            let trouble = missing.iter().flatten().find_map(|broker| cx.troubles.get(broker).cloned());
            let error = Error::new(ErrorKind::Timeout, text).with_topic(name).with_possibly_written(false);
            cx.done(late.op, Err(trouble.map_or(error.clone(), |trouble| error.with_source(trouble))));
        }
    }

    pub(super) fn warm_deadline(&self) -> Option<Time> {
        self.warming.iter().map(|warming| warming.until).min()
    }
}
