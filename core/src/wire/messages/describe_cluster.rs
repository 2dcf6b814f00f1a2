//! DescribeCluster: the brokers or controllers of the cluster.

use crate::error::ErrorCode;
use crate::ids::BrokerId;

messages! {
    /// Request: the brokers or controllers of the cluster.
    request DescribeClusterRequest(60 -> DescribeClusterResponse) versions 0..=2 flexible 0.. {
        /// Whether to answer with the operations that the caller may do on the cluster.
        0.. => include_cluster_authorized_operations: bool;
        /// Which listeners to describe: 1 brokers, 2 controllers.
        1.. => endpoint_type: i8 = 1;
        /// Whether to list brokers that are registered but not serving.
        2.. => include_fenced_brokers: bool;
    }

    /// Response: the brokers or controllers of the cluster.
    response DescribeClusterResponse versions 0..=2 flexible 0.. {
        /// For how many milliseconds the client must hold back, 0 if it is within its quota.
        0.. => throttle_time_ms: i32;
        /// What went wrong, 0 if nothing.
        0.. => error_code: ErrorCode;
        /// What went wrong, in words.
        0.. => error_message: Option<String>;
        /// Which listeners to describe: 1 brokers, 2 controllers.
        1.. => endpoint_type: i8 = 1;
        /// The cluster's id.
        0.. => cluster_id: String;
        /// The broker to send controller requests to; -1 if unknown. In KRaft clusters any broker, drawn anew each
        /// time.
        0.. => controller_id: BrokerId = BrokerId(-1);
        /// The brokers that are alive.
        0.. => brokers: Vec<DescribeClusterBroker>;
        /// Bit set of the operations that the caller may do on the cluster, `i32::MIN` if not asked for.
        0.. => cluster_authorized_operations: i32 = i32::MIN;
    }

    /// A broker or controller.
    part DescribeClusterBroker {
        /// The broker's id.
        0.. => broker_id: BrokerId;
        /// The host to connect to.
        0.. => host: String;
        /// The port to connect to.
        0.. => port: i32;
        /// The broker's rack, null if it has none.
        0.. => rack: Option<String>;
        /// Whether the broker is registered but not serving.
        2.. => is_fenced: bool;
    }
}
