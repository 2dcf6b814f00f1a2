//! Records and codecs from outside: vectors of other clients, round trips, filters, hostile bytes.

mod build;
mod codecs;
mod encoded;
mod fetched;
mod hostile;
mod legacy;
mod vectors;
