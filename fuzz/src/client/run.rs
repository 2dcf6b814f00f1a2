//! One course of events, and what must hold in every one.

use super::front::Front;
use super::net::Net;
use crate::feed::Feed;
use klamm_core::client::Command;
use klamm_core::config::builder::Config;
use klamm_core::producer::Collect;
use klamm_core::{Client, Now, Time, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Results that one step may have: far more than any input asks for.
const MOST_RESULTS: usize = 20_000;
/// Wakes that one point in time may have.
const MOST_WAKES: usize = 2_000;
/// Rounds that a driver needs until nothing moves any more.
const MOST_ROUNDS: usize = 2_000;
/// What a closing role is given.
const PATIENCE: Duration = Duration::from_millis(20);

/// A client, its application, its network and its clock.
pub(crate) struct Run<'a> {
    pub(super) feed: Feed<'a>,
    pub(super) now: Now,
    pub(super) client: Client,
    pub(super) net: Net,
    pub(super) front: Front,
    trace: bool,
}

impl<'a> Run<'a> {
    /// A course that `data` decides; with `trace` it is told on standard error.
    pub(crate) fn new(data: &'a [u8], trace: bool) -> Self {
        let mut feed = Feed::new(data);
        let mut config =
            Config::new("b1:9092,b2:9092").set("request.timeout.ms", 3_000).set("default.api.timeout.ms", 9_000);
        match feed.below(8) {
            1 => config = Config::kafka_2_5("b3:9092"),
            2 => config = config.set("metadata.max.age.ms", 100),
            3 => config = config.set("connections.max.idle.ms", 200).set("reconnect.backoff.ms", 1),
            4 => config = config.set("retry.backoff.ms", 1).set("retry.backoff.max.ms", 1),
            _ => {}
        }
        let config = config.resolve().unwrap_or_else(|e| panic!("{e}"));
        let now = Now { mono: Time(5_000_000_000), wall: Timestamp(1_700_000_000_000) };
        Self {
            client: Client::new(Arc::new(config), u64::from(feed.byte()), now),
            net: Net::new(now, feed.below(3) as i32 + 1),
            front: Front::default(),
            trace,
            now,
            feed,
        }
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{}", what());
        }
    }

    /// Lets it happen, then ends everything.
    pub(crate) fn run(mut self) {
        while !self.feed.is_empty() {
            self.step();
            self.settle();
        }
        self.finish();
    }

    /// Takes all that the client wants to be taken, as a driver does before it parks.
    pub(super) fn drain(&mut self) -> usize {
        let mut results = 0;
        loop {
            let before = results;
            while let Some(action) = self.client.poll_action() {
                results += 1;
                self.net.act(self.now, action);
            }
            let mut collect = Collect::default();
            while self.client.poll_collect(&mut collect) {
                results += 1;
                let mut taken = self.front.collect(self.now, &collect);
                self.client.handle_taken(self.now, collect.producer, collect.id, &mut taken);
                self.tell(|| format!("  {collect:?}"));
                assert!(taken.is_empty(), "batches were left where nobody looks");
                assert!(results < MOST_RESULTS, "collects without end");
            }
            while let Some(consumer) = self.client.poll_want_progress() {
                results += 1;
                let progress = self.front.progress(self.now, consumer);
                self.client.handle_progress(self.now, consumer, &progress);
                assert!(results < MOST_RESULTS, "progress is wanted without end");
            }
            while let Some(conn) = self.client.poll_transmit() {
                results += 1;
                self.net.writable(conn);
                assert!(results < MOST_RESULTS, "transmits without end");
            }
            while self.client.poll_resume().is_some() {
                results += 1;
            }
            while let Some(event) = self.client.poll_event() {
                results += 1;
                self.tell(|| format!("  {event:?}"));
                self.front.event(event);
                assert!(results < MOST_RESULTS, "events without end");
            }
            assert!(results < MOST_RESULTS, "results without end");
            if results == before {
                return results;
            }
        }
    }

    /// Drains, and lets every time that has come take its effect: a client that wants to be woken again and again, without
    /// anything coming of it, would keep its driver from sleeping.
    pub(super) fn settle(&mut self) {
        self.drain();
        let mut last = None;
        for wakes in 0.. {
            let Some(wake) = self.client.poll_timeout().filter(|wake| wake.at <= self.now.mono) else { return };
            self.client.handle_timeout(self.now);
            let results = self.drain();
            assert!(results > 0 || last != Some(wake), "woken again for {wake:?} at {:?}", self.now.mono);
            assert!(wakes < MOST_WAKES, "wakes without end, the last for {wake:?} at {:?}", self.now.mono);
            last = Some(wake);
        }
    }

    /// Time passes; brokers and client find out when they are due.
    pub(super) fn pass(&mut self, by: Duration) {
        self.late(by);
        self.settle();
    }

    /// Time passes, and the client is not told yet.
    pub(super) fn late(&mut self, by: Duration) {
        let mono = self.now.mono + by;
        let wall = self.now.wall.as_millis().saturating_add(by.as_millis() as i64);
        self.now = Now { mono, wall: Timestamp(wall) };
        self.tell(|| format!("{:?}, to be woken for {:?}", self.now.mono, self.client.poll_timeout()));
        self.net.pass(self.now);
    }

    /// Everything moves until nothing does: what a network without faults does.
    pub(super) fn pump(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let mut moved = self.drain() > 0;
            moved |= self.look_up(false);
            moved |= self.connect(false);
            for conn in self.net.conns() {
                moved |= self.write(conn, usize::MAX);
                moved |= self.read(conn, usize::MAX);
            }
            if !moved {
                return self.settle();
            }
        }
        panic!("client and brokers never come to rest");
    }

    /// Ends operations, roles and client: nothing may be left unanswered.
    fn finish(&mut self) {
        self.front.let_go(self.now, &mut self.client);
        let soon = self.now.mono + PATIENCE;
        for producer in self.front.open_producers() {
            self.ask(Command::CloseProducer(producer, soon));
        }
        for consumer in self.front.open_consumers() {
            let how = klamm_core::client::CloseConsumer { commit: false, leave: None };
            self.ask(Command::CloseConsumer(consumer, how, soon));
        }
        for op in self.front.open_ops() {
            self.client.handle_command(self.now, op, Command::Deadline(soon));
        }
        self.settle();
        self.pass(self.front.closed_at.since(self.now.mono) + PATIENCE);
        assert_eq!(self.front.open_ops(), [], "operations without an answer, after their deadline");
        assert!(self.front.undecided().is_empty(), "batches without an outcome: {:?}", self.front.undecided());
        let deadline = self.now.mono + PATIENCE;
        self.ask(Command::Shutdown { deadline });
        self.settle();
        self.pass(PATIENCE + PATIENCE);
        assert!(self.client.is_done(), "not done after the deadline of its end");
        assert_eq!(self.net.conns(), [], "connections are left");
    }

    /// Hands a command over; its answer is waited for if it has one.
    pub(super) fn ask(&mut self, command: Command) {
        let op = self.front.ask(&command);
        self.tell(|| format!("{op}: {command:?}"));
        self.client.handle_command(self.now, op, command);
    }
}
