//! Bytes on the wire: primitives, messages, frames, versions.
