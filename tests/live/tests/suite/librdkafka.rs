//! klamm beside librdkafka: records of kcat, and its mock cluster as a broker that others wrote.

use anyhow::{Result, ensure};
use klamm::{Config, ConsumerConfig};
use klamm_live::{Behaviour, Kind, Record, Runtime, Target};

use crate::client::{by_place, connect, connect_with, drive, reader, send_all, take};
use crate::produce::CODECS;

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::of_klamm("klamm_reads_what_kcat_wrote_with_every_codec", klamm_reads_kcat),
    Behaviour::of_klamm("kcat_reads_what_klamm_wrote_with_every_codec", kcat_reads_klamm),
    Behaviour::of_klamm("librdkafkas_mock_cluster_serves_klamm", mock_cluster).on(|kind| kind == Kind::Memory),
];

fn klamm_reads_kcat(target: &Target, runtime: Runtime) -> Result<()> {
    let kcat = target.kcat()?;
    let topic = target.topic("from-kcat");
    let mut expected = Vec::new();
    for (codec, _) in CODECS {
        let value = format!("{codec} {}", "x".repeat(1000));
        let lines = format!("key of {codec}:{value}\nno:headers\n");
        let arguments = ["-P", "-t", &topic, "-p", "0", "-K", ":", "-H", "h=v", "-H", "h=w"];
        kcat.run(&[&arguments[..], &["-X", &format!("compression.codec={codec}")]].concat(), &lines)?;
        let with_headers = |key: &str, value: &str| {
            Record::to(&topic).partition(0).key(key).value(value).header("h", Some(b"v")).header("h", Some(b"w"))
        };
        expected.extend([with_headers(&format!("key of {codec}"), &value), with_headers("no", "headers")]);
    }
    drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let mut consumer = reader(&kafka, &topic)?;
        let mut read = take(&mut consumer, expected.len()).await?;
        for record in &mut read {
            (record.offset, record.timestamp) = (None, None);
        }
        ensure!(read == expected, "klamm read\n{read:#?}\nkcat wrote\n{expected:#?}");
        consumer.close().await?;
        Ok(kafka.close().await?)
    })
}

fn kcat_reads_klamm(target: &Target, runtime: Runtime) -> Result<()> {
    let kcat = target.kcat()?;
    let topic = target.topic("to-kcat");
    let expected = drive(runtime, async {
        let kafka = connect(target, runtime).await?;
        let mut expected = String::new();
        for (codec, _) in CODECS {
            let producer = kafka.producer_with(klamm::ProducerConfig::new().set("compression.type", codec))?;
            let value = format!("{codec} {}", "y".repeat(1000));
            let record = Record::to(&topic).partition(0).key(codec).value(value.clone()).timestamp(1_700_000_000_000);
            send_all(&producer, &[record.header("h", Some(b"v"))]).await?;
            expected += &format!("{codec}|{value}|h=v|1700000000000\n");
        }
        kafka.close().await?;
        Ok(expected)
    })?;
    let read = kcat.run(&["-C", "-t", &topic, "-o", "beginning", "-e", "-q", "-f", "%k|%s|%h|%T\n"], "")?;
    ensure!(read == expected, "kcat read\n{read}\nklamm wrote\n{expected}");
    Ok(())
}

fn mock_cluster(target: &Target, runtime: Runtime) -> Result<()> {
    let mock = target.kcat()?.mock(3)?;
    let record = |n: i32| Record::to("mocked").partition(n % 4).value(format!("{n}")).timestamp(1_700_000_000_000);
    drive(runtime, async {
        let kafka = connect_with(Config::new(mock.bootstrap()), runtime).await?;
        let producer = kafka.producer()?;
        let mut from = 0;
        // A member of the group that begins at the first record, then one that goes on behind it.
        for until in [400, 440] {
            let written = send_all(&producer, &(from..until).map(record).collect::<Vec<_>>()).await?;
            // After a member has left, the mock cluster lets others wait for as long as a session.
            let config = ConsumerConfig::group("of-klamm").set("session.timeout.ms", 6000);
            let config = config.set("auto.offset.reset", "earliest").set("enable.auto.commit", false);
            let mut consumer = kafka.consumer_with(config)?;
            consumer.subscribe(["mocked"])?;
            let read = take(&mut consumer, written.len()).await?;
            ensure!(places_and_values(read) == places_and_values(written), "klamm read something else than it wrote");
            consumer.commit_sync().await?;
            let places = [0, 1, 2, 3].map(|partition| ("mocked", partition));
            let committed = consumer.committed(places).await?;
            let all = places.into_iter().all(|place| committed.get(place) == Some(i64::from(until / 4)));
            ensure!(all, "{committed:?} is committed");
            consumer.close().await?;
            from = until;
        }
        Ok(kafka.close().await?)
    })
}

/// Without the timestamps: the mock cluster tells of an append time that it does not store.
fn places_and_values(mut records: Vec<Record>) -> Vec<Record> {
    records.iter_mut().for_each(|record| record.timestamp = None);
    by_place(records)
}
