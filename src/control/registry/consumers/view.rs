//! Consumers as those who look are shown them: never a key, and of its digest the beginning.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, UNIX_EPOCH};

use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::plan::KeyPlan;
use serde::{Deserialize, Serialize};

use super::apply::Known;
use super::{Roster, Which};
use crate::io::admin::openapi::ToSchema;
use crate::io::moment::Moment;
use crate::registry::order::Page;

/// A page of consumers, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsumersView {
    /// How many there are in all.
    pub count: usize,
    /// Those of this page.
    pub consumers: Vec<ConsumerView>,
    /// What the next page comes after; `null`: this is the last.
    pub next: Option<String>,
}

/// A consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsumerView {
    /// Its name.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Who says that it is there.
    pub source: ConsumerSource,
    /// Its keys: those of the configuration, then those that were added.
    pub keys: Vec<KeyView>,
}

/// A key of a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// How its SHA-256 begins: as many hexadecimal digits, 8 at least, as tell it from the consumer's others.
    pub digest: String,
    /// Whether it is taken.
    pub state: KeyState,
    /// From when on it is refused, where that is known beforehand.
    pub expires: Option<Moment>,
    /// Who says that it is there.
    pub source: ConsumerSource,
}

/// Who says that something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerSource {
    /// The configuration.
    File,
    /// It was added while the process ran.
    Added,
}

/// Whether a key is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It is.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl Roster<'_> {
    /// A page of the consumers as they stand at `at`, in seconds of Unix time.
    pub fn page(&self, page: &Page, at: u64) -> ConsumersView {
        let plans = self.plans.iter().map(|plan| (plan.name.as_str(), Some(plan)));
        let added = self.changes.added.iter().filter(|(_, added)| added.groups.is_some());
        // Both may name the same: then the configuration has the word.
        let mut all: BTreeMap<_, _> = added.map(|(name, _)| (name.as_str(), None)).collect();
        all.extend(plans);
        let after = page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = all.range::<str, _>((after, Bound::Unbounded));
        let consumers: Vec<_> = rest
            .map(|(name, plan)| (*name, Known::new(*plan, self.changes.added.get(*name))))
            .filter_map(|(name, known)| self.view_of(name, known, at))
            .take(page.most + 1)
            .collect();
        let is_more = consumers.len() > page.most;
        let consumers: Vec<_> = consumers.into_iter().take(page.most).collect();
        let next = consumers.last().map(|last| last.name.clone()).filter(|_| is_more);
        ConsumersView { count: all.len(), consumers, next }
    }

    /// One of them.
    pub fn view(&self, name: &str, at: u64) -> Option<ConsumerView> {
        self.view_of(name, self.known(name), at)
    }

    fn view_of(&self, name: &str, known: Known<'_>, at: u64) -> Option<ConsumerView> {
        let (groups, source) = match (known.plan, known.added) {
            (Some(plan), _) => (plan.groups.clone(), ConsumerSource::File),
            (None, Some(added)) => {
                (added.groups.clone().unwrap_or_default(), ConsumerSource::Added)
            }
            (None, None) => return None,
        };
        let all: Vec<_> = known.keys().map(|(key, _)| key.digest).collect();
        let keys = known.keys().map(|(key, of_file)| self.key(key, of_file, &all, at));
        Some(ConsumerView { name: name.to_owned(), groups, source, keys: keys.collect() })
    }

    fn key(&self, key: &KeyPlan, of_file: bool, all: &[KeyDigest], at: u64) -> KeyView {
        let end = self.changes.end_of(key);
        let state = match end {
            Some(0) => KeyState::Revoked,
            Some(end) if end <= at => KeyState::Expired,
            Some(_) | None => KeyState::Valid,
        };
        let moment = |end: u64| Moment::from(UNIX_EPOCH + Duration::from_secs(end));
        KeyView {
            digest: short(&key.digest, all),
            state,
            expires: end.filter(|end| *end > 0).map(moment),
            source: if of_file { ConsumerSource::File } else { ConsumerSource::Added },
        }
    }
}

/// The beginning of a digest that no other one of these has.
fn short(digest: &KeyDigest, all: &[KeyDigest]) -> String {
    let mut text = digest.to_hex();
    let others = all.iter().filter(|other| *other != digest).map(KeyDigest::to_hex);
    let common = |other: String| {
        let pairs = text.bytes().zip(other.bytes());
        pairs.take_while(|(one, other)| one == other).count()
    };
    let length = others.map(common).max().map_or(0, |same| same + 1).max(Which::DIGITS_MIN);
    text.truncate(length);
    text
}
