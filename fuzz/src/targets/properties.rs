//! Texts in the syntax of `.properties` files, and what a configuration makes of them.

use klamm_core::config::builder::{Config, ConsumerConfig, ProducerConfig, TopicConfig};
use klamm_core::config::{Report, keys, properties};

/// What is shown in place of a secret.
const MASK: &str = "***";

/// The bytes are a file. It is parsed, judged and resolved: every problem has words, a judgement without errors is one that
/// resolves, and nothing that is printed tells a secret.
pub fn properties(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = properties::parse(&text);
    assert!(lines.iter().map(|line| line.number).is_sorted());
    let config = Config::from_named_properties("fuzz.properties", &text);
    let report = config.report();
    words(&report);
    assert_eq!(config.validate().is_ok(), report.errors.is_empty(), "{report:?}");
    if report.errors.is_empty() {
        config.resolve().expect("a report without errors");
        config.resolve_producer(&config.producer_section()).expect("a report without errors");
    }
    sections(&config, &lines);
    assert!(!format!("{config} {config:?} {report:?}").is_empty());
    for setting in config.settings() {
        let key = keys::find(setting.key).expect("a setting is a key");
        let hidden = setting.value == MASK || setting.value.is_empty();
        assert!(hidden || !key.is_secret(), "{setting} is told");
    }
}

fn words(report: &Report) {
    for problem in report.errors.iter().chain(&report.warnings).chain(&report.notes) {
        assert!(!problem.text.is_empty() && problem.to_string().len() >= problem.text.len());
    }
}

/// The same pairs by the setters of each role.
fn sections(config: &Config, lines: &[properties::Line]) {
    let (mut producer, mut topic, mut consumer) =
        (ProducerConfig::new(), TopicConfig::new(), ConsumerConfig::standalone());
    for (key, value) in lines.iter().filter_map(|line| line.pair.as_ref().ok()) {
        producer = producer.set(key, value);
        topic = topic.set(key, value);
        consumer = consumer.set(key, value);
    }
    let producer = producer.topic("t", topic);
    let both = config.clone().producer(producer.clone()).consumer(consumer.clone());
    words(&both.report());
    for refused in
        [both.resolve_producer(&producer).err(), both.resolve_consumer(&consumer).err()].into_iter().flatten()
    {
        assert!(!refused.to_string().is_empty());
    }
}
