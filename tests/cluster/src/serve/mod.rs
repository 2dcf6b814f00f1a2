//! What brokers do with each API, one file per API.

pub(crate) mod api_versions;
pub(crate) mod delete_records;
pub(crate) mod describe_cluster;
pub(crate) mod describe_topic_partitions;
pub(crate) mod fetch;
pub(crate) mod init_producer_id;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod produce;

use klamm_core::ErrorCode;

/// Puts `code` where success stands.
fn spoil(place: &mut ErrorCode, code: ErrorCode) {
    if place.is_ok() {
        *place = code;
    }
}
