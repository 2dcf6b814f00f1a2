//! Connections: frames, versions, order, throttling (broker-data 1).

mod raw;

use klamm_cluster::Api;
use klamm_core::ErrorCode;
use klamm_core::wire::messages::*;
use raw::{Batch, Lab, fetch, fetched, produce, produced};
use std::time::Duration;

#[test]
fn a_record_goes_in_and_comes_out() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    let answer = lab.ask(peer, &produce("t", Batch::of(&["a", "b"]).bytes(), -1), 9);
    assert_eq!(produced(&answer), (ErrorCode::NONE, 0, 0));
    let answer = lab.ask(peer, &fetch("t", 0), 11);
    let (code, high_watermark, records) = fetched(&answer);
    assert_eq!((code, high_watermark, records.len()), (ErrorCode::NONE, 2, Batch::of(&["a", "b"]).bytes().len()));
    assert_eq!(lab.brokers.records("t")[1].value.as_deref(), Some(&b"b"[..]));
}

#[test]
fn an_unsupported_version_closes_the_connection_without_an_answer_1_3() {
    let mut lab = Lab::new(1);
    let peer = lab.connect(1);
    lab.bytes(peer, b"\0\0\0\x0a\0\x03\0\x63\0\0\0\x01\xff\xff");
    assert!(lab.is_closed(peer));
    assert_eq!(lab.frame(peer), None);
    // Produce 2 is announced but not served (1.10).
    let peer = lab.connect(1);
    lab.bytes(peer, b"\0\0\0\x0a\0\0\0\x02\0\0\0\x01\xff\xff");
    assert!(lab.is_closed(peer));
}

#[test]
fn noise_closes_the_connection_1_1_to_1_3() {
    let noise: [&[u8]; 6] = [
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\x02\0\x03",
        b"\0\0\0\x0a\x03\xe7\0\0\0\0\0\x01\xff\xff",
        b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x01\xff\xff\x7f\xff\xff\xff",
    ];
    for bytes in noise {
        let mut lab = Lab::new(1);
        let peer = lab.connect(1);
        lab.bytes(peer, bytes);
        assert!(lab.is_closed(peer), "{bytes:?}");
    }
}

#[test]
fn random_bytes_never_break_the_brokers() {
    let mut seed = 1u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32
    };
    let mut lab = Lab::new(2);
    for _ in 0..3000 {
        let peer = lab.connect(1);
        let api = Api::ALL[random() as usize % Api::ALL.len()];
        let (low, high) = api.versions();
        let version = low + (random() as i16).rem_euclid(high - low + 1);
        let mut frame = Vec::new();
        frame.extend(api.key().0.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend([0, 0, 0, 1, 0xff, 0xff, 0]);
        frame.extend((0..random() % 60).map(|_| if random() % 3 == 0 { random() as u8 } else { (random() % 4) as u8 }));
        let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
        bytes.extend(frame);
        lab.bytes(peer, &bytes);
        lab.pass(1);
        lab.brokers.hang_up(lab.now, peer);
    }
}

#[test]
fn api_versions_at_an_unknown_version_is_answered_in_version_0_with_its_own_range_1_5() {
    let mut lab = Lab::new(1);
    let peer = lab.connect(1);
    lab.bytes(peer, b"\0\0\0\x0b\0\x12\0\x63\0\0\0\x01\xff\xff\0");
    let answer = lab.answer::<ApiVersionsRequest>(peer, 0).expect("answered");
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(
        answer.api_keys.iter().map(|k| (k.api_key.0, k.min_version, k.max_version)).collect::<Vec<_>>(),
        [(18, 0, 5)]
    );
    assert!(!lab.is_closed(peer));
}

#[test]
fn api_versions_wants_the_softwares_name_and_the_right_broker_1_7_and_1_8() {
    let mut lab = Lab::new(1);
    let peer = lab.connect(1);
    let named = |name: &str| ApiVersionsRequest {
        client_software_name: name.to_owned(),
        client_software_version: "1.0".to_owned(),
        ..Default::default()
    };
    assert_eq!(lab.ask(peer, &named(""), 3).error_code, ErrorCode::INVALID_REQUEST);
    assert_eq!(lab.ask(peer, &named("-x"), 3).error_code, ErrorCode::INVALID_REQUEST);
    let answer = lab.ask(peer, &named("klamm-x.y"), 4);
    assert_eq!(answer.error_code, ErrorCode::NONE);
    let produce = answer.api_keys.iter().find(|k| k.api_key.0 == 0).expect("produce");
    assert_eq!((produce.min_version, produce.max_version), (0, 13));
    let half = ApiVersionsRequest { node_id: 1, ..named("x") };
    assert_eq!(lab.ask(peer, &half, 5).error_code, ErrorCode::INVALID_REQUEST);
    let other = ApiVersionsRequest { node_id: 1, cluster_id: Some("other".to_owned()), ..named("x") };
    assert_eq!(lab.ask(peer, &other, 5).error_code, ErrorCode::REBOOTSTRAP_REQUIRED);
}

#[test]
fn a_parked_fetch_delays_what_was_sent_behind_it_1_11() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    lab.send(peer, &raw::parked("t", 0, 1000), 11);
    lab.send(peer, &MetadataRequest::default(), 9);
    lab.pass(999);
    assert_eq!(lab.frame(peer), None);
    lab.pass(1);
    let answer = lab.answer::<FetchRequest>(peer, 11).expect("the fetch first");
    assert!(fetched(&answer).2.is_empty());
    assert!(lab.answer::<MetadataRequest>(peer, 9).is_some());
}

#[test]
fn an_idle_connection_is_closed_even_with_a_parked_request_1_12() {
    let mut lab = Lab::with(|s| s.max_idle = Duration::from_millis(300));
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    lab.send(peer, &raw::parked("t", 0, 1000), 11);
    lab.pass(299);
    assert!(!lab.is_closed(peer));
    lab.pass(1);
    assert!(lab.is_closed(peer));
    lab.pass(1000);
    assert_eq!(lab.frame(peer), None);
}

#[test]
fn acks_0_is_silent_and_any_error_closes_1_14() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    lab.send(peer, &produce("t", Batch::of(&["a"]).bytes(), 0), 9);
    assert_eq!(lab.frame(peer), None);
    assert_eq!(lab.brokers.records("t").len(), 1);
    lab.ask(peer, &MetadataRequest::default(), 9);
    lab.send(peer, &produce("nothing", Batch::of(&["a"]).bytes(), 0), 9);
    assert!(lab.is_closed(peer));
}

#[test]
fn null_records_leave_the_connection_mute_1_15() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    let mut request = produce("t", Batch::of(&["a"]).bytes(), -1);
    request.topic_data[0].partition_data[0].records = None;
    lab.send(peer, &request, 9);
    lab.send(peer, &MetadataRequest::default(), 9);
    lab.pass(8000);
    assert_eq!(lab.frame(peer), None);
    assert!(!lab.is_closed(peer));
}

#[test]
fn a_throttled_answer_comes_at_once_and_the_next_one_after_the_pause() {
    let mut lab = Lab::new(1);
    lab.brokers.create_topic(lab.now, "t", 1);
    let peer = lab.connect(1);
    lab.brokers.fault(Api::Produce).throttle(Duration::from_millis(200));
    let answer = lab.ask(peer, &produce("t", Batch::of(&["a"]).bytes(), -1), 9);
    assert_eq!(answer.throttle_time_ms, 200);
    lab.send(peer, &MetadataRequest::default(), 9);
    lab.pass(199);
    assert_eq!(lab.frame(peer), None);
    lab.pass(1);
    assert!(lab.answer::<MetadataRequest>(peer, 9).is_some());
}
