//! The driver on a thread of its own, against real sockets.

#[expect(dead_code, reason = "the examples use the rest")]
mod echo;

use echo::{Echo, Plan, Target, Told, cases, silence, story};
use klamm_blocking::BlockingNet;
use klamm_core::driver::Net;

#[test]
fn messages_come_back_and_failures_are_told() {
    cases(|plan| {
        let net = BlockingNet::new().unwrap();
        let (machine, told) = Echo::new(plan, net.clock());
        net.start(machine).unwrap();
        told
    });
}

#[test]
fn it_runs_on_the_calling_thread_too() {
    let net = BlockingNet::new().unwrap();
    let (machine, told) = Echo::new(Plan::new(Target::Addr(echo::server()), 100, 10), net.clock());
    net.run(machine).unwrap();
    assert!(matches!(&story(&told)[..], [Told::Connected, Told::Echoed(_), ..]));
}

#[test]
fn the_end_of_a_connection_is_told() {
    let (listener, addr) = silence();
    let net = BlockingNet::new().unwrap();
    let (machine, told) = Echo::new(Plan::new(Target::Addr(addr), 64, 1), net.clock());
    net.start(machine).unwrap();
    drop(listener.accept().unwrap());
    let told = story(&told);
    assert!(matches!(&told[..], [Told::Connected, Told::Closed(_), Told::Abandoned(_)]), "{told:?}");
}
