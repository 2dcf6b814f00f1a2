//! CRC-32C of a batch, joined in constant time from the CRC of its body and that of its late header.
//!
//! `crc(head ‖ body) = crc(head) · x^(8·len body) + crc(body)` modulo the Castagnoli polynomial. The power is taken when
//! the body is sealed, so stamping a header costs one multiplication however long the body is.

/// The Castagnoli polynomial, reflected.
const POLY: u32 = 0x82F6_3B78;

/// `x^(8 · 2^k)` modulo the polynomial, for each bit `k` of a length.
const SHIFTS: [u32; 64] = {
    let mut table = [0; 64];
    let mut power = 1 << (31 - 8);
    let mut k = 0;
    while k < table.len() {
        table[k] = power;
        power = multiply(power, power);
        k += 1;
    }
    table
};

/// The CRC-32C (Castagnoli) of `bytes`.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The CRC of a sealed body, with what is needed to put a header before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyCrc {
    crc: u32,
    shift: u32,
    len: usize,
}

impl BodyCrc {
    /// Reads the whole body once.
    pub fn of(body: &[u8]) -> Self {
        Self { crc: crc32c(body), shift: shift(body.len()), len: body.len() }
    }

    /// The CRC of `head` followed by this body. Reads `head` only.
    #[inline]
    pub fn join(&self, head: &[u8]) -> u32 {
        multiply(self.shift, crc32c(head)) ^ self.crc
    }

    /// The CRC of the body alone.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// How many bytes the body has.
    pub fn body_len(&self) -> usize {
        self.len
    }
}

/// `x^(8 · len)` modulo the polynomial.
fn shift(len: usize) -> u32 {
    let mut left = len;
    let mut product = 1 << 31;
    let mut table = SHIFTS.iter();
    while let (true, Some(power)) = (left != 0, table.next()) {
        if left & 1 != 0 {
            product = multiply(*power, product);
        }
        left >>= 1;
    }
    product
}

/// The product of two reflected polynomials modulo the Castagnoli polynomial.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut mask = 1u32 << 31;
    let mut product = 0u32;
    while mask != 0 {
        if a & mask != 0 {
            product ^= b;
            if a & (mask - 1) == 0 {
                break;
            }
        }
        mask >>= 1;
        b = if b & 1 != 0 { (b >> 1) ^ POLY } else { b >> 1 };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_agrees_with_kafkas_own_vectors() {
        assert_eq!(crc32c(b"Some String"), 608_512_271);
        assert_eq!(crc32c(b"123456789"), 3_808_858_755);
        assert_eq!(crc32c(&[0; 32]), 2_324_772_522);
        assert_eq!(crc32c(&[0xff; 32]), 1_655_221_059);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 1_188_919_630);
        let falling: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc32c(&falling), 289_397_596);
    }

    #[test]
    fn a_joined_crc_is_the_crc_of_the_whole() {
        let mut random = fastrand::Rng::with_seed(7);
        let bytes: Vec<u8> = (0..(1 << 20) + 77).map(|_| random.u8(..)).collect();
        let heads = [0, 1, 7, 40, 61, 1000];
        let bodies = [0, 1, 2, 3, 77, 255, 256, 257, 16_323, 16_384, 65_535, 65_536, 1 << 20];
        for head in heads {
            for body in bodies {
                let whole = &bytes[..(head + body).min(bytes.len())];
                let (head, body) = whole.split_at(head);
                assert_eq!(BodyCrc::of(body).join(head), crc32c(whole), "{} + {}", head.len(), body.len());
            }
        }
    }

    #[test]
    fn every_length_up_to_two_pages_joins() {
        let bytes: Vec<u8> = (0..8192u32).map(|i| ((i * 31) >> 3) as u8).collect();
        for len in 0..bytes.len() {
            let body = &bytes[..len];
            let mut whole = b"the head".to_vec();
            whole.extend_from_slice(body);
            assert_eq!(BodyCrc::of(body).join(b"the head"), crc32c(&whole), "{len}");
        }
    }
}
