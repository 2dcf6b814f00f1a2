use super::*;
use crate::client::role::Owner;
use crate::driver::NetError;
use crate::wire::frame::encode_response;
use crate::wire::messages::api_versions::ApiVersion;
use crate::wire::messages::{ApiVersionsResponse, HeartbeatResponse};
use crate::wire::{Message, Writer};
use crate::{ConsumerIx, ErrorCode, ProducerIx, Timestamp};
use bytes::Bytes;

const BROKER: BrokerId = BrokerId(1);
const CONN: ConnId = ConnId { index: 3, generation: 0 };

fn at(seconds: u64) -> Now {
    Now { mono: Time(seconds * 1_000_000_000), wall: Timestamp(0) }
}

fn tag(token: u64) -> Tag {
    Tag { owner: Owner::Admin, token }
}

fn request(token: u64) -> Request {
    Request {
        tag: tag(token),
        api: ApiKey::HEARTBEAT,
        version: 4,
        body: [Bytes::from_static(b"body "), Bytes::from(format!("of {token}"))].into_iter().collect(),
        timeout: Duration::from_secs(30),
        silent: false,
        max_response: 1000,
    }
}

fn settings() -> LinkSettings {
    LinkSettings {
        client_id: "me".into(),
        setup_limit: Duration::from_secs(10),
        request_timeout: Duration::from_secs(30),
        max_response: 100_000,
        in_flight: 5,
        peer: "localhost:9092".into(),
    }
}

fn dialled(lane: Lane) -> Link {
    let mut link = Link::new(CONN, lane, settings(), at(0));
    link.handle_connected(at(0));
    link
}

/// Takes up to `most` of what it wants to send.
fn take(link: &mut Link, now: Now, most: usize) -> Vec<u8> {
    let mut iov = [IoSlice::new(&[]); 64];
    let n = link.transmit(&mut iov);
    let mut bytes = iov[..n].iter().flat_map(|s| s.to_vec()).collect::<Vec<_>>();
    bytes.truncate(most);
    link.handle_sent(now, bytes.len());
    bytes
}

fn take_all(link: &mut Link, now: Now) -> Vec<u8> {
    take(link, now, usize::MAX)
}

fn feed(link: &mut Link, now: Now, mut bytes: &[u8], piece: usize) {
    while !bytes.is_empty() {
        let Some(space) = link.recv_buf() else { return };
        let n = space.len().min(piece).min(bytes.len());
        space[..n].copy_from_slice(&bytes[..n]);
        bytes = &bytes[n..];
        link.handle_received(now, n);
    }
}

fn versions(version: i16, correlation: i32, error: ErrorCode) -> Vec<u8> {
    let ranges = [(ApiKey::HEARTBEAT, 0, 4), (ApiKey::API_VERSIONS, 0, 2)];
    let one = |(api_key, min_version, max_version)| ApiVersion { api_key, min_version, max_version };
    let answer =
        ApiVersionsResponse { error_code: error, api_keys: ranges.map(one).into(), ..ApiVersionsResponse::default() };
    let mut w = Writer::new();
    encode_response(&mut w, &answer, ApiKey::API_VERSIONS, version, correlation).unwrap();
    w.into_vec()
}

fn heartbeat(correlation: i32) -> Vec<u8> {
    let mut w = Writer::new();
    encode_response(&mut w, &HeartbeatResponse::default(), ApiKey::HEARTBEAT, 4, correlation).unwrap();
    w.into_vec()
}

fn ready_on(lane: Lane) -> Link {
    let mut link = dialled(lane);
    take_all(&mut link, at(0));
    feed(&mut link, at(0), &versions(3, 0, ErrorCode::NONE), usize::MAX);
    assert!(link.is_ready());
    link
}

fn ready() -> Link {
    ready_on(Lane::Control)
}

fn outcome(link: &mut Link) -> String {
    match link.poll_response() {
        None => "-".into(),
        Some((tag, Ok(_))) => format!("{} ok", tag.token),
        Some((tag, Err(RequestError::NotSent(_)))) => format!("{} not sent", tag.token),
        Some((tag, Err(RequestError::Lost(_)))) => format!("{} lost", tag.token),
    }
}

fn outcomes(link: &mut Link) -> Vec<String> {
    std::iter::from_fn(|| Some(outcome(link)).filter(|o| o != "-")).collect()
}

#[test]
fn the_greeting_names_the_client_and_makes_the_link_ready() {
    let mut link = dialled(Lane::Control);
    assert!(link.take_wants_transmit() && !link.take_wants_transmit());
    assert!(link.facts(BROKER).is_none());
    let sent = take_all(&mut link, at(0));
    let text = String::from_utf8_lossy(&sent);
    assert!(text.contains("me") && text.contains("klamm"), "{text}");
    assert_eq!(sent.len(), 4 + u32::from_be_bytes(*sent.first_chunk().unwrap()) as usize);
    assert_eq!(sent[4..8], [0, 18, 0, 3]);
    feed(&mut link, at(1), &versions(3, 0, ErrorCode::NONE), 1);
    assert!(link.is_ready() && link.was_ready());
    let facts = link.facts(BROKER).unwrap();
    assert_eq!((facts.broker, facts.in_flight), (BROKER, 0));
    assert_eq!(facts.versions.pick_for(ApiKey::HEARTBEAT), Some(4));
    assert_eq!(link.idle_since(), Some(at(1).mono));
}

#[test]
fn a_broker_that_does_not_know_the_version_is_asked_again_in_its_own() {
    let mut link = dialled(Lane::Control);
    take_all(&mut link, at(0));
    link.take_wants_transmit();
    feed(&mut link, at(0), &versions(0, 0, ErrorCode::UNSUPPORTED_VERSION), 3);
    assert!(link.take_wants_transmit() && !link.is_ready());
    assert_eq!(take_all(&mut link, at(0))[4..8], [0, 18, 0, 2]);
    feed(&mut link, at(0), &versions(2, 1, ErrorCode::NONE), 3);
    assert!(link.is_ready());
}

#[test]
fn requests_leave_in_one_piece_each_and_answers_find_them_whatever_the_pieces() {
    for piece in [1, 2, 3, 5, 1000] {
        let mut link = ready();
        for token in 1..=3 {
            link.send(at(1), request(token));
        }
        assert!(link.take_wants_transmit());
        let mut sent = Vec::new();
        while link.transmit(&mut [IoSlice::new(&[]); 64]) > 0 {
            sent.extend(take(&mut link, at(1), piece));
        }
        let text = String::from_utf8_lossy(&sent).into_owned();
        assert_eq!(text.matches("body of").count(), 3);
        assert_eq!(sent.len(), 3 * (4 + 2 + 2 + 4 + 2 + 2 + 1 + 9));
        let answers: Vec<u8> = (1..=3).flat_map(heartbeat).collect();
        feed(&mut link, at(2), &answers, piece);
        for token in 1..=3 {
            let (t, result) = link.poll_response().unwrap();
            assert_eq!(t, tag(token));
            let response = result.unwrap();
            HeartbeatResponse::decode(&mut Reader::new(response.body()), response.version).unwrap();
        }
        assert!(link.poll_response().is_none());
        assert_eq!(link.idle_since(), Some(at(2).mono));
    }
}

#[test]
fn a_link_takes_as_many_requests_as_its_lane_allows() {
    let (p, c) = (ProducerIx(0), ConsumerIx(0));
    for (lane, many) in [
        (Lane::Control, 8),
        (Lane::Slow, 4),
        (Lane::Produce(p), 5),
        (Lane::Fetch(c), 1),
        (Lane::Group(c), 4),
        (Lane::Join(c), 2),
    ] {
        let mut link = ready_on(lane);
        let mut n = 0;
        while link.facts(BROKER).is_some() {
            link.send(at(0), request(n));
            n += 1;
        }
        assert_eq!(n, many, "{lane:?}");
    }
}

#[test]
fn nothing_is_built_while_a_megabyte_waits_to_be_written() {
    let mut link = ready_on(Lane::Produce(ProducerIx(0)));
    link.send(at(0), Request { body: [Bytes::from(vec![0; 1024 * 1024])].into_iter().collect(), ..request(1) });
    assert!(link.facts(BROKER).is_none());
    take(&mut link, at(0), 1000);
    assert_eq!(link.facts(BROKER).unwrap().in_flight, 1);
}

#[test]
fn an_answer_out_of_turn_ends_the_link_and_everything_on_it() {
    for wrong in [2, 0, -1, i32::MIN, i32::MAX] {
        let mut link = ready();
        link.send(at(0), request(1));
        link.send(at(0), request(2));
        take_all(&mut link, at(0));
        feed(&mut link, at(0), &heartbeat(wrong), 100);
        assert_eq!(outcomes(&mut link), ["1 lost", "2 lost"], "number {wrong}");
        assert!(link.is_closed());
        assert_eq!(link.failure().map(Error::kind), Some(ErrorKind::Corrupt));
        assert_eq!(link.close_action(), Some(Close::Abort));
        assert!(link.recv_buf().is_none());
    }
}

#[test]
fn an_answer_to_a_request_that_was_not_written_yet_ends_the_link() {
    let mut link = ready();
    link.send(at(0), request(1));
    take(&mut link, at(0), 5);
    feed(&mut link, at(0), &heartbeat(1), 100);
    assert_eq!(outcomes(&mut link), ["1 lost"]);
}

#[test]
fn bytes_that_nobody_asked_for_end_the_link() {
    let mut link = ready();
    feed(&mut link, at(0), &[0], 1);
    assert!(link.is_closed());
    assert!(link.failure().unwrap().to_string().contains("nobody asked for"));
}

#[test]
fn hostile_lengths_end_the_link() {
    for length in [-1, i32::MIN, 1001, i32::MAX] {
        let mut link = ready();
        link.send(at(0), request(1));
        take_all(&mut link, at(0));
        feed(&mut link, at(0), &i32::to_be_bytes(length), 4);
        assert_eq!(outcomes(&mut link), ["1 lost"], "{length}");
        assert!(link.failure().unwrap().to_string().contains(&length.to_string()));
    }
    // Too short for a correlation number, and a header whose tags run beyond the frame.
    for frame in [&[0, 0, 0, 0][..], &[0, 0, 0, 3, 0, 0, 0], &[0, 0, 0, 6, 0, 0, 0, 1, 0xff, 0xff]] {
        let mut link = ready();
        link.send(at(0), request(1));
        link.send(at(0), request(2));
        take_all(&mut link, at(0));
        feed(&mut link, at(0), frame, 100);
        assert_eq!(outcomes(&mut link), ["1 lost", "2 lost"], "{frame:?}");
    }
}

#[test]
fn the_settings_cap_answers_whatever_a_request_allows() {
    let mut link = ready();
    link.send(at(0), Request { max_response: usize::MAX, ..request(1) });
    take_all(&mut link, at(0));
    feed(&mut link, at(0), &i32::to_be_bytes(100_001), 4);
    assert!(link.is_closed());
}

#[test]
fn other_protocols_are_named() {
    for (bytes, says, hint) in [
        (&b"HTTP/1.1 400 Bad Request"[..], "localhost:9092 is no Kafka broker: it speaks HTTP", "Kafka's own port"),
        (b"\x15\x03\x03\x00\x02\x02\x50", "localhost:9092 is no Kafka broker: it speaks TLS", "security.protocol=SSL"),
        (b"\xde\xad\xbe\xef", "does not answer like a Kafka broker: de ad be ef", "Kafka listener"),
    ] {
        let mut link = dialled(Lane::Control);
        take_all(&mut link, at(0));
        feed(&mut link, at(0), bytes, 100);
        let error = link.failure().unwrap().to_string();
        assert!(error.contains(says) && error.contains(hint), "{error}");
    }
}

#[test]
fn a_close_during_the_greeting_points_to_tls() {
    let mut link = dialled(Lane::Control);
    take_all(&mut link, at(0));
    link.handle_closed(at(0), None);
    assert_eq!(
        link.failure().unwrap().to_string(),
        "localhost:9092 closed the connection before it answered ApiVersions; it may expect TLS; \
         set security.protocol=SSL or SASL_SSL"
    );
    assert_eq!((link.close_action(), link.was_ready()), (None, false));
}

#[test]
fn what_was_taken_in_part_is_lost_and_what_was_not_is_not_sent() {
    let mut link = ready();
    for token in 1..=3 {
        link.send(at(0), request(token));
    }
    take(&mut link, at(0), 27);
    link.handle_closed(at(0), Some(NetError { kind: std::io::ErrorKind::ConnectionReset, text: "reset".into() }));
    assert_eq!(outcomes(&mut link), ["1 lost", "2 lost", "3 not sent"]);
    assert_eq!(link.failure().unwrap().to_string(), "localhost:9092 closed the connection (reset)");
    assert_eq!(link.transmit(&mut [IoSlice::new(&[]); 4]), 0);
    link.send(at(0), request(4));
    assert_eq!(outcomes(&mut link), ["4 not sent"]);
}

#[test]
fn the_end_of_an_idle_connection_is_no_failure() {
    let mut link = ready();
    link.handle_closed(at(600), None);
    assert!(link.is_closed() && link.failure().is_none() && link.close_action().is_none());
}

#[test]
fn the_deadline_belongs_to_the_oldest_request() {
    let mut link = ready();
    link.send(at(0), request(1));
    link.send(at(0), request(2));
    take_all(&mut link, at(10));
    // 30 s and a tenth of it.
    let due = |n| Some(Wake { at: at(n).mono, why: Why::Request });
    assert_eq!(link.poll_timeout(), due(43));
    link.handle_timeout(at(42));
    feed(&mut link, at(42), &heartbeat(1), 100);
    assert_eq!(link.poll_timeout(), due(75), "the second one's turn began with the first one's answer");
    link.handle_timeout(at(74));
    assert_eq!(outcomes(&mut link), ["1 ok"]);
    link.handle_timeout(at(75));
    assert_eq!(outcomes(&mut link), ["2 lost"]);
    let error = link.failure().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "localhost:9092 did not answer Heartbeat within 30000 ms");
    assert_eq!(link.poll_timeout(), None);
}

#[test]
fn the_greeting_has_a_deadline() {
    let mut link = dialled(Lane::Control);
    take_all(&mut link, at(0));
    assert_eq!(link.poll_timeout().map(|wake| wake.at), Some(at(10).mono));
    link.handle_timeout(at(9));
    assert!(!link.is_closed());
    link.handle_timeout(at(10));
    assert!(link.is_closed());
    let error = link.failure().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "localhost:9092 did not answer ApiVersions within 10000 ms");
}

#[test]
fn a_second_question_of_the_greeting_gets_no_time_of_its_own() {
    let mut link = dialled(Lane::Control);
    take_all(&mut link, at(0));
    feed(&mut link, at(9), &versions(0, 0, ErrorCode::UNSUPPORTED_VERSION), 1000);
    take_all(&mut link, at(9));
    assert!(!link.is_closed());
    link.handle_timeout(at(10));
    assert!(link.is_closed());
}

#[test]
fn a_greeting_that_is_never_read_ends_in_time_too() {
    let mut link = dialled(Lane::Control);
    link.handle_timeout(at(10));
    assert!(link.is_closed());
}

#[test]
fn what_cannot_be_written_in_time_was_never_sent_and_leaves_the_rest_alone() {
    let mut link = ready();
    link.send(at(0), Request { timeout: Duration::from_secs(60), ..request(1) });
    link.send(at(0), request(2));
    link.send(at(5), request(3));
    take(&mut link, at(1), 3);
    link.handle_timeout(at(30));
    assert_eq!(outcomes(&mut link), ["2 not sent"]);
    assert!(!link.is_closed());
    let sent = take_all(&mut link, at(31));
    assert!(String::from_utf8_lossy(&sent).ends_with("body of 3"), "3 follows 1 without a gap");
    let mut answers = heartbeat(1);
    answers.extend(heartbeat(3));
    feed(&mut link, at(32), &answers, 7);
    assert_eq!(outcomes(&mut link), ["1 ok", "3 ok"]);
}

#[test]
fn a_write_that_hangs_half_way_ends_the_link() {
    let mut link = ready();
    link.send(at(0), request(1));
    take(&mut link, at(0), 3);
    link.handle_timeout(at(33));
    assert_eq!(outcomes(&mut link), ["1 lost"]);
    assert!(link.failure().unwrap().to_string().contains("took only a part"));
}

#[test]
fn a_request_without_answer_is_complete_with_its_last_byte() {
    let mut link = ready_on(Lane::Produce(ProducerIx(0)));
    link.send(at(0), Request { silent: true, ..request(1) });
    let size = 26;
    take(&mut link, at(0), size - 1);
    assert_eq!(outcomes(&mut link), [""; 0]);
    take(&mut link, at(0), 1);
    assert_eq!(outcomes(&mut link), ["1 ok"]);
    assert_eq!(link.idle_since(), Some(at(0).mono));
    assert_eq!(link.poll_timeout(), None);
}

#[test]
fn an_answer_that_nobody_wanted_is_skipped_in_its_place_only() {
    let mut link = ready_on(Lane::Produce(ProducerIx(0)));
    link.send(at(0), Request { silent: true, ..request(1) });
    link.send(at(0), Request { silent: true, ..request(2) });
    link.send(at(0), request(3));
    take_all(&mut link, at(0));
    assert_eq!(outcomes(&mut link), ["1 ok", "2 ok"]);
    feed(&mut link, at(0), &[heartbeat(1), heartbeat(2), heartbeat(3)].concat(), 5);
    assert_eq!(outcomes(&mut link), ["3 ok"]);
    link.send(at(0), Request { silent: true, ..request(4) });
    take_all(&mut link, at(0));
    feed(&mut link, at(0), &heartbeat(4), 100);
    assert!(!link.is_closed());
    feed(&mut link, at(0), &heartbeat(4), 100);
    assert!(link.is_closed(), "twice is once too often");
}

#[test]
fn a_throttled_link_takes_nothing_until_the_broker_reads_again() {
    let mut link = ready();
    link.send(at(0), request(1));
    take_all(&mut link, at(0));
    link.throttle(at(0), Duration::from_secs(10));
    link.throttle(at(0), Duration::from_secs(5));
    assert!(link.facts(BROKER).is_none());
    assert_eq!(link.poll_timeout(), Some(Wake { at: at(10).mono, why: Why::Throttle }));
    link.handle_timeout(at(9));
    assert!(link.facts(BROKER).is_none());
    link.handle_timeout(at(10));
    assert!(link.facts(BROKER).is_some());
    let due = Wake { at: at(43).mono, why: Why::Request };
    assert_eq!(link.poll_timeout(), Some(due), "what waits in the broker's socket is not late");
}

#[test]
fn deadlines_rest_while_we_do_not_read() {
    let mut link = ready_on(Lane::Fetch(ConsumerIx(0)));
    link.send(at(0), request(1));
    take_all(&mut link, at(0));
    link.stop_reading();
    assert!(link.recv_buf().is_none());
    assert_eq!(link.poll_timeout(), None);
    link.handle_timeout(at(500));
    assert!(link.resume_reading(at(500)) && !link.resume_reading(at(500)));
    assert_eq!(link.poll_timeout().map(|w| w.at), Some(at(533).mono));
    let mut control = ready();
    control.stop_reading();
    assert!(control.recv_buf().is_some(), "only fetch lanes stop");
}

#[test]
fn a_graceful_close_waits_for_the_answers() {
    let mut link = ready();
    link.send(at(0), request(1));
    take_all(&mut link, at(0));
    link.close_graceful(at(0));
    assert!(link.facts(BROKER).is_none() && !link.is_closed());
    feed(&mut link, at(1), &heartbeat(1), 100);
    assert_eq!(outcomes(&mut link), ["1 ok"]);
    assert!(link.is_closed() && link.failure().is_none());
    assert_eq!(link.close_action(), Some(Close::Graceful));
}

#[test]
fn a_graceful_close_ends_in_time_and_at_once_where_nothing_is_under_way() {
    let mut idle = ready();
    idle.close_graceful(at(0));
    assert!(idle.is_closed());
    let mut greeting = dialled(Lane::Control);
    greeting.close_graceful(at(0));
    assert!(greeting.is_closed() && greeting.failure().is_none());
    let mut busy = ready();
    busy.send(at(0), Request { timeout: Duration::from_secs(300), ..request(1) });
    take_all(&mut busy, at(0));
    busy.close_graceful(at(0));
    busy.handle_timeout(at(30));
    assert_eq!(outcomes(&mut busy), ["1 lost"]);
}

#[test]
fn a_parked_fetch_does_not_hold_up_a_graceful_close() {
    let mut link = ready_on(Lane::Fetch(ConsumerIx(0)));
    link.send(at(0), request(1));
    link.close_graceful(at(0));
    assert!(!link.is_closed(), "it is not written yet");
    take_all(&mut link, at(0));
    assert!(link.is_closed());
    assert_eq!(outcomes(&mut link), ["1 lost"]);
}

#[test]
fn a_client_id_too_long_for_the_protocol_is_no_panic() {
    let settings = LinkSettings { client_id: "x".repeat(40_000).into(), ..settings() };
    let mut link = Link::new(CONN, Lane::Control, settings, at(0));
    link.handle_connected(at(0));
    assert_eq!(link.failure().map(Error::kind), Some(ErrorKind::Config));
}
