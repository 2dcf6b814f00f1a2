//! CRC-32C of a batch, joined in constant time from the CRC of its body and that of its late header.
//!
//! `crc(head ‖ body) = crc(head) · x^(8·len body) + crc(body)` modulo the Castagnoli polynomial. The power is taken when
//! the body is sealed, so stamping a header costs one multiplication however long the body is.

/// The Castagnoli polynomial, reflected.
const POLY: u32 = 0x82F6_3B78;

/// `x^0`: the lowest power stands in the highest bit.
const ONE: u32 = 1 << 31;

/// `x^(8 · n · 256^k)` modulo the polynomial, for each byte `n` at place `k` of a length below 2^24.
const SHIFTS: [[u32; 256]; 3] = {
    let mut table = [[ONE; 256]; 3];
    let mut power = ONE >> 8;
    let mut k = 0;
    while k < table.len() {
        let mut n = 1;
        while n < 256 {
            table[k][n] = multiply(table[k][n - 1], power);
            n += 1;
        }
        power = multiply(table[k][255], power);
        k += 1;
    }
    table
};

/// What four bits that fall out at the end come back as.
const FALLEN: [u32; 16] = {
    let mut table = [0; 16];
    let mut n = 0;
    while n < table.len() {
        table[n] = times_x(times_x(times_x(times_x(n as u32))));
        n += 1;
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
    let (mut left, mut product) = (len, ONE);
    for table in &SHIFTS {
        let byte = left & 0xff;
        if byte != 0 {
            product = if product == ONE { table[byte] } else { multiply(product, table[byte]) };
        }
        left >>= 8;
    }
    // 16 MiB and more: as often as it takes.
    let whole = multiply(SHIFTS[2][255], SHIFTS[2][1]);
    (0..left).fold(product, |product, _| multiply(product, whole))
}

const fn times_x(a: u32) -> u32 {
    (a >> 1) ^ (POLY & (a & 1).wrapping_neg())
}

/// The product of two reflected polynomials modulo the Castagnoli polynomial: four bits at a time, without a branch.
const fn multiply(a: u32, b: u32) -> u32 {
    let (b1, b2, b3) = (times_x(b), times_x(times_x(b)), times_x(times_x(times_x(b))));
    let (b01, b23) = (b ^ b1, b2 ^ b3);
    let multiples = [
        0,
        b3,
        b2,
        b23,
        b1,
        b1 ^ b3,
        b1 ^ b2,
        b1 ^ b23,
        b,
        b ^ b3,
        b ^ b2,
        b ^ b23,
        b01,
        b01 ^ b3,
        b01 ^ b2,
        b01 ^ b23,
    ];
    let (mut product, mut left, mut step) = (0u32, a, 0);
    while step < 8 {
        product = (product >> 4) ^ FALLEN[(product & 15) as usize] ^ multiples[(left & 15) as usize];
        left >>= 4;
        step += 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, as one learns it.
    fn slowly(a: u32, mut b: u32) -> u32 {
        let mut product = 0;
        for bit in (0..32).rev() {
            if a >> bit & 1 != 0 {
                product ^= b;
            }
            b = if b & 1 != 0 { (b >> 1) ^ POLY } else { b >> 1 };
        }
        product
    }

    #[test]
    fn products_are_those_of_the_slow_way() {
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..10_000 {
            let (a, b) = (random.u32(..), random.u32(..));
            assert_eq!(multiply(a, b), slowly(a, b), "{a:#x} {b:#x}");
        }
        for bit in 0..32 {
            assert_eq!(multiply(1 << bit, POLY), slowly(1 << bit, POLY));
        }
    }

    #[test]
    fn lengths_beyond_the_tables_shift_as_those_within_do() {
        for len in [0usize, 1, 255, 256, 65_535, (1 << 24) - 1, 1 << 24, (1 << 24) + 1, (5 << 24) + 77] {
            let mut expected = ONE;
            let mut power = ONE >> 8;
            let mut left = len;
            while left > 0 {
                if left & 1 != 0 {
                    expected = slowly(expected, power);
                }
                power = slowly(power, power);
                left >>= 1;
            }
            assert_eq!(shift(len), expected, "{len}");
        }
    }

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
