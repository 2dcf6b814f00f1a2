//! 2.10: what is known of the cluster.

use crate::rig::*;
use klamm::{Config, Kafka};

#[test]
fn md_02_brokers_that_lag_behind_do_not_bring_old_leaders_back() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        sim.cluster().with(|b, _| b.set_lags(ms(0), ms(3_000)));
        let config = Config::new(sim.cluster().bootstrap()).set("metadata.max.age.ms", 100);
        let kafka = Kafka::connect(&sim, config).await.expect("the cluster answers");
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let mut results = Vec::new();
        for round in 0..5u64 {
            sim.cluster().move_leader("t", 0, 1 + i32::try_from((sim.seed() + round) % 3).unwrap()).expect("it is up");
            results.extend(send_all(&producer, "t", "s", round * 6..round * 6 + 6).await);
            sim.sleep(ms(200)).await;
        }
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
        assert!(sim.elapsed() < ms(60_000), "{:?}", sim.elapsed());
    });
}

#[test]
fn md_04_a_topic_created_anew_is_found_whatever_its_epochs() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        for round in 0..4 {
            sim.cluster().move_leader("t", 0, 1 + round % 3).expect("it is up");
        }
        let producer = producer(&kafka, |c| c);
        let first = send_all(&producer, "t", "a", 0..5).await;
        assert!(first.iter().all(|(_, r)| r.is_ok()));
        sim.cluster().recreate_topic("t");
        let begun = sim.elapsed();
        let mut written = false;
        for round in 0..20u64 {
            let results = send_all(&producer, "t", "b", round..round + 1).await;
            written |= results[0].1.is_ok();
            if written {
                break;
            }
        }
        assert!(written && sim.elapsed() - begun < ms(10_000), "{written} after {:?}", sim.elapsed() - begun);
    });
}

#[test]
fn md_14_a_hint_that_is_older_than_what_is_known_does_not_count() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("batch.size", 0));
        let mut results = send_all(&producer, "t", "s", 0..3).await;
        // Two moves within the lag: a broker that is asked between them names the first.
        sim.cluster().with(|b, _| b.set_lags(ms(0), ms(2_000)));
        for to in [2, 3, 1, 2] {
            sim.cluster().move_leader("t", 0, to).expect("it is up");
            sim.sleep(ms(sim.seed() * 10)).await;
        }
        results.extend(send_all(&producer, "t", "s", 3..10).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}

#[test]
fn md_12_a_partition_without_leader_is_written_to_as_soon_as_it_has_one() {
    scenario(|sim| async move {
        sim.cluster().create_topic_with("t", 1, 1, &[]);
        let kafka = kafka(&sim).await;
        let leader = sim.cluster().leader("t", 0).expect("one");
        sim.cluster().kill_broker(leader);
        sim.sleep(ms(1_000)).await;
        let producer = producer(&kafka, |c| c);
        let (cluster, task) = (sim.cluster(), sim.clone());
        sim.spawn(async move {
            task.sleep(ms(5_000)).await;
            cluster.start_broker(leader);
        });
        let results = send_all(&producer, "t", "s", 0..5).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        assert!(sim.elapsed() < ms(15_000), "{:?}", sim.elapsed());
    });
}

#[test]
fn pr_10_md_03_a_topic_in_error_keeps_what_is_known_of_it() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let config = Config::new(sim.cluster().bootstrap()).set("metadata.max.age.ms", 50);
        let kafka = Kafka::connect(&sim, config).await.expect("the cluster answers");
        let producer = producer(&kafka, |c| c.set("batch.size", 60));
        let mut results = send_all(&producer, "t", "s", 0..5).await;
        sim.cluster().fault(Api::Metadata).times(4).error_after_apply(if sim.seed() % 2 == 0 { 3 } else { 5 });
        sim.sleep(ms(200)).await;
        results.extend(send_all(&producer, "t", "s", 5..15).await);
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
    });
}
