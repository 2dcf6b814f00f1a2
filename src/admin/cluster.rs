//! The cluster itself.

use klamm_core::admin::types::ClusterDescription;
use klamm_core::admin::{AdminRequest, Value};

op! {
    /// Describes the cluster: its id, its brokers, and whom clients take for its controller. Brokers before Kafka 2.8
    /// are asked for metadata instead.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// for node in admin.describe_cluster().await?.nodes {
    ///     println!("{} at {}:{}", node.id, node.host, node.port);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "describeCluster")]
    describe_cluster() -> ClusterDescription;
    DescribeCluster {
        flags {
            /// Also says what this user may do with the cluster (Kafka 2.3 and later). Default false.
            #[doc(alias = "includeAuthorizedOperations")]
            include_authorized_operations,
            /// Also lists brokers that are registered but do not serve (KIP-1073, Kafka 4.0 and later). Default false.
            #[doc(alias = "includeFencedBrokers")]
            include_fenced_brokers,
        }
        lists {}
    }
    |op| {
        let request = AdminRequest::DescribeCluster {
            authorized_operations: op.include_authorized_operations,
            fenced_brokers: op.include_fenced_brokers,
        };
        op.admin.one(op.limit, request, |value| match value {
            Value::Cluster(cluster) => Some(cluster),
            _ => None,
        })
    }
}
