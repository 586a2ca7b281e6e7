//! Everything that the registry knows, as a value: for the process that takes over.
//!
//! The successor shares the host's cells, so it goes on with the same ids and slots; configuration it reads itself.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use coregate_core::base::ids::InstanceSlot;
use coregate_core::snapshot::compile::{Found, Member};
use coregate_core::snapshot::plan::{Address, Source};
use serde::{Deserialize, Serialize};

use crate::registry::consumers::KeptConsumers;
use crate::registry::directory::Kept;
use crate::registry::health::KeptHealth;
use crate::registry::quotas::KeptQuota;

/// What one registry leaves to the next.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The generation that was published last.
    pub generation: u64,
    /// The revision of the latest change of a registered instance.
    #[serde(default)]
    pub revision: u64,
    /// The names of routes, in the order of their ids.
    pub routes: Vec<String>,
    /// The same of services.
    pub services: Vec<String>,
    /// The same of listeners.
    pub listeners: Vec<String>,
    /// All instances.
    pub instances: Vec<Known>,
    /// Those of them that get no new requests.
    pub drains: Vec<Draining>,
    /// What was said of those that registered. A process that knew no ids says nothing here.
    #[serde(default)]
    pub registered: Vec<Kept>,
    /// What is known of the health of instances, beyond that they are well. A process that knew of none says nothing here.
    #[serde(default)]
    pub health: Vec<KeptHealth>,
    /// What sources of instances said last. A process that knew no sources says nothing here.
    #[serde(default)]
    pub discovered: Vec<Brought>,
    /// What was changed about consumers. None: a process that knew of none.
    #[serde(default)]
    pub consumers: Option<KeptConsumers>,
    /// What was granted of quotas. None: a process that knew of none.
    #[serde(default)]
    pub quotas: Option<Vec<KeptQuota>>,
}

/// What a source of instances said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The service.
    pub service: String,
    /// The source.
    pub source: Place,
    /// The addresses of the instances, and their weights.
    pub instances: Vec<(String, u32)>,
}

/// A [`Source`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The addresses of a name, with a port.
    Dns(String, u16),
    /// The SRV records of a name.
    Srv(String),
    /// A file.
    File(PathBuf),
}

impl From<Place> for Source {
    fn from(place: Place) -> Self {
        match place {
            Place::Dns(host, port) => Self::Dns { host, port },
            Place::Srv(name) => Self::Srv { name },
            Place::File(path) => Self::File(path),
        }
    }
}

impl From<Source> for Place {
    fn from(source: Source) -> Self {
        match source {
            Source::Dns { host, port } => Self::Dns(host, port),
            Source::Srv { name } => Self::Srv(name),
            Source::File(path) => Self::File(path),
        }
    }
}

impl Brought {
    /// What the compiler knows.
    pub fn new(found: Found<'_>) -> Self {
        let instances = found.instances.iter();
        Self {
            service: found.service.to_owned(),
            source: found.source.clone().into(),
            instances: instances.map(|(address, weight)| (address.to_string(), *weight)).collect(),
        }
    }

    /// The instances, as far as their addresses are some.
    pub fn instances(&self) -> Vec<(Address, u32)> {
        let known = |(address, weight): &(String, u32)| Some((address.parse().ok()?, *weight));
        self.instances.iter().filter_map(known).collect()
    }
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its service.
    pub service: String,
    /// Its address.
    pub address: String,
    /// Its slot.
    pub slot: u32,
    /// Which use of the slot it is.
    pub generation: u16,
    /// Whether the configuration names it.
    pub of_file: bool,
    /// Whether it was registered.
    pub registered: bool,
}

/// An instance that is drained, or being so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// Its service.
    pub service: String,
    /// Its address.
    pub address: String,
    /// What is left of its time, in milliseconds.
    pub left_ms: u64,
}

impl Known {
    /// A member, as the compiler has it.
    pub fn new(service: &str, address: &Address, member: Member) -> Self {
        Self {
            service: service.to_owned(),
            address: address.to_string(),
            slot: member.slot.0,
            generation: member.generation,
            of_file: member.of_file,
            registered: member.registered,
        }
    }

    /// The same, for the compiler; none if the address is none.
    pub fn member(self) -> Option<(String, Address, Member)> {
        let address = self.address.parse().ok()?;
        let member = Member {
            slot: InstanceSlot(self.slot),
            generation: self.generation,
            of_file: self.of_file,
            registered: self.registered,
            // What sources said stands apart.
            discovered: false,
        };
        Some((self.service, address, member))
    }
}

impl Checkpoint {
    /// What is known of every instance that registered, and of which service: where it is, if no more was said.
    pub fn registrations(&self) -> Vec<Kept> {
        let said: HashSet<_> =
            self.registered.iter().map(|kept| (&*kept.service, &*kept.address)).collect();
        let bare = self.instances.iter().filter(|known| {
            known.registered && !said.contains(&(&*known.service, &*known.address))
        });
        let bare = bare.map(|known| Kept::bare(&known.service, &known.address));
        self.registered.iter().cloned().chain(bare).collect()
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}, {} instances", self.generation, self.instances.len())
    }
}
