//! `klamm topics`, `cluster`, `groups`, `acls`, `configs` against `klamm mock`.

mod mock;
mod support;

use mock::Mock;
use support::{klamm, run};

fn lines(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn topics_are_created_listed_described_grown_and_deleted() {
    let mock = Mock::start(&["--brokers", "3"]);
    let create = ["topics", "create", "orders", "--partitions", "2", "--replication-factor", "3"];
    mock.run(&[&create[..], &["--config", "retention.ms=1000"]].concat()).ok();
    let out = mock.run(&["topics", "list"]).ok();
    assert_eq!(lines(&out)[1][..2], ["orders", "2"]);
    let out = mock.run(&["configs", "--topic", "orders"]).ok();
    assert_eq!(lines(&out)[1], ["topic", "orders", "retention.ms", "1000", "topic"]);

    mock.run(&["topics", "grow", "orders", "--partitions", "3"]).ok();
    let out = mock.run(&["topics", "describe", "orders"]).ok();
    assert_eq!(lines(&out).len(), 4);
    assert_eq!(lines(&out)[3][..2], ["orders", "2"]);
    let out = mock.run(&["topics", "describe", "-J"]).ok();
    let topic: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(topic["partitions"].as_array().unwrap().len(), 3);

    assert!(mock.run(&create).failed(1).contains("TOPIC_ALREADY_EXISTS"));
    mock.run(&[&create[..], &["--if-not-exists"]].concat()).ok();
    mock.run(&["topics", "delete", "orders"]).ok();
    assert!(mock.run(&["topics", "describe", "orders"]).failed(1).contains("topic \"orders\""));
    assert_eq!(lines(&mock.run(&["topics", "list"]).ok()).len(), 1);
}

#[test]
fn one_bad_topic_does_not_keep_the_good_one_from_being_created() {
    let mock = Mock::start(&[]);
    let err = mock.run(&["topics", "create", "good", "not/good"]).failed(1);
    assert!(err.contains("good created") && err.contains("not/good"), "{err}");
    assert_eq!(lines(&mock.run(&["topics", "list"]).ok())[1][0], "good");
}

#[test]
fn the_cluster_shows_its_brokers_on_every_runtime() {
    let mock = Mock::start(&["--brokers", "2"]);
    for runtime in ["tokio", "async-std", "blocking"] {
        let out = mock.run(&["cluster", "--runtime", runtime]).ok();
        assert_eq!(lines(&out).len(), 3, "{runtime}: {out}");
        let addresses: Vec<&str> = lines(&out)[1..].iter().map(|line| line[1]).collect();
        assert_eq!(addresses.join(","), mock.bootstrap);
    }
}

#[test]
fn acls_are_created_listed_and_deleted() {
    let mock = Mock::start(&[]);
    let rule = ["--principal", "User:a", "--operation", "read", "--topic", "orders", "--group", "g"];
    mock.run(&[&["acls", "create"][..], &rule].concat()).ok();
    let out = mock.run(&["acls"]).ok();
    assert_eq!(lines(&out)[1], ["topic", "orders", "literal", "allow", "User:a", "read", "*"]);
    assert_eq!(lines(&out)[2][..2], ["group", "g"]);
    mock.run(&["acls", "delete", "--group", "g"]).ok();
    assert_eq!(lines(&mock.run(&["acls", "list"]).ok()).len(), 2);
    mock.run(&["acls", "delete"]).failed(2);
    mock.run(&["acls", "create", "--principal", "User:a"]).failed(2);
}

#[test]
fn configurations_change_key_by_key() {
    let mock = Mock::start(&["--topic", "t:1"]);
    mock.run(&["configs", "--topic", "t", "--set", "retention.ms=5", "--set", "segment.ms=7"]).ok();
    mock.run(&["configs", "--topic", "t", "--delete", "retention.ms"]).ok();
    let out = mock.run(&["configs", "--topic", "t", "-J"]).ok();
    let entry: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((entry["key"].as_str(), entry["value"].as_str()), (Some("segment.ms"), Some("7")));
    assert!(mock.run(&["configs", "--topic", "t", "--set", "retention.ms=soon"]).failed(1).contains("topic \"t\""));
    mock.run(&["configs"]).failed(2);
}

#[test]
fn groups_that_nobody_knows_are_a_failure() {
    let mock = Mock::start(&[]);
    assert_eq!(lines(&mock.run(&["groups"]).ok()), [["GROUP", "STATE", "TYPE"]]);
    assert!(mock.run(&["groups", "nobody"]).failed(1).contains("nobody"));
    mock.run(&["groups", "--state", "Tired"]).failed(2);
}

#[test]
fn transactional_ids_are_listed_described_and_fenced() {
    let mock = Mock::start(&["--topic", "t:2"]);
    let heads = ["TRANSACTIONAL_ID", "COORDINATOR", "PRODUCER_ID", "STATE"];
    assert_eq!(lines(&mock.run(&["transactions", "list"]).ok()), [heads]);
    let produce = ["produce", "-t", "t", "--transactional-id", "pay", "-b", &mock.bootstrap];
    run(klamm(&produce), b"one\ntwo\n").ok();
    let listed = mock.run(&["transactions", "list", "--state", "CompleteCommit", "--matching", "p.y"]).ok();
    assert_eq!(lines(&listed)[1][..2], ["pay", "1"]);
    assert_eq!(lines(&mock.run(&["transactions", "list", "--state", "ongoing"]).ok()).len(), 1);
    mock.run(&["transactions", "list", "--state", "Tired"]).failed(2);

    let out = mock.run(&["transactions", "producers", "t", "-J"]).ok();
    let known: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!((&known["topic"], &known["start_offset"]), (&"t".into(), &serde_json::Value::Null));
    assert_eq!(lines(&mock.run(&["transactions", "producers", "t", "--open"]).ok()).len(), 1);
    assert_eq!(lines(&mock.run(&["transactions", "find-hanging", "--idle-for", "0"]).ok()).len(), 1);
    let err = mock.run(&["transactions", "abort", "t", "0", "--start-offset", "0"]).failed(1);
    assert!(err.contains("no open transaction of t-0"), "{err}");

    let fenced = mock.run(&["transactions", "fence", "pay"]);
    assert!(fenced.err.contains("pay fenced"), "{fenced:?}");
    let out = mock.run(&["transactions", "describe", "pay"]).ok();
    assert_eq!(lines(&out)[1][4], "Empty");
    assert!(mock.run(&["transactions", "describe", "nobody"]).failed(1).contains("TRANSACTIONAL_ID_NOT_FOUND"));
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let mock = Mock::start(&[]);
    run(klamm(&["cluster"]), b"").failed(2);
    run(klamm(&["nonsense"]), b"").failed(2);
    mock.run(&["cluster", "-X", "no.such.key=1"]).failed(2);
    mock.run(&["cluster", "-X", "request.timeout.ms"]).failed(2);
    // Nobody listens there.
    run(klamm(&["cluster", "-b", "127.0.0.1:1", "-m", "0.5"]), b"").failed(1);
}

#[test]
fn settings_come_from_a_file_the_environment_and_the_command_line() {
    let mock = Mock::start(&[]);
    let file = std::env::temp_dir().join(format!("klamm-{}.properties", std::process::id()));
    std::fs::write(&file, format!("bootstrap.servers={}\nclient.id=from-a-file\n", mock.bootstrap)).unwrap();
    let path = file.to_str().unwrap();
    run(klamm(&["cluster", "-F", path]), b"").ok();
    let mut command = klamm(&["cluster"]);
    command.env("KLAMM_CONFIG", path);
    run(command, b"").ok();
    let out = run(klamm(&["cluster", "-F", path, "-X", "linger.ms=7", "-X", "dump"]), b"").ok();
    assert!(out.contains("linger.ms=7 ") && out.contains("client.id=from-a-file "), "{out}");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_closed_pipe_is_no_failure() {
    use std::io::Read;
    use std::process::Stdio;
    let mut child = klamm(&["cluster", "-X", "dump"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The reader goes before anything is read.
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn what_is_in_the_way_is_told_before_the_time_is_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap().to_string();
    drop(listener);
    let err = run(klamm(&["topics", "list", "-b", &nobody, "-m", "3.5"]), b"").failed(1);
    assert!(err.contains(&nobody) && err.contains("; trying for another "), "{err}");
    assert!(err.contains("reaching the cluster took longer than its time limit"), "{err}");
}

#[test]
fn the_transaction_version_of_the_mock_is_the_one_that_was_asked_for() {
    use klamm::{Blocking, Config, Kafka, Route};
    let name = b"transaction.version";
    for (level, finalized) in [("0", None), ("1", Some(1)), ("2", Some(2))] {
        let mock = Mock::start(&["--transaction-version", level]);
        let kafka = Kafka::connect(Blocking, Config::new(mock.bootstrap.as_str())).wait().unwrap();
        // ApiVersions 3 leaves out what is supported from level 0 on: only the finalized features name it.
        let answer = kafka.request_bytes(Route::Any, 18, 3, b"\x04raw\x021\x00"[..].into()).wait().unwrap();
        let found = answer.windows(name.len()).position(|part| part == name).map(|at| answer[at + name.len() + 1]);
        assert_eq!(found, finalized, "level {level}");
        let mut produce = klamm(&["produce", "-b", &mock.bootstrap, "-t", "t", "--transactional-id", "id"]);
        produce.args(["--transaction-records", "2"]);
        run(produce, b"a\nb\nc\n").ok();
        kafka.close().wait().unwrap();
    }
    run(klamm(&["mock", "--transaction-version", "3"]), b"").failed(2);
}
