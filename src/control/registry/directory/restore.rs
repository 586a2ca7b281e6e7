//! The directory as a value, for the process that takes over: what was said of each instance, and no times. There every lease
//! starts with a full term.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Directory;
use super::check::KeptCheck;
use super::record::{Lease, Record, Said};
use super::registration::{Draft, Registration};

/// What was said of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its service.
    pub service: String,
    /// Its id.
    pub id: String,
    /// Its address.
    pub address: String,
    /// The time of its lease, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// What it said of itself.
    #[serde(default)]
    pub said: Said,
    /// Whether an operator holds it back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub maintenance: bool,
    /// Whether an operator drains it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub draining: bool,
    /// Its weight.
    pub weight: u32,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What else it is called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<(String, String)>,
    /// How it is probed, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<KeptCheck>,
}

// serde asks for a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(super) fn is_false(value: &bool) -> bool {
    !value
}

impl Kept {
    /// An instance of which nothing is known but where it is.
    pub fn bare(service: &str, address: &str) -> Self {
        Self {
            service: service.to_owned(),
            id: address.to_owned(),
            address: address.to_owned(),
            ttl_ms: None,
            said: Said::Up,
            maintenance: false,
            draining: false,
            weight: 1,
            zone: None,
            version: None,
            tags: Vec::new(),
            metadata: Vec::new(),
            check: None,
        }
    }

    /// What was said, once more, and of which service; none if it cannot be.
    pub fn registration(self) -> Option<(String, Registration)> {
        let draft = Draft {
            address: self.address.parse().ok()?,
            ttl: self.ttl_ms.map(Duration::from_millis),
            said: self.said,
            weight: self.weight,
            zone: self.zone,
            version: self.version,
            tags: self.tags,
            metadata: self.metadata.into_iter().collect(),
            check: self.check.map(Into::into),
        };
        let registration = Registration::new(&self.id, draft).ok()?;
        Some((self.service, registration.held_back(self.maintenance)))
    }
}

impl Directory {
    /// What was said of all instances.
    pub fn kept(&self) -> Vec<Kept> {
        self.records.iter().map(|(_, record)| kept(record)).collect()
    }

    /// What was said of one of them, if it is there.
    pub fn kept_of(&self, service: &str, id: &str) -> Option<Kept> {
        self.find(service, id).map(|(_, record)| kept(record))
    }

    /// How many there are.
    pub fn registered(&self) -> usize {
        self.records.len()
    }

    /// The revision of the latest change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Goes on from a revision, if it is a later one.
    pub fn resume(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }
}

fn kept(record: &Record) -> Kept {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let about = &record.about;
    let pairs = about.metadata.iter();
    Kept {
        service: record.service.to_string(),
        id: record.id.to_string(),
        address: record.address.to_string(),
        ttl_ms: record.lease.map(|Lease { ttl, .. }| ttl.as_millis() as u64),
        said: record.said,
        maintenance: record.maintenance,
        draining: record.draining,
        weight: about.weight,
        zone: text(&about.zone),
        version: text(&about.version),
        tags: about.tags.iter().map(ToString::to_string).collect(),
        metadata: pairs.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        check: about.check.as_deref().map(KeptCheck::from),
    }
}
