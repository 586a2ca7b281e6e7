//! Counts as they are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use coregate_core::base::limits;
use coregate_core::policy::quota::{Count, Question};
use coregate_core::snapshot::quotas::QuotaKey;

use super::entry::Entry;
use super::{Id, Quotas};

/// What is seen of counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotasView {
    /// How many keys have a count in their present period, by quota; nothing: none has.
    pub keys: BTreeMap<String, usize>,
    /// What was asked for, in that order; nothing: there is no such quota.
    pub counts: Vec<Option<Count>>,
}

impl Quotas {
    /// How many keys have counts, and how the counts stand that these questions are about, at `wall` in seconds of Unix time. Nothing
    /// is granted by that.
    pub fn view(&self, of: &[Question], wall: u64) -> QuotasView {
        let mut keys = BTreeMap::<_, usize>::new();
        for id in self.entries.keys() {
            match keys.get_mut(&*id.quota) {
                Some(count) => *count += 1,
                None => drop(keys.insert(id.quota.to_string(), 1)),
            }
        }
        QuotasView { keys, counts: of.iter().map(|one| self.count(one, wall)).collect() }
    }

    /// How a count stands as a request that costs so much would find it.
    fn count(&self, question: &Question, wall: u64) -> Option<Count> {
        let Question { quota, key, limit, cost } = question;
        let period = self.calendars.get(quota)?.at(wall);
        let id = Id { quota: Arc::clone(quota), key: key.clone() };
        let entry = self.entries.get(&id);
        // As `enter` has it.
        let entry = entry.filter(|entry| entry.period == period || entry.period.starts > wall);
        let (granted, period) = entry.map_or((0, period), |entry| (entry.used, entry.period));
        let leased = entry.map_or(0, |entry| self.leased(&id, entry));
        let left = limit.saturating_sub(granted).saturating_add(leased);
        let has_room = entry.is_some() || self.entries.len() < limits::QUOTA_KEYS;
        let admits = has_room && left >= u64::from(*cost);
        let (starts, ends) = (period.starts, period.ends);
        Some(Count { limit: *limit, granted, left: left.min(*limit), starts, ends, admits })
    }

    /// What was granted of a count and is not spent, as far as is known here: in the word, or on its way there.
    pub(super) fn leased(&self, id: &Id, entry: &Entry) -> u64 {
        let left = self.cells.allowance(entry.slot).left(entry.stamp).unwrap_or(0);
        u64::from(left) + u64::from(self.grants.tokens_of(id))
    }

    /// Forgets the counts of a quota, or the one of this key; how many there were.
    pub fn reset_named(&mut self, quota: &str, key: Option<&QuotaKey>) -> usize {
        let named = |id: &&Id| *id.quota == *quota && key.is_none_or(|key| id.key == *key);
        let ids: Vec<_> = self.entries.keys().filter(named).cloned().collect();
        ids.iter().filter(|id| self.reset(id)).count()
    }
}
