//! The whole client, by sequences of inputs.

use crate::client::Run;

/// Longer courses of events show nothing that shorter ones do not.
const MOST: usize = 2_000;

/// The bytes are what happens to a client: what the application asks, what the network does, what brokers answer. It never
/// panics, answers every operation once, decides every batch once, comes to rest after every step, and ends.
pub fn client(data: &[u8]) {
    Run::new(&data[..data.len().min(MOST)], false).run();
}

/// The same, told step by step on standard error.
pub fn trace_client(data: &[u8]) {
    Run::new(&data[..data.len().min(MOST)], true).run();
}
