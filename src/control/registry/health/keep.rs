//! Health as a value, for the process that takes over: what the words of the host do not say. Places in time are told as what is left
//! or has passed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::probes::Standing;
use super::words::Words;
use super::{Health, entry::Entry};

/// What is known of the health of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptHealth {
    /// Its slot.
    pub slot: u32,
    /// Which use of it.
    pub generation: u16,
    /// How it stands by its probes; none: it is not probed, or it is well, and trusted until its first probe there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// How often it was set aside in a row.
    #[serde(default)]
    pub ejections: u32,
    /// For how long it still is, in milliseconds, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected_ms: Option<u64>,
    /// For how long it has recovered, in milliseconds, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovers_ms: Option<u64>,
}

impl KeptHealth {
    /// Whether there is anything to be said of it.
    fn is_news(&self) -> bool {
        self.standing.is_some()
            || self.ejections > 0
            || self.ejected_ms.is_some()
            || self.recovers_ms.is_some()
    }
}

impl Health {
    /// What is known of all instances beyond that they are well.
    pub fn kept(&self, now: Duration) -> Vec<KeptHealth> {
        let entries = self.entries.iter().flatten();
        entries.map(|entry| kept(entry, now)).filter(KeptHealth::is_news).collect()
    }

    /// Goes on with an instance as another process knew it.
    pub(super) fn resume(
        &mut self,
        slot: u32,
        kept: &KeptHealth,
        now: Duration,
        words: &Words<'_>,
    ) {
        self.change_entry(slot, words, |entry| {
            if let (Some(probing), Some(standing)) = (&mut entry.probing, kept.standing) {
                probing.standing = standing;
            }
        });
        let Self { entries, readmissions, recoveries, counts, .. } = self;
        let Some(entry) = entries.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        entry.traffic.ejections = kept.ejections;
        if let Some(left) = kept.ejected_ms {
            let until = now.saturating_add(Duration::from_millis(left));
            entry.traffic.until = Some(until);
            readmissions.insert((until, slot));
            counts.ejected += 1;
        }
        if let Some(since) = kept.recovers_ms {
            entry.recovers = Some(now.saturating_sub(Duration::from_millis(since)));
            entry.raised_at = Some(now);
            recoveries.insert((now, slot));
        }
    }

    /// Writes all words: from now on they are this process's.
    pub fn write_all(&self, words: &Words<'_>) {
        for entry in self.entries.iter().flatten() {
            words.set_down(entry);
            words.set_share(entry, entry.share);
        }
    }
}

fn kept(entry: &Entry, now: Duration) -> KeptHealth {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let standing = entry.probing.as_ref().map(|probing| probing.standing);
    KeptHealth {
        slot: entry.slot.0,
        generation: entry.generation,
        standing: standing.filter(|one| !matches!(one, Standing::Trusted | Standing::Up(0))),
        ejections: entry.traffic.ejections,
        ejected_ms: entry.traffic.until.map(|until| millis(until.saturating_sub(now))),
        recovers_ms: entry.recovers.map(|since| millis(now.saturating_sub(since))),
    }
}
