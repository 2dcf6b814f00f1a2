#![expect(clippy::disallowed_types, reason = "what a dropped driver said is kept outside of it")]

use super::toy::{Count, Toy, Toys, conn};
use super::*;
use crate::{LookupId, WorkId};
use std::io;
use std::sync::Mutex;
use std::task::Waker;

struct Rig {
    driver: Driver<Toy, Toys>,
    toys: Toys,
    wakes: Arc<Count>,
}

impl Rig {
    fn new() -> Self {
        let toys = Toys::default();
        toys.world().piece = usize::MAX;
        Self { driver: Driver::new(Toy::default(), toys.clone()), toys, wakes: Arc::default() }
    }

    fn with_conns(n: u32) -> Self {
        let mut rig = Self::new();
        for index in 0..n {
            rig.connect(conn(index));
            rig.toys.accept(conn(index));
        }
        rig.turn();
        rig.machine().log.clear();
        rig
    }

    fn connect(&mut self, id: ConnId) {
        let addr = ([127, 0, 0, 1], 9092).into();
        self.machine().actions.push_back(Action::Connect { conn: id, addr, broker: None });
    }

    fn machine(&mut self) -> &mut Toy {
        self.driver.machine_mut()
    }

    fn poll(&mut self) -> Poll<()> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.driver.poll(&mut Context::from_waker(&waker))
    }

    /// A poll that does not end the driver.
    fn turn(&mut self) {
        assert_eq!(self.poll(), Poll::Pending);
    }

    fn close(&mut self, id: ConnId, how: Close) {
        self.machine().actions.push_back(Action::Close { conn: id, how });
    }
}

#[test]
fn bytes_pass_unchanged_whatever_the_pieces() {
    for piece in [1, 2, 3, 7, 8, 9, 1000] {
        let mut rig = Rig::with_conns(2);
        rig.toys.world().piece = piece;
        let text: Vec<u8> = (0..200).collect();
        rig.machine().send(conn(0), &text);
        rig.toys.arrive(conn(1), &text);
        // Each poll works for 64 rounds at most.
        for _ in 0..10 {
            assert_eq!(rig.poll(), Poll::Pending);
        }
        assert_eq!(rig.toys.world().pipes[&conn(0)].sent, text);
        assert_eq!(rig.machine().got[&conn(1)], text);
    }
}

#[test]
fn a_spurious_poll_finds_nothing_to_do() {
    let mut rig = Rig::with_conns(3);
    rig.toys.arrive(conn(1), b"hello");
    rig.machine().send(conn(2), b"world");
    rig.turn();
    let reads = rig.toys.world().reads;
    let turns = rig.machine().turns;
    let (log, wakes) = (rig.machine().log.clone(), rig.wakes.get());
    rig.turn();
    assert_eq!(rig.toys.world().reads, reads);
    assert_eq!(rig.machine().turns, turns + 1, "one quiet round");
    assert_eq!(rig.machine().log, log);
    assert_eq!(rig.wakes.get(), wakes);
}

#[test]
fn bytes_that_arrive_while_the_loop_falls_asleep_are_read_in_the_same_poll() {
    let mut rig = Rig::with_conns(1);
    rig.toys.world().at_sleep = Some((conn(0), b"late".to_vec()));
    rig.turn();
    assert_eq!(rig.machine().got[&conn(0)], b"late");
    assert_eq!(rig.wakes.get(), 0, "it was at work: no wake was needed");
}

#[test]
fn bytes_that_arrive_while_it_sleeps_wake_it_once() {
    let mut rig = Rig::with_conns(2);
    rig.toys.arrive(conn(0), b"x");
    rig.toys.arrive(conn(1), b"y");
    assert_eq!(rig.wakes.get(), 1);
    rig.turn();
    assert_eq!(rig.machine().got.len(), 2);
}

#[test]
fn what_the_application_hands_over_before_parking_is_done_in_the_same_poll() {
    let mut rig = Rig::new();
    rig.machine().late = Some(Action::Lookup { id: LookupId(4), host: "broker".into(), port: 1 });
    rig.turn();
    assert_eq!(rig.machine().log, ["lookup 4 true"]);
}

#[test]
fn a_wake_costs_the_ready_connections_and_not_all() {
    let mut rig = Rig::with_conns(1000);
    rig.turn();
    let before = rig.toys.world().reads;
    rig.toys.arrive(conn(617), b"x");
    rig.turn();
    assert_eq!(rig.toys.world().reads - before, 2, "one read with a byte, one that arms the waker");
}

#[test]
fn an_endless_source_neither_starves_the_others_nor_the_runtime() {
    let mut rig = Rig::with_conns(2);
    rig.toys.arrive(conn(0), &[0; 8 * 1000]);
    rig.toys.arrive(conn(1), b"short");
    let wakes = rig.wakes.get();
    rig.turn();
    assert_eq!(rig.machine().got[&conn(1)], b"short");
    assert_eq!(rig.machine().got[&conn(0)].len(), 8 * ROUNDS, "one buffer a round");
    assert_eq!(rig.wakes.get(), wakes + 1, "it asked to go on");
    for _ in 0..1000 / ROUNDS {
        rig.turn();
    }
    assert_eq!(rig.machine().got[&conn(0)].len(), 8000);
}

#[test]
fn a_full_socket_is_written_again_when_it_has_room() {
    let mut rig = Rig::with_conns(1);
    rig.toys.with(conn(0), |pipe| pipe.room = 3);
    rig.machine().send(conn(0), b"abcdef");
    rig.turn();
    assert_eq!(rig.toys.world().pipes[&conn(0)].sent, b"abc");
    rig.toys.with(conn(0), |pipe| pipe.room = 100);
    rig.turn();
    assert_eq!(rig.toys.world().pipes[&conn(0)].sent, b"abcdef");
}

#[test]
fn reading_stops_without_a_buffer_and_goes_on_when_resumed() {
    let mut rig = Rig::with_conns(1);
    rig.machine().stopped.insert(conn(0));
    rig.toys.arrive(conn(0), b"wait");
    rig.turn();
    rig.turn();
    assert!(rig.machine().got.is_empty());
    rig.machine().stopped.clear();
    rig.machine().resumes.push_back(conn(0));
    rig.turn();
    assert_eq!(rig.machine().got[&conn(0)], b"wait");
}

#[test]
fn after_a_stall_everything_is_read_before_a_deadline_is_judged() {
    let mut rig = Rig::with_conns(1);
    rig.machine().timeout = Some(Time::ZERO + Duration::from_secs(30));
    rig.turn();
    rig.toys.advance(Duration::from_secs(45));
    // The socket is readable but its waker was not run yet, as after a frozen process.
    rig.toys.world().pipes.get_mut(&conn(0)).unwrap().inbound.extend([7; 80]);
    let wakes = rig.wakes.get();
    rig.turn();
    assert_eq!(rig.machine().log, ["received 0.0"]);
    assert_eq!(rig.wakes.get(), wakes + 1, "the runtime looks at its sockets once more");
    rig.turn();
    assert_eq!(rig.machine().log, ["received 0.0", "timeout"]);
    assert_eq!(rig.machine().got[&conn(0)].len(), 80, "all of it, not one buffer");
}

#[test]
fn a_timer_fires_at_its_time_and_not_before() {
    let mut rig = Rig::new();
    rig.machine().timeout = Some(Time(500));
    rig.turn();
    assert_eq!(rig.toys.world().sleeps_until, Some(Time(500)));
    assert!(rig.machine().log.is_empty());
    rig.toys.advance(Duration::from_nanos(500));
    rig.turn();
    assert_eq!(rig.machine().log, ["timeout"]);
}

#[test]
fn after_a_failed_write_the_answers_are_read_before_the_close_is_told() {
    let mut rig = Rig::with_conns(1);
    rig.toys.world().pipes.get_mut(&conn(0)).unwrap().write_error = true;
    rig.toys.world().pipes.get_mut(&conn(0)).unwrap().inbound.extend([1; 20]);
    rig.machine().send(conn(0), b"request");
    rig.turn();
    assert_eq!(rig.machine().got[&conn(0)].len(), 20);
    assert_eq!(rig.machine().log, ["received 0.0", "closed 0.0 Some(BrokenPipe)"]);
    assert_eq!(rig.toys.open_streams(), 0);
}

#[test]
fn the_end_of_the_stream_is_told_once() {
    let mut rig = Rig::with_conns(1);
    rig.toys.with(conn(0), |pipe| pipe.eof = true);
    rig.turn();
    rig.turn();
    assert_eq!(rig.machine().log, ["closed 0.0 None"]);
}

#[test]
fn a_graceful_close_lets_the_outbox_leave_and_reads_no_more() {
    let mut rig = Rig::with_conns(1);
    rig.toys.with(conn(0), |pipe| pipe.room = 2);
    rig.machine().send(conn(0), b"farewell");
    rig.close(conn(0), Close::Graceful);
    rig.turn();
    rig.toys.arrive(conn(0), b"ignored");
    rig.turn();
    assert_eq!(rig.toys.open_streams(), 1);
    rig.toys.with(conn(0), |pipe| pipe.room = 100);
    rig.turn();
    assert_eq!(rig.toys.world().pipes[&conn(0)].sent, b"farewell");
    assert_eq!(rig.toys.open_streams(), 0);
    assert!(rig.machine().log.is_empty(), "the machine closed it: no news");
    assert!(rig.machine().got.is_empty());
}

#[test]
fn a_graceful_close_of_a_blocked_connection_ends_in_time() {
    let mut rig = Rig::with_conns(1);
    rig.toys.with(conn(0), |pipe| pipe.room = 2);
    rig.machine().send(conn(0), b"farewell");
    rig.close(conn(0), Close::Graceful);
    rig.turn();
    assert_eq!(rig.toys.world().sleeps_until, Some(Time::ZERO + LINGER));
    rig.toys.advance(LINGER);
    rig.turn();
    assert_eq!((rig.toys.open_streams(), rig.driver.connections()), (0, 0));
    assert_eq!(rig.toys.world().sleeps_until, None);
}

#[test]
fn an_abort_closes_at_once() {
    let mut rig = Rig::with_conns(1);
    rig.toys.with(conn(0), |pipe| pipe.room = 0);
    rig.machine().send(conn(0), b"lost");
    rig.close(conn(0), Close::Abort);
    rig.turn();
    assert_eq!(rig.toys.open_streams(), 0);
    assert!(rig.machine().log.is_empty());
}

#[test]
fn a_connection_that_comes_up_after_its_close_is_dropped() {
    let mut rig = Rig::new();
    rig.connect(conn(0));
    rig.turn();
    rig.close(conn(0), Close::Abort);
    rig.turn();
    rig.toys.accept(conn(0));
    assert_eq!(rig.toys.open_streams(), 1);
    rig.turn();
    assert_eq!(rig.toys.open_streams(), 0);
    assert!(rig.machine().log.is_empty());
}

#[test]
fn a_failed_connect_is_told_as_a_close() {
    let mut rig = Rig::new();
    rig.connect(conn(0));
    let error = NetError { kind: io::ErrorKind::ConnectionRefused, text: "refused".into() };
    rig.toys.world().events.push_back(NetEvent::Connected(conn(0), Err(error)));
    rig.turn();
    assert_eq!(rig.machine().log, ["closed 0.0 Some(ConnectionRefused)"]);
    assert_eq!(rig.toys.world().options, [SocketOptions::default()]);
}

#[test]
fn lost_work_is_told() {
    let mut rig = Rig::new();
    let compression = crate::codec::Compression::NONE;
    let slot = (crate::ProducerIx(0), 0, crate::BatchNo(0));
    let work =
        Work::Pack(PackWork { slot, compression, codecs: crate::codec::Codecs::default(), plain: bytes::Bytes::new() });
    rig.machine().actions.push_back(Action::Work { id: WorkId(3), work });
    rig.turn();
    assert_eq!(rig.machine().log, ["work 3 false"]);
}

#[test]
fn it_ends_when_the_machine_is_done_and_closes_what_was_left_open() {
    let mut rig = Rig::with_conns(2);
    rig.toys.with(conn(1), |pipe| pipe.room = 0);
    rig.machine().send(conn(1), b"stuck");
    rig.machine().ended = true;
    assert_eq!(rig.poll(), Poll::Pending);
    assert_eq!(rig.driver.connections(), 1);
    let turns = rig.machine().turns;
    rig.turn();
    assert!(rig.machine().turns <= turns + 2, "it sleeps meanwhile");
    rig.toys.with(conn(1), |pipe| pipe.room = 100);
    assert_eq!(rig.poll(), Poll::Ready(()));
    assert_eq!(rig.toys.world().pipes[&conn(1)].sent, b"stuck");
    assert_eq!(rig.poll(), Poll::Ready(()));
}

#[test]
fn a_dropped_driver_abandons_its_machine() {
    let mut rig = Rig::with_conns(1);
    let told = Arc::new(Mutex::new(String::new()));
    rig.machine().abandoned = Some(Arc::clone(&told));
    drop(rig);
    assert_eq!(*told.lock().unwrap(), "the runtime that drove the client went away");
}
