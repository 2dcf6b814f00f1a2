//! Fuzz targets over hostile bytes and input sequences.
//!
//! Each target is a plain function over bytes: the wrappers in `libfuzzer/` give it to libFuzzer, the tests in `tests/`
//! replay the corpora and mutate them on a stable toolchain. A target panics if what it looks at is wrong.

mod client;
mod feed;
pub mod mutation;
pub mod seeds;
pub mod targets;

/// One target: its function and how much memory its input justifies.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its function, its wrapper and its folder in `corpus/`.
    pub name: &'static str,
    /// Runs it on one input.
    pub run: fn(&[u8]),
    /// Heap bytes that it may hold at any time, for each byte of its input.
    pub per_byte: usize,
    /// Heap bytes that it may hold besides, whatever the input.
    pub flat: usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "messages", run: targets::messages, per_byte: 256, flat: 4 << 10 },
    Target { name: "frames", run: targets::frames, per_byte: 64, flat: 4 << 10 },
    Target { name: "fetch", run: targets::fetch, per_byte: 256, flat: 4 << 10 },
    Target { name: "produce", run: targets::produce, per_byte: 1024, flat: 16 << 10 },
    Target { name: "chunks", run: targets::chunks, per_byte: 64, flat: 2 << 20 },
    Target { name: "codecs", run: targets::codecs, per_byte: 512, flat: 4 << 20 },
    Target { name: "bodies", run: targets::bodies, per_byte: 1024, flat: 4 << 20 },
    Target { name: "properties", run: targets::properties, per_byte: 2048, flat: 512 << 10 },
    Target { name: "client", run: targets::client, per_byte: 64 << 10, flat: 32 << 20 },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
