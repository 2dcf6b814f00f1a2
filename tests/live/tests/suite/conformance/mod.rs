//! The same hand-built requests to the in-memory cluster and to Apache Kafka 4.4: their answers are compared field by field.
//!
//! What Apache Kafka answers is written down in `tests/live/answers`, so that the in-memory cluster is compared without it too:
//! on Apache Kafka this test holds what is written down against the brokers, on the in-memory cluster against that one, and
//! `docs/conformance.md` against both. `UPDATE_DOCS=1` writes instead: first on Apache Kafka, then on the in-memory cluster.

mod absent;
mod access;
mod batch;
mod cluster;
mod commits;
mod fetch;
mod groups;
mod offsets;
mod pairs;
mod produce;
mod report;
mod rules;
mod script;
mod shape;
mod topics;

use crate::transactions::is_newest;
use anyhow::{Context, Result, ensure};
use klamm_live::{Behaviour, Kind, Target};
use script::{Answer, Script};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::of_harness("requests_by_hand_are_answered_as_apache_kafka_does", check)
        .on(is_newest)
        .alone()
        .within(Duration::from_secs(240))];

/// Each conversation, and the rules it is about.
type Play = fn(&mut Script) -> Result<()>;
const SCRIPTS: &[(&str, Play)] = &[
    // Groups first: those behind them ask about the internal topic that these make.
    ("groups", groups::play),
    ("commits", commits::play),
    ("pairs", pairs::play),
    ("access", access::play),
    ("produce", produce::play),
    ("fetch", fetch::play),
    ("offsets", offsets::play),
    ("cluster", cluster::play),
    ("topics", topics::play),
    // It kills a broker.
    ("absent", absent::play),
];

/// Answers of the in-memory cluster that are known to differ, and why.
const DIFFERENT: &[(&str, &str, &str)] =
    &[("D 2.11", "a partition without leader", "no eligible leader replicas (KIP-966) are kept in memory")];

/// One answer of each cluster.
struct Pair {
    rule: String,
    what: String,
    kafka: String,
    here: String,
}

fn check(target: &Target) -> Result<()> {
    let mut all: Vec<Pair> = Vec::new();
    let target = &target.of_its_own()?;
    for (name, play) in SCRIPTS {
        let mut script = Script::with(target);
        play(&mut script).with_context(|| format!("{name} on {}", target.kind().name()))?;
        let path = folder().join(format!("{name}.txt"));
        if target.kind().is_real() && writes() {
            std::fs::write(&path, written(&script.answers))?;
        }
        let kafka = read(&std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?);
        all.extend(pairs(kafka, script.answers)?);
    }
    let is_known = |pair: &Pair| DIFFERENT.iter().any(|(rule, what, _)| *rule == pair.rule && *what == pair.what);
    let on_kafka = target.kind() != Kind::Memory;
    let odd = all.iter().filter(|pair| (pair.kafka == pair.here) == (is_known(pair) && !on_kafka));
    let odd: Vec<String> = odd.map(told).collect();
    if !on_kafka {
        let report = report::of(&all);
        eprintln!("{}", report::sums(&all));
        let path = workspace().join("docs/conformance.md");
        if writes() {
            std::fs::write(&path, &report)?;
        }
        let stands = std::fs::read_to_string(&path).unwrap_or_default();
        ensure!(odd.is_empty(), "{} answers differ:\n{}", odd.len(), odd.join("\n"));
        ensure!(stands == report, "{} is not what this run found; UPDATE_DOCS=1 writes it", path.display());
    }
    ensure!(odd.is_empty(), "{} answers differ from what is written down:\n{}", odd.len(), odd.join("\n"));
    Ok(())
}

fn told(pair: &Pair) -> String {
    let Pair { rule, what, kafka, here } = pair;
    if kafka == here {
        return format!("{rule}, {what}: listed as different, but equal");
    }
    let tokens = |text: &str| text.split(", ").map(str::to_owned).collect::<Vec<_>>();
    let (theirs, ours) = (tokens(kafka), tokens(here));
    let alike = theirs.iter().zip(&ours).take_while(|(a, b)| a == b).count();
    let behind = theirs[alike..].iter().rev().zip(ours[alike..].iter().rev()).take_while(|(a, b)| a == b).count();
    let part = |all: &[String]| all[alike..all.len() - behind].join(", ");
    format!("{rule}, {what}:\n    written down: {}\n    answered:     {}", part(&theirs), part(&ours))
}

fn writes() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("answers")
}

fn written(answers: &[Answer]) -> String {
    answers.iter().map(|a| format!("{} | {}\n    {}\n", a.rule, a.what, a.told)).collect()
}

fn read(text: &str) -> Vec<Answer> {
    let mut lines = text.lines();
    let mut answers = Vec::new();
    while let (Some(head), Some(told)) = (lines.next(), lines.next()) {
        let (rule, what) = head.split_once(" | ").unwrap_or((head, ""));
        let (rule, what) = (rule.to_owned(), what.to_owned());
        answers.push(Answer { rule, what, told: told.trim_start().to_owned() });
    }
    answers
}

/// Both tell of the same questions in the same order.
fn pairs(kafka: Vec<Answer>, here: Vec<Answer>) -> Result<Vec<Pair>> {
    let same =
        kafka.len() == here.len() && kafka.iter().zip(&here).all(|(a, b)| (&a.rule, &a.what) == (&b.rule, &b.what));
    ensure!(same, "other questions than those written down: UPDATE_DOCS=1 on Apache Kafka writes its answers");
    let pair = |(k, h): (Answer, Answer)| Pair { rule: k.rule, what: k.what, kafka: k.told, here: h.told };
    Ok(kafka.into_iter().zip(here).map(pair).collect())
}
