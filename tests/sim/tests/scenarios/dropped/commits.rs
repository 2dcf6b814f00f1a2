//! Commits that are dropped go on, and undo none that came later; a consumer whose close is dropped closes.

use super::consuming::{EACH, start};
use super::{Cut, cases};
use crate::rig::*;
use klamm::{CloseOptions, Consumer, ErrorKind, Kafka, Offsets};
use klamm_sim::Sim;

/// A member that has read everything and committed nothing.
async fn reader(sim: &Sim) -> (Kafka, Consumer) {
    let kafka = start(sim).await;
    let mut consumer = member(&kafka, "in", |c| c.set("enable.auto.commit", false));
    let all = read(sim, &mut consumer, 3 * EACH as usize).await;
    assert_eq!(all.len(), 3 * EACH as usize);
    (kafka, consumer)
}

/// Waits for commits.
pub(super) async fn becomes(sim: &Sim, wanted: [i64; 3]) {
    let end = sim.elapsed() + ms(20_000);
    let now = || [0, 1, 2].map(|partition| committed(sim, "in", partition).unwrap_or(0));
    while now() != wanted {
        assert!(sim.elapsed() < end, "committed are {:?} instead of {wanted:?}", now());
        sim.sleep(ms(10)).await;
    }
}

fn behind(offset: i64) -> Offsets {
    Offsets::new().with(("in", 0), offset)
}

/// A commit that meets trouble is dropped, and a newer one follows: the newer one counts.
async fn overtaken<F: std::future::IntoFuture<Output = klamm::Result<()>>>(
    sim: Sim,
    cut: Cut,
    commit: impl Fn(&Consumer, i64) -> F,
) {
    let (_kafka, consumer) = reader(&sim).await;
    sim.cluster().fault(Api::OffsetCommit).times(2).error(14);
    cut.off(commit(&consumer, 3)).await;
    let newer = consumer.commit_sync_offsets(behind(5));
    within(&sim, ms(60_000), newer).await.expect("it hangs").expect("it is committed");
    sim.sleep(ms(5_000)).await;
    becomes(&sim, [5, 0, 0]).await;
}

/// It lands although nobody waits for it.
async fn lands<F: std::future::IntoFuture<Output = klamm::Result<()>>>(
    sim: Sim,
    cut: Cut,
    wanted: [i64; 3],
    commit: impl Fn(&Consumer) -> F,
) {
    let (_kafka, consumer) = reader(&sim).await;
    sim.cluster().fault(Api::OffsetCommit).times(1).error(14);
    cut.off(commit(&consumer)).await;
    becomes(&sim, wanted).await;
    drop(consumer.commit_async());
    becomes(&sim, [EACH as i64; 3]).await;
}

/// The consumer has left the group, and committed or not: another gets all partitions soon.
async fn left(sim: &Sim, kafka: &Kafka, wanted: Option<i64>) {
    let before = sim.elapsed();
    let mut other = member(kafka, "in", |c| c.set("enable.auto.commit", false));
    joined(sim, &mut other).await;
    assert_eq!(other.assignment().len(), 3);
    assert!(sim.elapsed() - before < ms(5_500), "it waited for the session: {:?}", sim.elapsed() - before);
    assert_eq!(committed(sim, "in", 0), wanted);
}

const ALL: [i64; 3] = [EACH as i64; 3];

cases! {
    commit_sync: ["Consumer::commit_sync"] = |sim, cut| lands(sim, cut, ALL, |c| c.commit_sync());
    commit_async: ["Consumer::commit_async"] = |sim, cut| lands(sim, cut, ALL, |c| c.commit_async());
    commit_sync_offsets: ["Consumer::commit_sync_offsets"] = |sim, cut| {
        lands(sim, cut, [4, 0, 0], |c| c.commit_sync_offsets(behind(4)))
    };
    commit_async_offsets: ["Consumer::commit_async_offsets"] = |sim, cut| {
        lands(sim, cut, [4, 0, 0], |c| c.commit_async_offsets(behind(4)))
    };
    an_older_commit_sync: ["Consumer::commit_sync_offsets"] = |sim, cut| {
        overtaken(sim, cut, |c, offset| c.commit_sync_offsets(behind(offset)))
    };
    an_older_commit_async: ["Consumer::commit_async_offsets"] = |sim, cut| {
        overtaken(sim, cut, |c, offset| c.commit_async_offsets(behind(offset)))
    };
    commit_sync_of_a_handle: ["ConsumerHandle::commit_sync_offsets"] = |sim, cut| {
        overtaken(sim, cut, |c, offset| c.handle().commit_sync_offsets(behind(offset)))
    };
    commit_async_of_a_handle: ["ConsumerHandle::commit_async_offsets"] = |sim, cut| {
        overtaken(sim, cut, |c, offset| c.handle().commit_async_offsets(behind(offset)))
    };
    a_commit_with_a_limit: ["Op::within"] = |sim, cut| async move {
        let (_kafka, consumer) = reader(&sim).await;
        sim.cluster().fault(Api::OffsetCommit).always().error(14);
        cut.off(consumer.commit_sync_offsets(behind(3)).within(ms(500))).await;
        sim.sleep(ms(3_000)).await;
        sim.cluster().clear_faults();
        let newer = consumer.commit_sync_offsets(behind(2));
        within(&sim, ms(60_000), newer).await.expect("it hangs").expect("it is committed");
        sim.sleep(ms(3_000)).await;
        becomes(&sim, [2, 0, 0]).await;
    };
    a_failed_commit_that_nobody_saw: ["Consumer::commit_async"] = |sim, cut| async move {
        let (kafka, consumer) = reader(&sim).await;
        sim.cluster().fault(Api::OffsetCommit).times(1).error(30);
        let seen = cut.off(consumer.commit_async()).await;
        let closed = within(&sim, ms(60_000), consumer.close()).await.expect("it hangs");
        match seen {
            Some(result) => {
                assert_eq!(result.expect_err("it is forbidden").kind(), ErrorKind::CommitFailed);
                closed.expect("it was seen");
            }
            None => assert_eq!(closed.expect_err("nobody saw it").kind(), ErrorKind::CommitFailed),
        }
        left(&sim, &kafka, None).await;
    };
    close: ["Consumer::close"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = member(&kafka, "in", |c| c.set("auto.commit.interval.ms", 60_000));
        read(&sim, &mut consumer, 3 * EACH as usize).await;
        cut.off(consumer.close()).await;
        left(&sim, &kafka, Some(EACH as i64)).await;
    };
    close_with: ["Consumer::close_with"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = member(&kafka, "in", |c| c.set("auto.commit.interval.ms", 60_000));
        read(&sim, &mut consumer, 3 * EACH as usize).await;
        cut.off(consumer.close_with(CloseOptions::new().without_commit())).await;
        left(&sim, &kafka, None).await;
    };
    close_within: ["Consumer::close", "Op::within"] = |sim, cut| async move {
        let kafka = start(&sim).await;
        let mut consumer = member(&kafka, "in", |c| c.set("auto.commit.interval.ms", 60_000));
        read(&sim, &mut consumer, 3 * EACH as usize).await;
        sim.cluster().fault(Api::OffsetCommit).times(1).silence();
        cut.off(consumer.close().within(ms(500))).await;
        // The commit is never answered; the member leaves all the same.
        let before = sim.elapsed();
        let mut other = member(&kafka, "in", |c| c);
        joined(&sim, &mut other).await;
        assert!(sim.elapsed() - before < ms(6_500), "{:?}", sim.elapsed() - before);
    };
}
