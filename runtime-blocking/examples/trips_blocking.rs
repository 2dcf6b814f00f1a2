//! Round trips of the driver on its own thread against an echo server on loopback: `cargo run --release -p klamm-blocking --example trips_blocking`.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/echo/mod.rs"]
mod echo;

use klamm_blocking::BlockingNet;
use klamm_core::driver::Net;

fn main() {
    echo::measure("thread", |plan| {
        let net = BlockingNet::new().expect("a selector");
        let (machine, told) = echo::Echo::new(plan, net.clock());
        net.start(machine).expect("a thread");
        told
    });
}
