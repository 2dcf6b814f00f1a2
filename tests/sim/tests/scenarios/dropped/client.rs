//! The client itself.

use super::cases;
use crate::rig::*;
use klamm::{Config, Kafka, Record, Route};

cases! {
    connect: ["Kafka::connect"] = |sim, cut| async move {
        sim.cluster().create_topic("t", 1);
        let one = cut.off(Kafka::connect(&sim, Config::new(sim.cluster().bootstrap()))).await;
        if one.is_none() {
            let end = sim.elapsed() + ms(5_000);
            while sim.connections() > 0 {
                assert!(sim.elapsed() < end, "a client that nobody waits for goes on");
                sim.sleep(ms(10)).await;
            }
        }
        let other = kafka(&sim).await;
        producer(&other, |c| c).send(Record::to("t").value("it")).await.expect("it is written");
    };
    ping: ["Kafka::ping"] = |sim, cut| async move {
        let kafka = Kafka::connect_lazy(&sim, Config::new(sim.cluster().bootstrap())).expect("a good configuration");
        cut.off(kafka.ping()).await;
        kafka.ping().await.expect("it answers");
    };
    a_raw_request: ["Kafka::request_bytes"] = |sim, cut| async move {
        let kafka = kafka(&sim).await;
        let ask = || kafka.request_bytes(Route::Any, 18, 0, bytes::Bytes::new());
        cut.off(ask()).await;
        assert!(ask().await.expect("it answers").len() > 100);
    };
    close_of_a_client: ["Kafka::close"] = |sim, cut| async move {
        sim.cluster().create_topic("t", 1);
        sim.cluster().create_topic("in", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "in", 0, 0..5).await;
        let mut consumer = member(&kafka, "in", |c| c.set("auto.commit.interval.ms", 60_000));
        let read = read(&sim, &mut consumer, 5).await;
        assert_eq!(read.len(), 5);
        let producer = producer(&kafka, |c| c.set("linger.ms", 60_000));
        let sent = producer.send(Record::to("t").value("it"));
        cut.off(kafka.close()).await;
        within(&sim, ms(60_000), sent).await.expect("it hangs").expect("what was buffered is sent");
        let end = sim.elapsed() + ms(40_000);
        while !kafka.is_driver_gone() {
            assert!(sim.elapsed() < end, "the client goes on");
            sim.sleep(ms(10)).await;
        }
        assert_eq!((log(&sim, "t"), committed(&sim, "in", 0)), (vec!["it".to_owned()], Some(5)));
        kafka.close().await.expect("it is closed");
    };
}
