//! Records through the command, in both directions.

use crate::{command, feed, told};
use anyhow::{Context, Result, ensure};
use klamm_live::{Behaviour, Kind, Record, Runtime, Target};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("the_official_consumer_reads_the_lines", lines).on(Kind::is_real),
    Behaviour::of_klamm("keys_headers_nulls_and_codecs_are_written_as_asked", shapes).on(Kind::is_real),
    Behaviour::of_klamm("what_the_official_producer_wrote_comes_out_byte_for_byte", byte_for_byte).on(Kind::is_real),
    Behaviour::of_klamm("logs_of_old_message_formats_are_read", old_formats).on(|kind| !kind.is_modern()),
    Behaviour::of_klamm("offsets_and_times_bound_what_is_read", bounds).on(Kind::is_real),
    Behaviour::of_klamm("an_interrupt_commits_what_was_printed", interrupted).on(Kind::is_real),
    Behaviour::of_klamm("a_reader_that_has_seen_enough_is_no_error", broken_pipe).on(Kind::is_real),
];

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

fn lines(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("lines");
    feed(target, runtime, &format!("produce -t {topic}"), b"a\nb\n")?;
    let read = target.java()?.consume(&topic, 2, &[])?;
    let values: Vec<_> = read.iter().map(|record| record.value.as_deref()).collect();
    ensure!(values == [Some(&b"a"[..]), Some(b"b")], "{read:?}");
    Ok(())
}

fn shapes(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("shapes");
    let mut expected = Vec::new();
    for codec in CODECS {
        let words = format!("produce -t {topic} -p 0 -z {codec} -K : -Z -H codec={codec} -H a=1 -H a=2 -H none");
        feed(target, runtime, &words, b"key:value\ntombstone:\n:keyless\nalone\n")?;
        let record = Record::to(&topic).partition(0).header("codec", Some(codec.as_bytes()));
        let record = record.header("a", Some(b"1")).header("a", Some(b"2")).header("none", None);
        expected.push(record.clone().key("key").value("value"));
        expected.push(record.clone().key("tombstone"));
        expected.push(record.clone().value("keyless"));
        expected.push(record.value("alone"));
    }
    let mut read = target.java()?.consume(&topic, expected.len(), &[])?;
    for record in &mut read {
        ensure!(record.timestamp.is_some_and(|at| at > 1_700_000_000_000), "{record}");
        (record.offset, record.timestamp) = (None, None);
    }
    ensure!(read == expected, "Java read\n{read:#?}\ninstead of\n{expected:#?}");
    Ok(())
}

fn byte_for_byte(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("bytes");
    let all: Vec<u8> = (0..=255).collect();
    let mut records = Vec::new();
    for codec in CODECS {
        let at = Record::to(&topic).partition(0).codec(codec);
        records.push(at.clone().key(format!("key of {codec}")).value("x".repeat(5000)).timestamp(1_700_000_000_000));
        records.push(at.clone().key("").value("").timestamp(1_700_000_000_001));
        records.push(at.clone().timestamp(1_600_000_000_000));
        let headers = at.header("größe", Some("ß".as_bytes())).header("größe", None).header("", Some(b""));
        records.push(headers.key("bytes").value(all.clone()).timestamp(1_700_000_000_002));
    }
    let java = target.java()?;
    java.produce(&records, &[])?;
    let json = told(target, runtime, &format!("consume -t {topic} -e -J"))?;
    let read = json.lines().map(|line| record(&serde_json::from_str(line)?)).collect::<Result<Vec<_>>>()?;
    let expected: Vec<Record> =
        records.iter().zip(0..).map(|(r, at)| Record { offset: Some(at), ..r.clone().as_read() }).collect();
    ensure!(read == expected, "klamm read\n{read:#?}\nJava wrote\n{expected:#?}");
    // And as bytes, not as JSON.
    let output = command(target, runtime, &format!("consume -t {topic} -e -o 3 -c 1 -D . -f %k=%s")).output()?;
    ensure!(output.stdout == [&b"bytes="[..], &all].concat(), "{output:?}");
    Ok(())
}

/// Logs that brokers before 0.10 and 0.11 wrote, as brokers up to 3.x keep them.
fn old_formats(target: &Target, runtime: Runtime) -> Result<()> {
    let java = target.java()?;
    for format in ["0.9.0", "0.10.2"] {
        let topic = target.topic("old");
        let create = format!("topics create {topic} --partitions 1 --replication-factor 1");
        told(target, runtime, &format!("{create} --config message.format.version={format}"))?;
        // Message sets have no zstd.
        let at = |codec: &str| Record::to(&topic).partition(0).codec(codec).timestamp(1_700_000_000_000);
        let of = |codec| (0..5).map(move |n| at(codec).key(format!("{codec} {n}")).value("x".repeat(100 * n)));
        let mut records: Vec<Record> = CODECS[..4].iter().copied().flat_map(of).collect();
        records.push(at("none").key("without a value"));
        java.produce(&records, &[])?;
        let json = told(target, runtime, &format!("consume -t {topic} -e -J"))?;
        let read = json.lines().map(|line| record(&serde_json::from_str(line)?)).collect::<Result<Vec<_>>>()?;
        let expected = java.consume(&topic, records.len(), &[])?;
        ensure!(read == expected, "{format}: klamm read\n{read:#?}\nJava read\n{expected:#?}");
        let middle = told(target, runtime, &format!("consume -t {topic} -p 0 -o 7 -c 1 -f %k"))?;
        ensure!(middle == "gzip 2", "{middle}");
        let refused = crate::ended_after(target, runtime, &format!("produce -t {topic}"), b"a\n");
        ensure!(refused.code == Some(1) && refused.err.contains("set enable.idempotence=false"), "{refused:?}");
        feed(target, runtime, &format!("produce -t {topic} -X enable.idempotence=false"), b"a\n")?;
    }
    Ok(())
}

/// A line of `-J`.
fn record(json: &Value) -> Result<Record> {
    let bytes = |value: &Value| value.as_str().map(|text| text.as_bytes().to_vec());
    let member = |name: &str| match json.get(format!("{name}_hex")).and_then(Value::as_str) {
        Some(hex) => {
            let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap_or("?"), 16);
            Ok(Some((0..hex.len()).step_by(2).map(byte).collect::<Result<Vec<u8>, _>>()?))
        }
        None => anyhow::Ok(json.get(name).and_then(bytes)),
    };
    let headers = json["headers"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(Record {
        topic: json["topic"].as_str().context("no topic")?.to_owned(),
        partition: Some(i32::try_from(json["partition"].as_i64().context("no partition")?)?),
        offset: json["offset"].as_i64(),
        timestamp: json["ts"].as_i64(),
        codec: None,
        key: member("key")?,
        value: member("payload")?,
        headers: headers.chunks(2).map(|h| (h[0].as_str().unwrap_or_default().to_owned(), bytes(&h[1]))).collect(),
    })
}

fn bounds(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("bounds");
    let at = |n: i64| Record::to(&topic).partition(0).value(n.to_string()).timestamp(1_700_000_000_000 + n);
    target.java()?.produce(&(0..10).map(at).collect::<Vec<_>>(), &[])?;
    for (bounds, expected) in [
        ("-e", "0123456789"),
        ("-e -o 7", "789"),
        ("-e -o 99", ""),
        ("-e -o -2", "89"),
        ("-e -o end", ""),
        ("-o 3 -c 2", "34"),
        ("-e -o s@1700000000004", "456789"),
        ("-o s@1700000000004 -o e@1700000000006", "45"),
        ("-o e@1700000000002", "01"),
    ] {
        let read = told(target, runtime, &format!("consume -t {topic} -p 0 -f %s {bounds}"))?;
        ensure!(read == expected, "{bounds}: {read:?} instead of {expected:?}");
    }
    Ok(())
}

/// The command with its standard output to be read while it runs.
fn started(mut command: Command) -> Result<(Child, BufReader<std::process::ChildStdout>)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let out = BufReader::new(child.stdout.take().context("no standard output")?);
    Ok((child, out))
}

fn interrupted(target: &Target, runtime: Runtime) -> Result<()> {
    let (topic, group) = (target.topic("interrupted"), target.topic("group"));
    let produce = format!("produce -t {topic} -p 0");
    feed(target, runtime, &produce, b"1\n2\n3\n")?;
    let (mut child, mut out) = started(command(target, runtime, &format!("consume -G {group} {topic}")))?;
    let mut line = String::new();
    while line != "1\n2\n3\n" {
        ensure!(out.read_line(&mut line)? > 0, "{line:?}, and then the end");
    }
    ensure!(Command::new("kill").args(["-INT", &child.id().to_string()]).status()?.success());
    let ended = child.wait()?;
    ensure!(ended.code() == Some(0), "{ended}");
    feed(target, runtime, &produce, b"4\n")?;
    let read = told(target, runtime, &format!("consume -G {group} {topic} -e"))?;
    ensure!(read == "4\n", "{read:?}");
    Ok(())
}

fn broken_pipe(target: &Target, runtime: Runtime) -> Result<()> {
    let topic = target.topic("head");
    let mut input = Vec::new();
    (0..50_000).try_for_each(|n| writeln!(input, "line {n}"))?;
    feed(target, runtime, &format!("produce -t {topic} -p 0"), &input)?;
    let (mut child, mut out) = started(command(target, runtime, &format!("consume -t {topic}")))?;
    let mut line = String::new();
    out.read_line(&mut line)?;
    drop(out);
    let ended = child.wait()?;
    let mut err = String::new();
    child.stderr.take().context("no standard error")?.read_to_string(&mut err)?;
    ensure!(line == "line 0\n" && ended.code() == Some(0) && err.is_empty(), "{line:?}, {ended}, {err:?}");
    Ok(())
}
