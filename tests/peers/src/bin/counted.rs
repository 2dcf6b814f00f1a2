//! The same programs with every allocation of Rust counted: that costs time, so their times are not looked at.

#[global_allocator]
static COUNTED: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> Result<(), klamm_peers::Failure> {
    klamm_peers::main(Some(|| {
        let stats = COUNTED.stats();
        stats.allocations as u64 + stats.reallocations as u64
    }))
}
