//! Orders about consumers, carried out on what was changed so far: whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use coregate_core::base::limits;
use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::consumers::{Added, ConsumerChanges};
use coregate_core::snapshot::plan::{ConsumerPlan, KeyPlan, Principal, is_name};

use super::{Asked, ConsumerError, ConsumerOrder, Which};

/// Who the consumers are: what the configuration says, and what was changed.
#[derive(Debug, Clone, Copy)]
pub struct Roster<'a> {
    /// Those of the configuration.
    pub plans: &'a [ConsumerPlan],
    /// What was changed.
    pub changes: &'a ConsumerChanges,
}

/// What an order has changed, to be kept.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Consumers of which something was added or taken away.
    pub names: BTreeSet<String>,
    /// Keys that were revoked, or are remembered no more.
    pub keys: BTreeSet<KeyDigest>,
}

impl Touched {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.keys.is_empty()
    }
}

/// What is different once an order is carried out.
#[derive(Debug, Default)]
pub(in crate::registry) struct Step {
    /// What was added of consumers; none: nothing is any more.
    pub(in crate::registry) added: BTreeMap<String, Option<Added>>,
    /// Keys that are refused from a time on; none: that is remembered no more.
    pub(in crate::registry) revoked: BTreeMap<KeyDigest, Option<u64>>,
    /// What is to be said, for people.
    pub(in crate::registry) notes: Vec<String>,
}

impl Step {
    /// A key is refused from a time on.
    fn refuse(&mut self, key: &KeyPlan, from: u64, of_file: bool) {
        self.revoked.insert(key.digest, Some(from));
        if of_file {
            let what = if from == ConsumerChanges::AT_ONCE { "is refused" } else { "ends" };
            let note = format!(
                "key {} stands in the configuration, and {what} all the same: take it out there",
                key.digest
            );
            self.notes.push(note);
        }
    }

    /// Carries it out.
    pub(in crate::registry) fn carry_out(
        self,
        changes: &mut ConsumerChanges,
        touched: &mut Touched,
    ) {
        for (name, added) in self.added {
            match added {
                Some(added) => drop(changes.added.insert(name.clone(), added)),
                None => drop(changes.added.remove(&name)),
            }
            touched.names.insert(name);
        }
        for (digest, from) in self.revoked {
            match from {
                Some(from) => changes.revoked.insert(digest, from),
                None => changes.revoked.remove(&digest),
            };
            touched.keys.insert(digest);
        }
    }
}

/// What is known of one name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// The consumer of the configuration.
    pub(super) plan: Option<&'a ConsumerPlan>,
    /// What was added of it, as far as that counts.
    pub(super) added: Option<&'a Added>,
}

impl<'a> Known<'a> {
    pub(super) fn new(plan: Option<&'a ConsumerPlan>, added: Option<&'a Added>) -> Self {
        Self { plan, added: added.filter(|added| added.groups.is_some() || plan.is_some()) }
    }

    fn is_there(&self) -> bool {
        self.plan.is_some() || self.added.is_some()
    }

    /// Its keys: those of the configuration, then those that were added; whether it is one of the former.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'a KeyPlan, bool)> + use<'a> {
        let own = self.plan.into_iter().flat_map(|plan| &plan.keys);
        let added = self.added.into_iter().flat_map(|added| &added.keys);
        own.map(|key| (key, true)).chain(added.map(|key| (key, false)))
    }
}

impl<'a> Roster<'a> {
    /// What is known of a name.
    pub(super) fn known(&self, name: &str) -> Known<'a> {
        let plan = self.plans.iter().find(|plan| plan.name == name);
        Known::new(plan, self.changes.added.get(name))
    }

    /// What an order would change, or why it cannot be carried out.
    pub(in crate::registry) fn step(&self, order: &ConsumerOrder) -> Result<Step, ConsumerError> {
        let ConsumerOrder { name, at, what } = order;
        match what {
            Asked::Add { groups, key } => self.add(name, groups, key),
            Asked::Give(key) => self.give(name, self.added(name)?, key, *at),
            Asked::Rotate { key, old, until } => self.rotate(name, (key, old, *until), *at),
            Asked::Revoke(which) => self.revoke(name, which),
            Asked::Remove => self.remove(name),
        }
    }

    fn add(&self, name: &str, groups: &[String], key: &KeyPlan) -> Result<Step, ConsumerError> {
        let bad = |what, name: &str| ConsumerError::BadName { what, name: name.to_owned() };
        if !is_name(name) {
            return Err(bad("consumer", name));
        }
        if name.starts_with(Principal::GROUP) {
            return Err(ConsumerError::LikeAGroup(name.to_owned()));
        }
        if let Some(group) = groups.iter().find(|group| !is_name(group)) {
            return Err(bad("group", group));
        }
        if self.known(name).is_there() {
            return Err(ConsumerError::IsThere(name.to_owned()));
        }
        let groups: BTreeSet<_> = groups.iter().cloned().collect();
        too_many("groups of a consumer", groups.len(), limits::GROUPS_OF_CONSUMER)?;
        let added = Added { groups: Some(groups.into_iter().collect()), keys: Vec::new() };
        self.give(name, added, key, 0)
    }

    /// One more key for a consumer of which this was added so far.
    fn give(
        &self,
        name: &str,
        mut added: Added,
        key: &KeyPlan,
        at: u64,
    ) -> Result<Step, ConsumerError> {
        let all = &self.changes.added;
        let consumers = all.len() + usize::from(!all.contains_key(name));
        too_many("consumers that were added", consumers, limits::CONSUMERS)?;
        let keys: usize = all.values().map(|added| added.keys.len()).sum();
        too_many("keys that were added", keys + 1, limits::KEYS)?;
        if added.keys.len() >= limits::KEYS_OF_CONSUMER {
            // Of keys that have ended nothing is told where that leaves no room for others.
            added.keys.retain(|key| self.changes.end_of(key).is_none_or(|end| end > at));
        }
        too_many("keys of a consumer", added.keys.len() + 1, limits::KEYS_OF_CONSUMER)?;
        added.keys.push(key.clone());
        let added = [(name.to_owned(), Some(added))].into();
        Ok(Step { added, ..Step::default() })
    }

    /// What was added of a consumer that is there.
    fn added(&self, name: &str) -> Result<Added, ConsumerError> {
        let known = self.known(name);
        if !known.is_there() {
            return Err(ConsumerError::NoSuchConsumer(name.to_owned()));
        }
        Ok(known.added.cloned().unwrap_or_default())
    }

    fn rotate(
        &self,
        name: &str,
        (key, old, until): (&KeyPlan, &Which, u64),
        at: u64,
    ) -> Result<Step, ConsumerError> {
        if until <= at {
            // No clock makes them good again.
            let Step { revoked, notes, .. } = self.revoke(name, old)?;
            let mut added = self.added(name)?;
            added.keys.retain(|key| !old.is(key));
            let given = self.give(name, added, key, at)?;
            return Ok(Step { revoked, notes, ..given });
        }
        let mut added = self.added(name)?;
        let ends = |one: &KeyPlan| self.changes.end_of(one).is_none_or(|end| end > until);
        for one in added.keys.iter_mut().filter(|one| old.is(one) && ends(one)) {
            one.expires = Some(until);
        }
        let mut step = Step::default();
        let ending = self.select(name, old)?.into_iter();
        for (one, _) in ending.filter(|(one, of_file)| *of_file && ends(one)) {
            step.refuse(one, until, true);
        }
        let Step { revoked, notes, .. } = self.forget(step)?;
        let given = self.give(name, added, key, at)?;
        Ok(Step { revoked, notes, ..given })
    }

    fn revoke(&self, name: &str, which: &Which) -> Result<Step, ConsumerError> {
        let mut step = Step::default();
        let mut any_added = false;
        for (key, of_file) in self.select(name, which)? {
            step.refuse(key, ConsumerChanges::AT_ONCE, of_file);
            any_added |= !of_file;
        }
        if any_added {
            let mut added = self.added(name)?;
            added.keys.retain(|key| !which.is(key));
            // Of a consumer of the configuration there may be nothing left to say.
            let is_something = added.groups.is_some() || !added.keys.is_empty();
            step.added.insert(name.to_owned(), is_something.then_some(added));
        }
        self.forget(step)
    }

    fn remove(&self, name: &str) -> Result<Step, ConsumerError> {
        let known = self.known(name);
        let mut step = Step::default();
        match (known.plan, known.added) {
            (None, None) => return Err(ConsumerError::NoSuchConsumer(name.to_owned())),
            (Some(_), None) => return Err(ConsumerError::OfTheFile(name.to_owned())),
            (Some(_), Some(_)) => step.notes.push(format!(
                "consumer {name:?} stands in the configuration, and goes on with the keys that it has there"
            )),
            (None, Some(_)) => {}
        }
        step.added.insert(name.to_owned(), None);
        Ok(step)
    }

    /// Where more is revoked than can be remembered, those are forgotten that nobody holds.
    fn forget(&self, mut step: Step) -> Result<Step, ConsumerError> {
        let revoked = &self.changes.revoked;
        let fresh = step.revoked.keys().filter(|digest| !revoked.contains_key(*digest)).count();
        if revoked.len() + fresh > limits::REVOKED_KEYS {
            let of_file = self.plans.iter().flat_map(|plan| &plan.keys);
            let held: BTreeSet<_> = of_file.map(|key| key.digest).collect();
            let is_idle = |digest: &&KeyDigest| {
                !held.contains(*digest) && !step.revoked.contains_key(*digest)
            };
            let idle: Vec<_> = revoked.keys().filter(is_idle).copied().collect();
            too_many(
                "revoked keys that the configuration holds",
                revoked.len() - idle.len() + fresh,
                limits::REVOKED_KEYS,
            )?;
            step.revoked.extend(idle.into_iter().map(|digest| (digest, None)));
        }
        Ok(step)
    }

    /// The keys that are meant, and whether each stands in the configuration; of one there is at least one.
    fn select(&self, name: &str, which: &Which) -> Result<Vec<(&'a KeyPlan, bool)>, ConsumerError> {
        self.added(name)?;
        let keys: Vec<_> = self.known(name).keys().filter(|(key, _)| which.is(key)).collect();
        let Which::One(digits) = which else { return Ok(keys) };
        // It may be a key, by mistake, that is made of such digits.
        let (name, digits) = (name.to_owned(), digits[..Which::DIGITS_MIN].to_owned());
        let different: BTreeSet<_> = keys.iter().map(|(key, _)| key.digest).collect();
        match different.len() {
            0 => Err(ConsumerError::NoSuchKey { name, digits }),
            1 => Ok(keys),
            _ => Err(ConsumerError::Ambiguous { name, digits }),
        }
    }
}

fn too_many(what: &'static str, count: usize, most: usize) -> Result<(), ConsumerError> {
    if count > most { Err(ConsumerError::TooMany { what, most }) } else { Ok(()) }
}
