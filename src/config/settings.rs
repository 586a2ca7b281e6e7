//! What a configuration says, resolved: the workers and the process, the listeners' addresses, and the plan.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, DnsTerms, Plan};

use crate::cases::RouteTest;
use crate::cores::{Cores, Io};
use crate::grant::Grant;
use crate::key::ConsumerKey;
use crate::secret::Secret;

/// What a configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The process: its workers, its admin listener, how it stops.
    pub runtime: RuntimeSettings,
    /// Where clients come in.
    pub listeners: Vec<Listener>,
    /// Routes, services, and in `plan.listeners[i]` what is to be done with the clients of `listeners[i]`.
    pub plan: Plan,
    /// Where the tokens lie of the services whose instances may register with one, by their names.
    pub tokens: BTreeMap<String, Secret>,
    /// `[tokens]`: what the admin listener lets who has one of them do over TCP, by their names. At most [`limits::GRANTS`].
    pub grants: BTreeMap<String, Grant>,
    /// Where those keys of consumers lie that the plan lacks, because the file names a place and no digest. They belong into the plan before
    /// it is taken: [`Settings::plan_with_keys`].
    pub keys: Vec<ConsumerKey>,
    /// How names of instances are looked up. A change needs a restart.
    pub dns: DnsTerms,
    /// What the operator expects of the routes, in the order of the file: nothing that serves looks at it.
    pub tests: Vec<RouteTest>,
}

/// What a configuration says about the process. Changes of `drain` and `drain_delay` are taken over by a reload, all
/// others need a restart ([`Settings::needs_restart`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// The cores that workers are pinned to.
    pub cores: Cores,
    /// How many workers there are, if not one a core.
    pub workers: Option<usize>,
    /// What they do their I/O with.
    pub io: Io,
    /// The most client connections at once on this host, if not as many as there are descriptors for.
    pub connections: Option<u64>,
    /// Where the admin listener listens, on Unix sockets and loopback addresses; nowhere if it is empty, and on the
    /// socket of the server's choice if there is none. At most [`limits::ADMIN_LISTENERS`].
    pub admin: Option<Vec<Address>>,
    /// Where the token lies that the admin listener asks for over TCP.
    pub admin_token: Option<Secret>,
    /// Where registered instances are kept over a restart, a directory by its absolute path; if nothing is said, where the
    /// server's surroundings say, else in memory.
    pub state: Option<StatePlace>,
    /// What is in flight when the process stops may finish in this; above 0.
    pub drain: Duration,
    /// How long readiness is false while connections are still accepted, before a stop; 0 for not at all.
    pub drain_delay: Duration,
}

/// Where registrations are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatePlace {
    /// Nowhere: they are lost with the process.
    Memory,
    /// In this directory.
    Folder(PathBuf),
}

/// The text that stands for a directory is empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a directory, or memory")]
pub struct StatePlaceError;

impl FromStr for StatePlace {
    type Err = StatePlaceError;

    fn from_str(text: &str) -> Result<Self, StatePlaceError> {
        match text {
            "" => Err(StatePlaceError),
            "memory" => Ok(Self::Memory),
            folder => Ok(Self::Folder(folder.into())),
        }
    }
}

impl fmt::Display for StatePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

/// Where clients come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in logs and metrics.
    pub name: String,
    /// The addresses it listens on, at least one.
    pub bind: Vec<Address>,
}

impl Settings {
    /// What `coregate proxy --listen A --to B,C` means: all requests go to one service with these instances.
    pub fn to_instances(listen: &[Address], to: &[Address]) -> Settings {
        Settings {
            runtime: RuntimeSettings::default(),
            listeners: vec![Listener { name: "default".into(), bind: listen.to_vec() }],
            plan: Plan::to_instances(to),
            tokens: BTreeMap::new(),
            grants: BTreeMap::new(),
            keys: Vec::new(),
            dns: DnsTerms::default(),
            tests: Vec::new(),
        }
    }

    /// The keys, such as `runtime.cores` and `dns.servers`, whose values differ in `new` and that only a restart can change.
    ///
    /// This compares what the files say; flags of the command line, which win over them, are the server's to keep.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let runtime = self.runtime.needs_restart(&new.runtime);
        runtime.into_iter().chain(dns_needs_restart(&self.dns, &new.dns)).collect()
    }
}

/// The keys of `[dns]` whose values differ.
fn dns_needs_restart(old: &DnsTerms, new: &DnsTerms) -> Vec<&'static str> {
    // Taken apart in full, so that a new key cannot be forgotten here.
    let DnsTerms { servers, timeout, min_ttl, max_ttl } = old;
    let differ = [
        ("dns.servers", *servers != new.servers),
        ("dns.timeout", *timeout != new.timeout),
        ("dns.min_ttl", *min_ttl != new.min_ttl),
        ("dns.max_ttl", *max_ttl != new.max_ttl),
    ];
    differing(differ)
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            cores: Cores::default(),
            workers: None,
            io: Io::default(),
            connections: None,
            admin: None,
            admin_token: None,
            state: None,
            drain: limits::SHUTDOWN_TIME,
            drain_delay: limits::DRAIN_DELAY,
        }
    }
}

impl RuntimeSettings {
    fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        // Taken apart in full, so that a new key cannot be forgotten here.
        let Self {
            cores,
            workers,
            io,
            connections,
            admin,
            admin_token,
            state,
            drain: _,
            drain_delay: _,
        } = self;
        let differ = [
            ("runtime.cores", *cores != new.cores),
            ("runtime.workers", *workers != new.workers),
            ("runtime.io", *io != new.io),
            ("runtime.connections", *connections != new.connections),
            ("runtime.admin", !same_addresses(admin.as_deref(), new.admin.as_deref())),
            ("runtime.admin_token", *admin_token != new.admin_token),
            ("runtime.state", *state != new.state),
        ];
        differing(differ)
    }
}

/// The keys that differ.
fn differing<const N: usize>(keys: [(&'static str, bool); N]) -> Vec<&'static str> {
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// Whether both are the same addresses, in whatever order.
fn same_addresses(old: Option<&[Address]>, new: Option<&[Address]>) -> bool {
    let sorted = |addresses: &[Address]| {
        let mut addresses = addresses.to_vec();
        addresses.sort();
        addresses
    };
    old.map(sorted) == new.map(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut RuntimeSettings), expected: &[&str]) {
        let old = RuntimeSettings::default();
        let mut new = old.clone();
        change(&mut new);
        assert_eq!(old.needs_restart(&new), expected);
        assert_eq!(new.needs_restart(&old), expected);
        assert_eq!(new.needs_restart(&new), [""; 0]);
    }

    #[test]
    fn which_keys_need_a_restart() {
        check(|_| {}, &[]);
        check(|new| new.cores = Cores::Count(2), &["runtime.cores"]);
        check(|new| new.workers = Some(1), &["runtime.workers"]);
        check(|new| new.io = Io::Epoll, &["runtime.io"]);
        check(|new| new.connections = Some(1), &["runtime.connections"]);
        check(|new| new.admin = Some(Vec::new()), &["runtime.admin"]);
        check(|new| new.admin_token = Some(Secret::Env("A".into())), &["runtime.admin_token"]);
        check(|new| new.state = Some(StatePlace::Memory), &["runtime.state"]);
        check(|new| new.drain = Duration::from_secs(1), &[]);
        check(|new| new.drain_delay = Duration::ZERO, &[]);
        let all = |new: &mut RuntimeSettings| {
            (new.cores, new.io, new.drain) = (Cores::Isolated, Io::Uring, Duration::from_secs(1));
        };
        check(all, &["runtime.cores", "runtime.io"]);
    }

    #[test]
    fn names_are_looked_up_in_one_way_until_a_restart() {
        let old = Settings::to_instances(&[], &[]);
        let mut new = old.clone();
        assert_eq!(old.needs_restart(&new), [""; 0]);
        new.dns = DnsTerms {
            servers: vec!["127.0.0.1:5353".parse().unwrap()],
            timeout: Duration::from_secs(1),
            min_ttl: Duration::from_secs(2),
            max_ttl: Duration::from_secs(3),
        };
        let keys = ["dns.servers", "dns.timeout", "dns.min_ttl", "dns.max_ttl"];
        assert_eq!(old.needs_restart(&new), keys);
        new.runtime.io = Io::Epoll;
        assert_eq!(new.needs_restart(&old), [&["runtime.io"], &keys[..]].concat());
    }

    #[test]
    fn the_order_of_admin_addresses_does_not_count() {
        let at = |texts: &[&str]| {
            let admin = texts.iter().map(|text| text.parse().unwrap()).collect();
            RuntimeSettings { admin: Some(admin), ..RuntimeSettings::default() }
        };
        let old = at(&["127.0.0.1:1", "unix:/a"]);
        assert_eq!(old.needs_restart(&at(&["unix:/a", "127.0.0.1:1"])), [""; 0]);
        assert_eq!(old.needs_restart(&at(&["unix:/a"])), ["runtime.admin"]);
    }
}
