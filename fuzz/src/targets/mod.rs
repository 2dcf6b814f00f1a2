//! The targets: functions over bytes that panic if something is wrong.

mod bodies;
mod chunks;
mod client;
mod codecs;
mod fetch;
mod frames;
mod messages;
mod produce;
mod properties;

pub use bodies::bodies;
pub use chunks::chunks;
pub use client::{client, trace_client};
pub use codecs::codecs;
pub use fetch::fetch;
pub use frames::frames;
pub use messages::messages;
pub use produce::produce;
pub use properties::properties;
