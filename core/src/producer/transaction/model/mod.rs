//! A reference model for transactions: a coordinator and logs with the rules of real brokers, an application and its front
//! that draw what they do, random faults, and what must hold whatever happens (contracts A8, A21).

mod brokers;
mod faults;
mod requests;
mod run;
mod world;
