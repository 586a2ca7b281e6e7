//! What the process shows of itself to the admin listener at any time: the one place where both planes are looked at.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use coregate_control::io::admin::question::{Asker, Busy, Decided, Ping, Process, Question};
use coregate_control::io::admin::tokens::Tokens;
use coregate_control::io::admin::view::{
    BulkheadView, Count, DecisionsView, Kind, Lateness, ListenerView, Load, Readiness, Reloads,
    StateView, Status, WorkerView,
};
use coregate_control::io::discover::sources::{SourceView, Sources};
use coregate_control::io::prober::stats::ProbeStats;
use coregate_control::registry::journal::Journal;
use coregate_control::registry::log::Proposer;
use coregate_control::registry::publish::Pointer;
use coregate_control::registry::stats::RegistryStats;
use coregate_core::base::cells::{Cells, Mark};
use coregate_core::base::ids::RouteId;
use coregate_core::base::limits;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::services::Service;
use coregate_data::worker::accounts::Decision;
use coregate_data::worker::post::{Message, Post, Posts};

use crate::server::decisions;
use crate::server::events::Questions;
use crate::server::orders;
use crate::server::state::Kept;

/// Pings that are remembered; who asks for an older one is told of the oldest.
const PINGS: usize = 64;

/// What is known of the running process.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) posts: Posts,
    pub(crate) cpus: Vec<usize>,
    pub(crate) pointer: Pointer,
    registry: Arc<RegistryStats>,
    journal: Arc<Journal>,
    cells: Cells,
    /// What tokens open over TCP.
    pub(crate) tokens: Tokens,
    /// Where registrations are kept; none: in memory alone.
    kept: Option<Kept>,
    probed: Arc<ProbeStats>,
    /// The driver, once the workers have one.
    pub(crate) driver: OnceLock<String>,
    began: (SystemTime, Instant),
    readiness: AtomicU8,
    registry_ended: AtomicBool,
    changing: Mutex<Changing>,
    pings: Mutex<Pings>,
    questions: Questions,
    proposer: Proposer,
    sources: Arc<Sources>,
}

/// What is shown and changes.
#[derive(Debug, Default)]
struct Changing {
    listeners: Vec<ListenerView>,
    reloads: Reloads,
    watched: Vec<Watched>,
}

/// What the watchdog last saw of a worker.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watched {
    /// The share of the time between the last two looks in which its thread ran.
    pub(crate) busy_ratio: f64,
    /// Since when it has not answered, if that is longer than it may take.
    pub(crate) stuck: Option<Instant>,
}

/// Signs of life. A worker has one question at a time in its mailbox, whoever wants to know.
#[derive(Debug, Default)]
struct Pings {
    next: u64,
    /// How many each worker was sent.
    sent: Vec<u64>,
    /// For each ping, how many answers of each worker stand for it.
    wanted: VecDeque<(Ping, Vec<u64>)>,
}

/// What the registry shows, and those who work for it.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) pointer: Pointer,
    pub(crate) stats: Arc<RegistryStats>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) cells: Cells,
    pub(crate) kept: Option<Kept>,
    pub(crate) probed: Arc<ProbeStats>,
}

impl Facts {
    /// Of a process that starts.
    pub(crate) fn new(
        posts: Posts,
        cpus: Vec<usize>,
        published: Published,
        questions: Questions,
        (proposer, sources): (Proposer, Arc<Sources>),
    ) -> Self {
        let workers = cpus.len();
        let Published { pointer, stats: registry, journal, cells, kept, probed } = published;
        let reloads = Reloads { last_applied: true, ..Reloads::default() };
        Self {
            posts,
            cpus,
            pointer,
            registry,
            journal,
            cells,
            tokens: Tokens::default(),
            kept,
            probed,
            driver: OnceLock::new(),
            began: (SystemTime::now(), Instant::now()),
            readiness: AtomicU8::new(0),
            registry_ended: AtomicBool::new(false),
            changing: Mutex::new(Changing {
                listeners: Vec::new(),
                reloads,
                watched: vec![Watched::default(); workers],
            }),
            pings: Mutex::new(Pings { sent: vec![0; workers], ..Pings::default() }),
            questions,
            proposer,
            sources,
        }
    }

    /// Says whether new requests should be sent here.
    pub(crate) fn set_readiness(&self, readiness: Readiness) {
        self.readiness.store(readiness as u8, Ordering::Relaxed);
    }

    /// Says that the registry's thread has ended, which it should not; whether that is news.
    pub(crate) fn set_registry_ended(&self) -> bool {
        !self.registry_ended.swap(true, Ordering::Relaxed)
    }

    /// Says where the process listens now.
    pub(crate) fn set_listeners(&self, listeners: Vec<ListenerView>) {
        self.changing().listeners = listeners;
    }

    /// Counts a reload.
    pub(crate) fn count_reload(&self, applied: bool) {
        let reloads = &mut self.changing().reloads;
        *if applied { &mut reloads.applied } else { &mut reloads.refused } += 1;
        reloads.last_applied = applied;
    }

    /// Says what the watchdog saw of a worker; gives what it had said before.
    pub(crate) fn set_watched(&self, worker: usize, watched: Watched) -> Watched {
        let mut changing = self.changing();
        match changing.watched.get_mut(worker) {
            Some(before) => std::mem::replace(before, watched),
            None => watched,
        }
    }

    /// The generation that was published last.
    pub(crate) fn generation(&self) -> u64 {
        self.pointer.load().generation()
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process for Facts {
    fn ping(&self) -> Ping {
        let mut pings = self.pings.lock().unwrap_or_else(PoisonError::into_inner);
        let Pings { next, sent, wanted } = &mut *pings;
        *next += 1;
        let ping = Ping(*next);
        let owed = sent.iter_mut().zip(self.posts.all()).map(|(sent, post)| {
            // One that is on its way will be answered later than now, which is what is asked for. Where the mailbox is full there
            // is none, and none will come of this.
            let none_on_its_way = *sent == post.pongs.get();
            match none_on_its_way && post.tell(Message::Ping).is_err() {
                true => *sent + 1,
                false => {
                    *sent += u64::from(none_on_its_way);
                    *sent
                }
            }
        });
        wanted.push_back((ping, owed.collect()));
        if wanted.len() > PINGS {
            wanted.pop_front();
        }
        ping
    }

    fn unanswered(&self, ping: Ping) -> Vec<u16> {
        let pings = self.pings.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = pings.wanted.iter().find(|(known, _)| *known >= ping);
        let Some((_, wanted)) = wanted else { return Vec::new() };
        let late = wanted.iter().zip(self.posts.all()).enumerate();
        // One that was told to stop, and has left, owes nobody an answer.
        late.filter(|(_, (wanted, post))| post.pongs.get() < **wanted && !post.is_closed())
            .map(|(worker, _)| worker as u16)
            .collect()
    }

    fn ailing(&self) -> Option<&'static str> {
        self.registry_ended.load(Ordering::Relaxed).then_some("the registry has ended")
    }

    fn readiness(&self) -> Readiness {
        match self.readiness.load(Ordering::Relaxed) {
            0 => Readiness::Starting,
            1 => Readiness::Ready,
            _ => Readiness::Draining,
        }
    }

    fn status(&self) -> Status {
        let (listeners, reloads) = {
            let changing = self.changing();
            (changing.listeners.clone(), changing.reloads)
        };
        Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rustc: env!("COREGATE_RUSTC").to_owned(),
            allocator: "mimalloc".to_owned(),
            io: self.driver.get().cloned().unwrap_or_default(),
            started: self.began.0.into(),
            uptime_seconds: self.began.1.elapsed().as_secs_f64(),
            readiness: self.readiness(),
            workers: self.cpus.len(),
            listeners,
            generation: self.generation(),
            reloads,
            state: self.kept.as_ref().map(|kept| StateView {
                directory: kept.folder.display().to_string(),
                fault: kept.progress.fault(),
            }),
        }
    }

    fn workers(&self) -> Vec<WorkerView> {
        let watched = self.changing().watched.clone();
        let posts = self.posts.all().iter().enumerate();
        posts.map(|(at, post)| self.worker(at, post, watched.get(at).copied())).collect()
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.pointer.load_full()
    }

    fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.journal)
    }

    fn cells(&self) -> Cells {
        self.cells.clone()
    }

    fn decided(&self, route: RouteId) -> Decided {
        let posts = self.posts.all().iter();
        let said = |decision| posts.clone().map(|post| post.decisions.get(route, decision)).sum();
        Decided {
            admitted: said(Decision::Admitted),
            refused: said(Decision::Refused),
            dry_run: said(Decision::DryRun),
        }
    }

    fn load(&self, service: &str) -> Option<Load> {
        let snapshot = self.pointer.load();
        let service = snapshot.services().find(|known| &*known.name == service)?;
        let mut load = Load::default();
        for instance in service.instances.iter() {
            let word = self.cells.verdict(instance.slot).load();
            let state = match word.generation() == instance.generation {
                false => continue,
                true if word.has(Mark::Down) => &mut load.down,
                true if word.has(Mark::Draining) => &mut load.draining,
                true if word.has(Mark::Ejected) => &mut load.ejected,
                true => &mut load.serving,
            };
            *state += 1;
            for reader in self.posts.readers() {
                load.requests += u64::from(reader.requests(instance.slot));
                load.in_flight += u64::from(reader.in_flight(instance.slot));
            }
        }
        Some(load)
    }

    fn registry(&self) -> Vec<Count> {
        let kept = self.kept.iter().flat_map(|kept| kept.progress.explained());
        let probed = self.probed.explained();
        self.registry.explained().into_iter().chain(kept).chain(probed).map(count).collect()
    }

    fn sources(&self) -> Vec<SourceView> {
        self.sources.view(limits::SOURCES_SHOWN)
    }

    fn decisions(&self) -> Vec<DecisionsView> {
        decisions::view(&self.pointer.load(), &self.posts)
    }

    fn bulkheads(&self) -> Vec<BulkheadView> {
        let snapshot = self.pointer.load();
        let limited = snapshot.services().filter(|service| service.bulkhead.is_some());
        let view = |service: &Service| {
            let word = self.cells.bulkhead(service.id).load();
            let (in_flight, waiting) = (word.taken(), word.waiting());
            BulkheadView { service: service.name.to_string(), in_flight, waiting }
        };
        limited.take(limits::BULKHEADS_SHOWN).map(|service| view(service)).collect()
    }

    fn ask(&self, question: Question, asker: Asker) -> Result<(), Busy> {
        match question {
            Question::Order(order) => orders::order(&self.proposer, order, asker),
            Question::Orders(all) => orders::orders(&self.proposer, all, asker),
            Question::ResetQuota { quota, key } => {
                orders::reset(&self.proposer, quota, key, asker);
            }
            Question::Consumer(order) => orders::consumer(&self.proposer, order, asker),
            Question::Look(look) => orders::look(&self.proposer, look, asker),
            question => return self.questions.ask(question, asker),
        }
        Ok(())
    }
}

/// A number with its name and help, and whether it goes down too.
fn count((name, help, value, goes_down): (&'static str, &'static str, u64, bool)) -> Count {
    Count { name, help, value, kind: if goes_down { Kind::Gauge } else { Kind::Counter } }
}

impl Facts {
    fn worker(&self, at: usize, post: &Post, watched: Option<Watched>) -> WorkerView {
        let watched = watched.unwrap_or_default();
        let counters = post.stats.explained().map(count);
        let buckets = post.lateness.counts();
        WorkerView {
            worker: at as u16,
            cpu: self.cpus.get(at).copied(),
            generation: self.posts.readers()[at].acknowledged(),
            busy_ratio: watched.busy_ratio,
            stuck: watched.stuck.map(|since: Instant| -> Duration { since.elapsed() }),
            counters: counters.collect(),
            rejected: post.stats.rejects().collect(),
            authentications: post.stats.authentications().collect(),
            lateness: Lateness {
                sum_us: post.lateness.sum(),
                max_us: buckets.last().map_or(0, |(upper, _)| *upper),
                buckets: buckets.into_iter().map(|(upper, count)| (Some(upper), count)).collect(),
            },
        }
    }
}
