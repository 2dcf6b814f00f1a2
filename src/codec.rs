//! Codecs of your own in the place of klamm's: another library (lz4 at its higher levels), a Zstandard dictionary that all
//! readers share, a codec that your build of klamm is without.
//!
//! What is written must be what the codec's number promises: brokers decompress batches to check them, other clients to read
//! them. This one writes LZ4 frames that compress nothing, and reads no others:
//!
//! ```
//! use klamm::codec::{Codec, CodecError, CustomCodec, Output};
//! use klamm::config::{Compression, ProducerConfig};
//!
//! struct Stored;
//!
//! const HEADER: [u8; 7] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82];
//!
//! impl CustomCodec for Stored {
//!     fn compress(&self, plain: &[u8], _level: Option<i32>, out: &mut Output<'_>) -> Result<(), CodecError> {
//!         out.extend(&HEADER)?;
//!         for block in plain.chunks(64 * 1024) {
//!             out.extend(&(block.len() as u32 | 1 << 31).to_le_bytes())?;
//!             out.extend(block)?;
//!         }
//!         out.extend(&[0; 4])
//!     }
//!
//!     fn decompress(&self, packed: &[u8], out: &mut Output<'_>) -> Result<(), CodecError> {
//!         let corrupt = |what| CodecError::Corrupt { codec: Codec::Lz4, what };
//!         let mut rest = packed.strip_prefix(&HEADER).ok_or(corrupt("another header"))?;
//!         while let Some((length, blocks)) = rest.split_first_chunk() {
//!             let length = (u32::from_le_bytes(*length) & !(1 << 31)) as usize;
//!             let (block, next) = blocks.split_at_checked(length).ok_or(corrupt("a block beyond the end"))?;
//!             out.extend(block)?;
//!             rest = next;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let config = klamm::Config::new("localhost:9092")
//!     .codec(Codec::Lz4, Stored)
//!     .producer(ProducerConfig::new().compression(Compression::Lz4));
//! config.validate().unwrap();
//! ```

pub use klamm_core::codec::{Codec, CodecError, CustomCodec, Output};
