//! What is said of an instance when it is registered: parsed once, into a type that cannot be too large.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, HealthCheck};

use super::check::{self, BadCheck};
use super::record::Said;

/// What is said of an instance, before anybody has looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where it is.
    pub address: Address,
    /// How long its lease lasts; none: until it is taken away.
    pub ttl: Option<Duration>,
    /// What it says of itself.
    pub said: Said,
    /// Its weight among the others.
    pub weight: u32,
    /// Where it stands.
    pub zone: Option<String>,
    /// What it runs.
    pub version: Option<String>,
    /// What else it is called.
    pub tags: Vec<String>,
    /// What else is to be known of it.
    pub metadata: BTreeMap<String, String>,
    /// How it is probed; none: as its service says.
    pub check: Option<HealthCheck>,
}

impl Draft {
    /// An instance at this address of which nothing is known, and which stays until it is taken away.
    pub fn at(address: Address) -> Self {
        Self {
            address,
            ttl: None,
            said: Said::Up,
            weight: 1,
            zone: None,
            version: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            check: None,
        }
    }
}

/// What is kept of an instance for those who ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    pub(super) weight: u32,
    pub(super) zone: Option<Box<str>>,
    pub(super) version: Option<Box<str>>,
    pub(super) tags: Box<[Box<str>]>,
    pub(super) metadata: BTreeMap<Box<str>, Box<str>>,
    pub(super) check: Option<Arc<HealthCheck>>,
}

impl About {
    /// The bytes of its texts.
    pub(super) fn text_bytes(&self) -> usize {
        let words = self.zone.iter().chain(&self.version).chain(&*self.tags);
        let pairs = self.metadata.iter().flat_map(|(key, value)| [key, value]);
        let check = self.check.as_deref().map_or(0, check::text_bytes);
        words.chain(pairs).map(|text| text.len()).sum::<usize>() + check
    }
}

/// What is said of an instance, within all limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub(super) id: Arc<str>,
    pub(super) address: Address,
    pub(super) ttl: Option<Duration>,
    pub(super) said: Said,
    pub(super) about: About,
    /// Whether an operator holds it back: only what was known before says so.
    pub(super) maintenance: bool,
}

impl Registration {
    /// Takes a draft, or says what of it is out of range.
    pub fn new(id: &str, draft: Draft) -> Result<Self, Invalid> {
        let Draft { address, ttl, said, weight, zone, version, tags, metadata, check } = draft;
        check_id(id)?;
        if matches!(&address, Address::Tcp(address) if address.port() == 0) {
            return Err(Invalid::Port(address));
        }
        if address.is_nobodys() {
            return Err(Invalid::Nobodys(address));
        }
        if let Some(ttl) = ttl.filter(|ttl| !(limits::LEASE_MIN..=limits::LEASE_MAX).contains(ttl))
        {
            return Err(Invalid::Ttl(ttl));
        }
        check_weight(weight)?;
        check.as_ref().map_or(Ok(()), |check| check::check(check, &address))?;
        at_most("tags", tags.len(), limits::INSTANCE_TAGS)?;
        at_most("pairs of metadata", metadata.len(), limits::METADATA_PAIRS)?;
        let word = |what, text: String| named(what, text, limits::INSTANCE_WORD_BYTES);
        let pair = |(key, value)| {
            let key = named("a key of the metadata", key, limits::METADATA_KEY_BYTES)?;
            let value = text("a value of the metadata", value, limits::METADATA_VALUE_BYTES)?;
            Ok::<_, Invalid>((key, value))
        };
        Ok(Self {
            id: id.into(),
            address,
            ttl,
            said,
            about: About {
                weight,
                zone: zone.map(|text| word("the zone", text)).transpose()?,
                version: version.map(|text| word("the version", text)).transpose()?,
                tags: tags.into_iter().map(|text| word("a tag", text)).collect::<Result<_, _>>()?,
                metadata: metadata.into_iter().map(pair).collect::<Result<_, _>>()?,
                check: check.map(Arc::new),
            },
            maintenance: false,
        })
    }

    /// An instance at this address of which nothing is known, and which stays until it is taken away: its id is its address.
    pub fn plain(address: Address) -> Result<Self, Invalid> {
        Self::new(&address.to_string(), Draft::at(address))
    }

    /// The same, held back by an operator if `maintenance` says so.
    #[must_use]
    pub(crate) fn held_back(self, maintenance: bool) -> Self {
        Self { maintenance, ..self }
    }

    /// The bytes of its texts, as [`limits::REGISTRY_TEXT_BYTES`] counts them.
    pub(super) fn text_bytes(&self) -> usize {
        self.id.len() + self.about.text_bytes()
    }

    /// Its weight.
    pub fn weight(&self) -> u32 {
        self.about.weight
    }

    /// The check that it brings, if any.
    pub fn check(&self) -> Option<&Arc<HealthCheck>> {
        self.about.check.as_ref()
    }

    /// Its id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Its address.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

/// Refuses what can be no id.
fn check_id(id: &str) -> Result<(), Invalid> {
    if (1..=limits::INSTANCE_ID_BYTES).contains(&id.len()) && !id.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Invalid::Id(id.len()))
}

/// Refuses what can be no weight.
pub(super) fn check_weight(weight: u32) -> Result<(), Invalid> {
    let fits = (1..=limits::INSTANCE_WEIGHT).contains(&weight);
    if fits { Ok(()) } else { Err(Invalid::Weight(weight)) }
}

fn at_most(what: &'static str, count: usize, most: usize) -> Result<(), Invalid> {
    if count > most { Err(Invalid::TooMany { what, count, most }) } else { Ok(()) }
}

/// A text that is not empty.
fn named(what: &'static str, named: String, most: usize) -> Result<Box<str>, Invalid> {
    if named.is_empty() {
        return Err(Invalid::Text { what, bytes: 0, most });
    }
    text(what, named, most)
}

fn text(what: &'static str, text: String, most: usize) -> Result<Box<str>, Invalid> {
    if text.len() > most || text.chars().any(char::is_control) {
        return Err(Invalid::Text { what, bytes: text.len(), most });
    }
    Ok(text.into())
}

/// What is out of range in a registration. It is the fault of who sent it, and will be again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The id.
    #[error(
        "an id of {0} bytes: expected 1 to {most}, without control characters",
        most = limits::INSTANCE_ID_BYTES
    )]
    Id(usize),
    /// The address.
    #[error("{0}: expected the port of an instance, 1 to 65535")]
    Port(Address),
    /// The address, at which nobody can be.
    #[error(
        "{0}: expected the address at which others reach the instance, not one that it listens on"
    )]
    Nobodys(Address),
    /// The lease.
    #[error(
        "ttl {} ms: expected {least} s to {most} s", .0.as_millis(),
        least = limits::LEASE_MIN.as_secs(), most = limits::LEASE_MAX.as_secs()
    )]
    Ttl(Duration),
    /// The weight.
    #[error("weight {0}: expected 1 to {most}", most = limits::INSTANCE_WEIGHT)]
    Weight(u32),
    /// Its check.
    #[error("check: {0}")]
    Check(#[from] BadCheck),
    /// More of something than there may be.
    #[error("{count} {what}: expected at most {most}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A text.
    #[error(
        "{what} of {bytes} bytes: expected at most {most}, without control characters, and not empty where it names something"
    )]
    Text {
        /// Which.
        what: &'static str,
        /// Its length, in bytes.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
}
