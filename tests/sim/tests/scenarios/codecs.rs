//! 2.13: brokers that do not take every codec.

use crate::rig::*;
use klamm::config::{Compression, TopicConfig};
use klamm::{ErrorKind, Record};
use klamm_core::codec::Codec;

#[test]
fn cx_20_batches_whose_codec_is_refused_arrive_once_by_the_next_one() {
    scenario(|sim| async move {
        sim.cluster().create_topic("t", 3);
        let kafka = kafka(&sim).await;
        let producer = producer(&kafka, |c| {
            c.compression(Compression::zstd(1))
                .compression_fallbacks([Compression::Lz4, Compression::Gzip])
                .set("batch.size", 150)
                .set("request.timeout.ms", 700)
        });
        producer.topic("t").ready().await.expect("it is there");
        let mut sent = Vec::new();
        for round in 0..12u64 {
            for partition in 0..3u64 {
                let values = round * 8..round * 8 + 8;
                sent.extend(send_to(&producer, "t", partition as i32, &format!("s{partition}"), values));
            }
            match round {
                _ if round == sim.seed() % 5 => sim.cluster().refuse_codec(Codec::Zstd),
                _ if round == 5 + sim.seed() % 5 => sim.cluster().refuse_codec(Codec::Lz4),
                // Some are in the log when their codec is refused, and the producer does not know it.
                2 => sim.cluster().fault(Api::Produce).times(2).silence_after_apply(),
                _ => {}
            }
            sim.sleep(ms(round % 4)).await;
        }
        let results = outcomes(sent).await;
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
        judge_log(&sim, "t", &results);
        assert_eq!(producer.buffered().memory(), 0);
    });
}

#[test]
fn a_refused_codec_is_not_tried_again_in_its_topic() {
    steady(|sim| async move {
        sim.cluster().create_topic("t", 2);
        sim.cluster().create_topic("own", 1);
        let kafka = kafka(&sim).await;
        let own = TopicConfig::new().compression(Compression::Zstd);
        let producer = producer(&kafka, |c| {
            let c = c.compression(Compression::Gzip).compression_fallbacks([Compression::Snappy]);
            c.topic("own", own.compression_fallbacks([Compression::None]))
        });
        sim.cluster().refuse_codec(Codec::Gzip);
        sim.cluster().refuse_codec(Codec::Zstd);
        let requests = || kafka.metrics().stats().requests;
        for (topic, partition, asked) in [("t", 0, 2), ("own", 0, 2), ("t", 0, 1), ("t", 1, 1), ("own", 0, 1)] {
            producer.topic(topic).warm_up().await.expect("its leaders are there");
            let before = requests();
            producer.send(Record::to(topic).partition(partition).value("v")).await.expect("written");
            sim.sleep(ms(30)).await;
            assert_eq!(requests() - before, asked, "{topic}-{partition}");
        }
        assert_eq!((log(&sim, "t").len(), log(&sim, "own").len()), (3, 2));
    });
}

#[test]
fn records_fail_if_every_codec_is_refused_and_are_not_written() {
    few(|sim| async move {
        sim.cluster().create_topic("t", 1);
        let kafka = kafka(&sim).await;
        let producer =
            producer(&kafka, |c| c.compression(Compression::Zstd).compression_fallbacks([Compression::Gzip]));
        sim.cluster().refuse_codec(Codec::Gzip);
        producer.send(Record::to("t").value("first")).await.expect("zstd is taken");
        sim.cluster().refuse_codec(Codec::Zstd);
        for _ in 0..2 {
            let error = producer.send(Record::to("t").value("never")).await.expect_err("none is left");
            assert_eq!((error.kind(), error.possibly_written()), (ErrorKind::Unsupported, false), "{error}");
        }
        assert_eq!(log(&sim, "t").len(), 1);
    });
}
