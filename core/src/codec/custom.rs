//! Codecs of the application in the place of klamm's own.

use super::{Codec, CodecError, Compression, grow};
use crate::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The application's own way to write and read one of Kafka's codecs: another library, a dictionary that all readers share, a
/// codec that this build is without. Given by [`Config::codec`](crate::config::builder::Config::codec).
///
/// Whatever it writes, every other reader of the topic must be able to read: brokers decompress batches too, to check them.
/// It is called on the threads that send and poll and on the driver's, several at a time. A panic in it is an error of the one
/// batch.
pub trait CustomCodec: Send + Sync + 'static {
    /// Compresses the records of a batch; `level` is what the producer is configured to, if anything.
    ///
    /// # Errors
    /// The batch's records fail with it.
    fn compress(&self, plain: &[u8], level: Option<i32>, out: &mut Output<'_>) -> Result<(), CodecError>;

    /// Decompresses the records of a batch. The bytes come from the network: nothing about them is certain.
    ///
    /// # Errors
    /// The consumer tells it with the batch's place, as it does of klamm's own codecs.
    fn decompress(&self, packed: &[u8], out: &mut Output<'_>) -> Result<(), CodecError>;
}

/// Where a codec writes: it grows as needed, up to a limit.
pub struct Output<'a> {
    buffer: &'a mut Vec<u8>,
    len: usize,
    limit: usize,
    codec: Codec,
    over: bool,
}

impl<'a> Output<'a> {
    /// Over the front of a buffer.
    fn new(codec: Codec, buffer: &'a mut Vec<u8>, limit: usize) -> Self {
        Self { buffer, len: 0, limit, codec, over: false }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// `TooLarge` beyond the limit (`decompressed.max.bytes`).
    pub fn extend(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.room(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Adds `size` bytes for the codec to fill; what they are before that is undefined.
    ///
    /// # Errors
    /// `TooLarge` beyond the limit: sizes that the input declares are no reason to ask for more than it can hold.
    pub fn room(&mut self, size: usize) -> Result<&mut [u8], CodecError> {
        let start = self.len;
        let end = start.checked_add(size).filter(|end| *end <= self.limit);
        let Some(end) = end else {
            self.over = true;
            return Err(CodecError::TooLarge { codec: self.codec, limit: self.limit });
        };
        grow(self.buffer, end);
        self.len = end;
        Ok(&mut self.buffer[start..end])
    }

    /// Takes back what is behind the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// What is there: a decoder refers back to it.
    pub fn written(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }

    /// How many bytes may come yet.
    pub fn left(&self) -> usize {
        self.limit - self.len
    }
}

/// For libraries that write to a stream.
impl std::io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend(bytes).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("len", &self.len).field("limit", &self.limit).finish_non_exhaustive()
    }
}

type Table = [Option<Arc<dyn CustomCodec>>; Codec::ALL.len()];

/// The application's codecs. Cheap to clone; equal to its clones only.
#[derive(Clone, Default)]
pub struct Codecs(Option<Arc<Table>>);

impl Codecs {
    /// The same with one more, in the place of klamm's own or of an earlier one. `Codec::None` is always klamm's.
    #[must_use]
    pub fn with(self, codec: Codec, custom: Arc<dyn CustomCodec>) -> Self {
        let mut table = self.0.map_or_else(Table::default, |table| (*table).clone());
        if codec != Codec::None {
            table[usize::from(codec.id())] = Some(custom);
        }
        Self(Some(Arc::new(table)))
    }

    /// Whether one of them is for this codec.
    pub fn has(&self, codec: Codec) -> bool {
        self.get(codec).is_some()
    }

    /// As [`Compression::new`], also for a codec that this build is without and the application has.
    ///
    /// # Errors
    /// As there.
    pub fn compression(&self, codec: Codec, level: Option<i32>) -> Result<Compression, Error> {
        Compression::checked(codec, level, codec.is_built_in() || self.has(codec))
    }

    fn get(&self, codec: Codec) -> Option<&dyn CustomCodec> {
        self.0.as_ref()?[usize::from(codec.id())].as_deref()
    }

    /// Has the application's codec compress, if it has one.
    pub(super) fn compress(
        &self,
        compression: Compression,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Result<usize, CodecError>> {
        let codec = compression.codec();
        let custom = self.get(codec)?;
        Some(run(Output::new(codec, out, usize::MAX), |out| custom.compress(plain, compression.level(), out)))
    }

    /// Has the application's codec decompress, if it has one.
    pub(super) fn decompress(
        &self,
        codec: Codec,
        packed: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Option<Result<usize, CodecError>> {
        let custom = self.get(codec)?;
        Some(run(Output::new(codec, out, limit), |out| custom.decompress(packed, out)))
    }
}

fn run(mut out: Output<'_>, call: impl FnOnce(&mut Output<'_>) -> Result<(), CodecError>) -> Result<usize, CodecError> {
    let what = "the application's codec panicked";
    let panicked = Err(CodecError::Corrupt { codec: out.codec, what });
    let done = catch_unwind(AssertUnwindSafe(|| call(&mut out))).unwrap_or(panicked);
    if out.over {
        // Whatever the codec made of the refusal.
        return Err(CodecError::TooLarge { codec: out.codec, limit: out.limit });
    }
    done.map(|()| out.len)
}

impl PartialEq for Codecs {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Eq for Codecs {}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Codec::ALL.into_iter().filter(|codec| self.has(*codec)).map(Codec::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compressor, Decompressor};
    use super::*;
    use std::io::Write;

    /// Each byte with its bits turned, `level` in front.
    struct Turned;

    impl CustomCodec for Turned {
        fn compress(&self, plain: &[u8], level: Option<i32>, out: &mut Output<'_>) -> Result<(), CodecError> {
            out.extend(&[level.unwrap_or(0) as u8])?;
            let room = out.room(plain.len())?;
            room.copy_from_slice(plain);
            room.iter_mut().for_each(|byte| *byte = !*byte);
            Ok(())
        }

        fn decompress(&self, packed: &[u8], out: &mut Output<'_>) -> Result<(), CodecError> {
            match packed {
                [] => panic!("never empty"),
                // Grows without end, and keeps the refusal to itself.
                [b'b', ..] => {
                    while out.write(&[0; 100]).is_ok() {}
                    Ok(())
                }
                [_, rest @ ..] => {
                    for byte in rest {
                        out.extend(&[!byte])?;
                    }
                    Ok(())
                }
            }
        }
    }

    fn codecs() -> Codecs {
        Codecs::default().with(Codec::Lz4, Arc::new(Turned))
    }

    #[test]
    fn the_applications_codec_is_taken_for_its_number_and_no_other() {
        let codecs = codecs();
        let compression = codecs.compression(Codec::Lz4, Some(12)).unwrap();
        let (mut packed, mut plain) = (vec![9; 2], Vec::new());
        let len = Compressor::with(compression, codecs.clone()).compress(b"abc", &mut packed).unwrap();
        assert_eq!(packed[..len], [12, !b'a', !b'b', !b'c']);
        let mut decompressor = Decompressor::with(codecs.clone());
        assert_eq!(decompressor.decompress(Codec::Lz4, &packed[..len], &mut plain, 3), Ok(3));
        assert_eq!(plain, b"abc");
        let len = Compressor::with(Compression::NONE, codecs.clone()).compress(b"abc", &mut packed).unwrap();
        assert_eq!(packed[..len], *b"abc");
        assert!(codecs.has(Codec::Lz4) && !codecs.has(Codec::Gzip));
        assert_eq!((codecs.clone(), format!("{codecs:?}").as_str()), (codecs.clone(), "{\"lz4\"}"));
        assert_ne!(codecs, Codecs::default());
    }

    #[test]
    fn beyond_the_limit_it_gets_no_memory_whatever_it_says() {
        let mut plain = Vec::new();
        let bomb = Decompressor::with(codecs()).decompress(Codec::Lz4, b"b", &mut plain, 1_000);
        assert_eq!(bomb, Err(CodecError::TooLarge { codec: Codec::Lz4, limit: 1_000 }));
        assert!(plain.len() <= 1_000, "{}", plain.len());
    }

    #[test]
    fn a_panic_in_it_is_an_error_of_the_batch() {
        let panicked = Decompressor::with(codecs()).decompress(Codec::Lz4, b"", &mut Vec::new(), 1_000);
        assert!(matches!(panicked, Err(CodecError::Corrupt { codec: Codec::Lz4, .. })), "{panicked:?}");
    }

    #[test]
    fn what_is_not_compressed_cannot_be_replaced() {
        let codecs = Codecs::default().with(Codec::None, Arc::new(Turned));
        assert!(!codecs.has(Codec::None));
    }
}
