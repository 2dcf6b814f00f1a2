//! One hostile message for each length that any message can carry, and for each length within a record.
//!
//! The lengths are found by walking valid messages along their own declarations; a walk ends at the last byte, so none is
//! passed by. Each is then made to say too much, in every way that its form allows.

use bytes::Bytes;
use fastrand::Rng;
use klamm_core::codec::Decompressor;
use klamm_core::record::{
    Attributes, BatchHeader, BodyCrc, ChunkCursor, IsolationLevel, ReadLimits, Stamp as ProducerStamp,
};
use klamm_core::wire::fetch::Fetched;
use klamm_core::wire::messages::{Visit, visit_all};
use klamm_core::wire::{ApiKey, Field, Message, Reader, Version, Writer};
use klamm_parity::notation::rust_has;
use peak_alloc::PeakAlloc;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::Range;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Heap bytes that a decoder may hold, for each byte of its input and besides.
const PER_BYTE: usize = 64;
const FLAT: usize = 64;
/// Values that are drawn of a message in one version, until each of its lengths was there.
const DRAWS: u64 = 400;

/// The form of a length.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// Two or four bytes with a sign, -1 for null.
    Short,
    Int,
    /// One more than the length, 0 for null.
    Compact,
    /// The length itself.
    Unsigned,
}

#[derive(Clone, Debug)]
struct Length {
    path: String,
    at: Range<usize>,
    form: Form,
    nullable: bool,
}

/// A walk over a valid message.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    version: Version,
    found: Vec<Length>,
}

impl Walk<'_> {
    fn unsigned(&mut self) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.bytes[self.at];
            self.at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    /// Reads a length and notes it.
    fn length(&mut self, path: &str, form: Form, nullable: bool) -> usize {
        let start = self.at;
        let value = match form {
            Form::Short => {
                self.at += 2;
                i16::from_be_bytes([self.bytes[start], self.bytes[start + 1]]).max(0) as usize
            }
            Form::Int => {
                self.at += 4;
                i32::from_be_bytes(self.bytes[start..start + 4].try_into().expect("four")).max(0) as usize
            }
            Form::Compact => self.unsigned().saturating_sub(1),
            Form::Unsigned => self.unsigned(),
        };
        self.found.push(Length { path: path.to_owned(), at: start..self.at, form, nullable });
        value
    }

    fn fields(&mut self, path: &str, fields: &[Field]) {
        let has = |field: &&Field| rust_has(field.versions, self.version.number);
        let here: Vec<_> = fields.iter().filter(has).collect();
        for field in here.iter().filter(|field| field.tag.is_none()) {
            self.field(path, field);
        }
        if !self.version.flexible {
            return;
        }
        for _ in 0..self.length(&format!("{path}/tags"), Form::Unsigned, false) {
            let tag = self.unsigned();
            let field =
                here.iter().find(|field| field.tag.is_some_and(|own| own as usize == tag)).expect("a known tag");
            let size = self.length(&format!("{path}/{}.size", field.name), Form::Unsigned, false);
            let end = self.at + size;
            self.field(path, field);
            assert_eq!(self.at, end, "{path}/{}", field.name);
        }
    }

    fn field(&mut self, path: &str, field: &Field) {
        let path = format!("{path}/{}", field.name);
        let ty: String = field.ty.split_whitespace().collect();
        let inner = ty.strip_prefix("Option<").and_then(|ty| ty.strip_suffix('>'));
        let nullable = inner.is_some() && field.nullable.is_none_or(|at| rust_has(at, self.version.number));
        let ty = inner.unwrap_or(&ty);
        if inner.is_some() && !field.fields.is_empty() && !ty.starts_with("Vec<") {
            self.at += 1;
            if self.bytes[self.at - 1] != 1 {
                return;
            }
        }
        self.value(&path, ty, field.fields, nullable);
    }

    fn value(&mut self, path: &str, ty: &str, fields: &[Field], nullable: bool) {
        let of = |old| if self.version.flexible { Form::Compact } else { old };
        if let Some(element) = ty.strip_prefix("Vec<").and_then(|ty| ty.strip_suffix('>')) {
            for _ in 0..self.length(path, of(Form::Int), nullable) {
                self.value(&format!("{path}[]"), element, fields, false);
            }
            return;
        }
        self.at += match ty {
            "String" => self.length(path, of(Form::Short), nullable),
            "Bytes" => self.length(path, of(Form::Int), nullable),
            "bool" | "i8" | "u8" => 1,
            "i16" | "u16" | "ErrorCode" | "ApiKey" => 2,
            "i32" | "BrokerId" => 4,
            "i64" | "f64" => 8,
            "Uuid" => 16,
            _ => {
                assert!(!fields.is_empty(), "{path}: what is {ty}?");
                self.fields(path, fields);
                0
            }
        };
    }
}

/// The paths of all lengths that a message has in a version.
fn declared(path: &str, fields: &[Field], version: Version, all: &mut BTreeSet<String>) {
    let here: Vec<_> = fields.iter().filter(|field| rust_has(field.versions, version.number)).collect();
    if version.flexible {
        all.insert(format!("{path}/tags"));
    }
    for field in here.iter().filter(|field| field.tag.is_none() || version.flexible) {
        let own = format!("{path}/{}", field.name);
        let ty: String = field.ty.split_whitespace().collect();
        let ty = ty.strip_prefix("Option<").and_then(|ty| ty.strip_suffix('>')).unwrap_or(&ty);
        let element = ty.strip_prefix("Vec<").and_then(|ty| ty.strip_suffix('>'));
        if field.tag.is_some() {
            all.insert(format!("{own}.size"));
        }
        if element.is_some() || ["String", "Bytes"].contains(&ty) {
            all.insert(own.clone());
        }
        let inside = if element.is_some() { format!("{own}[]") } else { own };
        if element == Some("String") {
            all.insert(inside.clone());
        }
        if !field.fields.is_empty() {
            declared(&inside, field.fields, version, all);
        }
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut all = Vec::new();
    while value >= 0x80 {
        all.push(value as u8 | 0x80);
        value >>= 7;
    }
    all.push(value as u8);
    all
}

/// What a length may be made of when so many bytes stand behind it.
fn lies(length: &Length, behind: usize) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = match length.form {
        Form::Short => {
            let mut all = vec![
                ("largest", i16::MAX.to_be_bytes().to_vec()),
                ("negative", (-2i16).to_be_bytes().to_vec()),
                ("smallest", i16::MIN.to_be_bytes().to_vec()),
            ];
            all.extend(i16::try_from(behind + 1).map(|n| ("one more", n.to_be_bytes().to_vec())));
            all
        }
        Form::Int => vec![
            ("largest", i32::MAX.to_be_bytes().to_vec()),
            ("negative", (-2i32).to_be_bytes().to_vec()),
            ("smallest", i32::MIN.to_be_bytes().to_vec()),
            ("one more", (behind as i32 + 1).to_be_bytes().to_vec()),
        ],
        Form::Compact | Form::Unsigned => vec![
            ("largest", varint(u64::from(u32::MAX))),
            ("one more", varint(behind as u64 + 1 + u64::from(length.form == Form::Compact))),
            ("beyond 32 bits", varint(1 << 35)),
            ("too long", vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
            ("without end", vec![0xff; 12]),
        ],
    };
    if !length.nullable && length.form != Form::Unsigned {
        all.push((
            "null",
            match length.form {
                Form::Short => vec![0xff; 2],
                Form::Int => vec![0xff; 4],
                _ => vec![0],
            },
        ));
    }
    all
}

#[derive(Default)]
struct Table {
    lengths: usize,
    messages: usize,
}

impl Table {
    /// Weighs a decoder, which has to refuse.
    fn refused(&mut self, what: impl Fn() -> String, bytes: &[u8], decode: impl FnOnce() -> bool) {
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let accepted = decode();
        let peak = HEAP.peak_usage().saturating_sub(before);
        self.messages += 1;
        assert!(!accepted, "{} is believed: {bytes:?}", what());
        assert!(peak <= PER_BYTE * bytes.len() + FLAT, "{}: {peak} bytes of heap for {}", what(), bytes.len());
    }

    fn lie<M: Message>(&mut self, valid: &[u8], version: i16, length: &Length) {
        let (front, back) = (&valid[..length.at.start], &valid[length.at.end..]);
        for (how, lie) in lies(length, back.len()) {
            let what = || format!("{} v{version} {}: {how}", M::NAME, length.path);
            let bytes = [front, &lie, back].concat();
            self.refused(what, &bytes, || M::decode(&mut Reader::new(&bytes), version).is_ok());
            let shared = Bytes::from(bytes);
            self.refused(what, &shared, || M::decode(&mut Reader::shared(&shared), version).is_ok());
            if M::NAME == "FetchResponse" {
                self.refused(what, &shared, || Fetched::decode(&mut Reader::new(&shared), version).is_ok());
            }
        }
    }
}

impl Visit for Table {
    fn message<M: Message + Debug + Clone + PartialEq>(&mut self, _: Option<ApiKey>) {
        for number in M::MIN..=M::MAX {
            let version = M::version(number);
            let mut missing = BTreeSet::new();
            declared("", M::FIELDS, version, &mut missing);
            self.lengths += missing.len();
            for seed in 0..DRAWS {
                if missing.is_empty() {
                    break;
                }
                let mut w = Writer::new();
                M::arbitrary(&mut Rng::with_seed(seed), version).encode(&mut w, number).expect("encodes");
                let mut walk = Walk { bytes: w.as_slice(), at: 0, version, found: Vec::new() };
                walk.fields("", M::FIELDS);
                assert_eq!(walk.at, w.len(), "{} v{number}: the walk went another way", M::NAME);
                assert!(M::decode(&mut Reader::new(w.as_slice()), number).is_ok(), "the truth is believed");
                for length in walk.found {
                    if missing.remove(&length.path) {
                        self.lie::<M>(w.as_slice(), number, &length);
                    }
                }
            }
            assert!(missing.is_empty(), "{} v{number} was never drawn with {missing:?}", M::NAME);
        }
    }
}

/// A batch of one record with a header: `lie` stands where the length of that number is.
fn batch(lie: Option<(usize, &[u8])>) -> Vec<u8> {
    let mut inside = vec![0, 0, 0];
    // Key, value, headers, and the name and value of the one header: each length is 1, in zigzag.
    let lengths = [2u8, 2, 2, 2, 2];
    for (n, length) in lengths.iter().enumerate() {
        match lie {
            Some((at, bytes)) if at == n + 1 => inside.extend(bytes),
            _ => inside.push(*length),
        }
        if n != 2 {
            inside.push(b'x');
        }
    }
    let mut body = match lie {
        Some((0, bytes)) => bytes.to_vec(),
        _ => varint(inside.len() as u64 * 2),
    };
    body.extend(inside);
    sealed(&body, 1)
}

fn sealed(body: &[u8], count: i32) -> Vec<u8> {
    let header = BatchHeader {
        base_offset: 0,
        length: 0,
        leader_epoch: 3,
        crc: 0,
        attributes: Attributes::new(klamm_core::codec::Codec::None),
        last_offset_delta: 0,
        base_timestamp: 1_000,
        max_timestamp: 1_000,
        stamp: ProducerStamp::NONE,
        count,
    };
    [&header.write_before(&BodyCrc::of(body))[..], body].concat()
}

/// Whether a chunk is read to its end without complaint.
fn reads(chunk: &[u8]) -> bool {
    let limits = ReadLimits { isolation: IsolationLevel::ReadUncommitted, check_crcs: true, max_plain: 1 << 20 };
    let mut cursor = ChunkCursor::new(0, Vec::new(), limits);
    let (mut decompressor, mut plain) = (Decompressor::default(), Vec::new());
    let mut records = 0;
    while let Some(batch) = cursor.next_batch(chunk, &mut decompressor, &mut plain) {
        let Ok(batch) = batch else { return false };
        records +=
            batch.records(batch.section(chunk, &plain)).map(|record| record.headers.iter().count()).sum::<usize>();
    }
    records == 1
}

/// One test: the heap is weighed.
#[test]
fn no_length_is_believed_anywhere() {
    let mut table = Table::default();
    visit_all(&mut table);

    let good = batch(None);
    assert!(reads(&good));
    let names = ["record", "key", "value", "headers", "header name", "header value"];
    for (n, name) in names.into_iter().enumerate() {
        let zigzag = |value: i64| varint(((value << 1) ^ (value >> 63)) as u64);
        let lies = [
            ("largest", zigzag(i64::from(i32::MAX))),
            ("smallest", zigzag(i64::from(i32::MIN))),
            ("negative", zigzag(-2)),
            ("one more than there is", zigzag(good.len() as i64)),
            ("beyond 32 bits", varint(1 << 35)),
            ("too long", vec![0x82, 0x80, 0x80, 0x80, 0x80, 0x00]),
            ("without end", vec![0xff; 12]),
        ];
        for (how, lie) in lies {
            let chunk = batch(Some((n, &lie)));
            table.refused(|| format!("{name} of a record: {how}"), &chunk, || reads(&chunk));
            table.lengths += 1;
        }
    }
    for count in [i32::MAX, i32::MIN, -2, 2] {
        let chunk = sealed(&good[61..], count);
        table.refused(|| format!("{count} records"), &chunk, || reads(&chunk));
    }
    for length in [i32::MAX, i32::MIN, -2, good.len() as i32 - 11, 48] {
        let mut chunk = good.clone();
        chunk[8..12].copy_from_slice(&length.to_be_bytes());
        table.refused(|| format!("a batch of {length} bytes"), &chunk, || reads(&chunk));
    }
    println!("{} lengths, {} messages", table.lengths, table.messages);
    assert!(table.lengths > 2_000 && table.messages > 20_000, "{} and {}", table.lengths, table.messages);
}
