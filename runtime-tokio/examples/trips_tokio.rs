//! Round trips of the driver on tokio against an echo server on loopback: `cargo run --release -p klamm-tokio --example trips_tokio`.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../runtime-blocking/tests/echo/mod.rs"]
mod echo;

use klamm_core::driver::Net;
use klamm_tokio::TokioNet;
use tokio::runtime::Builder;

fn main() -> std::io::Result<()> {
    let one = Builder::new_current_thread().enable_all().build()?;
    echo::measure("tokio, current thread", |plan| {
        one.block_on(async {
            let net = TokioNet::on(one.handle().clone());
            let (machine, told) = echo::Echo::new(plan, net.clock());
            net.run(machine).await;
            told
        })
    });
    let many = Builder::new_multi_thread().enable_all().build()?;
    echo::measure("tokio, multi thread", |plan| {
        let net = TokioNet::on(many.handle().clone());
        let (machine, told) = echo::Echo::new(plan, net.clock());
        net.start(machine);
        told
    });
    Ok(())
}
