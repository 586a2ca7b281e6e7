//! Counts as they are shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Id, Quotas};

/// A page of counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotasView {
    /// How many there are in all.
    pub count: usize,
    /// Those of this page, in their order.
    pub quotas: Vec<QuotaView>,
}

/// A count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaView {
    /// The quota.
    pub quota: String,
    /// Whose count: `all`, or what the quota's `per` asks for.
    pub key: String,
    /// How much there is in the period.
    pub limit: u64,
    /// How much of it was spent, as far as is known here: what was granted, less what is left of that.
    pub spent: u64,
    /// What was granted and is not spent: a crash would lose it.
    pub leased: u64,
    /// When the period began, in seconds of Unix time.
    pub starts: u64,
    /// When it ends.
    pub ends: u64,
}

impl Quotas {
    /// Counts of a quota, or of all, behind the first `skip`, at most so many.
    pub fn page(&self, quota: Option<&str>, skip: usize, most: usize) -> QuotasView {
        let named = |id: &Id| quota.is_none_or(|name| *id.quota == *name);
        let all = || self.entries.iter().filter(|(id, _)| named(id));
        let quotas = all().skip(skip).take(most).map(|(id, entry)| {
            let on_its_way = self.grants.tokens_of(id);
            let left = self.cells.allowance(entry.slot).left(entry.stamp).unwrap_or(0);
            let leased = u64::from(left) + u64::from(on_its_way);
            QuotaView {
                quota: id.quota.to_string(),
                key: id.key.to_string(),
                limit: entry.limit,
                spent: entry.used.saturating_sub(leased),
                leased,
                starts: entry.period.starts,
                ends: entry.period.ends,
            }
        });
        QuotasView { quotas: quotas.collect(), count: all().count() }
    }

    /// Forgets the counts of a quota, or the one of it that is shown under this key; how many there were.
    pub fn reset_named(&mut self, quota: &str, key: Option<&str>) -> usize {
        let named =
            |id: &&Id| *id.quota == *quota && key.is_none_or(|key| id.key.to_string() == key);
        let ids: Vec<_> = self.entries.keys().filter(named).cloned().collect();
        ids.iter().filter(|id| self.reset(id)).count()
    }
}
