//! Consumers and keys that are changed while the process runs: what is asked, what becomes of it, and what is kept. Pure.
//!
//! Of a key nothing comes here but its digest. What is changed lies in the compiler's
//! [`ConsumerChanges`](coregate_core::snapshot::consumers::ConsumerChanges), beside the configuration:
//!
//! - A consumer that was added, and keys that were given to one of the configuration, go on beside whatever configuration is taken; such
//!   keys with the consumer that they were given to.
//! - A key that is revoked is remembered by its digest, whoever holds it, so that no configuration brings it back: not the next
//!   reload, not a rollback, not a restart.
//! - The old keys of a rotation end at a time, those of the configuration too.

mod apply;
mod kept;
mod view;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{KeyPlan, Principal};

pub use apply::{Roster, Touched};
pub use kept::{KeptConsumer, KeptConsumers, KeptKey};
pub use view::{ConsumerSource, ConsumerView, ConsumersView, KeyState, KeyView};

/// Something about one consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerOrder {
    /// Its name.
    pub name: String,
    /// When it is asked, in seconds of Unix time.
    pub at: u64,
    /// What is asked.
    pub what: Asked,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It is there, in these groups, with this key.
    Add {
        /// Its groups.
        groups: Vec<String>,
        /// Its key.
        key: KeyPlan,
    },
    /// It has another key.
    Give(KeyPlan),
    /// It has another key, and others go on until a time.
    Rotate {
        /// The new one.
        key: KeyPlan,
        /// The old ones.
        old: Which,
        /// In seconds of Unix time.
        until: u64,
    },
    /// These keys are refused.
    Revoke(Which),
    /// What was added of it is there no more.
    Remove,
}

impl Asked {
    /// What has happened to the consumer then, for a log.
    pub fn done(&self) -> &'static str {
        match self {
            Self::Add { .. } => "was added",
            Self::Give(_) => "was given another key",
            Self::Rotate { .. } => "was given a new key for old ones",
            Self::Revoke(Which::All) => "has no keys any more: all are revoked",
            Self::Revoke(Which::One(_)) => "has a key less: it is revoked",
            Self::Remove => "was removed, as far as it was added",
        }
    }
}

/// Which keys of a consumer are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// The one whose digest begins with these hexadecimal digits, in lower case.
    One(String),
}

impl Which {
    /// The fewest digits that say which: those that are shown.
    pub const DIGITS_MIN: usize = 8;
    /// All of them.
    pub const DIGITS_MAX: usize = 64;

    /// The key whose digest begins so.
    ///
    /// # Errors
    /// What is not a beginning of a digest.
    pub fn one(text: &str) -> Result<Self, ConsumerError> {
        let is_long_enough = (Self::DIGITS_MIN..=Self::DIGITS_MAX).contains(&text.len());
        match is_long_enough && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Self::One(text.to_ascii_lowercase())),
            // It may be a key, by mistake: it is not said again.
            false => Err(ConsumerError::BadDigest),
        }
    }

    fn is(&self, key: &KeyPlan) -> bool {
        match self {
            Self::All => true,
            Self::One(digits) => key.digest.to_hex().starts_with(digits.as_str()),
        }
    }
}

/// What became of an order about a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerOrdered {
    /// The consumer; none: it is there no more.
    pub consumer: Option<ConsumerView>,
    /// Whether that outlives this process: it is in the store; before it is answered, whether it is to be.
    pub durable: bool,
    /// What is to be said of it, for people.
    pub notes: Vec<String>,
}

/// Why an order about a consumer cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsumerError {
    /// There is no such consumer.
    #[error("there is no consumer {0:?}")]
    NoSuchConsumer(String),
    /// There is one.
    #[error("consumer {0:?} is there already: give it another key, or rotate")]
    IsThere(String),
    /// It is the configuration's alone.
    #[error("consumer {0:?} stands in the configuration: remove it there, or revoke its keys")]
    OfTheFile(String),
    /// Nothing that could be the beginning of a key's digest.
    #[error(
        "expected the first {} to {} hexadecimal digits of a key's digest, as they are listed",
        Which::DIGITS_MIN,
        Which::DIGITS_MAX
    )]
    BadDigest,
    /// It has no such key.
    #[error("consumer {name:?} has no key {digits}")]
    NoSuchKey {
        /// The consumer.
        name: String,
        /// The digits.
        digits: String,
    },
    /// Several of its keys begin so.
    #[error("several keys of consumer {name:?} begin with {digits}: give more digits")]
    Ambiguous {
        /// The consumer.
        name: String,
        /// The digits.
        digits: String,
    },
    /// A name that nobody may have.
    #[error(
        "{what} {name:?}: expected 1 to {} letters, digits and -_.@:, first a letter, a digit or _",
        limits::CONSUMER_NAME_BYTES
    )]
    BadName {
        /// Whose it is.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A consumer that `allow` and `deny` would take for a group.
    #[error("consumer {0:?}: {group} begins what stands for a group", group = Principal::GROUP)]
    LikeAGroup(String),
    /// Too much of something.
    #[error("{what}: at most {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How much there may be.
        most: usize,
    },
}

#[cfg(test)]
mod tests;
