//! Valid inputs of every target: where mutation begins.

use fastrand::Rng;
use klamm_core::codec::{Codec, Compression};
use klamm_core::record::{Attributes, BatchHeader, BodyBuf, BodyCrc, Header, Stamp};
use klamm_core::wire::messages::{ApiVersionsResponse, FetchResponse, Visit, visit_all};
use klamm_core::wire::{ApiKey, Message, Wire, Writer, encode_embedded};
use std::fmt::Debug;

/// Inputs for the target of that name.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "messages" => messages(),
        "frames" => frames(),
        "fetch" => fetch(),
        "chunks" => chunks(),
        "codecs" => codecs(),
        "properties" => properties(),
        "client" => courses(),
        // Their inputs are descriptions: any bytes are a good one.
        _ => (1..6).map(|seed| noise(seed, 300)).collect(),
    }
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    (0..len).map(|_| rng.u8(..) >> rng.u8(..8)).collect()
}

struct Messages {
    index: u8,
    all: Vec<Vec<u8>>,
}

impl Visit for Messages {
    fn message<M: Message + Debug + Clone + PartialEq>(&mut self, key: Option<ApiKey>) {
        for version in [M::MIN, M::MAX] {
            let value = M::arbitrary(&mut Rng::with_seed(1), M::version(version));
            let mut w = Writer::new();
            value.encode(&mut w, version).expect("encodes");
            let head = [self.index, (version - M::MIN) as u8, 0];
            self.all.push([&head[..], w.as_slice()].concat());
            if key.is_none() {
                let embedded = encode_embedded(&value, version).expect("encodes");
                self.all.push([&[self.index, 0, 1], &embedded[..]].concat());
            }
        }
        self.index += 1;
    }
}

fn messages() -> Vec<Vec<u8>> {
    let mut messages = Messages { index: 0, all: Vec::new() };
    visit_all(&mut messages);
    messages.all
}

fn frames() -> Vec<Vec<u8>> {
    let mut w = Writer::new();
    ApiVersionsResponse::arbitrary(&mut Rng::with_seed(2), ApiVersionsResponse::version(4))
        .encode(&mut w, 4)
        .expect("encodes");
    let answer = [&[3, 4][..], w.as_slice()].concat();
    let header = b"\x01\0\x03\0\x0d\0\0\0\x07\0\x02me\0".to_vec();
    vec![vec![0, 0xfc, 0, 0, 1, 0], header, vec![2, 3, 13, 0, 0, 0, 7, 1, 9, 1, 5], answer]
}

fn fetch() -> Vec<Vec<u8>> {
    let versions = FetchResponse::MIN..=FetchResponse::MAX;
    let one = |version| {
        let mut w = Writer::new();
        let value = FetchResponse::arbitrary(&mut Rng::with_seed(3), FetchResponse::version(version));
        value.encode(&mut w, version).expect("encodes");
        [&[(version - FetchResponse::MIN) as u8], w.as_slice()].concat()
    };
    versions.map(one).collect()
}

/// How a chunk is read: from the first offset, checksums mended, committed records only, 64 KiB, one aborted transaction.
const READ: [u8; 8] = [0, 0b011, 0xff, 0xf0, 1, 7, 0, 0];

fn chunks() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for codec in Codec::ALL {
        let pair = [batch(0, codec, 7, false), marker(3, 7, 0), batch(4, codec, -1, false)].concat();
        all.push([&READ[..], &pair].concat());
    }
    for magic in [0, 1] {
        let inner = message(magic, 0, 0, b"inside");
        all.push([&READ[..], &inner].concat());
        for codec in Codec::ALL.into_iter().skip(1) {
            let packed = pack(codec, &[&inner[..], &message(magic, 0, 1, b"too")].concat());
            all.push([&READ[..], &message(magic, codec.id(), 1, &packed)].concat());
        }
    }
    all
}

fn pack(codec: Codec, plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let compression = Compression::new(codec, None).expect("all codecs are built in");
    let len = compression.compress(plain, &mut packed).expect("compresses");
    packed.truncate(len);
    packed
}

fn batch(base: i64, codec: Codec, producer_id: i64, control: bool) -> Vec<u8> {
    let mut body = BodyBuf::with_limit(1 << 10);
    let headers = [Header::new("name", b"value"), Header::null("none")];
    body.append(1_000, Some(b"key"), Some(b"value"), &headers);
    body.append(900, None, Some(b""), &[]);
    body.append(2_000_000, Some(b""), None, &headers);
    sealed(base, &pack(codec, body.plain()), codec, producer_id, control, 3)
}

fn marker(base: i64, producer_id: i64, kind: u8) -> Vec<u8> {
    let mut body = BodyBuf::with_limit(1 << 10);
    body.append(1_000, Some(&[0, 0, 0, kind]), Some(&[0; 6]), &[]);
    sealed(base, body.plain(), Codec::None, producer_id, true, 1)
}

fn sealed(base: i64, packed: &[u8], codec: Codec, producer_id: i64, control: bool, count: i32) -> Vec<u8> {
    let header = BatchHeader {
        base_offset: base,
        length: 0,
        leader_epoch: 3,
        crc: 0,
        attributes: Attributes::new(codec).transactional(producer_id >= 0).control(control),
        last_offset_delta: count - 1,
        base_timestamp: 1_000,
        max_timestamp: 2_000_000,
        stamp: Stamp { producer_id, epoch: 0, base_sequence: 0 },
        count,
    };
    [&header.write_before(&BodyCrc::of(packed))[..], packed].concat()
}

/// A message of the old formats. Nobody looks at its checksum here.
fn message(magic: u8, attributes: u8, offset: i64, value: &[u8]) -> Vec<u8> {
    let mut rest = vec![magic, attributes];
    rest.extend(vec![0; if magic == 1 { 8 } else { 0 }]);
    rest.extend([0xff; 4]);
    rest.extend((value.len() as i32).to_be_bytes());
    rest.extend(value);
    let mut whole = offset.to_be_bytes().to_vec();
    whole.extend((rest.len() as i32 + 4).to_be_bytes());
    whole.extend([0; 4]);
    whole.extend(rest);
    whole
}

fn codecs() -> Vec<Vec<u8>> {
    let text = b"some words, some more words, and some more of the same words".repeat(20);
    Codec::ALL.iter().map(|codec| [&[codec.id(), 0, 0], &pack(*codec, &text)[..]].concat()).collect()
}

fn properties() -> Vec<Vec<u8>> {
    let texts = [
        "bootstrap.servers=a:1,[::1]:2\nlinger.ms=5\nacks=all\ncompression.type=zstd\ncompression.zstd.level=3\n",
        "# a comment\nbootstrap.servers : a\\\n  ,b:9\ngroup.id=g\\u00e9\nauto.offset.reset=by_duration:PT1H\n!x\n",
        "bootstrap.servers=a\nsasl.jaas.config=secret\nsecurity.protocol=SASL_SSL\nenable.idempotence=true\nacks=1\n",
        "metadata.broker.list=a\nqueue.buffering.max.kbytes=1048576\nmessage.timeout.ms=9\ndefaults=2.5\nlinger.mss=1\n",
        "bootstrap.servers=a\npartition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor\n\
         key.serializer=org.apache.kafka.common.serialization.StringSerializer\npartitioner.class=x.Y\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Plain courses of events: produce, consume, administer, lose the network.
fn courses() -> Vec<Vec<u8>> {
    let produce = [0, 1, 2, 19, 0, 0, 20, 0, 0, 0, 21, 0, 9, 1, 0, 21, 1, 200, 1, 0, 11, 50, 0];
    let consume = [24, 0, 0, 25, 0, 3, 2, 0, 0, 0, 1, 0, 25, 0, 6, 0, 0, 27, 0, 25, 0, 9, 0, 0, 1, 0];
    let group = [0, 1, 2, 24, 0, 3, 25, 0, 1, 1, 0, 0, 11, 200, 0, 25, 0, 6, 0, 12, 1, 0, 25, 0, 11, 1, 0, 0, 0, 0, 0];
    let rude = [17, 0, 6, 0, 2, 0, 0, 15, 2, 9, 0, 13, 1, 0, 0, 10, 0, 12, 3, 0, 18, 2, 0, 1, 1, 0];
    let admin =
        [0, 1, 1, 28, 1, 0, 0, 28, 3, 2, 0, 0, 0, 1, 0, 29, 0, 0, 0, 0, 29, 0, 0, 4, 0, 29, 0, 0, 5, 0, 30, 0, 1];
    let both = [&produce[..], &consume].concat();
    let long = [&produce[..], &rude, &produce[3..], &consume, &rude, &group[3..], &admin[3..]].concat();
    vec![produce.to_vec(), both, group.to_vec(), [&produce[..], &rude].concat(), admin.to_vec(), long]
}
