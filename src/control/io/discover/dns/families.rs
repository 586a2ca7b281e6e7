//! The addresses of a host come in two families, and each may fail alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::proto::rr::Name;

/// What a host has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// Addresses.
    Found {
        /// They.
        addresses: Vec<IpAddr>,
        /// For how long.
        ttl: Duration,
        /// The family that failed, and why.
        lacking: Option<String>,
    },
    /// None.
    Nothing {
        /// For how long.
        ttl: Duration,
    },
    /// Nobody knows.
    Failed(String),
}

/// Why there are no records.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// There are none.
    Nothing {
        /// For how long.
        ttl: Duration,
        /// There are none of any kind: the name does not exist.
        no_name: bool,
    },
    /// There was no answer.
    Failed(String),
}

/// The addresses of one family, and for how long; or why there are none.
pub(super) type Family = Result<(Vec<IpAddr>, Duration), Missing>;

/// What names had when they answered last.
#[derive(Debug, Default)]
pub(in super::super) struct Memory {
    before: HashMap<Name, [Vec<IpAddr>; 2]>,
    now: HashMap<Name, [Vec<IpAddr>; 2]>,
}

impl Memory {
    /// What was known since the last time is all that is.
    pub(super) fn keep(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// Whether a name has answered.
    pub(super) fn knows(&self, name: &Name) -> bool {
        self.before.contains_key(name)
    }

    /// A name has answered, which has no addresses itself.
    pub(super) fn know(&mut self, name: &Name) {
        self.now.entry(name.clone()).or_default();
    }
}

/// What both families, A and AAAA, say of a host.
pub(super) fn judge(name: &Name, families: [Family; 2], memory: &mut Memory) -> Host {
    let has_some =
        families.iter().any(|family| matches!(family, Ok((found, _)) if !found.is_empty()));
    let mut lacking = None;
    let mut ttl = Duration::MAX;
    let mut no_such_name = false;
    let mut known = memory.before.get(name).cloned().unwrap_or_default();
    for ((family, known), kind) in families.into_iter().zip(&mut known).zip(["A", "AAAA"]) {
        match family {
            Ok((found, valid)) => (*known, ttl) = (found, ttl.min(valid)),
            Err(Missing::Nothing { ttl: valid, no_name }) => {
                no_such_name |= no_name;
                known.clear();
                ttl = ttl.min(valid);
            }
            Err(Missing::Failed(why)) => {
                lacking.get_or_insert(format!("{kind}: {why}"));
            }
        }
    }
    match lacking {
        // A name that does not exist has no addresses of the other family either.
        Some(_) if !has_some && no_such_name => Host::Nothing { ttl },
        Some(why) if !has_some => Host::Failed(why),
        None if !has_some => Host::Nothing { ttl },
        lacking => {
            let addresses = known.iter().flatten().copied().collect();
            memory.now.insert(name.clone(), known);
            Host::Found { addresses, ttl, lacking }
        }
    }
}
