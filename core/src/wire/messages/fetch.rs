//! Fetch: reading record batches.

use crate::error::ErrorCode;
use crate::ids::BrokerId;
use crate::wire::Uuid;
use bytes::Bytes;

messages! {
    /// Request: reading record batches.
    request FetchRequest(1 -> FetchResponse) versions 4..=18 flexible 12.. {
        /// The follower that asks, -1 for consumers.
        0..=14 => replica_id: BrokerId = BrokerId(-1);
        /// How many milliseconds the broker may wait for `min_bytes`.
        0.. => max_wait_ms: i32;
        /// How many bytes the broker waits for.
        0.. => min_bytes: i32;
        /// The most bytes to answer; a single larger batch comes nonetheless.
        3.. => max_bytes: i32 = i32::MAX, ignorable;
        /// 0 reads all records, 1 only those of committed transactions.
        4.. => isolation_level: i8, ignorable;
        /// The fetch session, 0 for none.
        7.. => session_id: i32, ignorable;
        /// Number of this request in its fetch session: 0 opens one, -1 closes it or does without.
        7.. => session_epoch: i32 = -1, ignorable;
        /// One entry per topic.
        0.. => topics: Vec<FetchTopic>;
        /// Partitions to take out of the fetch session.
        7.. => forgotten_topics_data: Vec<ForgottenTopic>;
        /// The rack of the client.
        11.. => rack_id: String, ignorable;
    }, tagged {
            /// The cluster that a follower belongs to.
            0: 12.. => cluster_id: Option<String>, ignorable;
            /// Who asks.
            1: 15.. => replica_state: ReplicaState;
    }

    /// The follower that asks.
    part ReplicaState {
        /// The follower that asks, -1 for consumers.
        15.. => replica_id: BrokerId = BrokerId(-1);
        /// The follower's epoch, -1 if unknown.
        15.. => replica_epoch: i64 = -1;
    }

    /// The partitions of one topic to read.
    part FetchTopic {
        /// The topic's name.
        0..=12 => topic: String, ignorable;
        /// The topic's id, zero if unknown.
        13.. => topic_id: Uuid, ignorable;
        /// The partitions.
        0.. => partitions: Vec<FetchPartition>;
    }

    /// A partition to read.
    part FetchPartition {
        /// The partition.
        0.. => partition: i32;
        /// The leader epoch that the client knows of, -1 if none; the broker refuses an outdated one.
        9.. => current_leader_epoch: i32 = -1, ignorable;
        /// The offset to start at.
        0.. => fetch_offset: i64;
        /// Leader epoch of the last record that was read, -1 if unknown.
        12.. => last_fetched_epoch: i32 = -1;
        /// The first offset of a follower's log, -1 for consumers.
        5.. => log_start_offset: i64 = -1, ignorable;
        /// The most bytes to answer for this partition; a single larger batch comes nonetheless.
        0.. => partition_max_bytes: i32;
    }, tagged {
            /// The log directory of a follower.
            0: 17.. => replica_directory_id: Uuid, ignorable;
            /// The high watermark that a follower knows, `i64::MAX` if the sender does not know of the field.
            1: 18.. => high_watermark: i64 = i64::MAX, ignorable;
    }

    /// Partitions of one topic to take out of the session.
    part ForgottenTopic {
        /// The topic's name.
        7..=12 => topic: String, ignorable;
        /// The topic's id, zero if unknown.
        13.. => topic_id: Uuid, ignorable;
        /// The partitions.
        7.. => partitions: Vec<i32>;
    }

    /// Response: reading record batches.
    response FetchResponse versions 4..=18 flexible 12.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        1.. => throttle_time_ms: i32, ignorable;
        /// What went wrong, 0 if nothing.
        7.. => error_code: ErrorCode, ignorable;
        /// The fetch session, 0 for none.
        7.. => session_id: i32;
        /// One answer per item of the request.
        0.. => responses: Vec<FetchableTopicResponse>;
    }, tagged {
            /// Where to reach the leaders that are named in this answer.
            0: 16.. => node_endpoints: Vec<NodeEndpoint>;
    }

    /// The answers for one topic.
    part FetchableTopicResponse {
        /// The topic's name.
        0..=12 => topic: String, ignorable;
        /// The topic's id, zero if unknown.
        13.. => topic_id: Uuid, ignorable;
        /// The partitions.
        0.. => partitions: Vec<PartitionData>;
    }

    /// The answer for one partition.
    part PartitionData {
        /// The partition.
        0.. => partition_index: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// The first offset that is not replicated to all in sync.
        0.. => high_watermark: i64;
        /// The first offset that belongs to an undecided transaction; readers of committed records stop there.
        4.. => last_stable_offset: i64 = -1, ignorable;
        /// The first offset of the log, -1 if unknown.
        5.. => log_start_offset: i64 = -1, ignorable;
        /// Aborted transactions whose records may be in this answer, and some beyond it, in the order of their markers. Null
        /// when reading uncommitted records.
        4.. => aborted_transactions: Option<Vec<AbortedTransaction>>, ignorable;
        /// The broker to read from instead (KIP-392), -1 if none.
        11.. => preferred_read_replica: BrokerId = BrokerId(-1);
        /// Record batches as they lie in the log.
        0.. => records: Option<Bytes>;
    }, tagged {
            /// Set if the log ends before the position of the fetch: from there on it differs.
            0: 12.. => diverging_epoch: EpochEndOffset;
            /// The leader that the broker knows of, sent with errors about leadership (KIP-951).
            1: 12.. => current_leader: LeaderIdAndEpoch;
            /// The snapshot to load, for controllers.
            2: 12.. => snapshot_id: SnapshotId;
    }

    /// An epoch and where it ends.
    part EpochEndOffset {
        /// The leader epoch.
        12.. => epoch: i32 = -1;
        /// The end offset of the epoch.
        12.. => end_offset: i64 = -1;
    }

    /// A leader and its epoch.
    part LeaderIdAndEpoch {
        /// The broker that leads the partition, -1 if there is none.
        12.. => leader_id: BrokerId = BrokerId(-1);
        /// The leader epoch, -1 if unknown.
        12.. => leader_epoch: i32 = -1;
    }

    /// A snapshot of the metadata log.
    part SnapshotId {
        /// The first offset behind the snapshot.
        0.. => end_offset: i64 = -1;
        /// The leader epoch.
        0.. => epoch: i32 = -1;
    }

    /// A transaction whose records must be left out.
    part AbortedTransaction {
        /// The producer id, -1 if none.
        4.. => producer_id: i64;
        /// Offset of the transaction's first record in this partition.
        4.. => first_offset: i64;
    }

    /// Where to reach a broker.
    part NodeEndpoint {
        /// The broker's id.
        16.. => node_id: BrokerId;
        /// The host to connect to.
        16.. => host: String;
        /// The port to connect to.
        16.. => port: i32;
        /// The broker's rack, null if it has none.
        16.. => rack: Option<String>;
    }
}
