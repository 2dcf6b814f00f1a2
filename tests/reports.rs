//! What a failed record's sender is told, for every way in which a record can fail: what kind, how far it came, how often it
//! was sent, where, and whether it may be written.

use klamm::config::ProducerConfig;
use klamm::{
    Blocking, Config, Error, ErrorKind, Kafka, Partitioner, Partitioning, Phase, Placement, Producer, Purge, Record,
    TopicView,
};
use klamm_cluster::{Api, Cluster};
use std::time::Duration;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn quick() -> ProducerConfig {
    ProducerConfig::new().linger(ms(0)).retry_backoff(ms(5)).request_timeout(ms(300)).delivery_timeout(ms(700))
}

/// Sends one record that succeeds, then what `fail` makes of the next.
fn fate(section: ProducerConfig, fail: impl FnOnce(&Cluster, &Producer) -> Error) -> Error {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let kafka = Kafka::connect(Blocking, Config::new(cluster.bootstrap()).producer(section)).wait().unwrap();
    let producer = kafka.producer().unwrap();
    producer.send(Record::to("t").value("first")).wait().unwrap();
    let error = fail(&cluster, &producer);
    cluster.clear_faults();
    kafka.close().within(ms(2000)).wait().ok();
    error
}

fn send(producer: &Producer) -> Error {
    producer.send(Record::to("t").value("v")).wait().unwrap_err()
}

type Told = (ErrorKind, Option<Phase>, bool, Option<i16>);

fn told(error: &Error) -> Told {
    (error.kind(), error.phase(), error.possibly_written(), error.code().map(|code| code.0))
}

#[test]
fn a_batch_that_was_refused_is_not_written_and_says_by_whom() {
    for (code, kind) in [(87, ErrorKind::Corrupt), (29, ErrorKind::Authorization), (10, ErrorKind::RecordTooLarge)] {
        let error = fate(quick(), |cluster, producer| {
            cluster.fault(Api::Produce).times(1).error(code);
            send(producer)
        });
        assert_eq!(told(&error), (kind, Some(Phase::Sent), false, Some(code)), "{error}");
        assert_eq!((error.attempts(), error.broker(), error.topic()), (1, Some(1), Some("t")), "{error}");
        assert_eq!(error.partition(), Some(0));
    }
}

#[test]
fn a_batch_whose_retries_are_spent_says_how_often_and_what_came_last() {
    for (code, doubt) in [(19, false), (7, true), (6, true)] {
        let error = fate(quick().set("retries", 2), |cluster, producer| {
            cluster.fault(Api::Produce).always().error(code);
            send(producer)
        });
        assert_eq!(told(&error), (ErrorKind::NotDelivered, Some(Phase::Sent), doubt, Some(code)), "{error}");
        assert_eq!(error.attempts(), 3, "{error}");
        assert!(error.cause().is_some(), "{error}");
    }
}

#[test]
fn a_batch_past_its_deadline_says_whether_it_was_sent() {
    // It waits for its next attempt when its time is over: nothing is on the wire then.
    let refused = fate(quick().retry_backoff(Duration::from_secs(30)), |cluster, producer| {
        cluster.fault(Api::Produce).always().error(19);
        send(producer)
    });
    assert_eq!(told(&refused), (ErrorKind::Timeout, Some(Phase::Sent), false, Some(19)), "{refused}");
    assert_eq!(refused.attempts(), 1, "{refused}");
    let silent = fate(quick(), |cluster, producer| {
        cluster.fault(Api::Produce).always().silence();
        send(producer)
    });
    assert_eq!((silent.kind(), silent.phase()), (ErrorKind::Timeout, Some(Phase::Sent)), "{silent}");
    assert!(silent.possibly_written(), "{silent}");
    let gone = fate(quick(), |cluster, producer| {
        cluster.kill_broker(1);
        std::thread::sleep(ms(50));
        send(producer)
    });
    assert_eq!((gone.kind(), gone.possibly_written()), (ErrorKind::Timeout, false), "{gone}");
    assert_eq!((gone.phase(), gone.topic(), gone.partition()), (Some(Phase::Buffered), Some("t"), Some(0)), "{gone}");
}

#[test]
fn a_lost_answer_leaves_a_doubt_that_a_refusal_does_not_clear() {
    let error = fate(quick().set("retries", 1), |cluster, producer| {
        cluster.fault(Api::Produce).times(1).disconnect();
        cluster.fault(Api::Produce).times(1).error(29);
        send(producer)
    });
    assert!(error.possibly_written(), "{error}");
    assert_eq!((error.phase(), error.attempts()), (Some(Phase::Sent), 2), "{error}");
}

#[test]
fn a_record_that_was_never_in_a_batch_says_so() {
    let unknown = fate(quick().max_block(ms(100)), |_, producer| {
        producer.send(Record::to("nowhere/at/all").value("v")).wait().unwrap_err()
    });
    assert_eq!((unknown.phase(), unknown.possibly_written()), (Some(Phase::Waiting), false), "{unknown}");
    assert_eq!(unknown.topic(), Some("nowhere/at/all"));
    let full = fate(quick().buffer_memory(20_000).max_block(ms(100)), |cluster, producer| {
        cluster.fault(Api::Produce).always().silence();
        let all: Vec<_> = (0..9).map(|_| producer.send(Record::to("t").value(&[0; 5000]))).collect();
        all.into_iter().filter_map(|d| d.wait().err()).find(|e| e.kind() == ErrorKind::BufferFull).unwrap()
    });
    assert_eq!(told(&full), (ErrorKind::BufferFull, Some(Phase::Waiting), false, None), "{full}");
    assert_eq!(full.topic(), Some("t"));
    let large =
        fate(quick(), |_, producer| producer.send(Record::to("t").value(&vec![0; 2_000_000])).wait().unwrap_err());
    assert_eq!(told(&large), (ErrorKind::RecordTooLarge, Some(Phase::Waiting), false, None), "{large}");
}

#[test]
fn what_is_given_up_says_how_far_it_came() {
    let slow = || quick().delivery_timeout(Duration::from_secs(60)).request_timeout(Duration::from_secs(30));
    let purged = fate(slow().linger(Duration::from_secs(20)), |_, producer| {
        let delivery = producer.send(Record::to("t").value("v"));
        producer.purge(Purge::Queued).wait().unwrap();
        delivery.wait().unwrap_err()
    });
    assert_eq!(told(&purged), (ErrorKind::Aborted, Some(Phase::Buffered), false, None), "{purged}");
    assert_eq!((purged.topic(), purged.partition(), purged.attempts()), (Some("t"), Some(0), 0));
    let on_the_wire = fate(slow(), |cluster, producer| {
        cluster.fault(Api::Produce).always().silence_after_apply();
        let delivery = producer.send(Record::to("t").value("v"));
        while cluster.records("t").len() < 2 {
            std::thread::sleep(ms(1));
        }
        producer.purge(Purge::All).wait().unwrap();
        delivery.wait().unwrap_err()
    });
    assert_eq!(told(&on_the_wire), (ErrorKind::Aborted, Some(Phase::Sent), true, None), "{on_the_wire}");
    let closed = fate(slow(), |cluster, producer| {
        cluster.fault(Api::Produce).always().silence_after_apply();
        let delivery = producer.send(Record::to("t").value("v"));
        while cluster.records("t").len() < 2 {
            std::thread::sleep(ms(1));
        }
        producer.close().within(ms(50)).wait().ok();
        delivery.wait().unwrap_err()
    });
    assert_eq!((closed.kind(), closed.phase()), (ErrorKind::Closed, Some(Phase::Sent)), "{closed}");
    assert!(closed.possibly_written(), "{closed}");
}

fn send_to_nobody(producer: &Producer) -> Error {
    producer.send(Record::to("t").partition(99).value("v")).wait().unwrap_err()
}

struct Wayward;

impl Partitioner for Wayward {
    fn partition(&self, record: &Record<'_>, topic: &TopicView<'_>) -> Placement {
        match record.key_bytes() {
            Some(b"panics") => panic!("on purpose"),
            Some(b"beyond") => Placement::At(topic.partition_count()),
            Some(b"below") => Placement::At(-1),
            _ => Placement::At(0),
        }
    }
}

#[test]
fn a_partitioner_that_panics_or_points_beside_the_topic_costs_its_record_only() {
    // Known topics are asked about at the call, others on the driver's thread.
    for topic in ["t", "new"] {
        for (key, partition) in [("panics", None), ("beyond", Some(1)), ("below", Some(-1))] {
            let error = fate(quick().partitioner(Partitioning::from(Wayward)), |_, producer| {
                let error = producer.send(Record::to(topic).key(key).value("v")).wait().unwrap_err();
                assert!(producer.send(Record::to(topic).value("v")).wait().is_ok(), "{error}");
                error
            });
            assert_eq!(told(&error), (ErrorKind::Misuse, Some(Phase::Waiting), false, None), "{error}");
            assert_eq!((error.topic(), error.partition(), error.attempts()), (Some(topic), partition, 0), "{error}");
        }
    }
    let outside =
        fate(quick(), |_, producer| producer.send(Record::to("t").partition(7).value("v")).wait().unwrap_err());
    assert_eq!(told(&outside), (ErrorKind::Misuse, Some(Phase::Waiting), false, None), "{outside}");
}

#[test]
fn a_record_that_is_too_large_says_so_before_or_after_its_compression() {
    let mut noise = 1_u64;
    let noisy: Vec<u8> = (0..40_000)
        .map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (noise >> 56) as u8
        })
        .collect();
    let limited = |section: ProducerConfig, value: Vec<u8>| {
        fate(section, |cluster, producer| {
            cluster.create_topic_with("small", 1, 1, &[("max.message.bytes", "2000")]);
            let error = producer.send(Record::to("small").value(&value)).wait().unwrap_err();
            assert!(producer.send(Record::to("small").value("v")).wait().is_ok(), "{error}");
            error
        })
    };
    // The same record is small enough once it is compressed; only what does not shrink is not.
    let shrinks = fate(quick().set("compression.type", "gzip"), |cluster, producer| {
        cluster.create_topic_with("small", 1, 1, &[("max.message.bytes", "2000")]);
        producer.send(Record::to("small").value(&vec![b'x'; 40_000])).wait().unwrap();
        send_to_nobody(producer)
    });
    assert_eq!(shrinks.kind(), ErrorKind::Misuse);
    let raw = limited(quick(), vec![b'x'; 40_000]);
    assert_eq!(told(&raw), (ErrorKind::RecordTooLarge, Some(Phase::Sent), false, Some(10)), "{raw}");
    let packed = limited(quick().set("compression.type", "gzip"), noisy);
    assert_eq!(told(&packed), (ErrorKind::RecordTooLarge, Some(Phase::Sent), false, Some(10)), "{packed}");
    for error in [raw, packed] {
        assert_eq!((error.attempts(), error.topic(), error.broker()), (1, Some("small"), Some(1)), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("max.message.bytes")), "{error}");
    }
}

#[test]
fn a_record_whose_time_is_up_in_line_says_that_it_waited() {
    let section = quick().delivery_timeout(ms(300)).set("max.block.ms", 60_000).buffer_memory(20_000);
    let error = fate(section.request_timeout(ms(200)), |cluster, producer| {
        cluster.fault(Api::Produce).always().silence();
        let all: Vec<_> = (0..7).map(|_| producer.send(Record::to("t").value(&[0; 5000]))).collect();
        let errors: Vec<_> = all.into_iter().map(|delivery| delivery.wait().unwrap_err()).collect();
        let in_line = errors.iter().find(|error| error.phase() == Some(Phase::Waiting));
        in_line.unwrap_or_else(|| panic!("{errors:?}")).clone()
    });
    // delivery.timeout.ms bounds the wait too.
    assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::BufferFull, false), "{error}");
    assert_eq!((error.topic(), error.attempts()), (Some("t"), 0), "{error}");
}
