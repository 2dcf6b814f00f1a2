//! Zigzag variable-length integers of records: at most 5 or 10 bytes, no bits past the type.

use super::error::Fault;

/// The zigzag form of `value`: small for small absolute values.
#[inline(always)]
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// How many bytes `raw` takes.
#[inline(always)]
pub(super) fn size(raw: u64) -> usize {
    (70 - (raw | 1).leading_zeros() as usize) / 7
}

/// Writes `raw` at `at`; gives the place behind it. The caller has made room.
#[inline]
pub(super) fn put(out: &mut [u8], mut at: usize, mut raw: u64) -> usize {
    while raw >= 0x80 {
        out[at] = raw as u8 | 0x80;
        raw >>= 7;
        at += 1;
    }
    out[at] = raw as u8;
    at + 1
}

/// An error without a word: reading that keeps silent about what is wrong is three times as fast. Whoever meets one
/// reads again with [`Fault`] as the error type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silent;

impl From<Fault> for Silent {
    #[inline(always)]
    fn from(_: Fault) -> Self {
        Self
    }
}

/// Reads a 64-bit integer at `at` and moves `at` behind it.
#[inline(always)]
pub(super) fn get64<E: From<Fault>>(bytes: &[u8], at: &mut usize) -> Result<i64, E> {
    let raw = match bytes.get(*at) {
        Some(&first) if first < 0x80 => {
            *at += 1;
            u64::from(first)
        }
        _ => long(bytes, at)?,
    };
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Reads a 32-bit integer at `at` and moves `at` behind it.
#[inline(always)]
pub(super) fn get32<E: From<Fault>>(bytes: &[u8], at: &mut usize) -> Result<i64, E> {
    let start = *at;
    let value = get64(bytes, at)?;
    if *at - start > 5 || i32::try_from(value).is_err() {
        return Err(Fault::Varint.into());
    }
    Ok(value)
}

#[inline]
fn long<E: From<Fault>>(bytes: &[u8], at: &mut usize) -> Result<u64, E> {
    let rest = bytes.get(*at..).unwrap_or_default();
    if let [first, second, ..] = *rest {
        if second < 0x80 {
            *at += 2;
            return Ok(u64::from(first & 0x7f) | u64::from(second) << 7);
        }
    }
    let mut raw = 0;
    for (i, &byte) in rest.iter().take(10).enumerate() {
        if i == 9 && byte > 1 {
            return Err(Fault::Varint.into());
        }
        raw |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *at += i + 1;
            return Ok(raw);
        }
    }
    Err(if rest.len() < 10 { Fault::Truncated.into() } else { Fault::Varint.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get64(bytes: &[u8], at: &mut usize) -> Result<i64, Fault> {
        super::get64(bytes, at)
    }

    fn get32(bytes: &[u8], at: &mut usize) -> Result<i64, Fault> {
        super::get32(bytes, at)
    }

    #[test]
    fn every_power_and_its_neighbours_survive_the_round_trip() {
        let mut buf = [0; 16];
        for bit in 0..64 {
            for near in [-1i64, 0, 1] {
                for value in [(1i64 << bit).wrapping_add(near), (1i64 << bit).wrapping_add(near).wrapping_neg()] {
                    let end = put(&mut buf, 0, zigzag(value));
                    assert_eq!(end, size(zigzag(value)), "{value}");
                    let mut at = 0;
                    assert_eq!(get64(&buf[..end], &mut at), Ok(value));
                    assert_eq!(at, end);
                    let mut at = 0;
                    let narrow = get32(&buf[..end], &mut at);
                    assert_eq!(narrow.ok(), i32::try_from(value).ok().map(i64::from));
                    assert_eq!(get64(&buf[..end - 1], &mut 0), Err(Fault::Truncated));
                }
            }
        }
    }

    #[test]
    fn kafkas_own_vectors_hold() {
        let cases: [(i64, &[u8]); 8] = [
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (8191, &[0xfe, 0x7f]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for (value, bytes) in cases {
            assert_eq!(get64(bytes, &mut 0), Ok(value));
            let mut out = [0; 10];
            let end = put(&mut out, 0, zigzag(value));
            assert_eq!(&out[..end], bytes);
        }
    }

    #[test]
    fn too_many_bytes_or_bits_are_refused() {
        assert_eq!(get64(&[0xff; 11], &mut 0), Err(Fault::Varint));
        assert_eq!(get64(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], &mut 0), Err(Fault::Varint));
        assert_eq!(get32(&[0xff, 0xff, 0xff, 0xff, 0x1f], &mut 0), Err(Fault::Varint));
        assert_eq!(get32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], &mut 0), Err(Fault::Varint));
        assert_eq!(get64(&[], &mut 0), Err(Fault::Truncated));
    }
}
