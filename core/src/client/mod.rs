//! The machine: a whole Kafka client that decides everything and does nothing.
//!
//! Four kinds of methods, told by their names: `handle_*` takes in what the world or the application did, `poll_*` says what
//! must happen now, `recv_buf` and `transmit` lend bytes, the rest looks. Any input may come at any time, every `poll_*` may be
//! called any number of times; only before it parks must a driver poll until nothing is left.

mod command;
mod dispatch;
mod event;
mod lookup;
mod note;
mod ops;
mod prepared;
mod raw;
pub(crate) mod role;

pub use command::{
    CloseConsumer, Command, CommitOffset, Decision, EndTransaction, Role, Route, SeekTo, SendOffsets, Stamp,
    Subscription, TopicChooser, TopicName, TopicPartition,
};
pub use event::{
    AbortedTransaction, Chunk, Event, GroupMeta, ListedOffset, PartitionShape, Reply, SplitPart, TopicShape,
};
pub use note::Note;
pub use prepared::PreparedTxnState;

use crate::admin::Admin;
use crate::cluster::{Cluster, Coordinators};
use crate::config::ClientConfig;
use crate::consumer::{Consumer, Freed, Progress};
use crate::driver::{Action, NetError, SocketOptions, WorkDone, WorkLost};
use crate::metadata::{Metadata, Names, View};
use crate::producer::{Collect, Left, Producer, Taken};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::{
    BrokerId, CollectId, ConnId, ConsumerIx, Error, LookupId, Now, OpId, PartitionIx, ProducerIx, Time, Wake, WorkId,
};
use lookup::Lookups;
use ops::Ops;
use role::{Cx, Lane, News, RoleMachine};
use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;

/// A Kafka client without I/O: one cluster, any number of producers and consumers, the administration.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    now: Now,
    rng: Rng,
    cluster: Cluster,
    metadata: Metadata,
    coordinators: Coordinators,
    producers: BTreeMap<ProducerIx, Producer>,
    consumers: BTreeMap<ConsumerIx, Consumer>,
    admin: Admin,
    lookups: Lookups,
    ops: Ops,
    shared: Shared,
    /// Something came in since the roles were last asked.
    dirty: bool,
    /// Until when every timer has had its effect.
    expired: Time,
    end: Option<End>,
}

/// What every role call may change.
#[derive(Debug)]
struct Shared {
    rng: Rng,
    names: Names,
    events: VecDeque<Event>,
    news: Vec<News>,
    stats: Stats,
    /// Why brokers cannot be reached.
    troubles: BTreeMap<BrokerId, Error>,
}

impl Shared {
    fn cx<'a>(&'a mut self, now: Now, view: &'a Arc<View>, coordinators: &'a Coordinators) -> Cx<'a> {
        Cx {
            now,
            rng: &mut self.rng,
            view,
            names: &mut self.names,
            coordinators,
            events: &mut self.events,
            news: &mut self.news,
            stats: &mut self.stats,
            troubles: &self.troubles,
        }
    }
}

#[derive(Debug)]
struct End {
    /// Asked for once, or again with another deadline.
    ops: Vec<OpId>,
    deadline: Time,
    aborted: bool,
    done: bool,
}

/// Calls a method of a role with a fresh context, leaving the other fields of the client free.
macro_rules! call {
    ($client:ident, $role:expr, $method:ident ( $($arg:expr),* )) => {{
        let view = $client.metadata.view().clone();
        let mut cx = $client.shared.cx($client.now, &view, &$client.coordinators);
        $role.$method(&mut cx $(, $arg)*)
    }};
}
pub(crate) use call;

impl Client {
    /// A client that has done nothing yet. The same seed and the same inputs give the same outputs.
    pub fn new(config: Arc<ClientConfig>, seed: u64, now: Now) -> Self {
        let mut rng = Rng::new(seed);
        let backoff = (config.retry_backoff, config.retry_backoff_max);
        Self {
            now,
            cluster: Cluster::new(config.clone()),
            metadata: Metadata::new(&config),
            coordinators: Coordinators::new(backoff, config.request_timeout),
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            admin: Admin::new(&config),
            lookups: Lookups::new(&config),
            ops: Ops::default(),
            shared: Shared {
                rng: rng.fork(),
                names: Names::default(),
                events: VecDeque::new(),
                news: Vec::new(),
                stats: Stats::default(),
                troubles: BTreeMap::new(),
            },
            rng,
            dirty: true,
            expired: Time::ZERO,
            end: None,
            config,
        }
    }

    fn touch(&mut self, now: Now) {
        self.now = now;
        self.dirty = true;
    }

    /// A name was looked up.
    pub fn handle_lookup(&mut self, now: Now, id: LookupId, answer: Result<&[SocketAddr], NetError>) {
        self.touch(now);
        self.cluster.handle_lookup(now, id, answer, &mut self.rng, &mut self.shared.stats);
    }

    /// A connection stands.
    pub fn handle_connected(&mut self, now: Now, conn: ConnId) {
        self.touch(now);
        self.cluster.handle_connected(now, conn, &mut self.shared.stats);
    }

    /// A connection failed or ended; `None` is a clean end of stream. The id is never used again.
    pub fn handle_closed(&mut self, now: Now, conn: ConnId, why: Option<NetError>) {
        self.touch(now);
        self.cluster.handle_closed(now, conn, why, &mut self.rng, &mut self.shared.stats);
    }

    /// `n` bytes now stand in what [`recv_buf`](Self::recv_buf) lent.
    pub fn handle_received(&mut self, now: Now, conn: ConnId, n: usize) {
        self.now = now;
        // Half a frame changes nothing that a role could act on.
        self.dirty |= self.cluster.handle_received(now, conn, n, &mut self.shared.stats);
    }

    /// `n` bytes of [`transmit`](Self::transmit) were taken by the socket.
    pub fn handle_sent(&mut self, now: Now, conn: ConnId, n: usize) {
        self.now = now;
        self.dirty |= self.cluster.handle_sent(now, conn, n, &mut self.shared.stats);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come; too early is no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        self.touch(now);
        self.expired = now.mono;
        let view = self.metadata.view().clone();
        self.cluster.handle_timeout(now, &view, &mut self.rng, &mut self.shared.stats);
        let due = |wake: Option<Wake>| wake.is_some_and(|w| w.at <= now.mono);
        for producer in self.producers.values_mut().filter(|p| due(p.poll_timeout())) {
            call!(self, producer, handle_timeout());
        }
        for consumer in self.consumers.values_mut().filter(|c| due(c.poll_timeout())) {
            call!(self, consumer, handle_timeout());
        }
        if due(self.admin.poll_timeout()) {
            call!(self, self.admin, handle_timeout());
        }
        if due(self.lookups.poll_timeout()) {
            call!(self, self.lookups, handle_timeout());
        }
        self.expire_ops();
    }

    /// A piece of work ended. The core asks for none today: packing is the front's.
    pub fn handle_work(&mut self, now: Now, _id: WorkId, _done: Result<WorkDone, WorkLost>) {
        self.touch(now);
    }

    /// The levels of a producer's slots changed.
    pub fn handle_slots(&mut self, now: Now, slots: &[(ProducerIx, PartitionIx, Left)]) {
        self.touch(now);
        for group in slots.chunk_by(|a, b| a.0 == b.0) {
            let Some(producer) = group.first().and_then(|(ix, ..)| self.producers.get_mut(ix)) else { continue };
            let lefts: smallvec::SmallVec<[(PartitionIx, Left); 16]> = group.iter().map(|(_, p, l)| (*p, *l)).collect();
            call!(self, producer, handle_slots(&lefts));
        }
    }

    /// Records wait for memory, or no longer do: while they wait every open batch is ready (contracts B12).
    pub fn handle_pressure(&mut self, now: Now, producer: ProducerIx, waiting: bool) {
        self.touch(now);
        if let Some(producer) = self.producers.get_mut(&producer) {
            producer.handle_pressure(waiting);
        }
    }

    /// Answers a [`Collect`]; `taken` is empty afterwards.
    pub fn handle_taken(&mut self, now: Now, producer: ProducerIx, id: CollectId, taken: &mut Vec<Taken>) {
        self.touch(now);
        match self.producers.get_mut(&producer) {
            Some(machine) => call!(self, machine, handle_taken(id, taken)),
            // Nobody is left who could send it: nothing of it was ever written.
            None => {
                for batch in taken.drain(..).filter_map(|t| Some((t.partition, t.batch?.no))) {
                    let error = crate::Error::new(crate::ErrorKind::Closed, "the producer was closed");
                    self.shared.events.push_back(Event::Failed {
                        producer,
                        partition: batch.0,
                        batch: batch.1,
                        error,
                        culprits: Vec::new(),
                    });
                }
            }
        }
    }

    /// Answers [`poll_want_progress`](Self::poll_want_progress).
    pub fn handle_progress(&mut self, now: Now, consumer: ConsumerIx, progress: &Progress) {
        self.touch(now);
        if let Some(consumer) = self.consumers.get_mut(&consumer) {
            call!(self, consumer, handle_progress(progress));
        }
    }

    /// Fetched data was let go: its memory comes home.
    pub fn handle_credits(&mut self, now: Now, consumer: ConsumerIx, freed: &mut Vec<Freed>) {
        self.touch(now);
        for freed in freed.drain(..) {
            let buffer = self.consumers.get_mut(&consumer).and_then(|c| c.handle_freed(freed));
            if let Some(buffer) = buffer {
                self.cluster.give_buffer(Lane::Fetch(consumer), buffer);
            }
        }
    }

    /// What must happen outside now.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.settle();
        self.cluster.poll_action()
    }

    /// Asks for batches of the front; false if there is nothing to ask for.
    pub fn poll_collect(&mut self, into: &mut Collect) -> bool {
        self.settle();
        let (now, view) = (self.now, self.metadata.view().clone());
        self.producers.values_mut().any(|p| p.poll_collect(now, &view, &self.shared.names, into))
    }

    /// A consumer whose [`Progress`] is needed now.
    pub fn poll_want_progress(&mut self) -> Option<ConsumerIx> {
        self.settle();
        self.consumers.iter_mut().find_map(|(ix, c)| c.poll_want_progress().then_some(*ix))
    }

    /// A connection on which bytes to send appeared.
    pub fn poll_transmit(&mut self) -> Option<ConnId> {
        self.settle();
        self.cluster.poll_transmit()
    }

    /// A connection on which reading may go on.
    pub fn poll_resume(&mut self) -> Option<ConnId> {
        self.settle();
        self.cluster.poll_resume()
    }

    /// What the application is to be told.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.settle();
        while let Some(event) = self.shared.events.pop_front() {
            match &event {
                // The operation has timed out, or was never asked for: its answer has been given.
                Event::Done { op, .. } if !self.ops.finish(*op) => {}
                _ => return Some(event),
            }
        }
        None
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Wake> {
        let roles = self.producers.values().map(RoleMachine::poll_timeout);
        let roles = roles.chain(self.consumers.values().map(RoleMachine::poll_timeout));
        // What was due at the last timeout waits for a link, not for time: whatever brings one brings a turn with it. What has
        // come due since counts, whatever else came in meanwhile.
        let later = |wake: &Wake| wake.at > self.expired;
        let rest = [
            self.cluster.poll_timeout(self.expired),
            self.metadata.poll_timeout().filter(later),
            self.coordinators.poll_timeout().filter(later),
            self.admin.poll_timeout().filter(later),
            self.lookups.poll_timeout().filter(later),
            self.ops.poll_timeout(),
            self.end.as_ref().filter(|e| !e.done).map(|e| Wake { at: e.deadline, why: crate::Why::Operation }),
        ];
        roles.chain(rest).flatten().min()
    }

    /// Where received bytes go.
    pub fn recv_buf(&mut self, conn: ConnId) -> Option<&mut [u8]> {
        self.cluster.recv_buf(conn)
    }

    /// A vectored view of the bytes to send.
    pub fn transmit<'a>(&'a self, conn: ConnId, iov: &mut [IoSlice<'a>]) -> usize {
        self.cluster.transmit(conn, iov)
    }

    /// How sockets are to be set up.
    pub fn socket_options(&self) -> SocketOptions {
        SocketOptions {
            send_buffer: self.config.send_buffer_bytes.bytes(),
            receive_buffer: self.config.receive_buffer_bytes.bytes(),
            keepalive: self.config.socket_keepalive_enable,
        }
    }

    /// What was counted.
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// Forgets what was counted of producers that have ended; it stays in what was counted of all. Their numbers are kept
    /// until then, so that whoever reads them sees the last ones.
    pub fn forget_ended(&mut self) {
        let producers = &self.producers;
        self.shared.stats.forget(|ix| !producers.contains_key(&ix));
    }

    /// The cluster as it is known.
    pub fn view(&self) -> &Arc<View> {
        self.metadata.view()
    }

    /// The table of topics and partitions.
    pub fn names(&self) -> &Names {
        &self.shared.names
    }

    /// Whether a [`Command::Shutdown`] has run its course: every connection is closed.
    pub fn is_done(&self) -> bool {
        self.end.as_ref().is_some_and(|e| e.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::builder::Config;
    use std::time::Duration;

    fn at(time: Time) -> Now {
        Now { mono: time, ..Now::default() }
    }

    /// A client that waits for the look-up of its only broker.
    fn looking_up() -> Client {
        let config = Config::new("broker:9092").resolve().expect("valid");
        let mut client = Client::new(Arc::new(config), 1, at(Time(1_000)));
        client.handle_command(at(Time(1_000)), OpId(1), Command::Connect);
        assert!(matches!(client.poll_action(), Some(Action::Lookup { .. })));
        client
    }

    #[test]
    fn a_deadline_that_passed_while_something_else_came_in_still_counts() {
        let mut client = looking_up();
        let due = client.poll_timeout().expect("the look-up has a deadline").at;
        let later = at(due + Duration::from_millis(1));
        client.handle_lookup(later, LookupId(99), Ok(&[]));
        assert!(client.poll_action().is_none());
        assert_eq!(client.poll_timeout().map(|wake| wake.at), Some(due));
    }

    #[test]
    fn what_waits_for_a_link_does_not_keep_the_driver_awake() {
        let mut client = looking_up();
        let now = at(Time(2_000));
        client.handle_timeout(now);
        assert!(client.poll_action().is_none());
        assert!(client.poll_timeout().is_none_or(|wake| wake.at > now.mono));
    }
}
