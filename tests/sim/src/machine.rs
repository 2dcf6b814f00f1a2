//! A client's machine: it can be switched off, or stand still for a while.

use crate::Sim;
use crate::net::SimNet;
use klamm::Runtime;
use klamm::internal::MakeEngine;
use klamm_core::driver::{Driver, Net};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// What a client runs on, if something is to happen to it: `Kafka::connect(&machine, ..)`.
#[derive(Clone)]
pub struct Machine {
    sim: Sim,
    is: Rc<State>,
}

#[derive(Default)]
struct State {
    dead: Cell<bool>,
    frozen_until: Cell<Duration>,
    waker: RefCell<Option<Waker>>,
}

impl Sim {
    /// A machine for one client.
    pub fn machine(&self) -> Machine {
        Machine { sim: self.clone(), is: Rc::default() }
    }
}

impl Machine {
    /// The client is gone, as after SIGKILL: nothing more is sent, its connections end. Whoever still waits for it is told so.
    pub fn kill(&self) {
        self.is.dead.set(true);
        self.wake();
    }

    /// The client neither reads nor writes nor looks at the clock for so long.
    pub fn freeze(&self, time: Duration) {
        self.is.frozen_until.set(self.sim.elapsed() + time);
        let (sim, machine) = (self.sim.clone(), self.clone());
        self.sim.spawn(async move {
            sim.sleep(time).await;
            machine.wake();
        });
    }

    fn wake(&self) {
        if let Some(waker) = self.is.waker.take() {
            waker.wake();
        }
    }
}

impl Runtime for &Machine {
    fn start(self, make: MakeEngine) -> klamm::Result<()> {
        let net = SimNet::new(self.sim.world());
        let engine = make.make(net.clock());
        let mut driver = Some(Driver::new(engine, net));
        let machine = self.clone();
        self.sim.spawn(std::future::poll_fn(move |cx| {
            if machine.is.dead.get() {
                driver = None;
                return Poll::Ready(());
            }
            machine.is.waker.replace(Some(cx.waker().clone()));
            if machine.sim.elapsed() < machine.is.frozen_until.get() {
                return Poll::Pending;
            }
            driver.as_mut().map_or(Poll::Ready(()), |driver| driver.poll(cx))
        }));
        Ok(())
    }

    fn is_real(&self) -> bool {
        false
    }

    fn seed(&self) -> u64 {
        self.sim.next_seed()
    }
}
