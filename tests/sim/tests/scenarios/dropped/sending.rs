//! What sends gave: a record whose delivery is dropped is sent all the same, once and in its place.

use super::{Cut, cases};
use crate::rig::*;
use klamm::serdes::{Raw, Utf8};
use klamm::{Buffered, ErrorKind, Producer, ProducerConfig, Receipts, Record, TypedTopic};
use klamm_sim::Sim;
use std::future::IntoFuture;

/// A record of the partition that everything here goes to.
pub(super) fn to_t(value: &str) -> Record<'_> {
    Record::to("t").partition(0).value(value)
}

/// A producer that has sent nothing, on a topic of three partitions.
pub(super) async fn start(sim: &Sim, change: impl FnOnce(ProducerConfig) -> ProducerConfig) -> Producer {
    sim.cluster().create_topic("t", 3);
    producer(&kafka(sim).await, change)
}

/// The producer goes on, and keeps nothing of what is over.
pub(super) async fn goes_on(sim: &Sim, producer: &Producer) -> klamm::Result<()> {
    let after = within(sim, ms(60_000), producer.send(to_t("after"))).await;
    after.expect("it hangs").expect("it is written");
    let flushed = within(sim, ms(60_000), producer.flush()).await.expect("it hangs");
    keeps_nothing(sim, producer).await;
    flushed
}

/// The memory comes home.
pub(super) async fn keeps_nothing(sim: &Sim, producer: &Producer) {
    let end = sim.elapsed() + ms(5_000);
    while producer.buffered() != Buffered::default() {
        assert!(sim.elapsed() < end, "it keeps {:?}", producer.buffered());
        sim.sleep(ms(10)).await;
    }
}

/// One record before, what `send` sends, one after: all are in the log, once and in this order.
async fn once<F: IntoFuture>(
    sim: Sim,
    cut: Cut,
    change: impl FnOnce(ProducerConfig) -> ProducerConfig,
    known: bool,
    sent: u64,
    send: impl FnOnce(&Producer) -> F,
) {
    let producer = start(&sim, change).await;
    if known {
        producer.topic("t").ready().await.expect("it exists");
    }
    drop(producer.send(to_t("before")));
    cut.off(send(&producer)).await;
    goes_on(&sim, &producer).await.expect("nothing fails");
    let mut wanted = vec!["before".to_owned()];
    wanted.extend(values("it", sent));
    wanted.push("after".to_owned());
    assert_eq!(log(&sim, "t"), wanted);
    // The numbers are published now and then.
    sim.sleep(ms(100)).await;
    let counted = producer.metrics().get("producer-metrics", "record-send-total");
    assert_eq!(counted, Some(wanted.len() as f64), "each is counted as sent");
    assert_eq!(producer.metrics().get("producer-metrics", "record-error-total"), Some(0.0));
}

fn three() -> [Record<'static>; 3] {
    ["it-0", "it-1", "it-2"].map(to_t)
}

/// Room for one batch: the second waits for memory.
fn narrow(config: ProducerConfig) -> ProducerConfig {
    config.set("batch.size", 100).set("buffer.memory", 400)
}

cases! {
    send_to_an_unknown_topic: ["Producer::send"] = |sim, cut| once(sim, cut, |c| c, false, 1, |p| p.send(to_t("it-0")));
    send_to_a_known_topic: ["Producer::send"] = |sim, cut| once(sim, cut, |c| c, true, 1, |p| p.send(to_t("it-0")));
    send_without_memory: ["Producer::send"] = |sim, cut| once(sim, cut, narrow, true, 3, |p| {
        let [a, b, c] = three();
        drop((p.send(a), p.send(b)));
        p.send(c)
    });
    try_send: ["Producer::try_send"] = |sim, cut| once(sim, cut, |c| c, true, 1, |p| p.try_send(to_t("it-0")).expect("room"));
    send_batch: ["Producer::send_batch"] = |sim, cut| once(sim, cut, narrow, true, 3, |p| p.send_batch(three()));
    send_typed: ["Producer::send_typed"] = |sim, cut| async move {
        sim.cluster().create_topic("typed", 1);
        let producer = start(&sim, |c| c).await;
        let topic = TypedTopic::new("typed", Utf8, Raw);
        cut.off(producer.send_typed(&topic, Some("key"), Some(b"it".as_slice()))).await;
        goes_on(&sim, &producer).await.expect("nothing fails");
        assert_eq!(log(&sim, "typed"), ["it"]);
    };
    one_of_many: ["Deliveries::get", "Deliveries::iter"] = |sim, cut| once(sim, cut, |c| c, false, 3, |p| {
        let all = p.send_batch(three());
        drop(all.iter().next());
        all.get(1).expect("there are three")
    });
    queued: ["Delivery::queued"] = |sim, cut| once(sim, cut, narrow, false, 3, |p| {
        let [a, b, c] = three();
        drop((p.send(a), p.send(b)));
        p.send(c).queued()
    });
    all_queued: ["Deliveries::queued"] = |sim, cut| once(sim, cut, narrow, true, 3, |p| p.send_batch(three()).queued());
    receipts_queued: ["Receipts::queued"] = |sim, cut| receipts(sim, cut, true);
    receipts_settled: ["Receipts::settled"] = |sim, cut| receipts(sim, cut, false);
    a_clone_of_a_delivery: ["Producer::send"] = |sim, cut| async move {
        let producer = start(&sim, |c| c.set("linger.ms", 20)).await;
        let (mine, theirs) = { let one = producer.send(to_t("it-0")); (one.clone(), one) };
        let told = std::rc::Rc::new(std::cell::Cell::new(None));
        let tell = told.clone();
        sim.spawn(async move { tell.set(Some(theirs.await.is_ok())) });
        cut.off(mine).await;
        goes_on(&sim, &producer).await.expect("nothing fails");
        sim.sleep(ms(1)).await;
        assert_eq!(told.get(), Some(true), "who else waits is told");
    };
    a_failure_that_nobody_saw: ["Producer::send"] = |sim, cut| async move {
        let producer = start(&sim, |c| c).await;
        sim.cluster().fault(Api::Produce).times(1).error(29);
        let seen = cut.off(producer.send(to_t("it"))).await;
        sim.sleep(ms(5_000)).await;
        let flushed = goes_on(&sim, &producer).await;
        match seen {
            Some(result) => {
                assert_eq!(result.expect_err("it is forbidden").kind(), ErrorKind::Authorization);
                flushed.expect("it was seen");
            }
            None => assert_eq!(flushed.expect_err("nobody saw it").kind(), ErrorKind::Undelivered),
        }
        producer.flush().await.expect("it is told once");
        assert_eq!(log(&sim, "t"), ["after"]);
    };
}

async fn receipts(sim: Sim, cut: Cut, queued: bool) {
    let producer = start(&sim, narrow).await;
    let mut receipts = Receipts::new();
    for value in values("it", 4) {
        producer.send_to(&mut receipts, to_t(&value));
    }
    if queued {
        cut.off(receipts.queued()).await;
    } else {
        cut.off(receipts.settled()).await;
    }
    producer.send_to(&mut receipts, to_t("it-4"));
    within(&sim, ms(60_000), receipts.settled()).await.expect("it hangs");
    let all: Vec<_> = receipts.drain().collect();
    assert!(all.iter().all(|receipt| receipt.result().is_ok()), "{all:?}");
    let mut numbers: Vec<u64> = all.into_iter().flat_map(|receipt| receipt.numbers()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 4], "each outcome is told once");
    goes_on(&sim, &producer).await.expect("nothing fails");
    let mut wanted = values("it", 5);
    wanted.push("after".to_owned());
    assert_eq!(log(&sim, "t"), wanted);
}
