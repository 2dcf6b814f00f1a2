//! CPU per record of klamm and of other clients, in one alternating run against the same broker. See the library.

fn main() -> Result<(), klamm_peers::Failure> {
    klamm_peers::main(None)
}
