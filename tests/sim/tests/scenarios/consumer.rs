//! 2.4 and 2.6: positions, delivery, fetch sessions.

use crate::rig::*;
use klamm::{Config, ErrorKind, Record};
use klamm_sim::Faults;

fn offsets(rows: &[(i32, i64, String)]) -> Vec<i64> {
    rows.iter().map(|(_, offset, _)| *offset).collect()
}

#[test]
fn co_02_what_a_poll_leaves_comes_before_what_is_fetched_later() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..50).await;
        let mut consumer = standalone(&kafka, "t", 1, |c| c.set("max.poll.records", 7));
        let mut all = Vec::new();
        while all.len() < 50 {
            if all.len() % 2 == 0 {
                all.extend(offsets(&read(&sim, &mut consumer, 1).await));
            } else if let Ok(Some(record)) = consumer.recv().await {
                all.push(record.offset());
            }
        }
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    });
}

#[test]
fn co_04_a_seek_takes_effect_at_the_call() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..100).await;
        let mut consumer = standalone(&kafka, "t", 1, |c| c.set("max.poll.records", 5));
        assert_eq!(offsets(&read(&sim, &mut consumer, 5).await), [0, 1, 2, 3, 4]);
        // Forward and back, while the rest lies on the shelf; and again while nothing is known of the first yet.
        for to in [60, 20, 80, 10, 90] {
            consumer.seek(("t", 0), to).expect("it is assigned");
            if sim.seed() % 2 == 0 {
                sim.sleep(ms(sim.seed() * 7)).await;
            }
            let got = read(&sim, &mut consumer, 1).await;
            assert_eq!(offsets(&got)[0], to);
        }
        consumer.seek_to_end([("t", 0)]).expect("it is assigned");
        consumer.seek(("t", 0), 33).expect("it is assigned");
        assert_eq!(offsets(&read(&sim, &mut consumer, 1).await)[0], 33, "a late answer to the first one");
    });
}

#[test]
fn co_05_what_is_fetched_of_a_paused_partition_is_held() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..20).await;
        fill(&kafka, "t", 1, 0..20).await;
        let mut consumer = standalone(&kafka, "t", 2, |c| c.set("max.poll.records", 3));
        let mut all = read(&sim, &mut consumer, 3).await;
        consumer.pause([("t", 0)]).expect("it is assigned");
        let before = all.iter().filter(|row| row.0 == 0).count();
        let end = sim.elapsed() + ms(5_000);
        while sim.elapsed() < end {
            if let Some(batch) = consumer.poll(ms(30)).await.expect("nothing is wrong") {
                all.extend(rows(&batch));
            }
        }
        assert_eq!(all.iter().filter(|row| row.0 == 0).count(), before, "paused, and handed out");
        assert_eq!(all.iter().filter(|row| row.0 == 1).count(), 20);
        consumer.resume([("t", 0)]).expect("it is assigned");
        all.extend(read(&sim, &mut consumer, 20 - before).await);
        let of: Vec<i64> = all.iter().filter(|row| row.0 == 0).map(|row| row.1).collect();
        assert_eq!(of, (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn co_08_seek_then_pause_then_resume_reads_from_where_it_was_sought() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..40).await;
        let mut consumer = standalone(&kafka, "t", 1, |c| c.set("max.poll.records", 4));
        read(&sim, &mut consumer, 4).await;
        consumer.seek(("t", 0), 25).expect("it is assigned");
        consumer.pause([("t", 0)]).expect("it is assigned");
        sim.sleep(ms(sim.seed() * 20)).await;
        consumer.resume([("t", 0)]).expect("it is assigned");
        assert_eq!(offsets(&read(&sim, &mut consumer, 1).await)[0], 25);
    });
}

#[test]
fn co_10_a_partition_that_is_given_up_is_neither_handed_out_nor_committed_back() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 2);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..20).await;
        fill(&kafka, "t", 1, 0..20).await;
        let mut consumer = standalone(&kafka, "t", 2, |c| c.with_group("readers").set("max.poll.records", 2));
        read(&sim, &mut consumer, 4).await;
        consumer.assign([("t", 1)]).expect("an assignment");
        let rest = read(&sim, &mut consumer, 10).await;
        assert!(rest.iter().all(|row| row.0 == 1), "{rest:?}");
        consumer.commit_sync().await.expect("committed");
        let of_1 = rest.last().expect("some").1 + 1;
        assert_eq!(committed(&sim, "t", 1), Some(of_1));
    });
}

#[test]
fn co_13_trouble_that_passes_resets_nothing() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..30).await;
        let mut consumer =
            standalone(&kafka, "t", 1, |c| c.set("max.poll.records", 10).set("auto.offset.reset", "latest"));
        consumer.seek(("t", 0), 0).expect("it is assigned");
        assert_eq!(offsets(&read(&sim, &mut consumer, 10).await), (0..10).collect::<Vec<_>>());
        let cluster = sim.cluster();
        for api in [Api::OffsetForLeaderEpoch, Api::ListOffsets, Api::Fetch] {
            let fault = cluster.fault(api).times(2);
            match sim.seed() % 4 {
                0 => fault.disconnect(),
                1 => fault.error(-1),
                2 => fault.error(6),
                _ => fault.truncate_after_apply(),
            }
        }
        sim.cluster().move_leader("t", 0, 1 + i32::try_from(sim.seed() % 3).unwrap()).expect("it is there");
        let mut all = Vec::new();
        while all.len() < 20 {
            let (got, errors) = read_some(&sim, &mut consumer).await;
            assert!(!got.is_empty(), "nothing comes any more: {errors:?}");
            all.extend(offsets(&got));
        }
        assert_eq!(all, (10..30).collect::<Vec<_>>());
    });
}

#[test]
fn co_15_a_leader_that_moves_is_followed_by_whoever_reads() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..10).await;
        let mut consumer = standalone(&kafka, "t", 1, |c| c);
        let mut all = offsets(&read(&sim, &mut consumer, 10).await);
        for round in 0..4u64 {
            sim.cluster().with(|b, _| b.set_lags(ms(0), ms(sim.seed() * 40)));
            sim.cluster()
                .move_leader("t", 0, 1 + i32::try_from((sim.seed() + round) % 3).unwrap())
                .expect("it is there");
            fill(&kafka, "t", 0, 0..5).await;
            all.extend(offsets(&read(&sim, &mut consumer, 5).await));
        }
        assert_eq!(all, (0..30).collect::<Vec<_>>());
    });
}

#[test]
fn co_22_pauses_and_seeks_while_a_batch_is_in_hand_leave_nothing_out() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..40).await;
        let mut consumer = standalone(&kafka, "t", 1, |c| c.set("max.poll.records", 6));
        let handle = consumer.handle();
        let mut next = 0;
        while next < 40 {
            let Some(batch) = consumer.poll(ms(200)).await.expect("nothing is wrong") else { panic!("closed") };
            let got = rows(&batch);
            let Some((_, first, _)) = got.first() else { continue };
            assert_eq!(*first, next);
            handle.pause([("t", 0)]).expect("it is assigned");
            // Half of it again.
            next = first + got.len() as i64 - (got.len() as i64) / 2;
            handle.seek(("t", 0), next).expect("it is assigned");
            drop(batch);
            handle.resume([("t", 0)]).expect("it is assigned");
        }
    });
}

#[test]
fn co_25_reading_begins_in_the_middle_of_a_batch() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 50).set("compression.type", "gzip"));
        send_all(&producer, "t", "s", 0..30).await;
        let mut consumer = standalone(&kafka, "t", 1, |c| c);
        let from = i64::try_from(sim.seed()).unwrap() + 1;
        consumer.seek(("t", 0), from).expect("it is assigned");
        assert_eq!(offsets(&read(&sim, &mut consumer, 5).await)[0], from);
    });
}

#[test]
fn co_29_an_empty_fetch_moves_nothing() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let mut consumer = standalone(&kafka, "t", 1, |c| c.set("fetch.max.wait.ms", 50));
        for _ in 0..10 {
            assert_eq!(read_nothing(&mut consumer).await, 0);
        }
        fill(&kafka, "t", 0, 0..10).await;
        assert_eq!(offsets(&read(&sim, &mut consumer, 10).await), (0..10).collect::<Vec<_>>());
    });
}

async fn read_nothing(consumer: &mut klamm::Consumer) -> usize {
    consumer.poll(ms(60)).await.expect("nothing is wrong").map_or(0, |batch| batch.len())
}

#[test]
fn co_30_who_begins_at_the_end_keeps_its_place_over_a_restart() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..10).await;
        let mut first = member(&kafka, "t", |c| c.set("auto.offset.reset", "latest"));
        joined(&sim, &mut first).await;
        first.position(("t", 0)).await.expect("a position");
        assert_eq!(read_nothing(&mut first).await, 0);
        first.close().await.expect("closed");
        fill(&kafka, "t", 0, 10..15).await;
        let mut second = member(&kafka, "t", |c| c.set("auto.offset.reset", "latest"));
        let got = read(&sim, &mut second, 5).await;
        assert_eq!(offsets(&got), [10, 11, 12, 13, 14], "what came in between");
    });
}

#[test]
fn co_31_a_poll_that_is_given_up_has_taken_nothing() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "t", 0, 0..60).await;
        let mut consumer = member(&kafka, "t", |c| c.set("max.poll.records", 4));
        let mut all = Vec::new();
        for patience in (0..).map(|n| (n * 7 + sim.seed()) % 40) {
            if let Some(batch) = within(&sim, ms(patience), consumer.poll(ms(500))).await {
                all.extend(offsets(&rows(&batch.expect("nothing is wrong").expect("open"))));
            }
            assert!(sim.elapsed() < ms(600_000), "only {}", all.len());
            if all.len() >= 60 {
                break;
            }
        }
        assert_eq!(all, (0..60).collect::<Vec<_>>());
    });
}

#[test]
fn co_33_a_record_that_cannot_be_read_stays_until_it_is_skipped() {
    klamm_sim::check(SEEDS, |sim| async move {
        sim.faults(Faults::slowness());
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        for from in [0, 10, 20] {
            fill(&kafka, "t", 0, from..from + 10).await;
        }
        sim.cluster().fault(Api::Fetch).always().corrupt_records();
        let mut consumer = standalone(&kafka, "t", 1, |c| c);
        let (got, errors) = read_some_or_fail(&sim, &mut consumer).await;
        let error = errors.into_iter().next().expect("a bit is flipped");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{got:?}");
        let again = consumer.poll(ms(500)).await.expect_err("it does not go away");
        assert_eq!(again.offset(), error.offset());
        sim.cluster().clear_faults();
        let at = error.offset().expect("it says where");
        consumer.seek(("t", 0), at).expect("it is assigned");
        assert_eq!(offsets(&read(&sim, &mut consumer, 1).await)[0], at, "read again, and whole");
    });
}

async fn read_some_or_fail(
    sim: &klamm_sim::Sim,
    consumer: &mut klamm::Consumer,
) -> (Vec<(i32, i64, String)>, Vec<klamm::Error>) {
    let end = sim.elapsed() + ms(60_000);
    let mut all = Vec::new();
    while sim.elapsed() < end {
        match consumer.poll(ms(200)).await {
            Ok(Some(batch)) => all.extend(rows(&batch)),
            Ok(None) => break,
            Err(error) => return (all, vec![error]),
        }
    }
    (all, Vec::new())
}

#[test]
fn co_38_what_was_fetched_is_handed_out_before_a_gap_is_told() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c.set("linger.ms", 50));
        producer.topic("t").ready().await.expect("it is there");
        send_all(&producer, "t", "s", 0..20).await;
        let mut consumer = standalone(&kafka, "t", 1, |c| {
            // Nothing is fetched while something is on the shelf.
            c.set("max.poll.records", 5).set("auto.offset.reset", "none").set("max.partition.fetch.bytes", 1)
        });
        consumer.seek(("t", 0), 0).expect("it is assigned");
        // That there is no committed offset may be told, or not, before the seek is known.
        let (first, _) = read_some(&sim, &mut consumer).await;
        assert_eq!(offsets(&first), [0, 1, 2, 3, 4]);
        send_all(&producer, "t", "s", 20..40).await;
        // Everything up to 30 goes while 5 to 20 lie on the shelf.
        assert!(sim.cluster().with(|b, now| b.delete_records(now, "t", 0, 30)));
        let (mut all, mut told) = (Vec::new(), None);
        while told.is_none() {
            match consumer.poll(ms(200)).await {
                Ok(Some(batch)) => all.extend(offsets(&rows(&batch))),
                Ok(None) => panic!("closed"),
                Err(error) => told = Some(error),
            }
            assert!(sim.elapsed() < ms(120_000), "{all:?}");
        }
        assert_eq!(told.map(|e| e.kind()), Some(ErrorKind::NoOffset));
        assert_eq!(all, (5..20).collect::<Vec<_>>());
    });
}

#[test]
fn co_39_a_topic_created_anew_is_read_from_its_beginning() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let config = Config::new(sim.cluster().bootstrap()).set("metadata.max.age.ms", 1_000);
        let kafka = klamm::Kafka::connect(&sim, config).await.expect("the cluster answers");
        fill(&kafka, "t", 0, 0..20).await;
        let mut consumer = standalone(&kafka, "t", 1, |c| c);
        assert_eq!(read(&sim, &mut consumer, 20).await.len(), 20);
        sim.cluster().recreate_topic("t");
        let other = crate::rig::kafka(&sim).await;
        fill(&other, "t", 0, 100..125).await;
        let mut all = Vec::new();
        while all.len() < 25 {
            let (got, errors) = read_some(&sim, &mut consumer).await;
            assert!(!got.is_empty(), "nothing comes any more: {errors:?}");
            all.extend(got);
        }
        let expected: Vec<String> = (100..125).map(|i| format!("0-{i}")).collect();
        assert_eq!(all.into_iter().map(|row| row.2).collect::<Vec<_>>(), expected);
    });
}

#[test]
fn co_42_what_is_no_longer_subscribed_is_not_handed_out() {
    scenario(|sim| async move {
        sim.cluster().create_topic("a", 1);
        sim.cluster().create_topic("b", 1);
        let kafka = kafka(&sim).await;
        fill(&kafka, "a", 0, 0..30).await;
        fill(&kafka, "b", 0, 0..30).await;
        let mut consumer = member(&kafka, "a", |c| c.set("max.poll.records", 3));
        assert_eq!(read(&sim, &mut consumer, 3).await.len(), 3);
        consumer.subscribe(["b"]).expect("a subscription");
        let mut count = 0;
        while count < 30 {
            let batch = consumer.poll(ms(200)).await.expect("nothing is wrong").expect("open");
            for record in &batch {
                assert_eq!(record.topic(), "b", "{}", record.offset());
                count += 1;
            }
            assert!(sim.elapsed() < ms(120_000), "{count}");
        }
    });
}

#[test]
fn fs_02_a_session_that_a_broker_forgot_is_begun_anew() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        let mut consumer = standalone(&kafka, "t", 3, |c| c);
        let mut count = 0;
        for round in 0..6u64 {
            let code = if (sim.seed() + round) % 2 == 0 { 70 } else { 71 };
            sim.cluster().fault(Api::Fetch).after(round % 3).times(2).error(code);
            for partition in 0..3 {
                fill(&kafka, "t", partition, round * 4..round * 4 + 4).await;
            }
            count += 12;
            assert_eq!(read(&sim, &mut consumer, 12).await.len(), 12, "round {round}, {count} in all");
        }
    });
}

#[test]
fn co_43_a_batch_larger_than_the_limit_is_read() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| c);
        for i in 0..4u8 {
            let value = vec![b'0' + i; 20_000];
            producer.send(Record::to("t").value(&value)).await.expect("written");
        }
        let mut consumer =
            standalone(&kafka, "t", 1, |c| c.set("max.partition.fetch.bytes", 100).set("fetch.max.bytes", 100));
        assert_eq!(offsets(&read(&sim, &mut consumer, 4).await), [0, 1, 2, 3]);
    });
}
