//! Noise into every decoder: no panic, and no more memory than the bytes present justify.

use bytes::Bytes;
use fastrand::Rng;
use klamm_core::wire::fetch::Fetched;
use klamm_core::wire::frame::decode_request_header;
use klamm_core::wire::messages::{Visit, visit_all};
use klamm_core::wire::{ApiKey, Message, Reader, Writer, decode_embedded};
use peak_alloc::PeakAlloc;
use std::fmt::Debug;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Inputs for each message in each version.
const INPUTS: u64 = 150;

/// Heap bytes that a decoder may hold at any time, for each byte of its input.
const PER_BYTE: usize = 64;

/// What a decoder may hold besides, whatever the input: nothing of it grows.
const FLAT: usize = 64;

#[derive(Default)]
struct Noise {
    inputs: u64,
    accepted: u64,
    worst: f64,
    worst_of: String,
}

impl Noise {
    /// Runs `decode` on `bytes` and weighs it.
    fn feed(&mut self, what: &str, bytes: &[u8], decode: impl FnOnce() -> bool) {
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let accepted = decode();
        let peak = HEAP.peak_usage().saturating_sub(before);
        self.inputs += 1;
        self.accepted += u64::from(accepted);
        assert!(
            peak <= PER_BYTE * bytes.len() + FLAT,
            "{what}: {peak} bytes of heap for {} bytes: {bytes:?}",
            bytes.len()
        );
        let ratio = peak as f64 / bytes.len().max(8) as f64;
        if ratio > self.worst {
            self.worst = ratio;
            self.worst_of = what.to_owned();
        }
    }
}

/// A valid message with some bytes changed, cut, added or repeated; or noise from the first byte on.
fn mutate(rng: &mut Rng, valid: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    if rng.u8(..6) == 0 {
        bytes = (0..rng.usize(..200)).map(|_| if rng.bool() { rng.u8(..) } else { rng.u8(..3) }).collect();
    }
    for _ in 0..rng.usize(..4) {
        let at = rng.usize(..=bytes.len());
        match rng.u8(..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.u8(..)),
            // Lengths that hurt: the largest, the smallest, and just too long.
            2 => drop(bytes.splice(at..(at + 4).min(bytes.len()), [0x7f, 0xff, 0xff, 0xff])),
            3 => drop(bytes.splice(at..(at + 5).min(bytes.len()), [0xff, 0xff, 0xff, 0xff, 0x0f])),
            4 => {
                let n = u8::try_from(bytes.len().min(120)).expect("small");
                drop(bytes.splice(at..(at + 1).min(bytes.len()), [n]));
            }
            _ => {
                if let Some(b) = bytes.get_mut(at) {
                    *b = rng.u8(..);
                }
            }
        }
    }
    // Room behind the damage, so that a count may be believed longer.
    bytes.extend(std::iter::repeat_n(rng.u8(..3), if rng.u8(..4) == 0 { rng.usize(..2000) } else { 0 }));
    bytes
}

impl Visit for Noise {
    fn message<M: Message + Debug + Clone + PartialEq>(&mut self, key: Option<ApiKey>) {
        for version in M::MIN..=M::MAX {
            let what = format!("{} v{version}", M::NAME);
            for seed in 0..INPUTS {
                let mut rng = Rng::with_seed(seed);
                let mut w = Writer::new();
                M::arbitrary(&mut rng, M::version(version)).encode(&mut w, version).expect("encodes");
                let bytes = mutate(&mut rng, w.as_slice());
                self.feed(&what, &bytes, || M::decode(&mut Reader::new(&bytes), version).is_ok());
                let shared = Bytes::from(bytes);
                self.feed(&what, &shared, || {
                    let Ok(message) = M::decode(&mut Reader::shared(&shared), version) else { return false };
                    drop(message);
                    true
                });
                if M::NAME == "FetchResponse" {
                    self.feed("Fetched", &shared, || Fetched::decode(&mut Reader::new(&shared), version).is_ok());
                }
                if key.is_none() {
                    self.feed("embedded", &shared, || decode_embedded::<M>(&shared).is_ok());
                }
                self.feed("header", &shared, || decode_request_header(&mut Reader::new(&shared)).is_ok());
            }
        }
    }
}

#[test]
fn noise_neither_breaks_a_decoder_nor_fills_the_memory() {
    let mut noise = Noise::default();
    visit_all(&mut noise);
    println!(
        "{} inputs, {} of them accepted, at most {:.1} heap bytes per input byte ({})",
        noise.inputs, noise.accepted, noise.worst, noise.worst_of
    );
    assert!(noise.inputs > 100_000);
    assert!(noise.accepted > noise.inputs / 100, "the inputs are all refused at once and prove little");
}
