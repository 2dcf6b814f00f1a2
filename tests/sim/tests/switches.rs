//! The seeded executor lets other tasks run inside of a call, between any two lock sections of the client's front.

use klamm::{Config, ConsumerConfig, Kafka, Record};
use klamm_sim::{Sim, run_seed};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A task that counts its turns, of which it always wants another one while it is on.
#[derive(Clone, Default)]
struct Counter {
    on: Rc<Cell<bool>>,
    turns: Rc<Cell<u64>>,
    waker: Rc<RefCell<Option<Waker>>>,
}

impl Counter {
    fn new(sim: &Sim) -> Self {
        let counter = Self::default();
        let own = counter.clone();
        sim.spawn(std::future::poll_fn(move |cx| {
            own.turns.set(own.turns.get() + 1);
            *own.waker.borrow_mut() = Some(cx.waker().clone());
            if own.on.get() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }));
        counter
    }

    /// Of two hundred calls in a row, without an await in between, how many had the task run inside of them.
    fn switches(&self, mut call: impl FnMut()) -> u32 {
        self.on.set(true);
        self.waker.borrow().as_ref().expect("it had its first turn").wake_by_ref();
        let switched = (0..200).map(|_| {
            let before = self.turns.get();
            call();
            u32::from(self.turns.get() != before)
        });
        let switched = switched.sum();
        self.on.set(false);
        switched
    }
}

#[test]
fn another_task_may_run_inside_of_every_call() {
    run_seed(1, &|sim: Sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = Kafka::connect(&sim, Config::new(sim.cluster().bootstrap())).await.expect("it answers");
        let producer = kafka.producer().expect("a good configuration");
        let config = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
        let consumer = kafka.consumer_with(config).expect("a good configuration");
        consumer.assign([("t", 0)]).expect("an assignment");
        let handle = consumer.handle();
        producer.topic("t").ready().await.expect("it exists");
        let counter = Counter::new(&sim);
        sim.sleep(std::time::Duration::from_millis(1)).await;
        let mut counts = Vec::new();
        let mut count = |name: &str, call: &mut dyn FnMut()| counts.push((name.to_owned(), counter.switches(call)));
        count("send", &mut || drop(producer.send(Record::to("t").value("v"))));
        count("try_send", &mut || drop(producer.try_send(Record::to("t").value("v"))));
        count("flush", &mut || drop(producer.flush()));
        count("buffered", &mut || drop(format!("{:?}", producer.buffered())));
        count("partitions_for", &mut || drop(producer.partitions_for("t")));
        count("seek", &mut || consumer.seek(("t", 0), 0).expect("it is assigned"));
        count("pause", &mut || consumer.pause([("t", 0)]).expect("it is assigned"));
        count("assignment", &mut || drop(consumer.assignment()));
        count("wakeup", &mut || handle.wakeup());
        assert!(counts.iter().all(|(_, switched)| *switched >= 4), "of 200 each: {counts:?}");
        producer.flush().await.expect("all is written");
    });
}
