//! `docs/conformance.md`: which rules are asked about, and how the answers compare.

use super::rules::{ASKED, NOT_ASKED, Why};
use super::shape::MAY_DIFFER;
use super::{DIFFERENT, Pair};
use std::fmt::Write as _;

const HEAD: &str = "\
# How faithful the in-memory cluster is

`klamm-cluster` answers as Apache Kafka 4.4 does. This page is made by a test that sends the same hand-built requests to both and compares
the answers field by field. What Apache Kafka answered is written down in `tests/live/answers`; a run on Apache Kafka checks that it still does.

```sh
cargo test -p klamm-live --test suite -- answered_as_apache_kafka                     # both
cargo test -p klamm-live --test suite -- in_memory::harness::requests_by_hand         # without Java
UPDATE_DOCS=1 cargo test -p klamm-live --test suite -- answered_as_apache_kafka --test-threads 1   # writes both again
```

Rules bear the numbers that the comments of `tests/cluster` cite: `D` those of the data plane, `C` those of coordinators and the controller.
The rules of transactions (C 5) have a conversation of their own in `tests/live/tests/suite/transactions`, some 120 answers on both clusters.
";

/// Counts in one line.
pub(super) fn sums(all: &[Pair]) -> String {
    let different = all.iter().filter(|pair| pair.kafka != pair.here).count();
    let count = |why: Why| NOT_ASKED.iter().filter(|(_, _, w, _)| *w == why).count();
    let differs = |rule: &str| all.iter().any(|pair| pair.rule == rule && pair.kafka != pair.here);
    let rules = ASKED.iter().filter(|(rule, _)| differs(rule)).count();
    format!(
        "{} rules asked about by {} requests: {} rules equal, {rules} different ({} answers equal, {different} different); \
         {} rules guarded by other tests, {} not implemented.",
        ASKED.len(),
        all.len(),
        ASKED.len() - rules,
        all.len() - different,
        count(Why::Elsewhere),
        count(Why::NotImplemented),
    )
}

pub(super) fn of(all: &[Pair]) -> String {
    let mut out =
        format!("{HEAD}\n**{}**\n\n## Asked about\n\n| Rule | What | Answers | |\n|---|---|---|---|\n", sums(all));
    for (rule, title) in ASKED {
        let pairs: Vec<&Pair> = all.iter().filter(|pair| pair.rule == *rule).collect();
        let different = pairs.iter().filter(|pair| pair.kafka != pair.here).count();
        let verdict = match (pairs.len(), different) {
            (0, _) => "**no answer**".to_owned(),
            (_, 0) => "equal".to_owned(),
            (_, n) => format!("**{n} different**"),
        };
        let _ = writeln!(out, "| {rule} | {title} | {} | {verdict} |", pairs.len());
    }
    let unlisted = all.iter().filter(|pair| ASKED.iter().all(|(rule, _)| *rule != pair.rule));
    for pair in unlisted {
        let _ = writeln!(out, "| {} | **not in the list of rules** | | |", pair.rule);
    }
    out.push_str("\n## Answers that differ\n\n");
    if DIFFERENT.is_empty() {
        out.push_str("None.\n");
    }
    for (rule, what, why) in DIFFERENT {
        let _ = writeln!(out, "- {rule}, {what}: {why}");
    }
    out.push_str("\n## Not asked about\n\n| Rule | What | | |\n|---|---|---|---|\n");
    for (rule, title, why, text) in NOT_ASKED {
        let why = match why {
            Why::Elsewhere => "guarded elsewhere",
            Why::NotImplemented => "not implemented",
        };
        let _ = writeln!(out, "| {rule} | {title} | {why} | {text} |");
    }
    out.push_str("\n## What may differ\n\nOf a number in these fields it is compared whether it is negative, zero or positive, of a text and an id whether there is one.\n\n| Field | Why |\n|---|---|\n");
    for (field, why) in MAY_DIFFER {
        let _ = writeln!(out, "| `{field}` | {why} |");
    }
    out
}
