//! What was changed about consumers, as it is stored and handed over: digests alone.

use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::consumers::{Added, ConsumerChanges};
use coregate_core::snapshot::plan::{KeyPlan, is_name};
use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptConsumers {
    /// Consumers that were added, and keys of others.
    pub added: Vec<KeptConsumer>,
    /// Keys that are refused: their digests, in hexadecimal digits, and from when on, in seconds of Unix time; 0: for good.
    pub revoked: Vec<(String, u64)>,
}

/// What was added of a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptConsumer {
    /// Its name.
    pub name: String,
    /// Its groups; none: it is one of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Its keys.
    #[serde(default)]
    pub keys: Vec<KeptKey>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptKey {
    /// Its digest, in hexadecimal digits.
    pub sha256: String,
    /// From when on it is refused, in seconds of Unix time; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

impl KeptConsumers {
    /// All that was changed.
    pub fn of(changes: &ConsumerChanges) -> Self {
        let added = changes.added.iter().map(|(name, added)| KeptConsumer::of(name, added));
        let revoked = changes.revoked.iter().map(|(digest, from)| (digest.to_hex(), *from));
        Self { added: added.collect(), revoked: revoked.collect() }
    }

    /// The same once more. What is none is left out.
    pub fn changes(self) -> ConsumerChanges {
        let revoked = self.revoked.into_iter();
        ConsumerChanges {
            added: self.added.into_iter().filter_map(KeptConsumer::added).collect(),
            revoked: revoked
                .filter_map(|(digest, from)| Some((KeyDigest::from_hex(&digest)?, from)))
                .collect(),
        }
    }
}

impl KeptConsumer {
    /// What was added of one.
    pub fn of(name: &str, added: &Added) -> Self {
        let key = |key: &KeyPlan| KeptKey { sha256: key.digest.to_hex(), expires: key.expires };
        Self {
            name: name.to_owned(),
            groups: added.groups.clone(),
            keys: added.keys.iter().map(key).collect(),
        }
    }

    fn added(self) -> Option<(String, Added)> {
        let Self { name, groups, keys } = self;
        let names = groups.iter().flatten().chain([&name]);
        if !names.into_iter().all(|name| is_name(name)) {
            return None;
        }
        let keys = keys.into_iter().filter_map(|KeptKey { sha256, expires }| {
            Some(KeyPlan { digest: KeyDigest::from_hex(&sha256)?, expires })
        });
        Some((name, Added { groups, keys: keys.collect() }))
    }
}
