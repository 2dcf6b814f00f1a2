//! Creates a topic and the rules that let a user read it.

mod support;

use klamm::admin::{AclBinding, AclFilter, AclOperation, Admin, NewTopic, Resource};
use klamm::{Kafka, Result, Tokio};

async fn set_up(admin: &Admin) -> Result<()> {
    admin.create_topics([NewTopic::new("orders", 12, 1).config("cleanup.policy", "compact")]).await?.all()?;
    let reads = [Resource::topic("orders"), Resource::group("billing")]
        .map(|r| AclBinding::allow("User:billing", AclOperation::Read, r));
    admin.create_acls(reads).await?.all()?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let kafka = Kafka::connect(Tokio, support::bootstrap()).await?;
    let admin = kafka.admin();
    set_up(&admin).await?;
    for topic in admin.list_topics().await? {
        println!("{} with {} partitions", topic.name, topic.partitions);
    }
    for rule in admin.describe_acls(AclFilter::any().principal("User:billing")).await? {
        println!("{} may {} {}", rule.principal(), rule.operation(), rule.resource().name());
    }
    kafka.close().await
}
