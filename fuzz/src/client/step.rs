//! What happens next.

use super::net::Fate;
use super::run::Run;
use klamm_core::admin::{AclFilter, AdminRequest, ConfigChange, ConfigResource, NewPartitions, NewTopic};
use klamm_core::client::{
    CloseConsumer, Command, CommitOffset, Route, SeekTo, Stamp, Subscription, TopicName, TopicPartition,
};
use klamm_core::config::IsolationLevel;
use klamm_core::config::builder::{ConsumerConfig, ProducerConfig};
use klamm_core::metadata::OffsetSpec;
use klamm_core::{ConnId, ConsumerIx, OpId, ProducerIx, Timestamp};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// Producers and consumers at a time: each of a number is opened once.
const ROLES: u32 = 3;

impl Run<'_> {
    pub(super) fn step(&mut self) {
        match self.feed.below(32) {
            0..=3 => self.pump(),
            4 => drop(self.look_up(true)),
            5 => drop(self.connect(true)),
            6 => drop(self.look_up(false)),
            7 => drop(self.connect(false)),
            8 | 9 => self.transfer(),
            10 => self.wait(),
            11 => {
                let by = Duration::from_millis(self.feed.byte().into());
                self.pass(by);
            }
            12 => {
                let by = Duration::from_secs(self.feed.byte().into());
                self.pass(by);
            }
            13 => self.break_conn(),
            14 => self.garbage(),
            15 | 16 => self.plan_fate(),
            17 => self.fault(),
            18 => self.upset(),
            19 => self.open_producer(),
            20 => self.want_topic(),
            21 | 22 => self.append(),
            23 => self.press(),
            24 => self.open_consumer(),
            25 | 26 => self.consume(),
            27 => drop(self.front.free(self.now, &mut self.client)),
            28 => self.look(),
            29 => self.administer(),
            30 => self.close(),
            _ => self.meddle(),
        }
    }

    fn conn(&mut self) -> Option<ConnId> {
        let conns = self.net.conns();
        self.feed.choose(&conns)
    }

    fn transfer(&mut self) {
        let Some(conn) = self.conn() else { return };
        let most = self.feed.below(300);
        if self.feed.flag() {
            self.write(conn, most);
        } else {
            self.read(conn, most);
        }
    }

    /// Time passes up to the next wake, and not beyond. What comes in at that very moment must not make the client forget it.
    fn wait(&mut self) {
        let Some(wake) = self.client.poll_timeout() else { return };
        let by = wake.at.since(self.now.mono);
        if self.feed.flag() {
            self.late(by);
            let requests = self.client.stats().requests;
            self.client.handle_lookup(self.now, klamm_core::LookupId(u64::MAX), Ok(&[]));
            // Nothing came of it: then it was not what the wake was for.
            let idle = self.drain() == 0 && self.client.stats().requests == requests;
            let forgotten = idle && self.client.poll_timeout().is_none_or(|left| left.at > wake.at);
            assert!(!forgotten, "{wake:?} was forgotten");
            return;
        }
        self.pass(by);
    }

    fn break_conn(&mut self) {
        let why = [None, Some(ErrorKind::ConnectionReset), Some(ErrorKind::TimedOut)][self.feed.below(3)];
        if let Some(conn) = self.conn() {
            self.hang_up(conn, why);
        }
    }

    fn garbage(&mut self) {
        let Some(conn) = self.conn() else { return };
        let bytes = self.feed.take(60);
        self.inject(conn, bytes);
        self.read(conn, usize::MAX);
    }

    fn plan_fate(&mut self) {
        let fate = match self.feed.below(6) {
            0 => Fate::Served,
            1 => Fate::Spoiled(self.feed.byte(), self.feed.byte()),
            2 => Fate::Lied(self.feed.byte()),
            3 => Fate::Noise(self.feed.byte()),
            4 => Fate::Foreign(self.feed.byte()),
            _ => Fate::Lost,
        };
        self.net.fates.push_back(fate);
    }

    fn open_producer(&mut self) {
        let ix = ProducerIx(u32::from(self.feed.byte()) % ROLES);
        let section = match self.feed.below(6) {
            0 => ProducerConfig::new(),
            1 => ProducerConfig::new().set("acks", 0).set("enable.idempotence", false),
            2 => ProducerConfig::new().set("acks", 1).set("enable.idempotence", false).set("retries", 1),
            3 => ProducerConfig::new().set("linger.ms", 0).set("max.in.flight.requests.per.connection", 1),
            4 => ProducerConfig::new().set("linger.ms", 100).set("max.request.size", 2_000).set("batch.size", 500),
            _ => {
                ProducerConfig::new().set("delivery.timeout.ms", 700).set("request.timeout.ms", 500).set("linger.ms", 3)
            }
        };
        let config = klamm_core::config::builder::Config::new("b1").resolve_producer(&section).expect("valid");
        if self.front.first(ix.0, true) {
            self.ask(Command::OpenProducer(ix, Arc::new(config), None));
        }
    }

    fn topic(&mut self) -> Arc<str> {
        ["t0", "t1", "fresh", "not/a topic", ""][self.feed.below(5)].into()
    }

    fn partition(&mut self) -> TopicPartition {
        TopicPartition { topic: self.topic(), partition: self.feed.byte() as i8 as i32 % 4 }
    }

    fn partitions(&mut self) -> Vec<TopicPartition> {
        (0..self.feed.below(5)).map(|_| self.partition()).collect()
    }

    fn want_topic(&mut self) {
        let producers = self.front.open_producers();
        let (producer, topic) = (self.feed.choose(&producers), self.topic());
        if let Some(producer) = producer {
            self.ask(Command::Topic(producer, topic));
        }
    }

    fn append(&mut self) {
        let slots = self.front.slots();
        let Some(at) = self.feed.choose(&slots) else { return };
        let (records, seal) = (u32::from(self.feed.byte()), self.feed.flag());
        if let Some(left) = self.front.append(self.now, at, records, seal) {
            self.client.handle_slots(self.now, &[(at.0, at.1, left)]);
        }
    }

    /// A flush, or memory that runs out.
    fn press(&mut self) {
        if self.feed.flag() {
            let urgent = self.feed.flag();
            let levels: Vec<_> = self
                .front
                .slots()
                .into_iter()
                .filter_map(|at| Some((at.0, at.1, self.front.level(at, urgent)?)))
                .collect();
            self.client.handle_slots(self.now, &levels);
        } else {
            let (producer, waiting) = (ProducerIx(u32::from(self.feed.byte()) % ROLES), self.feed.flag());
            self.client.handle_pressure(self.now, producer, waiting);
        }
    }

    fn open_consumer(&mut self) {
        let ix = ConsumerIx(u32::from(self.feed.byte()) % ROLES);
        let section = match self.feed.below(6) {
            0 => ConsumerConfig::standalone().set("auto.offset.reset", "earliest"),
            1 => ConsumerConfig::standalone().set("auto.offset.reset", "none").set("isolation.level", "read_committed"),
            2 => ConsumerConfig::standalone().set("fetch.max.wait.ms", 10).set("fetch.min.bytes", 1_000),
            3 => ConsumerConfig::group("g").set("session.timeout.ms", 2_000).set("heartbeat.interval.ms", 500),
            4 => ConsumerConfig::group("g").set("group.instance.id", "i").set("auto.offset.reset", "earliest"),
            _ => ConsumerConfig::group("h").set("enable.auto.commit", false).set("max.partition.fetch.bytes", 500),
        };
        let config = klamm_core::config::builder::Config::new("b1").resolve_consumer(&section).expect("valid");
        if self.front.first(ix.0, false) {
            self.ask(Command::OpenConsumer(ix, Arc::new(config)));
        }
    }

    fn consume(&mut self) {
        let consumers = self.front.open_consumers();
        let Some(ix) = self.feed.choose(&consumers) else { return };
        let command = match self.feed.below(16) {
            0 => Command::Subscribe(ix, Subscription::None),
            1 | 2 => {
                Command::Subscribe(ix, Subscription::Topics((0..self.feed.below(4)).map(|_| self.topic()).collect()))
            }
            3 => Command::Subscribe(ix, Subscription::Partitions(self.partitions())),
            4 => Command::Assign(ix, self.partitions()),
            5 => Command::Unassign(ix, self.partitions()),
            6 | 7 => match self.front.assigned.pop_front() {
                Some((consumer, token)) => Command::Applied(consumer, token),
                None => Command::Applied(ix, self.feed.byte().into()),
            },
            8 => match self.front.revoked.pop_front() {
                Some((consumer, token, partition)) => Command::Released(consumer, token, partition),
                None => return,
            },
            9 => Command::Seek(ix, self.partition(), self.front.seek(), self.seek_to()),
            10 => Command::Pause(ix, self.partitions(), self.feed.flag()),
            11 => Command::Commit(ix, self.commits()),
            12 => Command::Committed(ix, self.partitions()),
            13 => Command::Position(ix, self.partition()),
            14 => Command::Rejoin(ix, "the fuzzer wants it".into()),
            _ => {
                let progress = self.front.progress(self.now, ix);
                return self.client.handle_progress(self.now, ix, &progress);
            }
        };
        self.ask(command);
    }

    fn seek_to(&mut self) -> SeekTo {
        match self.feed.below(4) {
            0 => SeekTo::Offset { offset: self.feed.number().max(0), leader_epoch: self.feed.number().max(-1) as i32 },
            1 => SeekTo::Beginning,
            2 => SeekTo::End,
            _ => SeekTo::Timestamp(Timestamp(self.feed.number())),
        }
    }

    fn commits(&mut self) -> Vec<(TopicPartition, Option<Stamp>, CommitOffset)> {
        let one = |run: &mut Self| {
            let stamp = run.feed.flag().then(|| Stamp { assign: run.feed.byte().into(), seek: run.feed.byte().into() });
            let offset = CommitOffset { offset: run.feed.number(), leader_epoch: -1, metadata: "m".into() };
            (run.partition(), stamp, offset)
        };
        (0..self.feed.below(4)).map(|_| one(self)).collect()
    }

    /// Looks something up for the application, perhaps with a deadline.
    fn look(&mut self) {
        let command = match self.feed.below(5) {
            0 => Command::Connect,
            1 => Command::ListTopics,
            2 => Command::DescribePartitions(self.topic()),
            3 => {
                let specs = [
                    OffsetSpec::Earliest,
                    OffsetSpec::Latest,
                    OffsetSpec::MaxTimestamp,
                    OffsetSpec::Timestamp(Timestamp(1)),
                ];
                let all = (0..self.feed.below(4)).map(|_| (self.partition(), specs[self.feed.below(4)])).collect();
                Command::ListOffsets(all, IsolationLevel::ReadUncommitted)
            }
            _ => Command::Raw {
                to: self.route(),
                api_key: i16::from(self.feed.byte() as i8),
                version: i16::from(self.feed.byte() % 20),
                body: self.feed.take(60).to_vec().into(),
            },
        };
        self.ask(command);
        if self.feed.flag() {
            let at = self.now.mono + Duration::from_millis(self.feed.byte().into());
            let op = self.front.last_op();
            self.client.handle_command(self.now, op, Command::Deadline(at));
        }
    }

    fn route(&mut self) -> Route {
        match self.feed.below(6) {
            0 => Route::Any,
            1 => Route::Broker(self.feed.byte() as i8 as i32),
            2 => Route::Controller,
            3 => Route::Group("g".into()),
            4 => Route::TransactionalId("x".into()),
            _ => Route::Leader(self.partition()),
        }
    }

    fn administer(&mut self) {
        let (topic, flag) = (self.topic(), self.feed.flag());
        let request = match self.feed.below(13) {
            0 => AdminRequest::CreateTopics {
                topics: vec![NewTopic::new(topic, 2, 1), NewTopic::broker_defaults("x")],
                validate_only: flag,
            },
            1 => AdminRequest::DeleteTopics(vec![TopicName::Name(topic)]),
            2 => AdminRequest::CreatePartitions {
                topics: vec![(topic, NewPartitions::increase_to(4))],
                validate_only: flag,
            },
            3 => AdminRequest::DescribeTopics { topics: vec![TopicName::Name(topic)], authorized_operations: flag },
            4 => AdminRequest::DescribeCluster { authorized_operations: flag, fenced_brokers: flag },
            5 => AdminRequest::ListGroups { states: Vec::new(), types: Vec::new() },
            6 => AdminRequest::DescribeGroups { groups: vec!["g".into(), topic], authorized_operations: flag },
            7 => AdminRequest::DescribeAcls(AclFilter::any()),
            8 => AdminRequest::DeleteAcls(vec![AclFilter::any()]),
            9 => AdminRequest::DescribeConfigs {
                resources: vec![ConfigResource::topic(topic), ConfigResource::broker(1)],
                synonyms: flag,
                documentation: flag,
            },
            10 => AdminRequest::CreateAcls(Vec::new()),
            11 => AdminRequest::DeleteTopics(Vec::new()),
            _ => AdminRequest::AlterConfigs {
                changes: vec![(ConfigResource::topic(topic), vec![ConfigChange::set("retention.ms", 1)])],
                validate_only: flag,
            },
        };
        self.ask(Command::Admin(Box::new(request)));
    }

    fn close(&mut self) {
        let deadline = self.now.mono + Duration::from_millis(u64::from(self.feed.byte()) * 10);
        let (producers, consumers) = (self.front.open_producers(), self.front.open_consumers());
        if self.feed.flag() {
            if let Some(ix) = self.feed.choose(&producers) {
                self.ask(Command::CloseProducer(ix, deadline));
            }
        } else if let Some(ix) = self.feed.choose(&consumers) {
            let how = CloseConsumer { commit: self.feed.flag(), leave: self.feed.flag().then(|| self.feed.flag()) };
            self.ask(Command::CloseConsumer(ix, how, deadline));
        }
    }

    /// What comes too late or from nowhere: all of it is allowed.
    fn meddle(&mut self) {
        let ghost = ConnId { index: self.feed.byte().into(), generation: self.feed.byte().into() };
        let known = self.net.conns().contains(&ghost);
        match self.feed.below(8) {
            0 => self.client.handle_timeout(self.now),
            1 if !known => self.client.handle_connected(self.now, ghost),
            2 if !known => self.client.handle_closed(self.now, ghost, None),
            3 if !known => self.client.handle_sent(self.now, ghost, 0),
            4 => self.lose_work(),
            5 => self.client.handle_command(self.now, OpId(u64::MAX), Command::Deadline(self.now.mono)),
            6 => self.ask(Command::CloseProducer(ProducerIx(99), self.now.mono)),
            _ => self.client.handle_lookup(self.now, klamm_core::LookupId(u64::MAX), Ok(&[])),
        }
    }
}
