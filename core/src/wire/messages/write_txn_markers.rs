//! WriteTxnMarkers: the end of transactions, written into the logs.

use crate::error::ErrorCode;

messages! {
    /// Request: the end of transactions, written into the logs. Coordinators send it, and tools for hanging
    /// transactions.
    request WriteTxnMarkersRequest(27 -> WriteTxnMarkersResponse) versions 1..=2 flexible 1.. {
        /// One entry per transaction.
        0.. => markers: Vec<WritableTxnMarker>;
    }

    /// The end of one transaction.
    part WritableTxnMarker {
        /// The producer id.
        0.. => producer_id: i64;
        /// The epoch of the producer id.
        0.. => producer_epoch: i16;
        /// Whether it is committed; otherwise it is aborted.
        0.. => transaction_result: bool;
        /// One entry per topic.
        0.. => topics: Vec<WritableTxnMarkerTopic>;
        /// The leader epoch of the coordinator's own partition.
        0.. => coordinator_epoch: i32;
        /// The transaction's protocol: 0 and 1 before KIP-890, 2 with it (KIP-1228).
        2.. => transaction_version: i8, ignorable;
    }

    /// The partitions of one topic.
    part WritableTxnMarkerTopic {
        /// The topic's name.
        0.. => name: String;
        /// The partitions.
        0.. => partition_indexes: Vec<i32>;
    }

    /// Response: the end of transactions, written into the logs.
    response WriteTxnMarkersResponse versions 1..=2 flexible 1.. {
        /// One entry per transaction.
        0.. => markers: Vec<WritableTxnMarkerResult>;
    }

    /// The answers for one transaction.
    part WritableTxnMarkerResult {
        /// The producer id.
        0.. => producer_id: i64;
        /// One entry per topic.
        0.. => topics: Vec<WritableTxnMarkerTopicResult>;
    }

    /// The answers for one topic.
    part WritableTxnMarkerTopicResult {
        /// The topic's name.
        0.. => name: String;
        /// One entry per partition.
        0.. => partitions: Vec<WritableTxnMarkerPartitionResult>;
    }

    /// The answer for one partition.
    part WritableTxnMarkerPartitionResult {
        /// The partition.
        0.. => partition_index: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
    }
}
