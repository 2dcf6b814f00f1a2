//! How much may be under way on a connection.

use crate::client::role::Lane;

/// With so many bytes waiting to be written no further request is built: what is decided late is decided right.
pub(super) const QUEUED: usize = 1024 * 1024;

/// Requests under way at most. `produce` is `max.in.flight.requests.per.connection`.
pub(super) fn in_flight(lane: Lane, produce: usize) -> usize {
    match lane {
        Lane::Produce(_) => produce.max(1),
        // Two fetches in one session would be out of step; the next one waits in the role.
        Lane::Fetch(_) => 1,
        // A transaction asks one thing at a time.
        Lane::Txn(_) => 1,
        Lane::Control => 8,
        Lane::Slow | Lane::Group(_) => 4,
        // Sync and a Leave-and-join-again may follow a Join that parks.
        Lane::Join(_) => 2,
    }
}
