//! Administration: a request whose operation is dropped goes its way, and the next is answered.

use super::{Cut, cases};
use crate::rig::*;
use klamm::admin::*;
use klamm::{Kafka, Record};
use klamm_sim::Sim;
use std::future::IntoFuture;

/// A cluster with a topic, a group and a transaction that is open.
async fn start(sim: &Sim) -> (Kafka, klamm::TransactionalProducer) {
    sim.cluster().create_topic("in", 3);
    sim.cluster().create_topic("spare", 1);
    let kafka = kafka(sim).await;
    fill(&kafka, "in", 0, 0..3).await;
    let mut consumer = member(&kafka, "in", |c| c);
    joined(sim, &mut consumer).await;
    let mut producer = transactional(&kafka, "id").await;
    let txn = producer.begin_transaction().expect("it begins");
    txn.send(Record::to("in").partition(1).value("open")).await.expect("it is written");
    drop(txn.commit());
    (kafka, producer)
}

/// What only looks: dropped, then asked again.
async fn asked<F: IntoFuture<Output = klamm::Result<T>>, T>(sim: Sim, cut: Cut, ask: impl Fn(&Admin) -> F) {
    let (kafka, _producer) = start(&sim).await;
    let admin = kafka.admin();
    cut.off(ask(&admin)).await;
    let again = within(&sim, ms(60_000), ask(&admin).into_future()).await.expect("it hangs");
    drop(again.expect("it is answered"));
}

/// What changes something: it comes to pass although nobody waits.
async fn done<F: IntoFuture>(
    sim: Sim,
    cut: Cut,
    ask: impl Fn(&Admin) -> F,
    is_done: impl AsyncFn(&Sim, &Admin) -> bool,
) {
    let (kafka, _producer) = start(&sim).await;
    let admin = kafka.admin();
    cut.off(ask(&admin)).await;
    let end = sim.elapsed() + ms(10_000);
    while !is_done(&sim, &admin).await {
        assert!(sim.elapsed() < end, "it never comes to pass");
        sim.sleep(ms(10)).await;
    }
}

fn acl() -> AclBinding {
    AclBinding::allow("User:me", AclOperation::Read, Resource::topic("in"))
}

async fn acls(admin: &Admin) -> usize {
    admin.describe_acls(AclFilter::any()).await.expect("it answers").len()
}

cases! {
    create_topics: ["Admin::create_topics"] = |sim, cut| done(sim, cut,
        |admin| admin.create_topics([NewTopic::new("new", 2, 1)]),
        async |sim, _| sim.cluster().with(|b, _| b.partition_count("new")) == 2);
    delete_topics: ["Admin::delete_topics"] = |sim, cut| done(sim, cut,
        |admin| admin.delete_topics(["spare"]),
        async |sim, _| sim.cluster().with(|b, _| b.topic_id("spare").is_none()));
    create_partitions: ["Admin::create_partitions"] = |sim, cut| done(sim, cut,
        |admin| admin.create_partitions([("in", NewPartitions::increase_to(5))]),
        async |sim, _| sim.cluster().with(|b, _| b.partition_count("in")) == 5);
    incremental_alter_configs: ["Admin::incremental_alter_configs"] = |sim, cut| done(sim, cut,
        |admin| admin.incremental_alter_configs([
            (ConfigResource::topic("in"), vec![ConfigChange::set("retention.ms", 60_000)]),
        ]),
        async |_, admin| {
            let all = admin.describe_configs([ConfigResource::topic("in")]).await.expect("it answers");
            let one = all.all().expect("it exists").remove(0).1;
            one.value("retention.ms") == Some("60000")
        });
    create_acls: ["Admin::create_acls"] = |sim, cut| done(sim, cut,
        |admin| admin.create_acls([acl()]), async |_, admin| acls(admin).await == 1);
    delete_acls: ["Admin::delete_acls"] = |sim, cut| async move {
        let (kafka, _producer) = start(&sim).await;
        let admin = kafka.admin();
        admin.create_acls([acl()]).await.expect("it answers").all().expect("it is made");
        cut.off(admin.delete_acls([AclFilter::any()])).await;
        sim.sleep(ms(2_000)).await;
        assert_eq!(acls(&admin).await, 0);
    };
    fence_producers: ["Admin::fence_producers"] = |sim, cut| async move {
        let (kafka, mut producer) = start(&sim).await;
        cut.off(kafka.admin().fence_producers(["id"])).await;
        sim.sleep(ms(5_000)).await;
        let late = crate::transactions::commit_one(&mut producer, "late").await;
        assert!(late.expect_err("it is fenced").is_fatal());
    };
    force_terminate_transaction: ["Admin::force_terminate_transaction"] = |sim, cut| async move {
        let (kafka, mut producer) = start(&sim).await;
        cut.off(kafka.admin().force_terminate_transaction("id")).await;
        sim.sleep(ms(5_000)).await;
        let late = crate::transactions::commit_one(&mut producer, "late").await;
        assert!(late.expect_err("it is fenced").is_fatal());
    };
    abort_transaction: ["Admin::abort_transaction"] = |sim, cut| async move {
        let (kafka, _producer) = start(&sim).await;
        let admin = kafka.admin();
        // None is open that could be aborted: what counts is that the next call is answered.
        let ask = || admin.abort_transaction(AbortTransactionSpec::new(("in", 2), 4711, 0, 0));
        drop(cut.off(ask()).await);
        drop(within(&sim, ms(60_000), ask().into_future()).await.expect("it hangs"));
        assert_eq!(admin.describe_cluster().await.expect("it answers").nodes.len(), 3);
    };
    describe_producers: ["Admin::describe_producers"] = |sim, cut| asked(sim, cut, |a| a.describe_producers([("in", 0)]));
    describe_transactions: ["Admin::describe_transactions"] = |sim, cut| asked(sim, cut, |a| a.describe_transactions(["id"]));
    list_transactions: ["Admin::list_transactions"] = |sim, cut| asked(sim, cut, |a| a.list_transactions());
    list_consumer_groups: ["Admin::list_consumer_groups"] = |sim, cut| asked(sim, cut, |a| a.list_consumer_groups());
    describe_consumer_groups: ["Admin::describe_consumer_groups"] = |sim, cut| asked(sim, cut, |a| a.describe_consumer_groups(["readers"]));
    list_topics: ["Admin::list_topics"] = |sim, cut| asked(sim, cut, |a| a.list_topics());
    describe_topics: ["Admin::describe_topics"] = |sim, cut| asked(sim, cut, |a| a.describe_topics(["in"]));
    describe_configs: ["Admin::describe_configs"] = |sim, cut| asked(sim, cut, |a| a.describe_configs([ConfigResource::topic("in")]));
    describe_acls: ["Admin::describe_acls"] = |sim, cut| asked(sim, cut, |a| a.describe_acls(AclFilter::any()));
    describe_cluster: ["Admin::describe_cluster"] = |sim, cut| asked(sim, cut, |a| a.describe_cluster());
}
