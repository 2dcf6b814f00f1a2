//! A whole client against brokers in memory: bytes decide what the application asks, what the network does and what the
//! brokers answer, true or not.

mod answer;
mod fault;
mod front;
mod net;
mod run;
mod step;

pub(crate) use run::Run;
