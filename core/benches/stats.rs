//! What the publication of the counters costs: the driver copies them before it sleeps, and every 20 ms while it does not.

use divan::{Bencher, black_box};
use klamm_core::stats::{NodeStats, ProducerStats, Stats, TopicStats};
use klamm_core::{BrokerId, ProducerIx};

fn main() {
    divan::main();
}

fn counted(brokers: i32, topics: usize) -> Stats {
    let mut stats = Stats::default();
    stats.nodes = (0..brokers).map(|id| (BrokerId(id), NodeStats::default())).collect();
    let mut own = ProducerStats::default();
    own.topics = (0..topics).map(|n| (format!("topic-{n}").into(), TopicStats::default())).collect();
    stats.producers = vec![(ProducerIx(0), own)];
    stats
}

#[divan::bench(args = [(1, 1), (3, 10), (30, 100)])]
fn publish(bencher: Bencher<'_, '_>, (brokers, topics): (i32, usize)) {
    let (stats, mut published) = (counted(brokers, topics), Stats::default());
    bencher.bench_local(|| published.clone_from(black_box(&stats)));
}
