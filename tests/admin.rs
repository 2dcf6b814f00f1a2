//! Administration through the facade, on the in-memory cluster.

use klamm::admin::{
    AclBinding, AclFilter, AclOperation, ConfigChange, ConfigResource, NewPartitions, NewTopic, Resource, TopicName,
};
use klamm::{ErrorCode, ErrorKind, Kafka, Tokio};
use klamm_cluster::{Api, Cluster};
use std::time::Duration;

async fn connect(cluster: &Cluster) -> Kafka {
    Kafka::connect(Tokio, cluster.bootstrap()).await.unwrap()
}

#[tokio::test]
async fn a_topic_is_created_described_grown_and_deleted() {
    let cluster = Cluster::with_brokers(3).unwrap();
    let kafka = connect(&cluster).await;
    let admin = kafka.admin();

    let orders = NewTopic::new("orders", 3, 2).config("cleanup.policy", "compact");
    let created = admin.create_topics([orders]).await.unwrap().all().unwrap();
    let (name, topic) = &created[0];
    assert_eq!((name.as_str(), topic.partitions, topic.replication_factor), ("orders", Some(3), Some(2)));
    let configs = topic.configs.as_ref().unwrap();
    let policy = configs.iter().find(|entry| &*entry.name == "cleanup.policy").unwrap();
    assert_eq!(policy.value.as_deref(), Some("compact"));

    admin.create_partitions([("orders", NewPartitions::increase_to(5))]).await.unwrap().all().unwrap();
    let described = admin.describe_topics(["orders"]).await.unwrap().all().unwrap();
    let topic = &described[0].1;
    assert_eq!(topic.partitions.len(), 5);
    assert_eq!(topic.partitions[0].replicas().len(), 2);
    assert!(topic.partitions.iter().all(|p| p.leader().is_some_and(|leader| leader.port() > 0)));

    // By its id, too.
    let id = topic.id.unwrap();
    assert_eq!(&*admin.describe_topics([id]).await.unwrap().all().unwrap()[0].1.name, "orders");

    admin.delete_topics(["orders"]).await.unwrap().all().unwrap();
    assert_eq!(admin.list_topics().await.unwrap(), []);
    kafka.close().await.unwrap();
}

#[tokio::test]
async fn items_fail_one_by_one_and_errors_name_them() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("old", 1);
    let kafka = connect(&cluster).await;
    let admin = kafka.admin();
    let topics = ["old", "new", "bad/name"].map(NewTopic::broker_defaults);
    let results = admin.create_topics(topics).await.unwrap();
    assert_eq!(results.len(), 3);
    assert_eq!(results.get("old").unwrap().unwrap_err().code(), Some(ErrorCode::TOPIC_ALREADY_EXISTS));
    assert!(results.get("new").unwrap().is_ok());
    let error = results.all().unwrap_err();
    assert!(error.to_string().starts_with("topic \"old\": TOPIC_ALREADY_EXISTS"), "{error}");
    let listed: Vec<_> = admin.list_topics().await.unwrap().into_iter().map(|topic| topic.name).collect();
    assert_eq!(listed, ["new".into(), "old".into()]);
}

#[tokio::test]
async fn validation_creates_nothing() {
    let cluster = Cluster::start().unwrap();
    let admin = connect(&cluster).await.admin();
    admin.create_topics([NewTopic::new("t", 1, 1)]).validate_only(true).await.unwrap().all().unwrap();
    let error = admin.describe_topics(["t"]).await.unwrap().all().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
}

#[tokio::test]
async fn an_operation_starts_when_it_is_awaited_and_its_limit_ends_it() {
    let cluster = Cluster::start().unwrap();
    let kafka = connect(&cluster).await;
    let admin = kafka.admin();
    drop(admin.create_topics([NewTopic::new("never", 1, 1)]));
    assert_eq!(admin.list_topics().await.unwrap(), []);

    cluster.fault(Api::CreateTopics).silence();
    let begun = std::time::Instant::now();
    let limited = admin.create_topics([NewTopic::new("late", 1, 1)]).within(Duration::from_millis(200));
    let error = limited.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn an_operation_that_was_begun_goes_on_without_its_future() {
    let cluster = Cluster::start().unwrap();
    let kafka = connect(&cluster).await;
    let admin = kafka.admin();
    drop(std::future::IntoFuture::into_future(admin.create_topics([NewTopic::new("t", 1, 1)])));
    for _ in 0..100 {
        if !admin.list_topics().await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the topic was not created");
}

#[tokio::test]
async fn an_item_named_twice_has_one_answer() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let admin = connect(&cluster).await.admin();
    assert_eq!(admin.describe_topics(["t", "t"]).await.unwrap().all().unwrap().len(), 1);
}

#[tokio::test]
async fn the_cluster_tells_its_brokers() {
    let cluster = Cluster::with_brokers(3).unwrap();
    let admin = connect(&cluster).await.admin();
    let described = admin.describe_cluster().include_authorized_operations(true).await.unwrap();
    assert_eq!(described.nodes.iter().map(|node| node.id).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(described.cluster_id.is_some());
    assert!(described.controller.is_some());
}

#[tokio::test]
async fn acls_are_stored_found_and_removed() {
    let cluster = Cluster::start().unwrap();
    let admin = connect(&cluster).await.admin();
    let reads = [Resource::topic("orders"), Resource::group("billing")]
        .map(|resource| AclBinding::allow("User:billing", AclOperation::Read, resource));
    admin.create_acls(reads.clone()).await.unwrap().all().unwrap();
    let mut found = admin.describe_acls(AclFilter::any().principal("User:billing")).await.unwrap();
    found.sort();
    assert_eq!(found, reads);
    let gone = admin.delete_acls([AclFilter::exactly(&reads[0])]).await.unwrap().all().unwrap();
    assert_eq!(gone[0].1, [reads[0].clone()]);
    assert_eq!(admin.describe_acls(AclFilter::any()).await.unwrap(), [reads[1].clone()]);
}

#[tokio::test]
async fn configurations_are_read_and_changed_key_by_key() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let admin = connect(&cluster).await.admin();
    let topic = ConfigResource::topic("t");
    let change = |change| [(topic.clone(), vec![change])];
    admin.incremental_alter_configs(change(ConfigChange::set("retention.ms", 5000))).await.unwrap().all().unwrap();
    let read = || async {
        let all = admin.describe_configs([topic.clone()]).include_synonyms(true).await.unwrap().all().unwrap();
        all[0].1.value("retention.ms").map(str::to_owned)
    };
    assert_eq!(read().await.as_deref(), Some("5000"));
    admin.incremental_alter_configs(change(ConfigChange::delete("retention.ms"))).await.unwrap().all().unwrap();
    assert_eq!(read().await.as_deref(), Some("604800000"));
    let refused = admin.incremental_alter_configs(change(ConfigChange::set("retention.ms", "soon"))).await.unwrap();
    let error = refused.all().unwrap_err();
    assert!(error.to_string().contains("topic \"t\""), "{error}");
}

#[tokio::test]
async fn groups_that_nobody_knows_are_errors_of_their_own() {
    let cluster = Cluster::start().unwrap();
    let admin = connect(&cluster).await.admin();
    assert_eq!(admin.list_consumer_groups().await.unwrap(), []);
    let error = admin.describe_consumer_groups(["nobody"]).await.unwrap().all().unwrap_err();
    assert!(error.to_string().starts_with("group \"nobody\": "), "{error}");
}

#[tokio::test]
async fn a_topic_is_deleted_by_its_id() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let admin = connect(&cluster).await.admin();
    let id = admin.list_topics().await.unwrap()[0].id.unwrap();
    admin.delete_topics([TopicName::Id(id)]).await.unwrap().all().unwrap();
    assert!(cluster.leader("t", 0).is_none());
}
