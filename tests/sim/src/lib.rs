//! The whole client over a virtual network and clock, from one seed
