//! Partitions one by one, each with a stream of its own.

use super::commits::becomes;
use super::consuming::{EACH, judge, start};
use super::{Cut, cases};
use crate::rig::*;
use futures_core::Stream;
use klamm::{CloseOptions, Kafka, PartitionBatch, PartitionStream, Partitions};
use klamm_sim::Sim;
use std::pin::Pin;

type Rows = Vec<(i32, i64, String)>;

fn taken(rows: &mut Rows, batch: Option<PartitionBatch>) {
    rows.extend(batch.iter().flatten().map(|r| (r.partition(), r.offset(), text(r.value()))));
}

fn partitions(kafka: &Kafka) -> Partitions {
    member(kafka, "in", |c| c.set("max.poll.records", 4).set("auto.commit.interval.ms", 60_000)).into_partitions()
}

async fn next(partitions: &mut Partitions) -> PartitionStream {
    partitions.next().await.expect("nothing is wrong").expect("nobody wakes it")
}

/// Reads what is left of a partition.
async fn finish(stream: &mut PartitionStream, rows: &mut Rows) {
    let mut left = EACH as usize - rows.iter().filter(|row| row.0 == stream.topic_partition().partition).count();
    while left > 0 {
        let batch = stream.poll(ms(60_000)).await.expect("nothing is wrong").expect("it is ours");
        assert!(!batch.is_empty(), "nothing more comes");
        left -= batch.len();
        taken(rows, Some(batch));
    }
}

/// All three partitions are read to their ends, each handed out once.
async fn all(mut partitions: Partitions, mut streams: Vec<PartitionStream>, mut rows: Rows) {
    while streams.len() < 3 {
        streams.push(next(&mut partitions).await);
    }
    let mut numbers: Vec<_> = streams.iter().map(|stream| stream.topic_partition().partition).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2], "each is given once");
    for stream in &mut streams {
        finish(stream, &mut rows).await;
    }
    judge(&rows);
}

/// Everything is read; then the consumer closes, one of the streams being still at work for a while.
async fn closing(sim: Sim, cut: Cut, options: Option<CloseOptions>) {
    let kafka = start(&sim).await;
    let mut partitions = partitions(&kafka);
    let mut rows = Vec::new();
    for n in 0..3 {
        let mut stream = next(&mut partitions).await;
        finish(&mut stream, &mut rows).await;
        let time = sim.clone();
        sim.spawn(async move {
            time.sleep(ms(3 * n)).await;
            while stream.poll(ms(1_000)).await.is_ok_and(|batch| batch.is_some()) {}
        });
    }
    let (closing, end) = match options {
        None => (partitions.close(), EACH as i64),
        Some(options) => (partitions.close_with(options), 0),
    };
    cut.off(closing).await;
    becomes(&sim, [end; 3]).await;
    let before = sim.elapsed();
    let mut other = member(&kafka, "in", |c| c);
    joined(&sim, &mut other).await;
    assert!(sim.elapsed() - before < ms(5_500), "it waited for the session: {:?}", sim.elapsed() - before);
    assert_eq!(other.assignment().len(), 3);
}

cases! {
    next_partition: ["Partitions::next"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut partitions = partitions(&kafka);
        let mut streams = Vec::new();
        for _ in 0..2 {
            if let Some(next) = cut.off(partitions.next()).await {
                streams.push(next.expect("nothing is wrong").expect("nobody wakes it"));
            }
        }
        all(partitions, streams, Vec::new()).await;
    };
    partitions_as_a_stream: ["Consumer::into_partitions"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut partitions = partitions(&kafka);
        let polling = std::future::poll_fn(|cx| Pin::new(&mut partitions).poll_next(cx));
        let given = cut.off(polling).await;
        let streams = given.into_iter().map(|one| one.expect("nobody wakes it").expect("nothing is wrong")).collect();
        all(partitions, streams, Vec::new()).await;
    };
    poll_of_a_partition: ["PartitionStream::poll"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut partitions = partitions(&kafka);
        let mut stream = next(&mut partitions).await;
        let mut rows = Vec::new();
        for _ in 0..3 {
            if let Some(polled) = cut.off(stream.poll(ms(100))).await {
                taken(&mut rows, polled.expect("nothing is wrong"));
            }
        }
        all(partitions, vec![stream], rows).await;
    };
    commit_of_a_partition: ["PartitionStream::commit_sync"] = |sim, cut| commit(sim, cut, true);
    commit_of_a_partition_in_the_background: ["PartitionStream::commit_async"] = |sim, cut| commit(sim, cut, false);
    close: ["Partitions::close"] = |sim, cut| closing(sim, cut, None);
    close_with: ["Partitions::close_with"] = |sim, cut| closing(sim, cut, Some(CloseOptions::new().without_commit()));
}

async fn commit(sim: Sim, cut: Cut, sync: bool) {
    let kafka = start(&sim).await;
    let mut partitions = partitions(&kafka);
    let mut stream = next(&mut partitions).await;
    finish(&mut stream, &mut Vec::new()).await;
    sim.cluster().fault(Api::OffsetCommit).times(1).error(14);
    cut.off(if sync { stream.commit_sync() } else { stream.commit_async() }).await;
    let mut wanted = [0; 3];
    wanted[stream.topic_partition().partition as usize] = EACH as i64;
    becomes(&sim, wanted).await;
}
