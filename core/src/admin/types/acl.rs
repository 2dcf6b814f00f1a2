//! Access control lists: rules, and filters over them.

use super::{AclOperation, AclPermission, PatternType, ResourceType};
use std::sync::Arc;

/// What an ACL is about: a resource by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    pub(in crate::admin) kind: ResourceType,
    pub(in crate::admin) name: Arc<str>,
    pub(in crate::admin) pattern: PatternType,
}

impl Resource {
    /// A resource by its literal name; `*` stands for all of the kind.
    pub fn new(kind: ResourceType, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into(), pattern: PatternType::Literal }
    }
    /// A topic.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::new(ResourceType::Topic, name)
    }
    /// A group.
    pub fn group(name: impl Into<Arc<str>>) -> Self {
        Self::new(ResourceType::Group, name)
    }
    /// A transactional id.
    pub fn transactional_id(name: impl Into<Arc<str>>) -> Self {
        Self::new(ResourceType::TransactionalId, name)
    }
    /// The cluster.
    pub fn cluster() -> Self {
        Self::new(ResourceType::Cluster, "kafka-cluster")
    }
    /// The name is a prefix (KIP-290).
    #[must_use]
    pub fn prefixed(self) -> Self {
        Self { pattern: PatternType::Prefixed, ..self }
    }
    /// Its kind.
    pub fn kind(&self) -> ResourceType {
        self.kind
    }
    /// Its name or prefix.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// How its name is meant.
    pub fn pattern(&self) -> PatternType {
        self.pattern
    }

    pub(in crate::admin) fn from_wire(kind: i8, name: &str, pattern: i8) -> Self {
        let (kind, pattern) = (ResourceType::from_wire(kind), PatternType::from_wire(pattern));
        Self { kind, name: name.into(), pattern }
    }
}

/// One rule: who may or may not do what, from where, with which resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclBinding {
    pub(in crate::admin) resource: Resource,
    pub(in crate::admin) principal: Arc<str>,
    pub(in crate::admin) host: Arc<str>,
    pub(in crate::admin) operation: AclOperation,
    pub(in crate::admin) permission: AclPermission,
}

impl AclBinding {
    /// Allows `principal` (such as `User:alice`) to do this, from any host.
    pub fn allow(principal: impl Into<Arc<str>>, operation: AclOperation, resource: Resource) -> Self {
        let (principal, host) = (principal.into(), "*".into());
        Self { resource, principal, host, operation, permission: AclPermission::Allow }
    }
    /// Forbids `principal` to do this, from any host. What is forbidden cannot be allowed by another rule.
    pub fn deny(principal: impl Into<Arc<str>>, operation: AclOperation, resource: Resource) -> Self {
        Self { permission: AclPermission::Deny, ..Self::allow(principal, operation, resource) }
    }
    /// Only from this host.
    #[must_use]
    pub fn host(self, host: impl Into<Arc<str>>) -> Self {
        Self { host: host.into(), ..self }
    }
    /// With what.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }
    /// Who.
    pub fn principal(&self) -> &str {
        &self.principal
    }
    /// From where; `*` stands for anywhere.
    pub fn from_host(&self) -> &str {
        &self.host
    }
    /// What.
    pub fn operation(&self) -> AclOperation {
        self.operation
    }
    /// Whether it allows or forbids.
    pub fn permission(&self) -> AclPermission {
        self.permission
    }

    pub(in crate::admin) fn from_wire(
        resource: Resource,
        principal: &str,
        host: &str,
        operation: i8,
        permission: i8,
    ) -> Self {
        Self {
            resource,
            principal: principal.into(),
            host: host.into(),
            operation: AclOperation::from_wire(operation),
            permission: AclPermission::from_wire(permission),
        }
    }
}

/// Which rules: what is not said matches any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclFilter {
    pub(in crate::admin) kind: ResourceType,
    pub(in crate::admin) name: Option<Arc<str>>,
    pub(in crate::admin) pattern: PatternType,
    pub(in crate::admin) principal: Option<Arc<str>>,
    pub(in crate::admin) host: Option<Arc<str>>,
    pub(in crate::admin) operation: AclOperation,
    pub(in crate::admin) permission: AclPermission,
}

impl AclFilter {
    /// Every rule.
    pub fn any() -> Self {
        Self {
            kind: ResourceType::Any,
            name: None,
            pattern: PatternType::Any,
            principal: None,
            host: None,
            operation: AclOperation::Any,
            permission: AclPermission::Any,
        }
    }
    /// Just this rule.
    pub fn exactly(binding: &AclBinding) -> Self {
        Self {
            kind: binding.resource.kind,
            name: Some(binding.resource.name.clone()),
            pattern: binding.resource.pattern,
            principal: Some(binding.principal.clone()),
            host: Some(binding.host.clone()),
            operation: binding.operation,
            permission: binding.permission,
        }
    }
    /// Rules about this resource, by its very pattern.
    #[must_use]
    pub fn resource(self, resource: Resource) -> Self {
        Self { kind: resource.kind, name: Some(resource.name), pattern: resource.pattern, ..self }
    }
    /// Rules about this kind of resource.
    #[must_use]
    pub fn kind(self, kind: ResourceType) -> Self {
        Self { kind, ..self }
    }
    /// How the resource's name is to be compared.
    #[must_use]
    pub fn pattern(self, pattern: PatternType) -> Self {
        Self { pattern, ..self }
    }
    /// Rules for this principal.
    #[must_use]
    pub fn principal(self, principal: impl Into<Arc<str>>) -> Self {
        Self { principal: Some(principal.into()), ..self }
    }
    /// Rules for this host.
    #[must_use]
    pub fn host(self, host: impl Into<Arc<str>>) -> Self {
        Self { host: Some(host.into()), ..self }
    }
    /// Rules for this operation.
    #[must_use]
    pub fn operation(self, operation: AclOperation) -> Self {
        Self { operation, ..self }
    }
    /// Rules that allow, or that forbid.
    #[must_use]
    pub fn permission(self, permission: AclPermission) -> Self {
        Self { permission, ..self }
    }
}
