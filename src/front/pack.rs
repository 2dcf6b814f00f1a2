//! Compressing and checksumming sealed batches: on the thread that sealed them, or, if that would take long, elsewhere.

use super::budget::Grant;
use super::locked;
use super::pool::Pool;
use super::slot::Slot;
use super::sync::Mutex;
use bytes::Bytes;
use klamm_core::codec::{Codec, Codecs, Compression, Compressor};
use klamm_core::driver::PackWork;
use klamm_core::producer::{Batch, Facts, Plain};
use klamm_core::record::BodyCrc;
use klamm_core::{BatchNo, Error, ErrorKind, Timestamp};
use std::sync::Arc;

/// A slow codec gets more than this only on a thread for such work.
const LONG: usize = 32 * 1024;

/// A batch out of the lock, whose place in the queue waits for it.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) slot: Arc<Slot>,
    pub(crate) plain: Plain,
    pub(crate) grant: Option<Grant>,
}

/// What a take found.
#[derive(Debug)]
pub(crate) enum Packing {
    /// A batch for the core.
    Done(Batch),
    /// A batch that was sealed by the take and must be packed first.
    ToDo(Sealed),
}

/// A batch whose packing takes long: the driver hands it to its runtime.
pub(crate) type Offload = Sealed;

/// A packing under way on a thread of the runtime; dropped, it leaves a broken batch in the place.
#[derive(Debug)]
pub(crate) struct Underway {
    place: Place,
    grant: Option<Grant>,
    rest: Rest,
    codec: Codec,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    facts: Facts,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// A place in a queue that must be filled, whatever happens (contracts A1).
#[derive(Debug)]
struct Place(Option<(Arc<Slot>, BatchNo)>);

impl Place {
    fn fill(mut self, packed: Result<Batch, Error>) {
        if let Some((slot, no)) = self.0.take() {
            slot.put_back(no, packed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((slot, no)) = self.0.take() {
            let error = Error::new(ErrorKind::NotDelivered, "the batch could not be compressed: its codec panicked");
            slot.put_back(no, Err(error.with_possibly_written(false)));
        }
    }
}

/// The bytes of a batch body; memory and buffer come home when the last reference is gone (contracts B13).
struct Owner {
    buffer: Vec<u8>,
    len: usize,
    grant: Option<Grant>,
    packed: bool,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(grant) = &self.grant {
            let buffer = std::mem::take(&mut self.buffer);
            let shared = grant.shared();
            if self.packed { shared.packers.put(buffer) } else { shared.pool.put(buffer) }
        }
    }
}

/// Compressors and their output buffers.
#[derive(Debug)]
pub(crate) struct Packers {
    idle: Mutex<Vec<Compressor>>,
    outputs: Pool,
}

impl Packers {
    pub(crate) fn new(buffer: usize) -> Self {
        // Incompressible records grow a little; an output that grew further is not kept.
        Self { idle: Mutex::default(), outputs: Pool::new(buffer + buffer / 4 + 128, 64) }
    }

    fn put(&self, buffer: Vec<u8>) {
        self.outputs.put(buffer);
    }

    fn compressor(&self, compression: Compression, codecs: &Codecs) -> Compressor {
        let mut idle = locked(&self.idle);
        match idle.iter().position(|kept| kept.compression() == compression) {
            Some(at) => idle.swap_remove(at),
            None => Compressor::with(compression, codecs.clone()),
        }
    }
}

impl Sealed {
    /// Whether its codec takes long.
    pub(crate) fn is_slow(&self) -> bool {
        let codec = self.slot.compression().codec();
        matches!(codec, Codec::Gzip | Codec::Zstd) || self.slot.settings.codecs.has(codec)
    }

    /// Whether packing takes so long that an async task should not do it.
    fn is_long(&self) -> bool {
        self.is_slow() && self.plain.body.len() > LONG
    }

    /// Has it packed on a thread of the runtime.
    pub(crate) fn offload_later(self) {
        let shared = self.slot.shared.clone();
        locked(&shared.offloads).push(self);
        shared.forget_if_dead();
        shared.front.signal.notify();
    }

    /// Packs here and now, and puts the batch into its place.
    pub(crate) fn pack(self) {
        let Self { slot, plain, grant } = self;
        let place = Place(Some((slot.clone(), plain.no)));
        let packed = pack(&slot, plain, grant);
        place.fill(packed);
    }

    /// Packs here, unless it takes long: then the driver has it done elsewhere.
    pub(crate) fn pack_or_offload(self) {
        if self.is_long() {
            self.offload_later();
        } else {
            self.pack();
        }
    }

    /// What the runtime shall do, and what waits for it.
    pub(crate) fn offload(self) -> (PackWork, Underway) {
        let Self { slot, plain, grant } = self;
        let shared = slot.shared.clone();
        let rest = Rest::of(&plain);
        let no = plain.no;
        let (buffer, len) = plain.body.into_parts();
        // The grant stays with the packing: it outlives the plain bytes.
        let plain = Bytes::from_owner(Owner { buffer, len, grant: None, packed: false });
        let (compression, codecs) = (slot.compression(), slot.settings.codecs.clone());
        let work = PackWork { slot: (shared.ix, u64::from(slot.ix.0), no), compression, codecs, plain };
        let codec = compression.codec();
        (work, Underway { place: Place(Some((slot, no))), grant, rest, codec })
    }
}

impl Underway {
    /// The runtime has done it, or failed to.
    pub(crate) fn done(mut self, packed: Result<Vec<u8>, Error>) {
        let batch = packed.map(|out| {
            let len = out.len();
            if let Some((slot, _)) = &self.place.0 {
                slot.sticky.packed(self.rest.facts.plain_bytes as usize, len);
            }
            self.rest.batch(self.no(), out, len, self.codec, self.grant.take(), false)
        });
        self.place.fill(batch);
    }

    fn no(&self) -> BatchNo {
        self.place.0.as_ref().map_or(BatchNo::default(), |(_, no)| *no)
    }
}

impl Rest {
    fn of(plain: &Plain) -> Self {
        Self {
            facts: plain.facts,
            base_timestamp: plain.body.base_timestamp(),
            max_timestamp: plain.body.max_timestamp(),
        }
    }

    fn batch(
        self,
        no: BatchNo,
        buffer: Vec<u8>,
        len: usize,
        codec: Codec,
        mut grant: Option<Grant>,
        packed: bool,
    ) -> Batch {
        if let Some(grant) = &mut grant {
            grant.shrink(buffer.len());
        }
        let body = Bytes::from_owner(Owner { buffer, len, grant, packed });
        Batch {
            no,
            crc: BodyCrc::of(&body),
            body,
            codec,
            count: self.facts.count,
            plain_bytes: self.facts.plain_bytes,
            base_timestamp: Timestamp(self.base_timestamp),
            max_timestamp: Timestamp(self.max_timestamp),
            entered: self.facts.entered,
            generation: self.facts.generation,
        }
    }
}

fn pack(slot: &Slot, plain: Plain, grant: Option<Grant>) -> Result<Batch, Error> {
    let (shared, compression) = (&slot.shared, slot.compression());
    let packers = &shared.packers;
    let rest = Rest::of(&plain);
    let no = plain.no;
    let codec = compression.codec();
    if codec == Codec::None {
        let (buffer, len) = plain.body.into_parts();
        return Ok(rest.batch(no, buffer, len, codec, grant, false));
    }
    let mut compressor = packers.compressor(compression, &slot.settings.codecs);
    let most = plain.body.len();
    let mut out = packers.outputs.get_over(most + most / 4 + 128);
    let done = compressor.compress(plain.body.plain(), &mut out);
    locked(&packers.idle).push(compressor);
    if let Ok(len) = done {
        slot.sticky.packed(plain.body.len(), len);
    }
    let (buffer, _) = plain.body.into_parts();
    shared.pool.put(buffer);
    Ok(rest.batch(no, out, done?, codec, grant, true))
}
