//! The encoder against the reference, byte for byte, and back through the decoder.

use proptest::prelude::*;

use klamm_core::codec::Codec;
use klamm_core::record::{
    BatchHeader, BodyBuf, HEADER_LEN, Header, RecordView, Records, RecordsInfo, SLACK, Stamp, size_of_record,
};

use super::build::{Rec, body};

fn owned(view: &RecordView<'_>, base: i64) -> Rec {
    let headers = view.headers.iter().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
    let (key, value) = (view.key.map(<[u8]>::to_vec), view.value.map(<[u8]>::to_vec));
    Rec { delta: view.offset - base, time: view.timestamp, key, value, headers }
}

fn append(buf: &mut BodyBuf, r: &Rec) -> Option<u32> {
    let headers: Vec<Header<'_>> =
        r.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
    buf.append(r.time, r.key.as_deref(), r.value.as_deref(), &headers)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..200),
        (8000usize..9000, any::<u8>()).prop_map(|(n, b)| vec![b; n])
    ]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        1_700_000_000_000i64..1_700_000_000_200,
        1_700_000_000_000i64..1_700_003_000_000,
        (-1i64 << 40)..(1i64 << 60),
        Just(-1)
    ]
}

fn records() -> impl Strategy<Value = Vec<Rec>> {
    let header = (bytes(), proptest::option::of(bytes()));
    let headers = prop_oneof![3 => Just(Vec::new()), 1 => proptest::collection::vec(header, 1..4)];
    let record = (time(), proptest::option::of(bytes()), proptest::option::of(bytes()), headers)
        .prop_map(|(time, key, value, headers)| Rec { delta: 0, time, key, value, headers });
    proptest::collection::vec(record, 1..12).prop_map(|mut all| {
        all.iter_mut().enumerate().for_each(|(i, r)| r.delta = i as i64);
        all
    })
}

proptest! {
    #[test]
    fn the_encoder_writes_what_the_reference_writes_and_the_decoder_reads_it(all in records()) {
        let mut buf = BodyBuf::with_limit(1 << 20);
        for (i, r) in all.iter().enumerate() {
            let before = buf.len();
            prop_assert_eq!(append(&mut buf, r), Some(i as u32));
            let headers: Vec<Header<'_>> = r.headers.iter().map(|(k, v)| Header { key: k, value: v.as_deref() }).collect();
            prop_assert!(buf.len() - before <= size_of_record(r.key.as_deref(), r.value.as_deref(), &headers));
        }
        prop_assert_eq!(buf.plain(), &body(&all, all[0].time)[..]);
        let facts = buf.facts();
        prop_assert_eq!(facts.max_timestamp, all.iter().map(|r| r.time).max().unwrap());
        let stamp = Stamp { producer_id: 1 << 40, epoch: 7, base_sequence: i32::MAX };
        let mut whole = facts.header(stamp, true).to_vec();
        whole.extend(buf.plain());
        let header = BatchHeader::parse(&whole).unwrap();
        header.check_crc(&whole).unwrap();
        prop_assert_eq!(header.len(), whole.len());
        prop_assert_eq!(header.len(), facts.batch_len());
        prop_assert_eq!(header.stamp, stamp);
        prop_assert_eq!(header.count, all.len() as i32);
        prop_assert_eq!(header.last_offset(), all.len() as i64 - 1);
        prop_assert!(header.attributes.is_transactional() && !header.attributes.is_control());
        let read: Vec<Rec> = Records::new(&whole[HEADER_LEN..], RecordsInfo::from(&header))
            .map(|r| owned(&r.unwrap(), 0))
            .collect();
        prop_assert_eq!(read, all);
    }

    #[test]
    fn a_record_that_does_not_fit_changes_nothing(all in records(), limit in 0usize..400) {
        let mut buf = BodyBuf::with_limit(limit);
        let mut taken = Vec::new();
        for r in &all {
            let before = (buf.plain().to_vec(), buf.count(), buf.max_timestamp());
            let mut r = r.clone();
            r.delta = taken.len() as i64;
            match append(&mut buf, &r) {
                Some(_) => taken.push(r),
                None => prop_assert_eq!((buf.plain().to_vec(), buf.count(), buf.max_timestamp()), before),
            }
            prop_assert!(buf.len() <= limit);
        }
        let expected = body(&taken, taken.first().map_or(0, |r| r.time));
        prop_assert_eq!(buf.plain(), &expected[..]);
    }
}

#[test]
fn a_record_fits_to_the_last_byte_and_not_beyond() {
    for value in [0, 1, 50, 62, 63, 64, 120, 8100, 8190, 8200, 20_000] {
        let value = vec![7; value];
        let mut wide = BodyBuf::with_limit(1 << 16);
        wide.append(5, Some(b"key"), Some(&value), &[]).unwrap();
        let size = wide.len();
        let mut exact = BodyBuf::with_limit(size);
        assert_eq!(exact.append(5, Some(b"key"), Some(&value), &[]), Some(0));
        assert_eq!(exact.plain(), wide.plain());
        assert_eq!(exact.append(5, None, None, &[]), None);
        let mut small = BodyBuf::with_limit(size - 1);
        assert_eq!(small.append(5, Some(b"key"), Some(&value), &[]), None);
        assert!(small.is_empty());
    }
}

#[test]
fn a_body_without_a_buffer_takes_nothing() {
    assert_eq!(BodyBuf::default().append(0, None, None, &[]), None);
    assert_eq!(BodyBuf::new(vec![0; SLACK]).append(0, None, None, &[]), None);
}

#[test]
fn large_fields_and_far_deltas_take_the_generic_path_alike() {
    let big = vec![1; (1 << 25) + 5];
    let all = [
        Rec { time: 10, key: Some(big.clone()), ..Rec::default() },
        Rec { delta: 1, time: 10 + (1 << 20), value: Some(vec![2]), ..Rec::default() },
        Rec { delta: 2, time: -9_000_000_000, value: Some(big), ..Rec::default() },
    ];
    let mut buf = BodyBuf::with_limit(1 << 27);
    for r in &all {
        append(&mut buf, r).unwrap();
    }
    assert!(buf.plain() == body(&all, 10));
}

#[test]
fn a_timestamp_out_of_reach_of_the_first_does_not_fit() {
    let mut buf = BodyBuf::with_limit(1000);
    assert_eq!(buf.append(i64::MIN, None, Some(b"v"), &[]), Some(0));
    assert_eq!(buf.append(i64::MAX, None, Some(b"v"), &[]), None);
    assert_eq!(buf.append(0, None, Some(b"v"), &[]), None);
    assert_eq!(buf.append(-1, None, Some(b"v"), &[]), Some(1));
    assert_eq!((buf.base_timestamp(), buf.max_timestamp(), buf.count()), (i64::MIN, -1, 2));
}

#[test]
fn a_truncated_body_goes_on_as_if_nothing_had_been() {
    let mut buf = BodyBuf::with_limit(1000);
    buf.append(100, None, Some(b"one"), &[]).unwrap();
    let (mark, before) = (buf.mark(), buf.plain().to_vec());
    buf.append(300, Some(b"k"), Some(b"two"), &[Header::new("h", b"v")]).unwrap();
    let later = buf.mark();
    buf.truncate(mark);
    assert_eq!((buf.plain(), buf.count(), buf.max_timestamp()), (&before[..], 1, 100));
    buf.truncate(later);
    assert_eq!(buf.count(), 1, "a mark ahead of the body is ignored");
    buf.append(200, None, Some(b"two again"), &[]).unwrap();
    assert_eq!(buf.facts().max_timestamp, 200);
    let (limit, len) = (buf.limit(), buf.len());
    let (vec, at) = buf.into_parts();
    assert_eq!((vec.len(), at), (limit + SLACK, len));
    let mut again = BodyBuf::new(vec);
    again.append(7, None, Some(b"fresh"), &[]).unwrap();
    assert_eq!(again.plain(), &body(&[Rec { time: 7, value: Some(b"fresh".to_vec()), ..Rec::default() }], 7)[..]);
}

#[test]
fn another_stamp_before_the_same_body_is_a_valid_batch_too() {
    let mut buf = BodyBuf::with_limit(1000);
    buf.append(100, None, Some(b"one"), &[]).unwrap();
    let facts = buf.facts();
    for (stamp, transactional) in
        [(Stamp::NONE, false), (Stamp { producer_id: 9, epoch: 1, base_sequence: 0 }, true), (Stamp::NONE, true)]
    {
        let mut whole = facts.header(stamp, transactional).to_vec();
        whole.extend(buf.plain());
        let header = BatchHeader::parse(&whole).unwrap();
        header.check_crc(&whole).unwrap();
        assert_eq!((header.stamp, header.attributes.codec()), (stamp, Ok(Codec::None)));
        whole[30] ^= 1;
        header.check_crc(&whole).unwrap_err();
    }
}
