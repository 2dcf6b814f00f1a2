//! 2.11: connections.

use crate::rig::*;
use klamm_sim::Faults;

#[test]
fn cn_01_a_connection_that_breaks_in_the_middle_of_a_frame_corrupts_nothing() {
    klamm_sim::check(SEEDS, |sim| async move {
        sim.faults(Faults::network());
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 200));
        let mut results = Vec::new();
        for round in 0..10u64 {
            results.extend(send_all(&producer, "t", "s", round * 10..round * 10 + 10).await);
        }
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn cn_03_a_request_that_is_swallowed_does_not_block_the_others_for_ever() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60).set("request.timeout.ms", 1_000));
        sim.cluster().fault(Api::Produce).after(sim.seed() % 4).times(1).silence();
        let results = send_all(&producer, "t", "s", 0..20).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        assert!(sim.elapsed() < ms(20_000), "{:?}", sim.elapsed());
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn cn_04_answers_that_come_twice_or_late_reach_nobody_else() {
    klamm_sim::check(SEEDS, |sim| async move {
        // Among these faults are answers that come twice.
        sim.faults(Faults::none().answers(true).until(ms(8_000)));
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60).set("request.timeout.ms", 1_000));
        let mut results = Vec::new();
        for round in 0..20u64 {
            results.extend(send_all(&producer, "t", "s", round * 5..round * 5 + 5).await);
            sim.sleep(ms(300)).await;
        }
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn cn_09_a_throttled_connection_is_left_alone_and_loses_nothing() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60).set("request.timeout.ms", 1_000));
        sim.cluster().fault(Api::Produce).times(3).throttle(ms(3_000));
        let results = send_all(&producer, "t", "s", 0..20).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn cn_17_wall_clocks_that_jump_move_no_deadline() {
    klamm_sim::check(SEEDS, |sim| async move {
        sim.faults(Faults::none().clocks(true).until(ms(20_000)));
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("delivery.timeout.ms", 40_000).set("linger.ms", 20));
        let mut consumer = member(&kafka, "t", |c| c);
        for round in 0..20u64 {
            let results = send_all(&producer, "t", "s", round..round + 1).await;
            assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
            assert_eq!(read(&sim, &mut consumer, 1).await.len(), 1);
            sim.sleep(ms(500)).await;
        }
        assert!(sim.elapsed() < ms(60_000), "{:?}", sim.elapsed());
    });
}

#[test]
fn cn_13_a_broker_that_restarts_slowly_is_waited_for() {
    scenario(|sim| async move {
        sim.cluster().create_topic_with("t", 1, 1, &[]);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let mut results = send_all(&producer, "t", "s", 0..3).await;
        let leader = sim.cluster().leader("t", 0).expect("one");
        sim.cluster().kill_broker(leader);
        let (cluster, task) = (sim.cluster(), sim.clone());
        sim.spawn(async move {
            task.sleep(ms(20_000)).await;
            cluster.start_broker(leader);
        });
        results.extend(send_all(&producer, "t", "s", 3..10).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn a_close_that_is_given_less_time_later_takes_less() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let consumer = standalone(&kafka, "t", 1, |c| c);
        consumer.close().await.expect("nothing is in the way");
        // All roles have ended, so the core closes the connections; this answer keeps one of them open.
        sim.cluster().fault(Api::CreateTopics).times(1).silence();
        let admin = kafka.admin();
        let creation = admin.create_topics([klamm::admin::NewTopic::new("u", 1, 1)]);
        assert!(within(&sim, ms(3_000), creation.into_future()).await.is_none(), "it is answered");
        let begin = sim.elapsed();
        let close = kafka.close();
        sim.sleep(ms(500)).await;
        assert!(!close.is_ready(), "nothing keeps the connection");
        close.within(ms(2_000)).await.expect("closed");
        let took = sim.elapsed() - begin;
        assert!(took >= ms(2_400) && took < ms(3_000), "{took:?}");
    });
}
