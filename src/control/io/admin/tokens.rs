//! What tokens open over TCP: the admin listener's own opens everything, a service's what concerns its instances, and named ones
//! what the configuration says of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;

use super::guard::wrong_token;
use super::problem::Problem;
use crate::registry::directory::admission::{Caller, TokenCheck};

/// What a token may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To look at a service's instances, list and watch them.
    Read,
    /// To register them, renew, go, and say how they stand.
    Register,
    /// To drain and enable them, weigh them, and hold them back.
    Operate,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Register => "register",
            Self::Operate => "operate",
        }
    }
}

/// A token that the configuration names.
#[derive(Debug, Clone)]
pub struct NamedToken {
    /// Compares with it.
    pub token: TokenCheck,
    /// The services that it is for.
    pub services: Services,
    /// What it opens there.
    pub scopes: Vec<Scope>,
}

impl NamedToken {
    fn is_for(&self, scope: Scope, service: &str) -> bool {
        self.scopes.contains(&scope) && (self.services.0)(service)
    }
}

/// A set of services, by their names.
#[derive(Clone)]
pub struct Services(Arc<Covers>);

/// Whether a service of this name is in a set.
type Covers = dyn Fn(&str) -> bool + Send + Sync;

impl Services {
    /// `covers`: whether it is in the set. The empty name, which no service has, is where every one is.
    pub fn new(covers: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(covers))
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services")
    }
}

/// All tokens but the admin listener's own.
#[derive(Debug, Clone, Default)]
pub struct TokenTable {
    /// Those of services, by their names: each opens [`Scope::Read`] and [`Scope::Register`] of its own.
    pub services: HashMap<String, TokenCheck>,
    /// Those that the configuration names.
    pub named: Vec<NamedToken>,
}

/// The tokens that hold now; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Arc<Mutex<Arc<TokenTable>>>);

impl Tokens {
    /// From now on these hold.
    pub fn set(&self, table: TokenTable) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    pub(super) fn now(&self) -> Arc<TokenTable> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a request may ask.
#[derive(Debug, Clone)]
pub(super) enum Access {
    /// Everything: it came by the Unix socket, or with the admin listener's token.
    Everything(Caller),
    /// What the token opens that it came with.
    Held(Arc<Held>),
}

/// A token that is not the admin listener's.
#[derive(Debug)]
pub(super) struct Held {
    sent: Caller,
    tokens: Tokens,
    table: Arc<TokenTable>,
    /// Which of the named tokens it is.
    named: Vec<usize>,
}

impl Held {
    /// What this opens of the tokens that hold now.
    pub(super) fn new(sent: &[u8], tokens: &Tokens) -> Self {
        let (tokens, table) = (tokens.clone(), tokens.now());
        let named = table.named.iter().enumerate();
        let named = named.filter(|(_, one)| one.token.matches(sent)).map(|(at, _)| at).collect();
        Self { sent: Caller::Bearer(sent.to_vec()), tokens, table, named }
    }

    /// The same token where other tokens hold by now; none: they are the same.
    fn again(&self) -> Option<Self> {
        let Caller::Bearer(sent) = &self.sent else { return None };
        let has_changed = !Arc::ptr_eq(&self.table, &self.tokens.now());
        has_changed.then(|| Self::new(sent, &self.tokens))
    }

    fn named(&self, scope: Scope, service: &str) -> bool {
        let mut named = self.named.iter().filter_map(|at| self.table.named.get(*at));
        named.any(|one| one.is_for(scope, service))
    }

    fn is_services_own(&self, service: &str) -> bool {
        let Caller::Bearer(sent) = &self.sent else { return false };
        self.table.services.get(service).is_some_and(|token| token.matches(sent))
    }
}

impl Access {
    /// Whether it may.
    pub(super) fn may(&self, scope: Scope, service: &str) -> bool {
        match self {
            Self::Everything(_) => true,
            Self::Held(held) => {
                let by_its_own = matches!(scope, Scope::Read | Scope::Register);
                held.named(scope, service) || by_its_own && held.is_services_own(service)
            }
        }
    }

    /// Whether it may with every service, those that are still to come included.
    pub(super) fn may_with_all(&self, scope: Scope) -> bool {
        match self {
            Self::Everything(_) => true,
            Self::Held(held) => held.named(scope, ""),
        }
    }

    /// Whether it may with any service at all; a service's own token is none of those, since it names no service.
    pub(super) fn may_with_some(&self, scope: Scope) -> bool {
        match self {
            Self::Everything(_) => true,
            Self::Held(held) => {
                let mut named = held.named.iter().filter_map(|at| held.table.named.get(*at));
                named.any(|one| one.scopes.contains(&scope))
            }
        }
    }

    /// Looks at the token once more, for what goes on for long: a reload may have taken it back.
    pub(super) fn look_again(&mut self) {
        if let Self::Held(held) = self
            && let Some(now) = held.again()
        {
            *held = Arc::new(now);
        }
    }

    /// Why it may not, or that it may.
    pub(super) fn check(&self, scope: Scope, service: &str) -> Result<(), Problem> {
        if self.may(scope, service) {
            return Ok(());
        }
        let word = scope.word();
        Err(self
            .refused(service, &format!("the token has no scope {word} for service {service:?}")))
    }

    /// A refusal: whose token opens nothing is not told what there is.
    pub(super) fn refused(&self, service: &str, detail: &str) -> Problem {
        let is_known = match self {
            Self::Everything(_) => true,
            Self::Held(held) => !held.named.is_empty() || held.is_services_own(service),
        };
        if is_known {
            Problem::new(StatusCode::FORBIDDEN, detail)
        } else {
            wrong_token("the token is wrong")
        }
    }

    /// Whether nobody has looked at the token yet, or it opens nothing.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Held(held) if held.named.is_empty())
    }

    /// Who it is for the registry, which compares a service's own token itself, in the order of the log.
    pub(super) fn caller(&self, scope: Scope, service: &str) -> Caller {
        match self {
            Self::Everything(caller) => caller.clone(),
            Self::Held(held) if held.named(scope, service) => Caller::Holder,
            Self::Held(held) => held.sent.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tokens_open() {
        let check = |right: &'static [u8]| TokenCheck::new(move |given| given == right);
        let named = |token, services: &[&str], scopes: &[Scope]| NamedToken {
            token: check(token),
            services: {
                let services: Vec<_> = services.iter().map(ToString::to_string).collect();
                Services::new(move |name| {
                    services.iter().any(|known| known == "*" || known == name)
                })
            },
            scopes: scopes.to_vec(),
        };
        let tokens = Tokens::default();
        tokens.set(TokenTable {
            services: [("users".to_owned(), check(b"own"))].into(),
            named: vec![
                named(b"team", &["team-a", "users"], &[Scope::Read, Scope::Operate]),
                named(b"team", &["web"], &[Scope::Register]),
                named(b"all", &["*"], &[Scope::Read]),
            ],
        });
        let access = |sent: &[u8]| Access::Held(Arc::new(Held::new(sent, &tokens)));
        let all = [Scope::Read, Scope::Register, Scope::Operate];
        for (sent, service, expected) in [
            (b"own".as_slice(), "users", [true, true, false]),
            (b"own", "web", [false; 3]),
            (b"team", "users", [true, false, true]),
            (b"team", "team-a", [true, false, true]),
            (b"team", "teams", [false; 3]),
            (b"team", "web", [false, true, false]),
            (b"all", "anything", [true, false, false]),
            (b"none", "users", [false; 3]),
        ] {
            let access = access(sent);
            assert_eq!(all.map(|scope| access.may(scope, service)), expected, "{service}");
        }
        assert_eq!(access(b"team").caller(Scope::Operate, "users"), Caller::Holder);
        assert_eq!(access(b"own").caller(Scope::Register, "users"), Caller::Bearer(b"own".into()));
        assert!(access(b"all").may_with_all(Scope::Read));
        assert!(!access(b"team").may_with_all(Scope::Read));
        assert!(access(b"team").may_with_some(Scope::Register));
        assert!(!access(b"own").may_with_some(Scope::Read));
        assert!(access(b"none").is_unknown() && access(b"own").is_unknown());
        let (mut team, mut own) = (access(b"team"), access(b"own"));
        tokens.set(TokenTable { services: HashMap::new(), ..(*tokens.now()).clone() });
        assert!(own.may(Scope::Read, "users"), "nobody has looked again");
        team.look_again();
        own.look_again();
        assert!(team.may(Scope::Read, "users") && !own.may(Scope::Read, "users"));
    }
}
