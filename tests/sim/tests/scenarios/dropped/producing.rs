//! Flushes, purges, look-ups and ends of producers.

use super::sending::{goes_on, keeps_nothing, start, to_t};
use super::{Cut, cases};
use crate::rig::*;
use klamm::{ErrorKind, Purge};
use klamm_sim::Sim;

cases! {
    flush: ["Producer::flush"] = |sim, cut| async move {
        let producer = start(&sim, |c| c.set("linger.ms", 60_000)).await;
        producer.topic("t").ready().await.expect("it exists");
        let sent = producer.send(to_t("it"));
        cut.off(producer.flush()).await;
        sim.sleep(ms(5_000)).await;
        assert!(sent.is_ready(), "what was flushed does not linger");
        goes_on(&sim, &producer).await.expect("nothing fails");
        assert_eq!(log(&sim, "t"), ["it", "after"]);
    };
    flush_of_what_waits: ["Producer::flush"] = |sim, cut| async move {
        let producer = start(&sim, |c| c.set("linger.ms", 60_000)).await;
        let sent = producer.send(to_t("it"));
        cut.off(producer.flush()).await;
        sim.sleep(ms(5_000)).await;
        assert!(sent.is_ready(), "what was flushed does not linger");
        goes_on(&sim, &producer).await.expect("nothing fails");
    };
    one_of_two_flushes: ["Producer::flush"] = |sim, cut| async move {
        let producer = start(&sim, |c| c.set("linger.ms", 60_000)).await;
        drop(producer.send(to_t("it")));
        let (done, other) = (std::rc::Rc::new(std::cell::Cell::new(false)), producer.flush());
        let flag = done.clone();
        sim.spawn(async move { flag.set(other.await.is_ok()) });
        cut.off(producer.flush()).await;
        sim.sleep(ms(5_000)).await;
        assert!(done.get(), "the other flush ends");
        goes_on(&sim, &producer).await.expect("nothing fails");
    };
    purge_of_what_is_queued: ["Producer::purge"] = |sim, cut| purge(sim, cut, Purge::Queued);
    purge_of_all: ["Producer::purge"] = |sim, cut| purge(sim, cut, Purge::All);
    partitions_for: ["Producer::partitions_for"] = |sim, cut| async move {
        let producer = start(&sim, |c| c).await;
        cut.off(producer.partitions_for("t")).await;
        assert_eq!(producer.partitions_for("t").await.expect("it exists").len(), 3);
        goes_on(&sim, &producer).await.expect("nothing fails");
    };
    ready: ["Topic::ready"] = |sim, cut| async move {
        let producer = start(&sim, |c| c).await;
        let topic = producer.topic("t");
        cut.off(topic.ready()).await;
        topic.ready().await.expect("it exists");
        goes_on(&sim, &producer).await.expect("nothing fails");
    };
    warm_up: ["Topic::warm_up"] = |sim, cut| async move {
        let producer = start(&sim, |c| c).await;
        let topic = producer.topic("t");
        cut.off(topic.warm_up()).await;
        topic.warm_up().await.expect("there are leaders");
        goes_on(&sim, &producer).await.expect("nothing fails");
    };
    close: ["Producer::close"] = |sim, cut| async move {
        let producer = start(&sim, |c| c.set("linger.ms", 60_000)).await;
        let sent = producer.send(to_t("it"));
        cut.off(producer.close()).await;
        let refused = producer.send(to_t("late")).await.expect_err("it is closed from the call on");
        assert_eq!(refused.kind(), ErrorKind::Closed);
        within(&sim, ms(60_000), sent).await.expect("it hangs").expect("what was buffered is sent");
        within(&sim, ms(60_000), producer.close()).await.expect("it hangs").ok();
        keeps_nothing(&sim, &producer).await;
        assert_eq!(log(&sim, "t"), ["it"]);
    };
    close_within: ["Producer::close", "Op::within"] = |sim, cut| async move {
        let producer = start(&sim, |c| c).await;
        producer.send(to_t("before")).await.expect("it is written");
        sim.cluster().fault(Api::Produce).always().silence();
        let sent = producer.send(to_t("it"));
        cut.off(producer.close().within(ms(700))).await;
        let failed = within(&sim, ms(2_000), sent).await.expect("the limit is kept all the same");
        assert!(failed.expect_err("nobody answered").possibly_written());
        keeps_nothing(&sim, &producer).await;
        sim.cluster().clear_faults();
    };
}

/// A record that lingers is purged, or was sent before: it has its outcome soon, and the truth is told of it.
async fn purge(sim: Sim, cut: Cut, what: Purge) {
    let producer = start(&sim, |c| c.set("linger.ms", if sim.seed() == 0 { 60_000 } else { 0 })).await;
    producer.topic("t").ready().await.expect("it exists");
    let sent: Vec<_> = values("s", 3).iter().map(|v| (v.clone(), producer.send(to_t(v)))).collect();
    cut.off(producer.purge(what)).await;
    sim.sleep(ms(5_000)).await;
    assert!(sent.iter().all(|(_, delivery)| delivery.is_ready()), "it lingers on");
    let results = outcomes(sent).await;
    sim.sleep(ms(5_000)).await;
    judge_log(&sim, "t", &results);
    goes_on(&sim, &producer).await.expect("the failures were seen");
}
