//! The mistakes that are made most often, and what klamm says of each: what, where, why, what to do, in one line.
//! (What concerns TLS and SASL comes with them.)

use klamm::config::{ConsumerConfig, ProducerConfig};
use klamm::{Blocking, Config, Error, ErrorKind, Kafka, Record, Tokio};
use klamm_cluster::{Api, Cluster};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(300);

fn cluster() -> Cluster {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("orders", 5);
    cluster
}

fn connect(cluster: &Cluster, section: ProducerConfig) -> Kafka {
    Kafka::connect(Blocking, Config::new(cluster.bootstrap()).producer(section)).wait().unwrap()
}

/// One line that holds all of these.
fn says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    assert!(!text.contains('\n'), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[test]
fn all_problems_of_a_configuration_come_with_place_and_suggestion() {
    let config = Config::from_properties("bootstrap.servers=a:1\nlinger.mss=5\nacks=1\nenable.idempotence=true\n");
    let error = config.validate().unwrap_err();
    says(
        &error,
        ErrorKind::Config,
        &["2 problems: ", "unknown key \"linger.mss\", did you mean \"linger.ms\"?", "(line 2)", "enable.idempotence"],
    );
}

/// What a send says whose record cannot go out.
fn refused(kafka: &Kafka, topic: &str) -> Error {
    let section = ProducerConfig::new()
        .max_block(SOON * 2)
        .linger(Duration::ZERO)
        .request_timeout(SOON)
        .delivery_timeout(SOON * 5);
    let producer = kafka.producer_with(section).unwrap();
    producer.send(Record::to(topic).partition(3).value("v")).wait().unwrap_err()
}

#[test]
fn a_broker_that_advertises_an_address_nobody_reaches_is_told_from_a_cluster_that_is_down() {
    let cluster = cluster();
    let config = Config::new(cluster.bootstrap()).rewrite_address(|broker| match broker.id {
        Some(_) => "127.0.0.1:1".to_owned(),
        None => format!("{}:{}", broker.host, broker.port),
    });
    let kafka = Kafka::connect(Blocking, config).wait().unwrap();
    let error = refused(&kafka, "orders");
    says(
        &error,
        ErrorKind::Timeout,
        &["cannot reach broker ", " at 127.0.0.1:1 (", "advertised.listeners", "rewrite_address"],
    );
}

#[test]
fn a_listener_that_hangs_up_on_the_greeting_may_want_tls() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let config = Config::new(&address).default_api_timeout(SOON);
    let error = Kafka::connect(Blocking, config).wait().unwrap_err();
    says(&error, ErrorKind::Timeout, &[&address, "before it answered ApiVersions", "security.protocol=SSL"]);
}

#[test]
fn a_topic_that_does_not_exist_is_named_with_the_one_that_was_meant() {
    let cluster = Cluster::builder().auto_create(false).start().unwrap();
    cluster.create_topic("orders", 5);
    let kafka = connect(&cluster, ProducerConfig::new().max_block(SOON));
    let producer = kafka.producer().unwrap();
    producer.send(Record::to("orders").value("v")).wait().unwrap();
    let error = refused(&kafka, "ordres");
    says(
        &error,
        ErrorKind::UnknownTopic,
        &["topic \"ordres\" does not exist", "did you mean \"orders\"?", "Admin::create_topics"],
    );
    assert!(!error.possibly_written());
}

#[test]
fn a_record_that_is_too_large_names_its_size_the_limit_and_the_keys() {
    let cluster = cluster();
    let kafka = connect(&cluster, ProducerConfig::new());
    let producer = kafka.producer().unwrap();
    let error = producer.send(Record::to("orders").value(&vec![0; 2_097_152])).wait().unwrap_err();
    says(
        &error,
        ErrorKind::RecordTooLarge,
        &["record of 2097", "\"orders\"", "max.request.size (1048576)", "max.message.bytes"],
    );
}

#[test]
fn a_buffer_that_stays_full_says_so_and_that_nothing_was_written() {
    let cluster = cluster();
    let section = ProducerConfig::new().max_block(SOON).set("buffer.memory", 65_536).set("batch.size", 16_384);
    let kafka = connect(&cluster, section);
    let producer = kafka.producer().unwrap();
    producer.topic("orders").ready().wait().unwrap();
    cluster.fault(Api::Produce).times(1000).silence();
    let value = vec![0; 16_000];
    let sent: Vec<_> = (0..6).map(|_| producer.send(Record::to("orders").partition(0).value(&value))).collect();
    let error = sent.into_iter().next_back().unwrap().wait().unwrap_err();
    says(&error, ErrorKind::BufferFull, &["buffer.memory (65536)", "max.block.ms (300 ms)", "was not written"]);
    assert!(!error.possibly_written());
}

#[test]
fn a_record_without_an_acknowledgement_says_how_often_it_was_tried_and_that_it_may_be_written() {
    let cluster = cluster();
    let kafka = connect(&cluster, ProducerConfig::new());
    kafka.producer().unwrap().topic("orders").ready().wait().unwrap();
    cluster.fault(Api::Produce).times(1000).error(7);
    let error = refused(&kafka, "orders");
    says(
        &error,
        ErrorKind::Timeout,
        &[
            "record for orders-3 not acknowledged within delivery.timeout.ms (1500 ms): ",
            " attempts, last on broker ",
            "REQUEST_TIMED_OUT",
            "it may have been written",
        ],
    );
    assert!(error.possibly_written() && error.attempts() > 1);
}

#[test]
fn a_member_that_polls_too_seldom_is_told_how_seldom_and_what_it_lost() {
    let cluster = cluster();
    let kafka = connect(&cluster, ProducerConfig::new());
    let section = ConsumerConfig::group("billing").set("max.poll.interval.ms", 1_000);
    let mut consumer = kafka.consumer_with(section).unwrap();
    consumer.subscribe(["orders"]).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while consumer.assignment().is_empty() && Instant::now() < end {
        consumer.poll(SOON).wait().unwrap();
    }
    std::thread::sleep(Duration::from_millis(2_500));
    let batches = std::iter::repeat_with(|| consumer.poll(SOON).wait().unwrap().unwrap()).take(3);
    let error = batches.filter_map(|batch| batch.lost_because().cloned()).next().unwrap();
    says(
        &error,
        ErrorKind::GroupLost,
        &["left group \"billing\": ", "max.poll.interval.ms is 1 s", "orders-0", "max.poll.records"],
    );
}

#[test]
fn waiting_on_the_thread_that_runs_the_client_is_refused_instead_of_hanging() {
    let cluster = cluster();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async {
        let kafka = Kafka::connect(Tokio, cluster.bootstrap()).await.unwrap();
        kafka.ping().wait().unwrap_err()
    });
    says(&error, ErrorKind::Misuse, &["would never return", "use .await, or connect with Blocking"]);
}
