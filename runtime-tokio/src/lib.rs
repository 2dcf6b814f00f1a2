//! Drives klamm's core on tokio
