//! Dialling and greeting, by the clock.

use super::*;
use crate::config::builder;

fn at(ms: u64) -> Now {
    Now { mono: Time(ms * 1_000_000), ..Now::default() }
}

/// How long each of `count` greetings in a row may take, in milliseconds, if nobody ever answers.
fn greetings(config: builder::Config, count: usize) -> Vec<u64> {
    let config = Arc::new(config.resolve().expect("valid"));
    let (mut cluster, mut rng, mut stats) = (Cluster::new(config), Rng::new(5), Stats::default());
    let needs = Needs { any: [Lane::Control].into(), ..Needs::default() };
    let (view, mut now, mut took) = (View::default(), at(0), Vec::new());
    cluster.want(now, &needs, &view, &mut rng, &mut stats);
    while took.len() < count {
        match cluster.poll_action() {
            Some(Action::Connect { conn, .. }) => {
                cluster.handle_connected(now, conn, &mut stats);
                let due = cluster.poll_timeout(now.mono).expect("the greeting has a deadline").at;
                took.push((due.0 - now.mono.0) / 1_000_000);
            }
            Some(_) => {}
            None => {
                let due = cluster.poll_timeout(now.mono).expect("somebody is dialled again").at;
                now = Now { mono: due, ..now };
                cluster.handle_timeout(now, &view, &mut rng, &mut stats);
                assert!(cluster.poll_response(now, &mut rng, &mut stats).is_none());
                cluster.want(now, &needs, &view, &mut rng, &mut stats);
            }
        }
    }
    took
}

#[test]
fn a_greeting_has_the_limit_of_a_connection_and_more_time_after_each_failure() {
    // As Java's ClusterConnectionStates: doubled with each failure, a fifth more or less, never above the maximum.
    let table =
        [(10_000, 30_000, &[10_000, 20_000, 30_000, 30_000][..]), (1_000, 5_000, &[1_000, 2_000, 4_000, 5_000, 5_000])];
    for (first, max, limits) in table {
        let config = builder::Config::new("127.0.0.1:9092")
            .set("socket.connection.setup.timeout.ms", first)
            .set("socket.connection.setup.timeout.max.ms", max);
        let took = greetings(config, limits.len());
        for (took, limit) in took.iter().zip(limits) {
            let (least, most) = (limit * 8 / 10, (limit * 12 / 10).min(max));
            assert!((least..=most).contains(took), "{took} is not about {limit} (at most {max})");
        }
    }
}
