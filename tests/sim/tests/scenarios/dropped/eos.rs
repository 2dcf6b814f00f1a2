//! Read, transform, write: whatever is dropped, each record is transformed once.

use super::{Cut, cases};
use crate::rig::*;
use klamm::{ExactlyOnce, Kafka, Outcome, Record};
use klamm_sim::Sim;

async fn start(sim: &Sim) -> Kafka {
    sim.cluster().create_topic("in", 1);
    sim.cluster().create_topic("t", 1);
    let config = klamm::ConsumerConfig::group("readers");
    let config =
        config.set("auto.offset.reset", "earliest").set("max.poll.records", 3).set("session.timeout.ms", 6_000);
    let kafka = kafka_with(sim, |c| c.consumer(config.set("heartbeat.interval.ms", 500))).await;
    fill(&kafka, "in", 0, 0..10).await;
    kafka
}

async fn member(kafka: &Kafka) -> ExactlyOnce {
    let eos = kafka.exactly_once("readers", "id").await.expect("the coordinator answers");
    eos.subscribe(["in"]).expect("a subscription");
    eos
}

/// Where the case drops something.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Poll,
    Send,
    Commit,
    /// The commit's future lives on until the next step is there.
    Late,
}

/// Ten records become ten others, in steps of three, with one future of the third step given up.
async fn once_each(sim: Sim, cut: Cut, at: At) {
    let kafka = start(&sim).await;
    let mut eos = member(&kafka).await;
    let (mut steps, end) = (0, sim.elapsed() + ms(120_000));
    let mut late = None;
    while sim.cluster().committed_records("t").len() < 10 {
        assert!(sim.elapsed() < end, "it goes on no more: {}", eos.consumer().state());
        let polling = eos.poll(ms(2_000));
        let polled = if at == At::Poll && steps < 3 { cut.off(polling).await } else { Some(polling.await) };
        let Some(step) = polled else {
            steps = 3;
            continue;
        };
        let step = step.expect("nothing is wrong").expect("nobody wakes it");
        drop(late.take());
        steps += usize::from(!step.batch().is_empty());
        for record in step.batch() {
            let value = text(record.value()).replace('-', "+");
            let sent = step.send(Record::to("t").value(&value));
            if at == At::Send && steps == 2 {
                cut.off(sent).await;
            }
        }
        let commit = step.commit();
        match at {
            At::Commit if steps == 2 => drop(cut.off(commit).await),
            At::Late if steps == 2 => {
                let mut commit = Box::pin(commit);
                cut.off(commit.as_mut()).await;
                late = Some(commit);
            }
            _ => {
                let outcome = commit.await.expect("nothing is wrong");
                assert!(matches!(outcome, Outcome::Committed), "{outcome:?}");
            }
        }
    }
    let wanted: Vec<String> = (0..10).map(|n| format!("0+{n}")).collect();
    assert_eq!(settled(&sim, "t").await, wanted);
    within(&sim, ms(60_000), eos.close()).await.expect("it hangs").expect("nothing is wrong");
    assert_eq!(committed(&sim, "in", 0), Some(10));
}

cases! {
    exactly_once: ["Kafka::exactly_once"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        sim.cluster().fault(Api::InitProducerId).times(2).error(51);
        let eos = cut.off(kafka.exactly_once("readers", "id")).await;
        let mut eos = match eos {
            Some(eos) => eos.expect("the coordinator answers"),
            None => kafka.exactly_once("readers", "id").await.expect("the coordinator answers"),
        };
        eos.subscribe(["in"]).expect("a subscription");
        let (before, end) = (sim.elapsed(), sim.elapsed() + ms(60_000));
        while eos.poll(ms(500)).await.expect("nothing is wrong").expect("nobody wakes it").batch().is_empty() {
            assert!(sim.elapsed() < end, "nothing comes");
        }
        assert!(sim.elapsed() - before < ms(5_500), "there is another member: {:?}", sim.elapsed() - before);
    };
    poll: ["ExactlyOnce::poll"] = |sim, cut| once_each(sim, cut, At::Poll);
    send: ["Step::send"] = |sim, cut| once_each(sim, cut, At::Send);
    commit: ["Step::commit"] = |sim, cut| once_each(sim, cut, At::Commit);
    a_commit_that_is_dropped_late: ["Step::commit"] = |sim, cut| once_each(sim, cut, At::Late);
    close: ["ExactlyOnce::close"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut eos = member(&kafka).await;
        let (end, mut n) = (sim.elapsed() + ms(60_000), 0);
        while n == 0 {
            assert!(sim.elapsed() < end, "nothing comes");
            let step = eos.poll(ms(500)).await.expect("nothing is wrong").expect("nobody wakes it");
            n = step.batch().len();
            drop(step.send(Record::to("t").value("it")));
            drop(step.commit());
        }
        cut.off(eos.close()).await;
        let before = sim.elapsed();
        let mut next = member(&kafka).await;
        while next.consumer().assignment().is_empty() {
            assert!(sim.elapsed() - before < ms(5_500), "the first never left");
            drop(next.poll(ms(100)).await.expect("nothing is wrong"));
        }
        let logged = settled(&sim, "t").await;
        assert!(logged.iter().all(|value| value == "it") && !logged.is_empty(), "{logged:?}");
        while committed(&sim, "in", 0) != Some(n as i64) {
            assert!(sim.elapsed() < end, "the positions are not committed");
            sim.sleep(ms(10)).await;
        }
    };
}
