//! The driver in an async-std task, against real sockets.

#[expect(dead_code, reason = "the examples use the rest")]
#[path = "../../runtime-blocking/tests/echo/mod.rs"]
mod echo;

use echo::{Echo, Plan, Target, Told, cases, silence};
use klamm_async_std::AsyncStdNet;
use klamm_core::driver::Net;

#[test]
fn messages_come_back_and_failures_are_told() {
    cases(|plan| {
        let net = AsyncStdNet::new();
        let (machine, told) = Echo::new(plan, net.clock());
        net.start(machine);
        told
    });
}

#[test]
fn a_dropped_driver_abandons_its_machine() {
    let (_listener, addr) = silence();
    let net = AsyncStdNet::new();
    let (machine, told) = Echo::new(Plan::new(Target::Addr(addr), 64, 1), net.clock());
    let task = async_std::task::spawn(net.run(machine));
    while told.recv().unwrap() != Told::Connected {}
    async_std::task::block_on(task.cancel());
    let why = Told::Abandoned("the runtime that drove the client went away".into());
    assert_eq!(told.iter().filter(|t| !matches!(t, Told::Worked(_))).collect::<Vec<_>>(), [why]);
}

#[test]
fn a_server_that_hangs_up_is_told() {
    let (listener, addr) = silence();
    let net = AsyncStdNet::new();
    let (machine, told) = Echo::new(Plan::new(Target::Addr(addr), 64, 1), net.clock());
    net.start(machine);
    drop(listener.accept().unwrap());
    let told = echo::story(&told);
    assert!(matches!(&told[..], [Told::Connected, Told::Closed(_), Told::Abandoned(_)]), "{told:?}");
}
