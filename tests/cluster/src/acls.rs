//! ACLs: stored, listed, never enforced (broker-coord 6.5).

/// The bindings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acls {}
