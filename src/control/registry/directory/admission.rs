//! Whom a service takes in: what its table says of `register`, with the token that lies where it says.

use std::fmt;
use std::sync::Arc;

/// Compares what somebody sent with a token, in a time that does not depend on where they differ.
#[derive(Clone)]
pub struct TokenCheck(Arc<Matches>);

/// Whether bytes are the token.
type Matches = dyn Fn(&[u8]) -> bool + Send + Sync;

impl TokenCheck {
    /// `matches`: whether it is the token.
    pub fn new(matches: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(matches))
    }

    /// Whether this is the token.
    #[must_use = "a token that is not compared lets everybody in"]
    pub fn matches(&self, given: &[u8]) -> bool {
        (self.0)(given)
    }
}

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCheck")
    }
}

/// Whom a service takes in.
#[derive(Debug, Clone, Default)]
pub enum Admits {
    /// Nobody registers.
    #[default]
    Nobody,
    /// Who comes by the Unix socket.
    Socket,
    /// They, and who has this token, or the admin listener's.
    Token(TokenCheck),
}

/// Who asks, as far as the admin listener knows.
#[derive(Clone, PartialEq, Eq)]
pub enum Caller {
    /// Who came by the Unix socket, which only those can open who may do everything.
    Socket,
    /// Who came over TCP, with the admin listener's token.
    Operator,
    /// Who came over TCP with a token that the configuration gives for this, as the admin listener has found.
    Holder,
    /// Who came over TCP with this, which may be a service's token.
    Bearer(Vec<u8>),
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "Socket",
            Self::Operator => "Operator",
            Self::Holder => "Holder",
            // It may be somebody's token.
            Self::Bearer(_) => "Bearer",
        })
    }
}

/// Why somebody may not register.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no such service. Who has no token is not told.
    #[error("there is no service {0:?}")]
    NoSuchService(String),
    /// What was sent is no token of that service, whether or not it has one.
    #[error("the token is none of service {0:?}")]
    WrongToken(String),
    /// The service takes nobody in.
    #[error(
        "service {0:?} takes no registrations: its table in the configuration has no register = true"
    )]
    Nobody(String),
    /// The service takes nobody in over TCP.
    #[error(
        "service {0:?} takes registrations by the Unix socket only: give it register = {{ token = {{ env = \"NAME\" }} }}"
    )]
    SocketOnly(String),
}

/// Whether `caller` may speak for instances of a service; `admits` is none if there is no such service.
pub fn admit(admits: Option<&Admits>, service: &str, caller: &Caller) -> Result<(), Denied> {
    let name = || service.to_owned();
    match (admits, caller) {
        (Some(Admits::Token(token)), Caller::Bearer(given)) if token.matches(given) => Ok(()),
        (_, Caller::Bearer(_)) => Err(Denied::WrongToken(name())),
        (None, _) => Err(Denied::NoSuchService(name())),
        (Some(Admits::Nobody), _) => Err(Denied::Nobody(name())),
        (Some(Admits::Socket), Caller::Operator) => Err(Denied::SocketOnly(name())),
        // Whoever gave it out for this service has said so.
        (Some(Admits::Socket), Caller::Socket | Caller::Holder) => Ok(()),
        (Some(Admits::Token(_)), Caller::Socket | Caller::Operator | Caller::Holder) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_speak_for_a_service() {
        let token = TokenCheck::new(|given| given == b"right");
        let all = [Some(Admits::Token(token)), Some(Admits::Socket), Some(Admits::Nobody), None];
        let (right, wrong) = (Caller::Bearer(b"right".into()), Caller::Bearer(b"wrong".into()));
        for (caller, expected) in [
            (Caller::Socket, ["ok", "ok", "takes no registrations", "there is no"]),
            (Caller::Holder, ["ok", "ok", "takes no registrations", "there is no"]),
            (Caller::Operator, ["ok", "Unix socket only", "takes no registrations", "there is no"]),
            (right, ["ok", "the token is none", "the token is none", "the token is none"]),
            (wrong, ["the token is none"; 4]),
        ] {
            for (admits, expected) in all.iter().zip(expected) {
                let said = match admit(admits.as_ref(), "s", &caller) {
                    Ok(()) => "ok".to_owned(),
                    Err(denied) => denied.to_string(),
                };
                assert!(said.contains(expected), "{caller:?} {admits:?}: {said}");
            }
        }
        assert!(!format!("{:?}", Caller::Bearer(b"secret".into())).contains("secret"));
    }
}
