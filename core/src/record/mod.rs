//! Record batches: encoded in place, decoded lazily.
