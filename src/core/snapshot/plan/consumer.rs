//! Consumers: who may call, by which credentials they are known, and where those are looked for.

use crate::base::limits;
use crate::policy::credential::KeyDigest;

/// Whether a consumer or a group may be called so: 1 to [`limits::CONSUMER_NAME_BYTES`] of ASCII letters, digits and `-_.@:`, of which
/// the first is a letter, a digit or `_`. Such a name can stand in a header field, a line of a log, a label of a metric, a path and
/// a word of a command as it is.
pub fn is_name(name: &str) -> bool {
    let may_begin = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.len() <= limits::CONSUMER_NAME_BYTES
        && name.as_bytes().first().is_some_and(may_begin)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@:".contains(&byte))
}

/// Somebody who calls: a program, a team, a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerPlan {
    /// The name: in limits, logs and metrics, and what instances are told.
    pub name: String,
    /// The groups it is in, each once, in alphabetical order; at most [`limits::GROUPS_OF_CONSUMER`](crate::base::limits).
    pub groups: Vec<String>,
    /// Its keys, each once; at most [`limits::KEYS_OF_CONSUMER`](crate::base::limits).
    pub keys: Vec<KeyPlan>,
}

/// A key of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPlan {
    /// Its digest.
    pub digest: KeyDigest,
    /// From when on it is refused, in seconds of Unix time; `None`: never.
    pub expires: Option<u64>,
}

/// A way to find out who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthPlan {
    /// Its name, by which routes ask for it: `key` is built in.
    pub name: String,
    /// What clients are told that they must have a credential for (RFC 9110 §11.5): 1 to [`limits::REALM_BYTES`] printable
    /// ASCII characters, without `"` and `\`.
    pub realm: String,
    /// How.
    pub method: AuthMethod,
}

/// How it is found out who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthMethod {
    /// By a key.
    Key(KeyAuth),
}

/// A key, and where it stands in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAuth {
    /// The places, looked at in this order: the first that has anything says what the key is. At least one.
    pub places: Vec<KeyPlace>,
    /// Whether instances see the key.
    pub forward: bool,
}

/// Where a key may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// In this header field, in lower case.
    Header(String),
    /// In this parameter of the query.
    Query(String),
    /// In this cookie.
    Cookie(String),
}

impl AuthPlan {
    /// The name of the one that is always there.
    pub const KEY: &str = "key";

    /// The one that is always there: a key in `x-api-key`.
    pub fn key() -> Self {
        let places = vec![KeyPlace::Header("x-api-key".to_owned())];
        Self {
            name: Self::KEY.to_owned(),
            realm: "coregate".to_owned(),
            method: AuthMethod::Key(KeyAuth { places, forward: false }),
        }
    }
}

/// Which consumers a route lets in, of those that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// These, if there are any; everybody who is known where there are none.
    pub allow: Vec<Principal>,
    /// But not these.
    pub deny: Vec<Principal>,
}

/// A consumer or a group of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// The consumer of this name.
    Consumer(String),
    /// All of this group.
    Group(String),
}

impl Principal {
    /// What begins the name of a group where consumers stand too.
    pub const GROUP: &str = "group:";
}

impl Access {
    /// Whether everybody who is known is let in.
    pub fn is_open(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// Whether a consumer is let in.
    pub fn admits(&self, name: &str, groups: &[String]) -> bool {
        let is = |principal: &Principal| match principal {
            Principal::Consumer(one) => one == name,
            Principal::Group(group) => groups.contains(group),
        };
        (self.allow.is_empty() || self.allow.iter().any(is)) && !self.deny.iter().any(is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "a".repeat(limits::CONSUMER_NAME_BYTES);
        for name in ["a", "7", "_", "mobile", "team-a.b_c", "ann@example.com", "urn:x", &longest] {
            assert!(is_name(name), "{name}");
        }
        let longer = format!("{longest}a");
        for name in
            ["", "-a", ".a", ":a", "@a", "a b", "a/b", "a,b", "a\"", "a\n", "\u{e4}", "a%", &longer]
        {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn whoever_is_denied_is_not_let_in() {
        let (a, gold) = (Principal::Consumer("a".into()), Principal::Group("gold".into()));
        let groups = ["gold".to_owned()];
        let access = |allow: &[&Principal], deny: &[&Principal]| Access {
            allow: allow.iter().copied().cloned().collect(),
            deny: deny.iter().copied().cloned().collect(),
        };
        assert!(Access::default().admits("a", &[]) && Access::default().is_open());
        assert!(access(&[&a], &[]).admits("a", &[]) && !access(&[&a], &[]).admits("b", &groups));
        assert!(
            access(&[&gold], &[]).admits("b", &groups) && !access(&[&gold], &[]).admits("a", &[])
        );
        assert!(!access(&[&gold], &[&a]).admits("a", &groups));
        assert!(
            !access(&[], &[&gold]).admits("b", &groups) && access(&[], &[&gold]).admits("b", &[])
        );
    }
}
