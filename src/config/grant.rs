//! `[tokens]`: who may do what with which services, where the admin listener is asked over TCP.
//!
//! What a token is good for is decided here; that it is the right one, and what each request needs, is the admin listener's to
//! say. The token of `[runtime]` is good for everything, that of a service's `register` for its instances.

use std::collections::BTreeSet;

use crate::secret::Secret;

/// A token and what it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where it lies.
    pub token: Secret,
    /// The services that it is for; at least one, at most [`limits::GRANT_SERVICES`](coregate_core::base::limits::GRANT_SERVICES).
    pub services: BTreeSet<ServicePattern>,
    /// What may be done with them; at least one.
    pub scopes: BTreeSet<Scope>,
}

impl Grant {
    /// Whether it lets somebody do this with the service of this name.
    pub fn allows(&self, scope: Scope, service: &str) -> bool {
        self.scopes.contains(&scope) && self.services.iter().any(|pattern| pattern.takes(service))
    }
}

/// What may be done with services. None of them holds another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// See them and their instances, and watch them change.
    Read,
    /// Register, renew and deregister instances.
    Register,
    /// Drain, enable and weigh instances, and take them into maintenance.
    Operate,
}

impl Scope {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Read, Self::Register, Self::Operate];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Register => "register",
            Self::Operate => "operate",
        }
    }
}

/// The name of a service, or how names of services begin: `users`, `users-*`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServicePattern {
    /// This one.
    Name(String),
    /// All whose names begin so; with an empty text, all.
    Prefix(String),
}

impl ServicePattern {
    /// Reads a text, in which `*` may stand at the end alone; none if it stands elsewhere.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let pattern = match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Name(text.to_owned()),
        };
        let (Self::Name(bare) | Self::Prefix(bare)) = &pattern;
        (!bare.contains('*')).then_some(pattern)
    }

    /// Whether it takes the service of this name.
    pub fn takes(&self, service: &str) -> bool {
        match self {
            Self::Name(name) => name == service,
            Self::Prefix(prefix) => service.starts_with(prefix.as_str()),
        }
    }
}

impl std::fmt::Display for ServicePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_services_a_pattern_takes() {
        for (pattern, takes, passes) in [
            ("users", &["users"][..], &["users-next", "user", ""][..]),
            ("users-*", &["users-next", "users-"], &["users", "xusers-"]),
            ("*", &["users", ""], &[]),
        ] {
            let read = ServicePattern::read(pattern).unwrap();
            assert_eq!(read.to_string(), pattern);
            takes.iter().for_each(|name| assert!(read.takes(name), "{pattern} {name}"));
            passes.iter().for_each(|name| assert!(!read.takes(name), "{pattern} {name}"));
        }
        for text in ["*users", "a*b", "**", "a**"] {
            assert_eq!(ServicePattern::read(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_token_is_good_for() {
        let grant = Grant {
            token: Secret::Env("T".into()),
            services: BTreeSet::from([ServicePattern::Name("users".into())]),
            scopes: BTreeSet::from([Scope::Read, Scope::Register]),
        };
        assert!(grant.allows(Scope::Register, "users") && grant.allows(Scope::Read, "users"));
        assert!(!grant.allows(Scope::Operate, "users") && !grant.allows(Scope::Read, "orders"));
        let words = Scope::ALL.map(Scope::as_str);
        assert_eq!(words, crate::language::SCOPES);
    }
}
