//! Administration of transactions through the facade, on the in-memory cluster.

use bytes::Bytes;
use klamm::admin::{AbortTransactionSpec, Admin, ConfigChange, ConfigResource, ProducerState, TransactionState};
use klamm::{Config, ConsumerConfig, ErrorCode, ErrorKind, Kafka, Record, Route, Tokio, TopicPartition};
use klamm_cluster::{Api, Cluster};
use klamm_core::record::crc32c;
use klamm_core::wire::messages::produce::{PartitionProduceData, TopicProduceData};
use klamm_core::wire::messages::{ProduceRequest, ProduceResponse};
use klamm_core::wire::{Message as _, Reader, Writer};
use std::time::Duration;

/// The last version of Produce that adds no partitions to transactions.
const BEFORE_V2: i16 = 11;
const VERIFICATION: &str = "transaction.partition.verification.enable";

async fn connect(cluster: &Cluster) -> Kafka {
    let config = Config::new(cluster.bootstrap()).set("retry.backoff.ms", 5).set("retry.backoff.max.ms", 40);
    Kafka::connect(Tokio, config).await.unwrap()
}

fn three() -> Cluster {
    let cluster = Cluster::with_brokers(3).unwrap();
    cluster.create_topic("t", 3);
    cluster
}

/// A batch of one empty record that belongs to a transaction of this producer.
fn batch(id: i64, epoch: i16) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut w = Writer::new();
    for (number, size) in [(0, 8), (49 + 7, 4), (-1, 4), (2, 1), (0, 4), (16, 2), (0, 4), (now, 8), (now, 8)] {
        w.raw(&i64::to_be_bytes(number)[8 - size..]);
    }
    w.i64(id);
    w.i16(epoch);
    w.i32(0);
    w.i32(1);
    w.raw(&[12, 0, 0, 0, 1, 1, 0]);
    let mut bytes = w.into_vec();
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// Writes to a partition within a transaction that no coordinator knows of.
async fn write_alone(kafka: &Kafka, place: &TopicPartition, id: i64, epoch: i16) -> ErrorCode {
    let data = PartitionProduceData { index: place.partition, records: Some(batch(id, epoch)) };
    let topic = TopicProduceData { name: place.topic.to_string(), partition_data: vec![data], ..Default::default() };
    let request = ProduceRequest {
        transactional_id: Some("nobody".to_owned()),
        acks: -1,
        timeout_ms: 5000,
        topic_data: vec![topic],
    };
    let mut w = Writer::new();
    request.encode(&mut w, BEFORE_V2).unwrap();
    let body = Bytes::from(w.into_vec());
    let answer = kafka.request_bytes(Route::Leader(place.clone()), 0, BEFORE_V2, body).await.unwrap();
    ProduceResponse::decode(&mut Reader::new(&answer), BEFORE_V2).unwrap().responses[0].partition_responses[0]
        .error_code
}

async fn open(admin: &Admin, place: &TopicPartition) -> Vec<ProducerState> {
    let producers = admin.describe_producers([place]).await.unwrap().all().unwrap().remove(0).1;
    producers.into_iter().filter(|p| p.current_transaction_start.is_some()).collect()
}

#[tokio::test]
async fn a_transaction_that_hangs_is_found_and_aborted_and_readers_go_on() {
    let cluster = three();
    let kafka = connect(&cluster).await;
    let admin = kafka.admin();
    let place = TopicPartition::from(("t", 1));
    // There is a topic of transactions from the first of them on.
    drop(kafka.transactional_producer("somebody").await.unwrap());
    assert_eq!(write_alone(&kafka, &place, 4711, 3).await, ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    let off = vec![ConfigChange::set(VERIFICATION, false)];
    let leader = cluster.leader("t", 1).unwrap();
    admin.incremental_alter_configs([(ConfigResource::broker(leader), off)]).await.unwrap().all().unwrap();
    assert_eq!(write_alone(&kafka, &place, 4711, 3).await, ErrorCode::NONE);
    kafka.producer().unwrap().send(Record::to("t").partition(1).value("behind it")).await.unwrap();

    let config = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
    let mut consumer = kafka.consumer_with(config.set("isolation.level", "read_committed")).unwrap();
    consumer.assign([("t", 1)]).unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(300), consumer.recv()).await;
    assert!(waited.is_err(), "the reader is held up");

    // No coordinator knows of it.
    assert_eq!(admin.list_transactions().with_producer_ids([4711]).await.unwrap(), []);
    let found = open(&admin, &place).await;
    let [hanging] = found.as_slice() else { panic!("{found:?}") };
    let facts = (hanging.producer_id, hanging.producer_epoch, hanging.last_sequence, hanging.coordinator_epoch);
    assert_eq!((facts, hanging.current_transaction_start), ((4711, 3, Some(0), None), Some(0)));
    let known = admin.describe_producers([&place]).broker(leader).await.unwrap().all().unwrap().remove(0).1;
    assert_eq!(known.iter().find(|p| p.producer_id == 4711), Some(hanging));

    let late = AbortTransactionSpec::new(&place, 4711, 2, 0);
    let error = admin.abort_transaction(late).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_PRODUCER_EPOCH), "{error}");
    assert!(error.to_string().starts_with("partition t-1"), "{error}");
    admin.abort_transaction(AbortTransactionSpec::of(&place, hanging).unwrap()).await.unwrap();
    assert_eq!(open(&admin, &place).await, []);
    let record = tokio::time::timeout(Duration::from_secs(10), consumer.recv()).await.unwrap().unwrap().unwrap();
    assert_eq!(record.value(), Some(&b"behind it"[..]));
    consumer.close().await.unwrap();
    kafka.close().await.unwrap();
}

#[tokio::test]
async fn transactions_are_listed_by_every_filter_and_described() {
    let cluster = three();
    let kafka = connect(&cluster).await;
    let admin = kafka.admin();
    let mut committed = kafka.transactional_producer("pay-0").await.unwrap();
    let mut ongoing = kafka.transactional_producer("pay-1").await.unwrap();
    let unused = kafka.transactional_producer("other").await.unwrap();
    let txn = committed.begin_transaction().unwrap();
    txn.send(Record::to("t").partition(0).value("x")).await.unwrap();
    txn.commit().await.unwrap();
    let txn = ongoing.begin_transaction().unwrap();
    txn.send(Record::to("t").partition(2).value("x")).await.unwrap();
    // Markers are written after a commit is answered.
    tokio::time::sleep(Duration::from_millis(60)).await;

    let names = |listed: Vec<klamm::admin::TransactionListing>| -> Vec<String> {
        listed.iter().map(|one| format!("{} {}", one.transactional_id, one.state)).collect()
    };
    let all = admin.list_transactions().await.unwrap();
    let pay = all[2].clone();
    assert_eq!(names(all), ["other Empty", "pay-0 CompleteCommit", "pay-1 Ongoing"]);
    let states = [TransactionState::Ongoing, TransactionState::Empty];
    let listed = admin.list_transactions().in_states(states).await.unwrap();
    assert_eq!(names(listed), ["other Empty", "pay-1 Ongoing"]);
    let listed = admin.list_transactions().with_producer_ids([pay.producer_id]).await.unwrap();
    assert_eq!(names(listed), ["pay-1 Ongoing"]);
    let listed = admin.list_transactions().matching("pay-.").await.unwrap();
    assert_eq!(names(listed), ["pay-0 CompleteCommit", "pay-1 Ongoing"]);
    let listed = admin.list_transactions().open_for(Duration::from_millis(50)).await.unwrap();
    assert_eq!(names(listed), ["pay-1 Ongoing"]);
    assert_eq!(admin.list_transactions().open_for(Duration::from_secs(3600)).await.unwrap(), []);
    let error = admin.list_transactions().matching("((").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_REGULAR_EXPRESSION), "{error}");

    let described = admin.describe_transactions(["pay-1", "other", "nobody"]).await.unwrap();
    let one = described.get("pay-1").unwrap().unwrap();
    assert_eq!((one.coordinator, one.producer_id, &*one.state), (pay.coordinator, pay.producer_id, "Ongoing"));
    assert_eq!((&one.partitions[..], one.timeout), (&[("t", 2).into()][..], Duration::from_secs(60)));
    assert!(one.start.is_some());
    let other = described.get("other").unwrap().unwrap();
    assert_eq!((&*other.state, other.start, other.partitions.len()), ("Empty", None, 0));
    let error = described.get("nobody").unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND), "{error}");
    assert!(error.to_string().starts_with("transactional id \"nobody\""), "{error}");

    txn.abort().await.unwrap();
    drop(unused);
    kafka.close().await.unwrap();
}

#[tokio::test]
async fn a_fenced_producer_cannot_commit_and_what_it_wrote_is_aborted() {
    let cluster = three();
    let kafka = connect(&cluster).await;
    let admin = kafka.admin();
    for forced in [false, true] {
        let id = format!("fenced-{forced}");
        let mut producer = kafka.transactional_producer(&id).await.unwrap();
        let txn = producer.begin_transaction().unwrap();
        txn.send(Record::to("t").partition(0).value("lost")).await.unwrap();
        let before = admin.describe_transactions([&id]).await.unwrap().all().unwrap().remove(0).1;
        if forced {
            admin.force_terminate_transaction(&id).await.unwrap();
        } else {
            let fenced = admin.fence_producers([&id]).await.unwrap().all().unwrap().remove(0).1;
            assert_eq!(fenced.producer_id, before.producer_id);
            assert!(fenced.producer_epoch > before.producer_epoch, "{fenced:?} after {before:?}");
        }
        let after = admin.describe_transactions([&id]).await.unwrap().all().unwrap().remove(0).1;
        assert_eq!(&*after.state, "Empty");
        let error = txn.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    }
    let error = admin.force_terminate_transaction("").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_REQUEST), "{error}");
    assert!(cluster.committed_records("t").is_empty());
    kafka.close().await.unwrap();
}

#[tokio::test]
async fn partitions_are_asked_where_they_are_led_also_after_they_moved() {
    let cluster = three();
    let kafka = connect(&cluster).await;
    let admin = kafka.admin();
    kafka.producer().unwrap().send(Record::to("t").partition(0).value("x")).await.unwrap();
    let places = [("t", 0), ("t", 1), ("t", 2)];
    let count = |all: Vec<(TopicPartition, Vec<ProducerState>)>| all.iter().map(|(_, p)| p.len()).collect::<Vec<_>>();
    assert_eq!(count(admin.describe_producers(places).await.unwrap().all().unwrap()), [1, 0, 0]);
    let old = cluster.leader("t", 0).unwrap();
    cluster.move_leader("t", 0, old % 3 + 1).unwrap();
    assert_eq!(count(admin.describe_producers(places).await.unwrap().all().unwrap()), [1, 0, 0]);

    let results = admin.describe_producers([("t", 0), ("t", 7), ("nowhere", 0)]).await.unwrap();
    assert!(results.get(&TopicPartition::from(("t", 0))).unwrap().is_ok());
    for place in [("t", 7), ("nowhere", 0)] {
        let error = results.get(&TopicPartition::from(place)).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
    }
    // A replica that was named is asked, whoever leads.
    let error = admin.describe_producers([("nowhere", 0)]).broker(1).await.unwrap().all().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic, "{error}");
    kafka.close().await.unwrap();
}

#[tokio::test]
async fn an_abort_whose_answer_is_lost_is_not_repeated() {
    let cluster = three();
    let kafka = connect(&cluster).await;
    let spec = AbortTransactionSpec::new(("t", 0), 1, 0, 0);
    cluster.fault(Api::WriteTxnMarkers).disconnect_after_apply();
    let error = kafka.admin().abort_transaction(spec).await.unwrap_err();
    assert!(error.is_outcome_unknown(), "{error}");
    let consumer = kafka.standalone_consumer().unwrap();
    let ends = consumer.end_offsets([("t", 0)]).await.unwrap();
    assert_eq!(ends[&("t", 0).into()], 1, "one marker");
    consumer.close().await.unwrap();
    kafka.close().await.unwrap();
}

#[tokio::test]
async fn lists_and_descriptions_survive_a_coordinator_that_moves_and_one_that_loads() {
    let cluster = three();
    let kafka = connect(&cluster).await;
    let admin = kafka.admin();
    let producer = kafka.transactional_producer("moving").await.unwrap();
    let old = admin.list_transactions().await.unwrap()[0].coordinator;
    cluster.move_transaction_coordinator("moving", old % 3 + 1).unwrap();
    let described = admin.describe_transactions(["moving"]).await.unwrap().all().unwrap();
    assert_eq!(described[0].1.coordinator, old % 3 + 1);
    cluster.fault(Api::ListTransactions).times(2).error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS.0);
    let listed = admin.list_transactions().await.unwrap();
    assert_eq!(listed[0].coordinator, old % 3 + 1);
    drop(producer);
    kafka.close().await.unwrap();
}
