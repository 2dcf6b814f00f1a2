//! Compression codecs with bounded output.
//!
//! Output goes into buffers that are kept: a buffer only ever grows, the result is its front part, and the number of
//! bytes written is what a call returns. So a pooled buffer is zeroed once in its life.

mod custom;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
mod preference;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

pub use custom::{Codecs, CustomCodec, Output};
pub use preference::{Preference, Refused};

use std::fmt;

use crate::error::{Error, ErrorKind};

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// Deflate in the gzip format.
    Gzip,
    /// Snappy; written in the block format of Java's xerial library, as Kafka does.
    Snappy,
    /// LZ4 in its frame format.
    Lz4,
    /// Zstandard; brokers know it since 2.1 (KIP-110).
    Zstd,
}

impl Codec {
    /// All codecs, by id.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its number in the attributes of a batch.
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec with this number.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Its name as a value of `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Whether this build can write and read it; if not, its Cargo feature of the same name is off.
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Snappy => cfg!(feature = "snappy"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes could not be compressed or decompressed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// This build is without the codec.
    Unsupported(Codec),
    /// No Kafka knows a codec with this number.
    Unknown(u8),
    /// The output would be larger than allowed.
    TooLarge {
        /// How the input is compressed.
        codec: Codec,
        /// How many bytes were allowed.
        limit: usize,
    },
    /// The bytes are not what the codec writes.
    Corrupt {
        /// How they claim to be compressed.
        codec: Codec,
        /// What is wrong.
        what: &'static str,
    },
}

impl CodecError {
    /// Whether another build of klamm could do it.
    pub const fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported(_))
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unsupported(codec) => write!(f, "this build is without the Cargo feature `{codec}`"),
            Self::Unknown(id) => write!(f, "unknown compression codec {id}"),
            Self::TooLarge { codec, limit } => write!(f, "{codec} data decompresses to more than {limit} bytes"),
            Self::Corrupt { codec, what } => write!(f, "corrupt {codec} data: {what}"),
        }
    }
}

impl std::error::Error for CodecError {}

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Self {
        let kind = if error.is_unsupported() { ErrorKind::Unsupported } else { ErrorKind::Corrupt };
        Self::new(kind, error.to_string())
    }
}

/// A codec and its level: what a producer is configured to compress by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    codec: Codec,
    level: Option<i32>,
}

impl Compression {
    /// No compression.
    pub const NONE: Self = Self { codec: Codec::None, level: None };

    /// The codec at `level`, or at its default.
    ///
    /// Levels as Kafka has them (KIP-390): gzip 1 to 9 or -1 for its default; lz4 1 to 17, which are accepted but all
    /// compress alike (klamm's encoder has one, fast mode; a [`CustomCodec`] may heed them); zstd -131072 to 22, default 3. The others have none.
    ///
    /// # Errors
    /// `Config` if the codec has no such level, `Unsupported` if this build is without the codec.
    pub fn new(codec: Codec, level: Option<i32>) -> Result<Self, Error> {
        Self::checked(codec, level, codec.is_built_in())
    }

    fn checked(codec: Codec, level: Option<i32>, available: bool) -> Result<Self, Error> {
        if !available {
            return Err(CodecError::Unsupported(codec).into());
        }
        let Some(level) = level else { return Ok(Self { codec, level }) };
        let (ok, range) = match codec {
            Codec::None | Codec::Snappy => (false, "no levels"),
            Codec::Gzip => ((1..=9).contains(&level) || level == -1, "levels 1 to 9, and -1 for its default"),
            Codec::Lz4 => ((1..=17).contains(&level), "levels 1 to 17"),
            Codec::Zstd => ((-131_072..=22).contains(&level), "levels -131072 to 22"),
        };
        if !ok {
            return Err(Error::new(
                ErrorKind::Config,
                format!("compression level {level} for {codec}, which has {range}"),
            ));
        }
        Ok(Self { codec, level: Some(level) })
    }

    /// The codec.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The configured level; `None` is the codec's default.
    pub const fn level(&self) -> Option<i32> {
        self.level
    }

    /// Compresses with a fresh [`Compressor`]: keep one instead where it happens often.
    ///
    /// # Errors
    /// See [`Compressor::compress`].
    pub fn compress(&self, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, CodecError> {
        Compressor::new(*self).compress(plain, out)
    }
}

/// Compresses bodies, one after the other, keeping its tables.
pub struct Compressor {
    compression: Compression,
    codecs: Codecs,
    #[cfg(feature = "snappy")]
    snappy: Option<Box<snap::raw::Encoder>>,
    #[cfg(feature = "lz4")]
    lz4: Option<Box<lz4_flex::block::CompressTable>>,
    #[cfg(feature = "zstd")]
    zstd: Option<::zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    /// One for this codec and level; what it needs is made at the first use.
    pub fn new(compression: Compression) -> Self {
        Self::with(compression, Codecs::default())
    }

    /// The same, by the application's codec if it is among these.
    pub fn with(compression: Compression, codecs: Codecs) -> Self {
        Self {
            compression,
            codecs,
            #[cfg(feature = "snappy")]
            snappy: None,
            #[cfg(feature = "lz4")]
            lz4: None,
            #[cfg(feature = "zstd")]
            zstd: None,
        }
    }

    /// What it compresses by.
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Compresses `plain` into the front of `out`, which grows as needed and never shrinks; gives the compressed size.
    /// Without a codec it copies.
    ///
    /// # Errors
    /// [`CodecError::Unsupported`] if this build is without the codec; anything else is a defect of a codec's library.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<usize, CodecError> {
        if let Some(done) = self.codecs.compress(self.compression, plain, out) {
            return done;
        }
        match self.compression.codec {
            Codec::None => {
                grow(out, plain.len());
                out[..plain.len()].copy_from_slice(plain);
                Ok(plain.len())
            }
            #[cfg(feature = "gzip")]
            Codec::Gzip => gzip::compress(self.compression.level, plain, out),
            #[cfg(feature = "snappy")]
            Codec::Snappy => {
                snappy::compress(self.snappy.get_or_insert_with(|| Box::new(snap::raw::Encoder::new())), plain, out)
            }
            #[cfg(feature = "lz4")]
            Codec::Lz4 => lz4::compress(
                self.lz4.get_or_insert_with(|| Box::new(lz4_flex::block::CompressTable::large())),
                plain,
                out,
            ),
            #[cfg(feature = "zstd")]
            Codec::Zstd => zstd::compress(&mut self.zstd, self.compression.level, plain, out),
            #[cfg(not(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")))]
            codec => Err(CodecError::Unsupported(codec)),
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

/// Decompresses bodies, one after the other, keeping its tables.
#[derive(Default)]
pub struct Decompressor {
    codecs: Codecs,
    #[cfg(feature = "zstd")]
    zstd: Option<::zstd::zstd_safe::DCtx<'static>>,
}

impl Decompressor {
    /// One that leaves what these are for to them.
    pub fn with(codecs: Codecs) -> Self {
        Self {
            codecs,
            #[cfg(feature = "zstd")]
            zstd: None,
        }
    }

    /// Decompresses `bytes` into the front of `out`, which grows as needed and never shrinks; gives the plain size.
    ///
    /// Lengths that the bytes declare are never trusted: `out` grows only as far as the bytes present justify, and never
    /// beyond `limit` by the output of one call.
    ///
    /// # Errors
    /// What is wrong with the bytes, [`CodecError::TooLarge`] beyond `limit`, or that this build is without the codec.
    pub fn decompress(
        &mut self,
        codec: Codec,
        bytes: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, CodecError> {
        if let Some(done) = self.codecs.decompress(codec, bytes, out, limit) {
            return done;
        }
        match codec {
            Codec::None => {
                if bytes.len() > limit {
                    return Err(CodecError::TooLarge { codec, limit });
                }
                grow(out, bytes.len());
                out[..bytes.len()].copy_from_slice(bytes);
                Ok(bytes.len())
            }
            #[cfg(feature = "gzip")]
            Codec::Gzip => gzip::decompress(bytes, out, limit),
            #[cfg(feature = "snappy")]
            Codec::Snappy => snappy::decompress(bytes, out, limit),
            #[cfg(feature = "lz4")]
            Codec::Lz4 => lz4::decompress(bytes, out, limit, lz4::HeaderChecksum::Right),
            #[cfg(feature = "zstd")]
            Codec::Zstd => zstd::decompress(&mut self.zstd, bytes, out, limit),
            #[cfg(not(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")))]
            codec => Err(CodecError::Unsupported(codec)),
        }
    }

    /// As [`decompress`](Self::decompress), for a message set of magic 0: Kafka 0.8 and 0.9 wrote LZ4 frames with a
    /// wrong header checksum (KAFKA-3160), which is not looked at here.
    pub(crate) fn decompress_magic_0(
        &mut self,
        codec: Codec,
        bytes: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, CodecError> {
        match codec {
            #[cfg(feature = "lz4")]
            Codec::Lz4 => lz4::decompress(bytes, out, limit, lz4::HeaderChecksum::PerhapsWrong),
            codec => self.decompress(codec, bytes, out, limit),
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

/// Makes `out` at least `len` long. What is there stays.
fn grow(out: &mut Vec<u8>, len: usize) {
    if out.len() < len {
        out.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_kafkas() {
        let all: Vec<_> = Codec::ALL.iter().map(|c| (c.id(), c.name())).collect();
        assert_eq!(all, [(0, "none"), (1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")]);
        for codec in Codec::ALL {
            assert_eq!(Codec::from_id(codec.id()), Some(codec));
        }
        assert_eq!(Codec::from_id(5), None);
    }

    #[test]
    fn a_codec_that_is_not_built_in_is_refused_by_its_features_name() {
        for codec in Codec::ALL {
            let mut out = Vec::new();
            let unpacked = Decompressor::default().decompress(codec, b"?", &mut out, 10);
            if codec.is_built_in() {
                assert_ne!(unpacked, Err(CodecError::Unsupported(codec)));
                continue;
            }
            assert_eq!(unpacked, Err(CodecError::Unsupported(codec)));
            let error = Compression::new(codec, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains(&format!("feature `{codec}`")), "{error}");
        }
    }

    #[test]
    fn without_a_codec_bytes_are_copied_within_the_limit() {
        let mut out = vec![9; 5];
        assert_eq!(Compression::NONE.compress(b"abc", &mut out), Ok(3));
        assert_eq!(out, [b'a', b'b', b'c', 9, 9], "a buffer keeps its length");
        assert_eq!(Decompressor::default().decompress(Codec::None, b"abc", &mut out, 3), Ok(3));
        let too_large = Err(CodecError::TooLarge { codec: Codec::None, limit: 2 });
        assert_eq!(Decompressor::default().decompress(Codec::None, b"abc", &mut out, 2), too_large);
    }
}
