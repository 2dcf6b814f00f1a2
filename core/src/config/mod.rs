//! Validated configuration of every role.
