//! What quotas say of a request: taken from, in the gateway, once it is known who calls and before rates are.
//!
//! Nothing is taken here, and nobody is asked: what control would answer is given, or it is not known. The first quota that refuses is
//! the answer, and those behind it are not asked.

use crate::policy::quota::{Count, Question, Whose};
use crate::snapshot::explain::guard::{Stages, Unseen};
use crate::snapshot::explain::refusal::Refused;
use crate::snapshot::plan::QuotaPer;
use crate::snapshot::quotas::Quota;

/// What says how the count stands that a request would be held against; none, where that is not known.
pub type Stands<'l> = dyn Fn(Question) -> Option<Count> + 'l;

/// What a quota says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its name.
    pub name: String,
    /// How much it allows this consumer: `1000 a month of Europe/Berlin`.
    pub terms: String,
    /// The group of the consumer that says so, if one does.
    pub group: Option<String>,
    /// What a request costs.
    pub cost: u32,
    /// Whether it only counts what it would refuse.
    pub dry_run: bool,
    /// Whose count it is: what tells counts apart, and what the request has there.
    pub key: Vec<(String, String)>,
    /// What it says.
    pub says: CountSays,
}

/// What a quota says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountSays {
    /// It is asked, and its count stands so before the request.
    Stands(Count),
    /// It would be asked, and how its count stands is not known here.
    Unseen(Unseen),
    /// It is not asked: the request is refused before.
    Unasked,
}

impl Stages<'_> {
    /// A quota, and what it says. One that refuses is the answer.
    pub(super) fn counted(&mut self, quota: &Quota) -> Counted {
        let (limit, group) = quota.written_for(self.facts.consumer);
        Counted {
            name: quota.name.to_string(),
            terms: quota.plan.written(limit),
            group: group.map(str::to_owned),
            cost: quota.cost,
            dry_run: quota.dry_run,
            key: quota.per.iter().map(|per| (per.to_string(), self.part_of(*per))).collect(),
            says: self.draw(quota),
        }
    }

    fn draw(&mut self, quota: &Quota) -> CountSays {
        if self.refused.is_some() {
            return CountSays::Unasked;
        }
        let Some(stands) = self.around.stands else { return CountSays::Unseen(Unseen::Unspent) };
        let is_certain = self.service.is_some() || self.route.is_local();
        if quota.per.contains(&QuotaPer::Service) && !is_certain {
            return CountSays::Unseen(Unseen::Service);
        }
        let (consumer, route, service) =
            (self.facts.consumer, self.facts.route, self.facts.service);
        let whose = Whose { consumer, route, service };
        let Some(count) = stands(Question::new(quota, &whose)) else {
            return CountSays::Unseen(Unseen::Unknown);
        };
        if !count.admits && !quota.dry_run {
            let name = &quota.name;
            self.over = true;
            self.refused = Some(match count.left >= u64::from(quota.cost) {
                true => Refused::by_full_quota(name),
                false => Refused::by_quota(name, count.ends),
            });
        }
        CountSays::Stands(count)
    }

    fn part_of(&self, per: QuotaPer) -> String {
        match per {
            QuotaPer::Consumer => self.named_consumer(),
            QuotaPer::Route => self.route.name.to_string(),
            QuotaPer::Service => self.named_service(),
        }
    }
}
