//! Access control lists.

use super::{Results, unit};
use klamm_core::admin::types::{AclBinding, AclFilter};
use klamm_core::admin::{AdminRequest, Value};

fn rule(acl: &AclBinding) -> String {
    let (resource, name) = (acl.resource().kind(), acl.resource().name());
    format!("ACL of {} to {} {resource} {name:?}", acl.principal(), acl.operation())
}

fn filter(_: &AclFilter) -> String {
    "ACL filter".to_owned()
}

fn acls(value: Value) -> Option<Vec<AclBinding>> {
    match value {
        Value::Acls(acls) => Some(acls),
        _ => None,
    }
}

op! {
    /// Creates ACLs. One that is there already is no error.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// use klamm::admin::{AclBinding, AclOperation, Resource};
    /// let read = AclBinding::allow("User:billing", AclOperation::Read, Resource::topic("orders"));
    /// admin.create_acls([read]).await?.all()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Per rule: `SECURITY_DISABLED` if the cluster has no authorizer.
    #[doc(alias = "createAcls")]
    create_acls(acls: Vec<AclBinding> = |acls: impl IntoIterator<Item = AclBinding>| acls.into_iter().collect())
        -> Results<AclBinding, ()>;
    CreateAcls { flags {} lists {} }
    |op| op.admin.each(op.limit, AdminRequest::CreateAcls(op.acls.clone()), op.acls, rule, unit)
}

op! {
    /// The ACLs that a filter matches.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// use klamm::admin::AclFilter;
    /// println!("{:?}", admin.describe_acls(AclFilter::any().principal("User:billing")).await?);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "describeAcls")]
    describe_acls(filter: AclFilter = |filter: AclFilter| filter) -> Vec<AclBinding>;
    DescribeAcls { flags {} lists {} }
    |op| op.admin.one(op.limit, AdminRequest::DescribeAcls(op.filter), acls)
}

op! {
    /// Deletes the ACLs that each filter matches, and tells which they were.
    ///
    /// ```no_run
    /// # async fn doc(admin: klamm::admin::Admin) -> klamm::Result<()> {
    /// use klamm::admin::AclFilter;
    /// admin.delete_acls([AclFilter::any().principal("User:billing")]).await?.all()?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "deleteAcls")]
    delete_acls(filters: Vec<AclFilter> = |filters: impl IntoIterator<Item = AclFilter>| filters.into_iter().collect())
        -> Results<AclFilter, Vec<AclBinding>>;
    DeleteAcls { flags {} lists {} }
    |op| op.admin.each(op.limit, AdminRequest::DeleteAcls(op.filters.clone()), op.filters, filter, acls)
}
