//! The driver's view of the engine.

use super::{Engine, OWN_WORK};
use crate::front::park::thread_id;
use crate::front::sync::atomic::Ordering;
use klamm_core::driver::{Action, Machine, NetError, Phase, SocketOptions, WorkDone, WorkLost};
use klamm_core::{ConnId, Error, ErrorKind, LookupId, Now, Wake, WorkId};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::task::Waker;

impl Machine for Engine {
    fn register(&mut self, waker: &Waker) {
        self.front.signal.register(waker);
    }

    fn handle_turn(&mut self, now: Now) {
        self.front.driver_thread.store(thread_id(), Ordering::Release);
        self.front.signal.begin();
        if self.ended {
            return;
        }
        self.take_inputs(now);
        self.take_slots(now);
        self.go_on_ending(now);
        self.close_held(now);
        self.serve(now);
        self.serve_consumers(now);
        self.offload();
        self.go_on_closing(now);
        self.publish(now, false);
        self.wake();
    }

    fn handle_lookup(&mut self, now: Now, id: LookupId, answer: Result<&[SocketAddr], NetError>) {
        self.client.handle_lookup(now, id, answer);
    }

    fn handle_connected(&mut self, now: Now, conn: ConnId) {
        self.client.handle_connected(now, conn);
    }

    fn handle_closed(&mut self, now: Now, conn: ConnId, why: Option<NetError>) {
        self.client.handle_closed(now, conn, why);
    }

    fn handle_received(&mut self, now: Now, conn: ConnId, n: usize) {
        self.client.handle_received(now, conn, n);
    }

    fn handle_sent(&mut self, now: Now, conn: ConnId, n: usize) {
        self.client.handle_sent(now, conn, n);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.client.handle_timeout(now);
        self.expire(now);
        self.wake();
    }

    fn handle_work(&mut self, now: Now, id: WorkId, done: Result<WorkDone, WorkLost>) {
        if id.0 < OWN_WORK {
            return self.client.handle_work(now, id, done);
        }
        let Some(underway) = self.works.remove(&id) else { return };
        match done {
            Ok(WorkDone::Packed(_, packed)) => underway.done(packed),
            // Its place gets a broken batch.
            _ => drop(underway),
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front().or_else(|| self.client.poll_action())
    }

    fn poll_transmit(&mut self) -> Option<ConnId> {
        self.client.poll_transmit()
    }

    fn poll_resume(&mut self) -> Option<ConnId> {
        self.client.poll_resume()
    }

    fn poll_deliver(&mut self, now: Now) -> bool {
        let mut any = self.answer_collects(now);
        while let Some(event) = self.client.poll_event() {
            any = true;
            #[cfg(feature = "tracing")]
            crate::log::event(&event);
            self.handle_event(event);
        }
        any |= self.answer_progress(now);
        self.offload();
        self.wake();
        any || !self.actions.is_empty()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.client.poll_timeout(), self.own_timeout())
    }

    fn may_park(&mut self) -> bool {
        if self.ended {
            return self.front.signal.park();
        }
        let now = self.front.clock.now();
        let due = self.poll_timeout().map(|wake| wake.at);
        for producer in self.producers.values() {
            producer.arm(due, now.mono);
        }
        self.publish(now, true);
        if !self.front.signal.park() {
            return false;
        }
        // What was handed over without a notification, in the belief that this turn or a timer would see it.
        let seen = self.front.inbox.is_empty() && !self.producers.values().any(super::Producer::is_dirty);
        if !seen {
            self.front.signal.unpark();
        }
        seen
    }

    fn recv_buf(&mut self, conn: ConnId) -> Option<&mut [u8]> {
        self.client.recv_buf(conn)
    }

    fn transmit<'a>(&'a self, conn: ConnId, iov: &mut [IoSlice<'a>]) -> usize {
        self.client.transmit(conn, iov)
    }

    fn socket_options(&self) -> SocketOptions {
        self.client.socket_options()
    }

    fn phase(&self) -> Phase {
        match (&self.closing, self.ended) {
            (_, true) => Phase::Done,
            (Some(_), false) => Phase::Draining,
            (None, false) => Phase::Running,
        }
    }

    fn abandon(&mut self, why: &str) {
        let error = Error::new(ErrorKind::Closed, format!("the client's driver ended: {why}"))
            .with_hint("connect anew; keep the runtime that the client runs on alive");
        self.end(&error);
    }
}
