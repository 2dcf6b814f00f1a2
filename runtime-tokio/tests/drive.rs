//! The driver in a tokio task, against real sockets.

#[expect(dead_code, reason = "the examples use the rest")]
#[path = "../../runtime-blocking/tests/echo/mod.rs"]
mod echo;

use echo::{Echo, Plan, Target, Told, cases, silence, story};
use klamm_core::driver::Net;
use klamm_tokio::TokioNet;
use std::sync::mpsc::Receiver;
use tokio::runtime::{Builder, Handle};

fn start(handle: Handle, plan: Plan) -> Receiver<Told> {
    let net = TokioNet::on(handle);
    let (machine, told) = Echo::new(plan, net.clock());
    net.start(machine);
    told
}

#[test]
fn messages_come_back_and_failures_are_told() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    cases(|plan| start(runtime.handle().clone(), plan));
}

#[test]
fn one_thread_is_enough() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    cases(|plan| {
        runtime.block_on(async {
            let net = TokioNet::new().unwrap();
            let (machine, told) = Echo::new(plan, net.clock());
            net.run(machine).await;
            told
        })
    });
}

#[test]
fn a_runtime_that_shuts_down_abandons_the_machine() {
    let (_listener, addr) = silence();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let told = start(runtime.handle().clone(), Plan::new(Target::Addr(addr), 64, 1));
    while told.recv().unwrap() != Told::Connected {}
    drop(runtime);
    let why = Told::Abandoned("the runtime that drove the client went away".into());
    assert_eq!(told.iter().filter(|t| !matches!(t, Told::Worked(_))).collect::<Vec<_>>(), [why]);
}

#[test]
fn a_runtime_without_io_is_a_failed_connection_and_no_hang() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let told = story(&start(runtime.handle().clone(), Plan::new(Target::Addr(echo::nobody()), 64, 1)));
    assert!(matches!(&told[..], [Told::Closed(Some(_)), Told::Abandoned(_)]), "{told:?}");
}
