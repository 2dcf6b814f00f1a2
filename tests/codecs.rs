//! Codecs of the application, end to end on an in-memory cluster.

use klamm::codec::{Codec, CodecError, CustomCodec, Output};
use klamm::config::{Compression, ConsumerConfig, ProducerConfig};
use klamm::{Blocking, Config, ErrorKind, Kafka, Record};
use klamm_cluster::Cluster;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const HEADER: [u8; 7] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82];

/// LZ4 frames whose blocks are not compressed; counts its calls, and panics for records that say so.
#[derive(Clone, Default)]
struct Stored {
    packed: Arc<AtomicUsize>,
    unpacked: Arc<AtomicUsize>,
}

impl CustomCodec for Stored {
    fn compress(&self, plain: &[u8], level: Option<i32>, out: &mut Output<'_>) -> Result<(), CodecError> {
        assert!(!plain.windows(5).any(|word| word == b"panic"), "as it was told");
        assert_eq!(level, Some(12));
        self.packed.fetch_add(1, Ordering::Relaxed);
        out.extend(&HEADER)?;
        for block in plain.chunks(64 * 1024) {
            out.extend(&(block.len() as u32 | 1 << 31).to_le_bytes())?;
            out.extend(block)?;
        }
        out.extend(&[0; 4])
    }

    fn decompress(&self, packed: &[u8], out: &mut Output<'_>) -> Result<(), CodecError> {
        self.unpacked.fetch_add(1, Ordering::Relaxed);
        let corrupt = || CodecError::Corrupt { codec: Codec::Lz4, what: "not ours" };
        let mut rest = packed.strip_prefix(&HEADER).ok_or_else(corrupt)?;
        while let Some((length, blocks)) = rest.split_first_chunk() {
            let length = (u32::from_le_bytes(*length) & !(1 << 31)) as usize;
            let (block, next) = blocks.split_at_checked(length).ok_or_else(corrupt)?;
            out.extend(block)?;
            rest = next;
        }
        Ok(())
    }
}

fn connect(cluster: &Cluster, change: impl FnOnce(Config) -> Config) -> Kafka {
    Kafka::connect(Blocking, change(Config::new(cluster.bootstrap()))).wait().unwrap()
}

fn read(kafka: &Kafka, count: usize) -> Result<Vec<usize>, klamm::Error> {
    let config = ConsumerConfig::standalone().set("auto.offset.reset", "earliest");
    let mut consumer = kafka.consumer_with(config).unwrap();
    consumer.assign([("t", 0)]).unwrap();
    let mut sizes = Vec::new();
    while sizes.len() < count {
        let batch = consumer.poll(Duration::from_secs(20)).wait()?.expect("nobody woke it");
        sizes.extend(batch.iter().filter_map(|record| record.value().map(<[u8]>::len)));
    }
    Ok(sizes)
}

#[test]
fn producers_and_consumers_use_the_applications_codec_and_others_read_what_it_wrote() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let codec = Stored::default();
    let kafka = connect(&cluster, |c| {
        let producer = ProducerConfig::new().compression(Compression::lz4(12)).batch_size(200_000);
        c.codec(Codec::Lz4, codec.clone()).producer(producer)
    });
    let producer = kafka.producer().unwrap();
    producer.send(Record::to("t").value("small")).wait().unwrap();
    // One that is packed on another thread than the sender's.
    producer.send(Record::to("t").value(&"x".repeat(100_000))).wait().unwrap();
    assert_eq!(codec.packed.load(Ordering::Relaxed), 2);
    assert_eq!(read(&kafka, 2).unwrap(), [5, 100_000]);
    assert_eq!(codec.unpacked.load(Ordering::Relaxed), 2);
    let plain = connect(&cluster, |c| c);
    assert_eq!(read(&plain, 2).unwrap(), [5, 100_000]);
    assert_eq!(codec.unpacked.load(Ordering::Relaxed), 2, "another client's");
}

#[test]
fn a_panic_in_it_fails_the_batch_and_the_producer_goes_on() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let kafka = connect(&cluster, |c| {
        c.codec(Codec::Lz4, Stored::default()).producer(ProducerConfig::new().compression(Compression::lz4(12)))
    });
    let producer = kafka.producer().unwrap();
    let error = producer.send(Record::to("t").value("panic")).wait().unwrap_err();
    assert!(!error.possibly_written() && error.to_string().contains("panicked"), "{error}");
    producer.send(Record::to("t").value("calm")).wait().unwrap();
    assert_eq!(read(&kafka, 1).unwrap(), [4]);
}

#[test]
fn what_it_unpacks_is_bounded_as_everything_is_and_what_it_cannot_read_is_told_with_its_place() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("t", 1);
    let lz4 = ProducerConfig::new().compression(Compression::Lz4).batch_size(200_000);
    let kafka = connect(&cluster, |c| c.producer(lz4));
    kafka.producer().unwrap().send(Record::to("t").value(&"x".repeat(100_000))).wait().unwrap();
    let reader = connect(&cluster, |c| c.codec(Codec::Lz4, Stored::default()).set("decompressed.max.bytes", 1_000));
    let error = read(&reader, 1).unwrap_err();
    // klamm's own blocks are compressed: not what this codec reads.
    assert_eq!((error.kind(), error.partition()), (ErrorKind::Corrupt, Some(0)), "{error}");
    cluster.recreate_topic("t");
    let stored = ProducerConfig::new().compression(Compression::lz4(12)).batch_size(200_000);
    let writer = connect(&cluster, |c| c.codec(Codec::Lz4, Stored::default()).producer(stored));
    writer.producer().unwrap().send(Record::to("t").value(&"x".repeat(100_000))).wait().unwrap();
    let error = read(&reader, 1).unwrap_err();
    assert!(error.to_string().contains("more than 1000 bytes"), "{error}");
}

#[test]
fn no_compression_cannot_be_replaced() {
    let config = Config::new("a:1").codec(Codec::None, Stored::default());
    assert!(config.validate().unwrap_err().to_string().contains("stands for no compression"));
}
