//! Round trips of the driver on async-std against an echo server on loopback: `cargo run --release -p klamm-async-std --example trips_async_std`.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../runtime-blocking/tests/echo/mod.rs"]
mod echo;

use klamm_async_std::AsyncStdNet;
use klamm_core::driver::Net;

fn main() {
    echo::measure("async-std", |plan| {
        let net = AsyncStdNet::new();
        let (machine, told) = echo::Echo::new(plan, net.clock());
        net.start(machine);
        told
    });
}
