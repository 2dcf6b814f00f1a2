//! Drives klamm's core on a thread of its own, without an executor
