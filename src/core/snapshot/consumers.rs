//! Consumers as workers see them: found by a key's digest, without an allocation.
//!
//! The table is made anew when a consumer or a key changes, once a publish however many changed: some ms at tens of thousands.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::policy::credential::KeyDigest;
use crate::snapshot::names::Names;
use crate::snapshot::plan::{ConsumerPlan, KeyPlan};

/// Somebody who calls.
#[derive(Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The name.
    pub name: Arc<str>,
    /// The ids of its groups, in their order.
    pub groups: Box<[u16]>,
}

impl Consumer {
    /// Whether it is in a group.
    #[inline]
    pub fn is_in(&self, group: u16) -> bool {
        self.groups.contains(&group)
    }
}

/// A key that is known.
#[derive(Debug, Clone)]
struct Known {
    digest: KeyDigest,
    expires: Option<u64>,
    consumer: Arc<Consumer>,
}

/// All consumers, and their keys.
#[derive(Debug, Default)]
pub struct Consumers {
    by_name: BTreeMap<Arc<str>, Arc<Consumer>>,
    /// By the first bytes of their digests, which are as good as random.
    keys: FxHashMap<u64, Vec<Known>>,
    count: usize,
}

/// What a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented<'c> {
    /// It is this consumer's.
    Of(&'c Arc<Consumer>),
    /// It was this consumer's until it expired.
    Expired(&'c Arc<Consumer>),
    /// It is nobody's.
    Unknown,
}

impl Consumers {
    /// Whose key it is at this time, in seconds of Unix time.
    #[inline]
    pub fn by_key(&self, digest: &KeyDigest, now: u64) -> Presented<'_> {
        let near = self.keys.get(&digest.short()).map_or(&[][..], Vec::as_slice);
        match near.iter().find(|known| known.digest.is(digest)) {
            Some(known) if known.expires.is_some_and(|at| at <= now) => {
                Presented::Expired(&known.consumer)
            }
            Some(known) => Presented::Of(&known.consumer),
            None => Presented::Unknown,
        }
    }

    /// The consumer of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Consumer>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Consumer>> {
        self.by_name.values()
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.count
    }

    /// Those of the configuration and those that were added while it runs, but for what was revoked. Of consumers that are both, the
    /// groups of the configuration hold, and the keys of both.
    pub(crate) fn new(
        plans: &[ConsumerPlan],
        changes: &ConsumerChanges,
        groups: &mut Names,
    ) -> Self {
        let mut all = Self {
            keys: HashMap::with_capacity_and_hasher(plans.len(), FxBuildHasher),
            ..Self::default()
        };
        for plan in plans {
            let consumer = all.consumer(&plan.name, &plan.groups, groups);
            plan.keys.iter().for_each(|key| all.add(&consumer, key, changes));
        }
        for (name, added) in &changes.added {
            let consumer = match (all.by_name.get(name.as_str()), &added.groups) {
                (Some(known), _) => Arc::clone(known),
                (None, Some(own)) => all.consumer(name, own, groups),
                (None, None) => continue,
            };
            added.keys.iter().for_each(|key| all.add(&consumer, key, changes));
        }
        all
    }

    fn consumer(&mut self, name: &str, groups: &[String], ids: &mut Names) -> Arc<Consumer> {
        let groups = groups.iter().map(|group| ids.id(group)).collect();
        let consumer = Arc::new(Consumer { name: name.into(), groups });
        self.by_name.insert(Arc::clone(&consumer.name), Arc::clone(&consumer));
        consumer
    }

    fn add(&mut self, consumer: &Arc<Consumer>, key: &KeyPlan, changes: &ConsumerChanges) {
        let (digest, expires) = (key.digest, changes.end_of(key));
        let near = self.keys.entry(digest.short()).or_default();
        // A key is one consumer's: whose it was first.
        if expires == Some(ConsumerChanges::AT_ONCE) || near.iter().any(|one| one.digest == digest)
        {
            return;
        }
        near.push(Known { digest, expires, consumer: Arc::clone(consumer) });
        self.count += 1;
    }
}

/// What was changed about consumers while the process runs: it goes on beside whatever configuration is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerChanges {
    /// Consumers, and keys of consumers, that were added.
    pub added: BTreeMap<String, Added>,
    /// Keys that are refused from a time on, in seconds of Unix time, whoever's they are and whatever the configuration says.
    pub revoked: BTreeMap<KeyDigest, u64>,
}

/// A consumer that was added, or one of the configuration that was given keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// Its groups, each once, in alphabetical order; they hold where the configuration does not name it. None: it is one of the
    /// configuration, and where that does not name it any more its keys are nobody's.
    pub groups: Option<Vec<String>>,
    /// Its keys.
    pub keys: Vec<KeyPlan>,
}

impl ConsumerChanges {
    /// The time from which a key is refused that was revoked for good: no clock that is set back makes it good again.
    pub const AT_ONCE: u64 = 0;

    /// From when on a key is refused, in seconds of Unix time; none: never.
    pub fn end_of(&self, key: &KeyPlan) -> Option<u64> {
        key.expires.into_iter().chain(self.revoked.get(&key.digest).copied()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, expires: Option<u64>) -> KeyPlan {
        KeyPlan { digest: KeyDigest::of(text.as_bytes()), expires }
    }

    #[test]
    fn keys_find_their_consumers_until_they_expire_or_are_revoked() {
        let plan = ConsumerPlan {
            name: "mobile".into(),
            groups: vec!["gold".into()],
            keys: vec![key("a", None), key("b", Some(10))],
        };
        let mut changes = ConsumerChanges::default();
        let added = |groups: &[&str], keys| Added {
            groups: Some(groups.iter().map(ToString::to_string).collect()),
            keys,
        };
        changes.added.insert("mobile".into(), added(&["tin"], vec![key("c", None)]));
        changes
            .added
            .insert("web".into(), added(&["gold", "tin"], vec![key("d", None), key("a", None)]));
        let mut groups = Names::default();
        let mut all = Consumers::new(std::slice::from_ref(&plan), &changes, &mut groups);
        let find = |all: &Consumers, text: &str, now| match all
            .by_key(&KeyDigest::of(text.as_bytes()), now)
        {
            Presented::Of(consumer) => consumer.name.to_string(),
            Presented::Expired(consumer) => format!("{} no more", consumer.name),
            Presented::Unknown => String::new(),
        };
        let seen: Vec<_> = ["a", "b", "c", "d", "e"].map(|text| find(&all, text, 9)).into();
        assert_eq!(seen, ["mobile", "mobile", "mobile", "web", ""]);
        assert_eq!((find(&all, "b", 10).as_str(), all.keys()), ("mobile no more", 4));
        let gold = groups.known("gold").unwrap();
        let is_gold = |all: &Consumers, name| all.named(name).unwrap().is_in(gold);
        assert!(is_gold(&all, "mobile") && is_gold(&all, "web"));
        assert!(!all.named("mobile").unwrap().is_in(groups.known("tin").unwrap()));
        changes.revoked.insert(KeyDigest::of(b"a"), ConsumerChanges::AT_ONCE);
        changes.revoked.insert(KeyDigest::of(b"b"), 5);
        all = Consumers::new(&[plan], &changes, &mut groups);
        assert_eq!((find(&all, "a", 0).as_str(), all.iter().count()), ("", 2));
        let b = [4, 5].map(|now| find(&all, "b", now));
        assert_eq!(b, ["mobile", "mobile no more"], "the earlier end counts");
    }

    #[test]
    fn keys_given_to_a_consumer_of_the_configuration_go_with_it() {
        let plan = ConsumerPlan { name: "a".into(), groups: vec![], keys: vec![] };
        let mut changes = ConsumerChanges::default();
        changes.added.insert("a".into(), Added { groups: None, keys: vec![key("k", None)] });
        let known = |plans: &[ConsumerPlan]| {
            let all = Consumers::new(plans, &changes, &mut Names::default());
            (all.iter().count(), all.by_key(&KeyDigest::of(b"k"), 0) == Presented::Unknown)
        };
        assert_eq!((known(&[plan]), known(&[])), ((1, false), (0, true)));
    }
}
