//! ACLs: stored, listed, never enforced (broker-coord 6.5).

use std::collections::BTreeSet;

/// Numbers of the protocol that filters and bindings share.
pub(crate) mod code {
    pub(crate) const UNKNOWN: i8 = 0;
    pub(crate) const ANY: i8 = 1;
    pub(crate) const CLUSTER: i8 = 4;
    pub(crate) const MATCH: i8 = 2;
    pub(crate) const LITERAL: i8 = 3;
    pub(crate) const PREFIXED: i8 = 4;
}

/// What an ACL is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    pub(crate) kind: i8,
    pub(crate) name: String,
    pub(crate) pattern: i8,
}

/// One ACL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Binding {
    pub(crate) resource: Resource,
    pub(crate) principal: String,
    pub(crate) host: String,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

/// Which ACLs are meant; null is any.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) kind: i8,
    pub(crate) name: Option<String>,
    pub(crate) pattern: i8,
    pub(crate) principal: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

impl Filter {
    /// Whether it says something that a broker does not know.
    pub(crate) fn is_unknown(&self) -> bool {
        [self.kind, self.pattern, self.operation, self.permission].contains(&code::UNKNOWN)
            || self.pattern > code::PREFIXED
    }

    fn matches(&self, binding: &Binding) -> bool {
        let is = |filter: i8, value: i8| filter == code::ANY || filter == value;
        let same = |filter: &Option<String>, value: &str| filter.as_deref().is_none_or(|f| f == value);
        is(self.kind, binding.resource.kind)
            && self.names(&binding.resource)
            && same(&self.principal, &binding.principal)
            && same(&self.host, &binding.host)
            && is(self.operation, binding.operation)
            && is(self.permission, binding.permission)
    }

    fn names(&self, resource: &Resource) -> bool {
        let Some(name) = &self.name else {
            return matches!(self.pattern, code::ANY | code::MATCH) || self.pattern == resource.pattern;
        };
        match self.pattern {
            code::ANY => resource.name == *name,
            // Whatever would apply to that name: the literal, the wildcard, prefixes.
            code::MATCH => match resource.pattern {
                code::LITERAL => resource.name == *name || resource.name == "*",
                _ => name.starts_with(&resource.name),
            },
            pattern => resource.pattern == pattern && resource.name == *name,
        }
    }
}

/// The bindings, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acls {
    bindings: BTreeSet<Binding>,
}

impl Acls {
    /// An existing one is a silent success.
    pub(crate) fn add(&mut self, binding: Binding) {
        self.bindings.insert(binding);
    }

    pub(crate) fn find(&self, filter: &Filter) -> Vec<Binding> {
        self.bindings.iter().filter(|b| filter.matches(b)).cloned().collect()
    }

    pub(crate) fn remove(&mut self, binding: &Binding) {
        self.bindings.remove(binding);
    }
}
