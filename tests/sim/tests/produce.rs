//! What a producer promises, under every fault the simulator has.

use klamm::{Config, Kafka, ProducerConfig};
use klamm_cluster::Api;
use klamm_sim::workload::{judge_log, produce};
use klamm_sim::{Faults, Sim, check};

fn config(sim: &Sim) -> Config {
    Config::new(sim.cluster().bootstrap())
}

#[test]
fn records_arrive_once_and_in_order_when_nothing_goes_wrong() {
    check(0..20, |sim| async move {
        let results = produce(&sim, config(&sim), "orders", 2, 50).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "orders", &results);
    });
}

#[test]
fn records_arrive_once_and_in_order_under_every_fault() {
    check(0..60, |sim| async move {
        sim.faults(Faults::all());
        let results = produce(&sim, config(&sim), "orders", 2, 60).await;
        judge_log(&sim, "orders", &results);
    });
}

#[test]
fn records_arrive_once_and_in_order_in_every_codec() {
    check(0..16, |sim| async move {
        sim.faults(Faults::all());
        let codec = ["gzip", "snappy", "lz4", "zstd"][usize::try_from(sim.seed() % 4).unwrap()];
        let producer = ProducerConfig::new().set("compression.type", codec).set("batch.size", 200);
        let results = produce(&sim, config(&sim).producer(producer), "orders", 2, 60).await;
        judge_log(&sim, "orders", &results);
    });
}

#[test]
fn a_broker_that_accepts_and_stays_silent_costs_the_setup_timeout_not_that_of_a_request() {
    check(0..20, |sim| async move {
        sim.cluster().fault(Api::ApiVersions).times(1).silence();
        let kafka = Kafka::connect(&sim, config(&sim)).await.unwrap();
        // 10 s, a fifth more or less, instead of the 30 s of request.timeout.ms.
        let took = sim.elapsed().as_secs();
        assert!((8..14).contains(&took), "{took} s");
        kafka.close().await.unwrap();
    });
}

#[test]
fn slow_answers_break_nothing() {
    check(0..20, |sim| async move {
        sim.faults(Faults::slowness());
        let results = produce(&sim, config(&sim), "orders", 2, 60).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "orders", &results);
    });
}
