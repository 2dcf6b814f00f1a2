//! `klamm cluster`: its brokers.

use crate::client::ClientArgs;
use crate::table::{self, or_dash};
use clap::Args;
use serde_json::{Value, json};

/// Describes the cluster and its brokers
#[derive(Args, Debug)]
pub(crate) struct Cluster {
    #[command(flatten)]
    client: ClientArgs,
    /// Also brokers that are registered but do not serve
    #[arg(long)]
    fenced: bool,
    /// One JSON object
    #[arg(short = 'J', long)]
    json: bool,
}

impl Cluster {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let client = self.client.connect_plain()?;
        let cluster = client.kafka.admin().describe_cluster().include_fenced_brokers(self.fenced).wait()?;
        if self.json {
            let broker = |n: &klamm::admin::ClusterNode| json!({ "id": n.id, "host": &*n.host, "port": n.port, "rack": n.rack.as_deref(), "fenced": n.fenced });
            let brokers: Vec<Value> = cluster.nodes.iter().map(broker).collect();
            let id = cluster.cluster_id.as_deref();
            table::json([json!({ "cluster": id, "controller": cluster.controller, "brokers": brokers })])?;
            return Ok(());
        }
        eprintln!("cluster {}", or_dash(cluster.cluster_id.as_deref()));
        let row = |n: &klamm::admin::ClusterNode| {
            let mut roles = Vec::new();
            if cluster.controller == Some(n.id) {
                roles.push("controller");
            }
            if n.fenced {
                roles.push("fenced");
            }
            [n.id.to_string(), format!("{}:{}", n.host, n.port), or_dash(n.rack.as_deref()), roles.join(",")]
        };
        table::print(["BROKER", "ADDRESS", "RACK", ""], cluster.nodes.iter().map(row))?;
        Ok(())
    }
}
