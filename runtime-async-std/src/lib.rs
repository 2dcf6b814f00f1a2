//! Drives klamm's core on async-std
