//! Compression codecs with bounded output.
