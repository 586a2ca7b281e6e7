//! What must outlive the process: the registry's end of the store, which has a thread of its own. No I/O here.
//!
//! ```text
//!  registry's thread ── batches, in order ──▶ store's thread: commits what waits, together
//!        ▲                                            │
//!        └── woken ◀── settled: up to this batch ◀────┘   durable: up to this batch it is written
//! ```
//!
//! Every batch is settled, in order: written, or given up because nothing can be written. Then who waits for it is answered, and told
//! which of the two it was. The registry never waits for the store; what is on its way is bounded by who waits
//! ([`limits::PROPOSALS`]) and by the instances that can go by themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use coregate_core::base::counter::Counter;
use coregate_core::base::limits;
use coregate_core::policy::credential::KeyDigest;

use crate::registry::consumers::{KeptConsumer, KeptConsumers, Touched};
use crate::registry::directory::{Changed, Kept, What};
use crate::registry::quotas::{Id, KeptQuota};
use crate::registry::state::State;

/// A change that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// This is said of an instance.
    Put(Box<Kept>),
    /// It is there no more.
    Gone {
        /// Its service.
        service: Arc<str>,
        /// Its id.
        id: Arc<str>,
    },
    /// This was added of a consumer.
    PutConsumer(Box<KeptConsumer>),
    /// Nothing is any more.
    GoneConsumer(String),
    /// A key is refused from a time on.
    PutRevoked(KeyDigest, u64),
    /// That is remembered no more.
    GoneRevoked(KeyDigest),
    /// So much was granted of a quota.
    PutQuota(Id, Box<KeptQuota>),
    /// That period is over.
    GoneQuota(Id),
}

/// Changes that are kept together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its place among all that is asked, from 1 on.
    pub number: u64,
    /// The revision that it leads to.
    pub revision: u64,
    /// What is different.
    pub writes: Vec<Write>,
}

/// What the store is asked.
#[derive(Debug)]
pub enum Ask {
    /// To keep this besides what is kept.
    Write(Batch),
    /// To keep this, and nothing else: it had asked for all of it.
    Whole(Batch),
    /// To let another process have it; settled once it is closed, as this number.
    Close(u64),
    /// To have it again.
    Open,
}

/// What was stored when a process began.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The revision then.
    pub revision: u64,
    /// What was said of all instances.
    pub kept: Vec<Kept>,
    /// What was changed about consumers.
    pub consumers: KeptConsumers,
    /// What was granted of quotas.
    pub quotas: Vec<KeptQuota>,
}

/// How far the store has come. Written by its thread, read by anyone.
#[derive(Debug, Default)]
pub struct Progress {
    settled: AtomicU64,
    durable: AtomicU64,
    failed: AtomicBool,
    wants_all: AtomicBool,
    fault: Mutex<Option<String>>,
    /// Commits.
    pub commits: Counter,
    /// Commits, and attempts to begin anew, that failed.
    pub errors: Counter,
    /// Bytes of keys and values that were committed.
    pub bytes: Counter,
}

impl Progress {
    /// All up to this number is settled; `written`: and kept.
    pub fn settle(&self, number: u64, written: bool) {
        if written {
            self.durable.store(number, Ordering::Release);
        }
        self.settled.store(number, Ordering::Release);
    }

    /// Says why nothing can be kept at present, or that it can.
    pub fn set_fault(&self, fault: Option<String>) {
        self.failed.store(fault.is_some(), Ordering::Release);
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Asks for everything: what was kept cannot be gone on with.
    pub fn want_all(&self) {
        self.wants_all.store(true, Ordering::Release);
    }

    /// Whether everything was asked for, and not given yet.
    pub fn wants_all(&self) -> bool {
        self.wants_all.load(Ordering::Acquire)
    }

    /// Whether all up to this number is settled.
    pub fn is_settled(&self, number: u64) -> bool {
        self.settled.load(Ordering::Acquire) >= number
    }

    /// Whether what was asked up to this number is written.
    pub fn is_durable(&self, number: u64) -> bool {
        self.durable.load(Ordering::Acquire) >= number
    }

    /// Whether things can be kept at present.
    pub fn is_well(&self) -> bool {
        !self.failed.load(Ordering::Acquire)
    }

    /// Why nothing can be kept at present; none: it can.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Each number: its name, what it counts, its value, and whether it goes down too.
    pub fn explained(&self) -> [(&'static str, &'static str, u64, bool); 4] {
        let ok = u64::from(self.is_well());
        [
            ("store_ok", "Whether registrations are kept across restarts at present", ok, true),
            ("store_commits", "Commits to the state directory", self.commits.get(), false),
            ("store_errors", "Failures of the state directory", self.errors.get(), false),
            (
                "store_bytes",
                "Bytes of keys and values committed to the state directory",
                self.bytes.get(),
                false,
            ),
        ]
    }
}

/// The registry's end.
#[derive(Debug)]
pub struct Keeper {
    asks: Sender<Ask>,
    progress: Arc<Progress>,
    /// The number that was given last.
    last: u64,
    /// The revision that was given last.
    revision: u64,
}

/// The store's end.
#[derive(Debug)]
pub struct Asked {
    /// What it is asked, in order.
    pub asks: Receiver<Ask>,
    /// What it says.
    pub progress: Arc<Progress>,
}

/// Both ends of the way to a store.
pub fn keeper() -> (Keeper, Asked) {
    let (ask, asks) = channel();
    let progress = Arc::<Progress>::default();
    let keeper = Keeper { asks: ask, progress: Arc::clone(&progress), last: 0, revision: 0 };
    (keeper, Asked { asks, progress })
}

impl Keeper {
    /// Hands over what has changed, so that `state` is what is kept.
    pub fn note(
        &mut self,
        changes: &[Changed],
        touched: &Touched,
        quotas: &BTreeSet<Id>,
        state: &State,
    ) {
        if self.progress.wants_all.swap(false, Ordering::AcqRel) {
            return self.whole(state);
        }
        let writes = changes.iter().filter_map(|change| write(change, state));
        let writes = writes.chain(of_consumers(touched, state));
        let writes: Vec<_> = writes.chain(of_quotas(quotas, state)).collect();
        let revision = state.revision();
        if !writes.is_empty() || revision - self.revision >= limits::REVISION_LEAP / 2 {
            self.write(revision, writes);
        }
    }

    /// Brings what is stored in line with what is.
    pub fn begin(&mut self, stored: Stored, state: &State) {
        let key = |kept: &Kept| (kept.service.clone(), kept.id.clone());
        let mut before: HashMap<_, _> =
            stored.kept.into_iter().map(|kept| (key(&kept), kept)).collect();
        let now = state.kept().into_iter();
        let changed = now.filter(|kept| before.remove(&key(kept)).as_ref() != Some(kept));
        let mut writes: Vec<_> = changed.map(|kept| Write::Put(Box::new(kept))).collect();
        let gone = before.into_keys();
        writes.extend(
            gone.map(|(service, id)| Write::Gone { service: service.into(), id: id.into() }),
        );
        let (before, after) = (stored.consumers.changes(), state.kept_consumers().changes());
        let touched = Touched {
            names: different(&before.added, &after.added),
            keys: different(&before.revoked, &after.revoked),
        };
        writes.extend(of_consumers(&touched, state));
        let of_all = |kept: Vec<KeptQuota>| -> BTreeMap<_, _> {
            kept.into_iter().map(|kept| (kept.id(), kept)).collect()
        };
        let (before, after) = (of_all(stored.quotas), of_all(state.kept_quotas()));
        writes.extend(of_quotas(&different(&before, &after), state));
        // Whatever comes next: a start after this one begins above all of this one's revisions.
        self.write(state.revision(), writes);
    }

    fn whole(&mut self, state: &State) {
        let kept = state.kept().into_iter().map(|kept| Write::Put(Box::new(kept)));
        let changes = state.kept_consumers().changes();
        let (names, keys) = (changes.added.into_keys(), changes.revoked.into_keys());
        let touched = Touched { names: names.collect(), keys: keys.collect() };
        let quotas = state.kept_quotas().iter().map(KeptQuota::id).collect();
        let writes = kept.chain(of_consumers(&touched, state));
        let writes = writes.chain(of_quotas(&quotas, state)).collect();
        let batch = self.batch(state.revision(), writes);
        self.ask(Ask::Whole(batch));
    }

    fn write(&mut self, revision: u64, writes: Vec<Write>) {
        let batch = self.batch(revision, writes);
        self.ask(Ask::Write(batch));
    }

    fn batch(&mut self, revision: u64, writes: Vec<Write>) -> Batch {
        self.last += 1;
        self.revision = revision;
        Batch { number: self.last, revision, writes }
    }

    /// Has the store closed, once all is settled.
    pub fn close(&mut self) {
        self.last += 1;
        self.ask(Ask::Close(self.last));
    }

    /// Has it opened again.
    pub fn open(&self) {
        self.ask(Ask::Open);
    }

    fn ask(&self, ask: Ask) {
        if self.asks.send(ask).is_err() {
            // Its thread has ended, which it should not: nothing is kept, and nobody waits for it.
            self.progress.set_fault(Some("the store's thread has ended: restart".to_owned()));
            self.progress.settle(u64::MAX, false);
        }
    }

    /// The number that was given last.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How far the store has come.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

fn write(change: &Changed, state: &State) -> Option<Write> {
    let Changed { service, id, what, .. } = change;
    match what {
        // Who has gone since is told to have gone.
        What::Said => state.kept_of(service, id).map(|kept| Write::Put(Box::new(kept))),
        What::Gone(_) => Some(Write::Gone { service: Arc::clone(service), id: Arc::clone(id) }),
        What::Health => None,
    }
}

fn of_consumers(touched: &Touched, state: &State) -> impl Iterator<Item = Write> {
    let names = touched.names.iter().map(|name| match state.kept_consumer(name) {
        Some(kept) => Write::PutConsumer(Box::new(kept)),
        None => Write::GoneConsumer(name.clone()),
    });
    let keys = touched.keys.iter().map(|digest| match state.revoked_from(digest) {
        Some(from) => Write::PutRevoked(*digest, from),
        None => Write::GoneRevoked(*digest),
    });
    names.chain(keys)
}

fn of_quotas(ids: &BTreeSet<Id>, state: &State) -> impl Iterator<Item = Write> {
    ids.iter().map(|id| match state.kept_quota(id) {
        Some(kept) => Write::PutQuota(id.clone(), Box::new(kept)),
        None => Write::GoneQuota(id.clone()),
    })
}

/// What only one of two has, or both otherwise.
fn different<K: Ord + Clone, V: PartialEq>(
    one: &BTreeMap<K, V>,
    other: &BTreeMap<K, V>,
) -> BTreeSet<K> {
    let all = one.keys().chain(other.keys());
    all.filter(|key| one.get(*key) != other.get(*key)).cloned().collect()
}
