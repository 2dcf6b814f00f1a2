//! Which cells there are to run, unless some are named.

use crate::cell::Cell;

/// The work of issue-sized comparisons: both ways, both sizes, plain and compressed.
const EIGHT: [(&str, usize, &str); 8] = [
    ("produce", 100, ""),
    ("produce", 1024, ""),
    ("produce", 100, "/lz4"),
    ("produce", 1024, "/lz4"),
    ("consume", 100, ""),
    ("consume", 1024, ""),
    ("consume", 100, "/lz4"),
    ("consume", 1024, "/lz4"),
];

/// Who does each of the eight.
const PRODUCERS: [&str; 9] = [
    "librdkafka/tuned",
    "librdkafka/defaults",
    "krafka/tuned",
    "floor/tuned",
    "tokio-receipts/tuned",
    "tokio-receipts/defaults",
    "blocking-receipts/tuned",
    "blocking-receipts/defaults",
    "async-std-receipts/defaults",
];
const CONSUMERS: [&str; 7] = [
    "librdkafka/tuned",
    "librdkafka/defaults",
    "krafka/tuned",
    "floor/tuned",
    "tokio-poll/defaults",
    "blocking-poll/defaults",
    "async-std-poll/defaults",
];

/// The eight pieces of work, by the peers, by hand, and by klamm on each runtime, tuned and as it comes.
pub fn eight() -> Vec<Cell> {
    let names = EIGHT.iter().flat_map(|(what, size, codec)| {
        let all: &[&str] = if *what == "produce" { &PRODUCERS } else { &CONSUMERS };
        all.iter().map(move |who| format!("{what}/{size}/{who}{codec}"))
    });
    parsed(names)
}

/// What else there is: the other ways to use klamm, keys, partitions, threads, zstd.
pub fn others() -> Vec<Cell> {
    let mut names: Vec<String> = Vec::new();
    for size in [100, 1024] {
        for who in ["blocking-send/tuned", "blocking-batch/tuned", "tokio-send/tuned", "tokio-mt-send/defaults"] {
            names.push(format!("produce/{size}/{who}"));
        }
        names.push(format!("produce/{size}/krafka/defaults"));
        for who in ["krafka/defaults", "blocking-iter/defaults", "tokio-recv/defaults", "tokio-mt-recv/defaults"] {
            names.push(format!("consume/{size}/{who}"));
        }
        for who in ["librdkafka/tuned", "krafka/tuned", "blocking-receipts/tuned", "tokio-receipts/defaults"] {
            names.push(format!("produce/{size}/{who}/zstd"));
        }
        for who in ["librdkafka/tuned", "krafka/tuned", "blocking-poll/defaults", "tokio-poll/defaults"] {
            names.push(format!("consume/{size}/{who}/zstd"));
        }
    }
    for rest in ["keys", "p1", "p12", "t4"] {
        names.extend(
            ["librdkafka/tuned", "blocking-receipts/tuned", "blocking-receipts/defaults"]
                .map(|who| format!("produce/100/{who}/{rest}")),
        );
    }
    names.extend(
        [
            "krafka/tuned/keys",
            "floor/tuned/keys",
            "tokio-receipts/defaults/keys",
            "librdkafka/tuned/keys/p100",
            // Tuned batches would take six times the tuned memory.
            "blocking-receipts/defaults/keys/p100",
            "tokio-mt-receipts/defaults",
            "tokio-mt-receipts/defaults/t4",
        ]
        .map(|who| format!("produce/100/{who}")),
    );
    parsed(names.into_iter())
}

/// Latencies with both lingers.
pub fn latencies() -> Vec<Cell> {
    parsed([0, 5].into_iter().flat_map(|linger| {
        ["librdkafka", "krafka", "blocking-send", "tokio-send"]
            .map(move |who| format!("latency/100/{who}/linger{linger}/p1"))
    }))
}

fn parsed(names: impl Iterator<Item = String>) -> Vec<Cell> {
    names.filter_map(|name| Cell::parse(&name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_that_of_a_cell_and_none_comes_twice() {
        let all: Vec<Cell> = eight().into_iter().chain(others()).chain(latencies()).collect();
        assert_eq!(eight().len(), 4 * PRODUCERS.len() + 4 * CONSUMERS.len());
        assert_eq!(latencies().len(), 8);
        let names: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn all_work_has_the_one_whom_the_others_are_compared_with() {
        for cell in eight().into_iter().chain(others()).filter(|cell| cell.who != "tokio-mt-receipts") {
            let measure = |other: &Cell| other.is_measure() && other.work() == cell.work();
            assert!(eight().iter().chain(&others()).any(measure), "{cell}");
        }
    }
}
