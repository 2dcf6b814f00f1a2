//! Configuration and error codes compared with the official client, which is asked itself: a small Java program prints its
//! definitions, takes or refuses values, makes clients of settings, and reads `.properties` texts.

use klamm_core::ErrorCode;
use klamm_core::config::builder::{Config, ConsumerConfig, ProducerConfig};
use klamm_core::config::{AutoCommit, Defaults, Key, Kind, Range, Section, Source, keys, markdown, properties};
use klamm_parity::jar::{KAFKA, artifact, skipped};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The client whose defaults the preset has.
const OLD: &str = "2.5.1";

/// Asks the Java program; `None`, with an explanation on stderr, where there is no Java or no jar.
fn ask(test: &str, kafka: &str, what: &str, questions: &[String]) -> Option<Vec<String>> {
    let jars = [("org.apache.kafka", "kafka-clients", kafka), ("org.slf4j", "slf4j-api", "1.7.36")];
    let jars: Result<Vec<_>, _> = jars.iter().map(|(group, name, version)| artifact(group, name, version)).collect();
    let answer = jars.and_then(|jars| {
        let path = std::env::join_paths(jars).map_err(|e| e.to_string())?;
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/ConfigFacts.java");
        let mut java = Command::new("java")
            .arg("-cp")
            .arg(path)
            .arg(program)
            .arg(what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("java does not start: {e}"))?;
        let mut stdin = java.stdin.take().ok_or("no stdin")?;
        let all: String = questions.iter().map(|line| format!("{line}\n")).collect();
        let asked = std::thread::spawn(move || stdin.write_all(all.as_bytes()));
        let output = java.wait_with_output().map_err(|e| e.to_string())?;
        let _ = asked.join();
        Ok(output)
    });
    match answer {
        Ok(output) => {
            assert!(output.status.success(), "{test}: the Java program failed");
            Some(String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect())
        }
        Err(why) => {
            skipped(test, &why);
            None
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

fn text(hex: &str) -> String {
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex")).collect();
    String::from_utf8(bytes).expect("UTF-8")
}

/// One definition of the official client.
struct Definition {
    role: String,
    name: String,
    kind: String,
    default: Option<String>,
}

fn definitions(test: &str, kafka: &str) -> Option<Vec<Definition>> {
    let lines = ask(test, kafka, "definitions", &[])?;
    assert!(lines.len() > 150, "only {} definitions", lines.len());
    let read = |line: &String| {
        let fields: Vec<_> = line.split('\t').collect();
        let default = (fields[3] != "-").then(|| text(fields[3]));
        Definition { role: fields[0].into(), name: fields[1].into(), kind: fields[2].into(), default }
    };
    Some(lines.iter().map(read).collect())
}

/// Defaults that are meant to differ, and why.
fn other_default(role: &str, key: &str) -> Option<&'static str> {
    Some(match (role, key) {
        (_, "client.id") => "a name that brokers can show",
        (_, "receive.buffer.bytes") => "a fixed window cuts large answers into dozens of reads",
        ("admin", "connections.max.idle.ms") => "connections are shared by all roles",
        (_, "enable.metrics.push") => "not there yet",
        (_, "metric.reporters") => "there is no JMX",
        (_, "partition.assignment.strategy") => "cooperative-sticky is not there yet",
        _ => return None,
    })
}

#[test]
fn keys_kinds_and_defaults_are_those_of_the_official_client() {
    let Some(java) = definitions("config keys and defaults", KAFKA) else { return };
    let mut seen = BTreeSet::new();
    for def in &java {
        let place = format!("{} {}", def.role, def.name);
        let key = keys::all().find(|key| key.name == def.name).unwrap_or_else(|| panic!("{place} is no key of klamm"));
        seen.insert(key.name);
        assert_eq!(key.source, Source::Java, "{place}");
        let kind = match key.kind {
            Kind::Bool => "BOOLEAN",
            Kind::Short => "SHORT",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::Text => "STRING",
            Kind::List => "LIST",
            Kind::Password => "PASSWORD",
            Kind::Class => "CLASS",
        };
        assert_eq!(kind, def.kind, "{place}");
        let section = match (def.role.as_str(), key.name) {
            // Retries of administration are bounded by time.
            ("admin", "retries") => Section::Producer,
            // One key for both roles.
            ("producer", "interceptor.classes") => Section::Consumer,
            ("producer", _) => Section::Producer,
            ("consumer", _) => Section::Consumer,
            _ => Section::Client,
        };
        assert!(key.section == section || key.section == Section::Client, "{place} is a key of the {:?}", key.section);
        let same = key.default.unwrap_or_default().eq_ignore_ascii_case(&plain(def.default.as_deref()));
        match other_default(&def.role, key.name) {
            None => assert!(same, "{place}: {:?} is not Java's {:?}", key.default, def.default),
            Some(_) if def.role == "admin" || key.name == "enable.metrics.push" => {}
            Some(why) => assert!(!same, "{place} is said to differ ({why}), but does not"),
        }
    }
    for key in keys::all().filter(|key| key.source == Source::Java) {
        assert!(seen.contains(key.name), "{} is no key of Java's", key.name);
    }
}

/// A default without Java's decoration.
fn plain(default: Option<&str>) -> String {
    let parts = default.unwrap_or_default().split(',').map(|part| part.trim().trim_start_matches("class "));
    parts.collect::<Vec<_>>().join(",")
}

#[test]
fn the_preset_has_the_defaults_of_2_5() {
    let (Some(old), Some(new)) = (definitions("config preset", OLD), definitions("config preset", KAFKA)) else {
        return;
    };
    let of = |defs: &[Definition]| -> BTreeMap<(String, String), String> {
        defs.iter().map(|d| ((d.role.clone(), d.name.clone()), plain(d.default.as_deref()))).collect()
    };
    let (old, new) = (of(&old), of(&new));
    // Names of the JVM, TLS that is not there yet, and the meaning of a missing value.
    let apart = [
        "bootstrap.servers",
        "client.dns.lookup",
        "metric.reporters",
        "partitioner.class",
        "partition.assignment.strategy",
    ];
    let mut moved = BTreeSet::new();
    for ((role, name), then) in &old {
        let Some(now) = new.get(&(role.clone(), name.clone())) else { continue };
        if then == now || apart.contains(&name.as_str()) || name.starts_with("ssl.") {
            continue;
        }
        let key = keys::find(name).expect("a key");
        assert_eq!(key.default_in(Defaults::Kafka25).unwrap_or_default(), then, "{role} {name}");
        moved.insert(key.name);
    }
    assert!(moved.contains("acks") && moved.contains("session.timeout.ms"), "{moved:?}");
    // What 2.5 did not have at all works as it did without it.
    let added = ["metadata.recovery.strategy", "retry.backoff.max.ms"];
    for key in keys::all().filter(|key| key.kafka_2_5.is_some() && !moved.contains(key.name)) {
        assert!(added.contains(&key.name), "{} was the same in 2.5", key.name);
    }
}

/// Values around every bound that any key has, and some that no key takes.
const PROBES: &[&str] = &[
    "",
    "x",
    "-131073",
    "-131072",
    "-3",
    "-2",
    "-1",
    "0",
    "1",
    "2",
    "5",
    "9",
    "10",
    "17",
    "18",
    "22",
    "23",
    "300",
    "900",
    "901",
    "3600",
    "3601",
    "4999",
    "5000",
    "32767",
    "32768",
    "86400",
    "86401",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "0.4",
    "0.5",
    "1.0",
    "1.1",
    "0.25",
    "0.26",
    "true",
    "false",
    "True",
    "yes",
    "all",
    "ALL",
    "none",
    "gzip",
    "zstd",
    "snappy",
    "lz4",
    "brotli",
    "earliest",
    "latest",
    "by_duration:PT1H",
    "by_duration:P1D",
    "by_duration:1h",
    "by_duration:",
    "by_duration:PT-1H",
    "read_committed",
    "READ_COMMITTED",
    "read_uncommitted",
    "classic",
    "CONSUMER",
    "implicit",
    "record_limit",
    "use_all_dns_ips",
    "default",
    "rebootstrap",
    "NONE",
    "INFO",
    "debug",
    "TRACE",
    "SSL",
    "sasl_ssl",
    "PLAINTEXT",
    "full",
    "incremental",
    " 5 ",
    "+5",
    "smallest",
];

/// Whether klamm is meant to judge a value otherwise, and why.
fn other_judgement(key: &Key, value: &str) -> Option<&'static str> {
    let negative = value.trim().starts_with('-');
    Some(match key.name {
        "session.timeout.ms" | "heartbeat.interval.ms" if negative || value == "0" => "no group works with it",
        "socket.connection.setup.timeout.ms" | "socket.connection.setup.timeout.max.ms" if negative || value == "0" => {
            "no connection comes up in no time"
        }
        "transaction.timeout.ms" if negative || value == "0" => "no coordinator takes it",
        "connections.max.idle.ms" if negative => "never has one spelling",
        "auto.offset.reset" if value == "smallest" || value.eq_ignore_ascii_case("none") => "librdkafka's spelling",
        "client.dns.lookup" if value == "default" => "2.5's spelling",
        _ if key.kind == Kind::Bool && matches!(value, "1" | "0") => "librdkafka's spelling",
        _ if key.unit == "ms" && value.contains('.') => "times may have a fraction",
        _ if matches!(key.range, Range::Words(words) if words.contains(&value.to_ascii_lowercase().as_str())) => {
            "the case of a word does not matter"
        }
        // Lists and classes are judged where their parts are looked up.
        _ if matches!(key.kind, Kind::List | Kind::Class) => "judged with its parts",
        _ => return None,
    })
}

#[test]
fn values_are_taken_and_refused_as_by_the_official_client() {
    let test = "config ranges";
    let Some(java) = definitions(test, KAFKA) else { return };
    let mut questions = vec![];
    let mut asked = vec![];
    for def in &java {
        let key = keys::find(&def.name).unwrap_or_else(|| panic!("{} is no key of klamm", def.name));
        for value in PROBES {
            questions.push(format!("{}\t{}\t{}", def.role, def.name, hex(value)));
            asked.push((key, *value));
        }
    }
    let Some(answers) = ask(test, KAFKA, "probe", &questions) else { return };
    assert_eq!(answers.len(), asked.len());
    let mut wrong = vec![];
    for ((key, value), answer) in asked.iter().zip(&answers) {
        let ours = key.check(value);
        if ours.is_ok() != (answer == "true") && other_judgement(key, value).is_none() {
            wrong.push(format!("{}={value:?}: Java says {answer}, klamm {ours:?}", key.name));
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn settings_that_contradict_each_other_are_refused_as_by_the_official_client() {
    let cases: &[(&str, &[&str])] = &[
        ("producer", &[]),
        ("producer", &["acks=1"]),
        ("producer", &["acks=0"]),
        ("producer", &["retries=0"]),
        ("producer", &["acks=all", "retries=5"]),
        ("producer", &["enable.idempotence=true"]),
        ("producer", &["enable.idempotence=false"]),
        ("producer", &["enable.idempotence=true", "acks=1"]),
        ("producer", &["enable.idempotence=true", "acks=0"]),
        ("producer", &["enable.idempotence=true", "acks=-1"]),
        ("producer", &["enable.idempotence=true", "retries=0"]),
        ("producer", &["enable.idempotence=true", "max.in.flight.requests.per.connection=6"]),
        ("producer", &["max.in.flight.requests.per.connection=6"]),
        ("producer", &["max.in.flight.requests.per.connection=5"]),
        ("producer", &["max.in.flight.requests.per.connection=6", "acks=1"]),
        ("producer", &["max.in.flight.requests.per.connection=6", "enable.idempotence=false"]),
        ("producer", &["delivery.timeout.ms=30005"]),
        ("producer", &["delivery.timeout.ms=30004"]),
        ("producer", &["linger.ms=200000"]),
        ("producer", &["linger.ms=200000", "delivery.timeout.ms=120000"]),
        ("producer", &["request.timeout.ms=200000"]),
        ("producer", &["compression.type=gzip", "compression.gzip.level=0"]),
        ("producer", &["retry.backoff.ms=5000"]),
        ("producer", &["reconnect.backoff.ms=5000"]),
        ("consumer", &[]),
        ("consumer", &["group.id=g"]),
        ("consumer", &["enable.auto.commit=true"]),
        ("consumer", &["enable.auto.commit=false"]),
        ("consumer", &["group.id=g", "enable.auto.commit=true"]),
        ("consumer", &["group.id=g", "session.timeout.ms=3000"]),
        ("consumer", &["group.id=g", "session.timeout.ms=3001"]),
        ("consumer", &["group.id=g", "auto.offset.reset=by_duration:PT1H"]),
        ("consumer", &["group.id=g", "group.instance.id="]),
        ("consumer", &["group.id=g", "group.remote.assignor=uniform"]),
    ];
    let question = |(role, pairs): &(&str, &[&str])| {
        let fields = std::iter::once((*role).to_owned()).chain(pairs.iter().map(|pair| hex(pair)));
        fields.collect::<Vec<_>>().join("\t")
    };
    let questions: Vec<_> = cases.iter().map(question).collect();
    let Some(answers) = ask("config rules", KAFKA, "rules", &questions) else { return };
    assert_eq!(answers.len(), cases.len());
    for ((role, pairs), answer) in cases.iter().zip(&answers) {
        let ours = match *role {
            "producer" => {
                let section =
                    pairs.iter().filter_map(|p| p.split_once('=')).filter(|(k, _)| *k != "reconnect.backoff.ms");
                let section = section.fold(ProducerConfig::new(), |section, (key, value)| section.set(key, value));
                Config::new("127.0.0.1:9").resolve_producer(&section).map(|config| config.enable_idempotence)
            }
            _ => {
                let section = pairs.iter().filter_map(|p| p.split_once('='));
                let section =
                    section.fold(ConsumerConfig::standalone(), |section, (key, value)| section.set(key, value));
                let config = Config::new("127.0.0.1:9").resolve_consumer(&section);
                config.map(|config| config.auto_commit != AutoCommit::Off)
            }
        };
        let ours_said = match &ours {
            Ok(switch) => format!("true\t{switch}"),
            Err(_) => "false".into(),
        };
        assert_eq!(&ours_said, answer, "{role} {pairs:?}: klamm says {ours:?}");
    }
}

#[test]
fn properties_are_read_as_java_reads_them() {
    let mut rng = fastrand::Rng::with_seed(0x6b6c_616d);
    let pieces = [
        "a",
        "b.c",
        "=",
        ":",
        " ",
        "\t",
        "\u{c}",
        "\n",
        "\r",
        "\r\n",
        "\\",
        "\\\\",
        "\\\n",
        "\\\n  ",
        "#",
        "!",
        "\\u0041",
        "\\u00e9",
        "\\u12",
        "\\n",
        "\\t",
        "\\ ",
        "\\=",
        "\\:",
        "é",
        "😀",
        "x=y",
        "\nkey=value\n",
        "\\u",
        "0",
        "\\r",
        "\\q",
    ];
    let texts: Vec<String> =
        (0..3000).map(|_| (0..rng.usize(1..14)).map(|_| pieces[rng.usize(..pieces.len())]).collect()).collect();
    let questions: Vec<_> = texts.iter().map(|text| hex(text)).collect();
    let Some(answers) = ask("properties", KAFKA, "properties", &questions) else { return };
    assert_eq!(answers.len(), texts.len());
    let mut malformed = 0;
    for (given, answer) in texts.iter().zip(&answers) {
        let ours: Result<BTreeMap<_, _>, _> = properties::parse(given).into_iter().map(|line| line.pair).collect();
        // A lone backslash at the very end of a text is an empty key to Java's reader, anywhere else it is none.
        let named = |mut pairs: BTreeMap<String, String>| {
            pairs.remove("");
            pairs
        };
        let java = answer.strip_prefix("read").map(|rest| {
            let fields: Vec<_> = rest.split('\t').skip(1).map(text).collect();
            fields.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect::<BTreeMap<_, _>>()
        });
        malformed += usize::from(java.is_none());
        assert_eq!(ours.ok().map(named), java.map(named), "{given:?}");
    }
    assert!((100..2900).contains(&malformed), "{malformed} of {} are malformed", texts.len());
}

#[test]
fn error_codes_are_those_of_the_official_client() {
    let Some(lines) = ask("error codes", KAFKA, "errors", &[]) else { return };
    let java: BTreeMap<i16, (String, bool)> = lines
        .iter()
        .map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            (fields[0].parse().expect("a number"), (fields[1].into(), fields[2] == "true"))
        })
        .collect();
    assert!(java.len() > 130);
    let ours =
        ErrorCode::ALL.iter().map(|code| (code.0, (code.name().unwrap_or_default().to_owned(), code.is_retriable())));
    assert_eq!(ours.collect::<BTreeMap<_, _>>(), java);
}

#[test]
fn the_page_of_keys_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    let page = markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("docs/config.md can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/config.md is not what the table says; UPDATE_DOCS=1 cargo test -p klamm-parity --test config writes it"
    );
}
