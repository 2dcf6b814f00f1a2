//! What a producer promises, under every fault the simulator has.

use klamm::{Kafka, Record};
use klamm_sim::{Faults, Sim, check};
use std::time::Duration;

/// Sends `n` numbered records from each of `senders` tasks and returns what was said of each.
async fn send_all(sim: &Sim, topic: &'static str, senders: u64, n: u64) -> Vec<(String, Result<(), klamm::Error>)> {
    let kafka = Kafka::connect(sim, sim.cluster().bootstrap()).await.unwrap();
    let producer = kafka.producer().unwrap();
    let mut sent = Vec::new();
    for i in 0..n {
        for s in 0..senders {
            let (key, value) = (format!("k{s}"), format!("{s}-{i}"));
            let delivery = producer.send(Record::to(topic).key(&key).value(&value));
            sent.push((value, delivery));
        }
        if i % 10 == 9 {
            sim.sleep(Duration::from_millis(50)).await;
        }
    }
    let mut results = Vec::new();
    for (value, delivery) in sent {
        results.push((value, delivery.await.map(drop)));
    }
    kafka.close().await.unwrap();
    results
}

/// Acknowledged: in the log once, in the order of sending. Failed and surely not written: not in the log.
fn judge(sim: &Sim, topic: &str, results: &[(String, Result<(), klamm::Error>)]) {
    let log = sim.cluster().records(topic);
    let values: Vec<String> =
        log.iter().map(|r| String::from_utf8(r.value.clone().unwrap().to_vec()).unwrap()).collect();
    for (value, result) in results {
        let times = values.iter().filter(|v| *v == value).count();
        match result {
            Ok(()) => assert_eq!(times, 1, "{value} was acknowledged"),
            Err(error) if error.possibly_written() => assert!(times <= 1, "{value} is there {times} times"),
            Err(error) => assert_eq!(times, 0, "{value} failed with {error:?}, but is there"),
        }
    }
    for sender in 0..2 {
        let prefix = format!("{sender}-");
        let order: Vec<u64> = values.iter().filter_map(|v| v.strip_prefix(&prefix)?.parse().ok()).collect();
        assert!(order.is_sorted(), "sender {sender}: {order:?}");
    }
}

#[test]
fn records_arrive_once_and_in_order_when_nothing_goes_wrong() {
    check(0..20, |sim| async move {
        let results = send_all(&sim, "orders", 2, 50).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge(&sim, "orders", &results);
    });
}

#[test]
fn records_arrive_once_and_in_order_under_every_fault() {
    check(0..60, |sim| async move {
        sim.faults(Faults::all());
        let results = send_all(&sim, "orders", 2, 60).await;
        judge(&sim, "orders", &results);
    });
}

#[test]
fn slow_answers_break_nothing() {
    check(0..20, |sim| async move {
        sim.faults(Faults::slowness());
        let results = send_all(&sim, "orders", 2, 60).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge(&sim, "orders", &results);
    });
}
