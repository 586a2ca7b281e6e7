//! The worker's context: everything that its tasks share, under one pointer.
//!
//! One of the files of this package that may name shared words (see `clippy.toml`): it reads the
//! snapshot's pointer, once a request, with one load and no write.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

#[expect(clippy::disallowed_types, reason = "the door of arc-swap on this side")]
use arc_swap::{ArcSwap, Cache};
use coregate_core::base::cells::Cells;
use coregate_core::base::ids::{InstanceSlot, ListenerId, WorkerId};
use coregate_core::base::limits;
use coregate_core::base::time::{Span, Tick};
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::plan::Address;
use coregate_core::snapshot::reader::Reader;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::proxy::bulkhead::Lines;
use crate::proxy::exchange::ExchangeSlot;
use crate::transport::{Stream, Ways, connect, faults};
use crate::worker::accounts::Accounts;
use crate::worker::ask::Asks;
use crate::worker::buffers::Buffers;
use crate::worker::clock::{Clock, monotonic_ns};
use crate::worker::ending::Ending;
use crate::worker::event::Event;
use crate::worker::free::FreeList;
use crate::worker::heart::Heart;
use crate::worker::holdings::Holdings;
use crate::worker::kept::Reads;
use crate::worker::leaving::Leaving;
use crate::worker::listeners::{Door, Listener, Listeners};
use crate::worker::post::{Post, Posts};
use crate::worker::services::Locals;
use crate::worker::slots::{SlotId, Slots, Wait};
use crate::worker::stats::WorkerStats;
use crate::worker::sweep::Untidy;

/// Where the control plane publishes snapshots.
#[expect(clippy::disallowed_types, reason = "the door of arc-swap on this side")]
pub type Published = Arc<ArcSwap<Snapshot>>;

/// How a worker reaches its instances.
#[derive(Debug)]
pub enum Reach {
    /// By sockets; blocking ones, if the driver is the ring.
    Sockets {
        /// Whether the driver wants blocking sockets.
        blocking: bool,
    },
    /// By a network in memory.
    #[cfg(feature = "memory")]
    Memory(crate::transport::memory::Network),
}

/// What a worker's tasks share.
#[derive(Debug)]
pub struct Worker {
    /// Which worker it is.
    pub id: WorkerId,
    /// Its clock.
    pub clock: Clock,
    /// Its connections and their deadlines.
    pub slots: Slots,
    /// Whose connections are to be ended.
    pub ending: Ending,
    /// Its free buffers.
    pub buffers: Buffers,
    /// What its requests wait for.
    pub asks: Asks,
    /// Its view of routes and services.
    pub locals: Locals,
    /// Its view of listeners.
    pub listeners: Listeners,
    /// What it knows of who calls, and how much.
    pub accounts: Accounts,
    /// The words that the host shares.
    pub cells: Cells,
    /// Requests that wait for services.
    pub lines: Lines,
    /// Set when it is told to stop: it takes no more connections, and says so in its answers.
    pub stopping: Event,
    /// Set when connections that wait for a request are to end.
    pub closing: Event,
    /// Whether another process goes on with the listening sockets.
    pub handed_over: Cell<bool>,
    /// Whether it has heard that it is to stop. Should it die from then on, there is nothing to begin anew for.
    pub told_to_stop: Cell<bool>,
    /// Its listening sockets that are being closed.
    pub leaving: Leaving,
    /// When idle connections were closed last to make room, and how many were to be.
    pub last_shed: Cell<(Tick, usize)>,
    /// When other workers may be asked again to close idle connections: it was of no use before.
    pub ask_again_at: Cell<Option<Tick>>,
    /// How it reaches instances.
    pub reach: Reach,
    via: Box<[u8]>,
    posts: Posts,
    snapshot: RefCell<Cache<Published, Arc<Snapshot>>>,
    reads: Rc<Reads>,
    /// The generation that it has acknowledged in this life.
    seen: Cell<u64>,
    exchanges: FreeList<ExchangeSlot>,
    timer: Option<OwnedFd>,
    /// When the kernel's timer is to fire, in nanoseconds of its monotonic clock.
    timer_at: Cell<u64>,
    heart: Heart,
    random: Cell<u64>,
    untidy: Rc<Untidy>,
}

impl Worker {
    /// A worker's context. `seed` makes its request ids differ from those of others; `via` is what this process calls itself
    /// in `Via`.
    pub fn new(
        id: WorkerId,
        (posts, cells): (Posts, Cells),
        published: Published,
        reach: Reach,
        (seed, via): (u64, &str),
    ) -> io::Result<Self> {
        let clock = Clock::default();
        let reads = Rc::new(Reads::new(posts.clone(), id));
        let untidy = Rc::default();
        let timer = match reach {
            Reach::Sockets { .. } => {
                let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
                Some(timerfd_create(TimerfdClockId::Monotonic, flags)?)
            }
            #[cfg(feature = "memory")]
            Reach::Memory(_) => None,
        };
        Ok(Self {
            id,
            slots: Slots::new(clock.now()),
            clock,
            ending: Ending::default(),
            buffers: Buffers::default(),
            asks: Asks::new(seed),
            locals: Locals::new(id, &reads, &untidy),
            listeners: Listeners::new(&reads),
            accounts: Accounts::new(&cells, posts.all().len()),
            cells,
            lines: Lines::default(),
            stopping: Event::default(),
            closing: Event::default(),
            handed_over: Cell::new(false),
            told_to_stop: Cell::new(false),
            leaving: Leaving::default(),
            last_shed: Cell::new((Tick::default(), 1)),
            ask_again_at: Cell::default(),
            reach,
            via: via.as_bytes().into(),
            posts,
            snapshot: RefCell::new(Cache::new(published)),
            reads,
            seen: Cell::new(0),
            exchanges: FreeList::default(),
            timer,
            timer_at: Cell::new(0),
            heart: Heart::default(),
            random: Cell::new(seed | 1),
            untidy,
        })
    }

    /// Its counters.
    #[inline]
    pub fn stats(&self) -> &WorkerStats {
        &self.posts.all()[self.id.index()].stats
    }

    /// What it says of snapshots and instances.
    #[inline]
    pub fn reader(&self) -> &Reader {
        self.reads.reader()
    }

    /// Counts one more connection to an instance, of at most so many on the host; `false`: there are as many.
    #[must_use = "one that is counted is one less when it is closed"]
    pub fn connecting(&self, instance: InstanceSlot, limit: u64) -> bool {
        let taken = self.cells.instance_connections(instance).take(1, limit);
        if taken {
            self.stats().shared_writes.one();
            self.holdings().connect(instance);
        }
        taken
    }

    /// One that was counted is closed, or has come to nothing.
    pub fn disconnected(&self, instance: InstanceSlot) {
        self.stats().shared_writes.one();
        self.holdings().disconnect(instance);
        self.cells.instance_connections(instance).release(1);
    }

    /// What it has of bulkheads.
    #[inline]
    pub fn holdings(&self) -> &Holdings {
        &self.post().holdings
    }

    /// What others see of it.
    pub fn post(&self) -> &Post {
        &self.posts.all()[self.id.index()]
    }

    /// What this process calls itself in `Via` (RFC 9110 §7.6.3): its own name, so that it knows a request that was here.
    pub fn via(&self) -> &[u8] {
        &self.via
    }

    /// All workers.
    pub fn posts(&self) -> &Posts {
        &self.posts
    }

    /// Takes a connection permit of the host; `false`: there is none left.
    #[must_use = "a permit that was taken must be released"]
    pub fn acquire_permit(&self) -> bool {
        self.posts.acquire(self.id)
    }

    /// Gives connection permits back.
    pub fn release_permits(&self, count: u64) {
        self.posts.release(self.id, count);
    }

    /// Hears the answers that have come.
    pub fn hear_answers(&self) {
        while let Some((ticket, answer)) = self.post().next_answer() {
            self.asks.hear(ticket, answer);
        }
    }

    /// Uses the snapshot that is current now: one atomic load, once a request.
    #[inline]
    pub fn with_snapshot<R>(&self, then: impl FnOnce(&Snapshot) -> R) -> R {
        let mut cache = self.snapshot.borrow_mut();
        let snapshot = cache.load();
        if snapshot.generation() != self.seen.get() {
            self.acknowledge(snapshot);
        }
        then(snapshot)
    }

    /// Makes this the snapshot that is current, for a world without a control plane.
    #[cfg(feature = "memory")]
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.snapshot.borrow().arc_swap().store(Arc::new(snapshot));
    }

    /// A snapshot that this worker had not seen. From now on it holds no older one.
    #[cold]
    fn acknowledge(&self, snapshot: &Snapshot) {
        if self.listeners.mend(snapshot, self.clock.now()) {
            self.untidy();
        }
        self.seen.set(snapshot.generation());
        self.reads.reader().acknowledge(snapshot.generation());
    }

    /// A listener as it is now, if it is there.
    pub fn listener(&self, id: ListenerId) -> Option<Rc<Listener>> {
        self.with_snapshot(|_| self.listeners.get(id))
    }

    /// A listener as it is now, or was last: see [`Listeners::get_last`].
    pub fn last_listener(&self, id: ListenerId) -> Option<Rc<Listener>> {
        self.with_snapshot(|_| self.listeners.get_last(id))
    }

    /// The listener whose a socket is, as it is now, or was last: see [`Listeners::get_last`].
    pub fn listener_at(&self, door: &Door) -> Option<Rc<Listener>> {
        self.with_snapshot(|snapshot| self.listeners.get_last(door.listener(snapshot)))
    }

    /// How long connections may go on whose listener is gone.
    pub fn drain_time(&self) -> Span {
        self.with_snapshot(|snapshot| Span::of(snapshot.doors().drain))
    }

    /// Acknowledges the latest snapshot. What is kept of older ones is let go by the next sweep.
    pub fn look(&self) {
        self.with_snapshot(|_| ());
        self.untidy();
    }

    /// Sets a slot's deadline to `span` from now; see [`Slots::arm`].
    ///
    /// Reads the clock: a deadline counted from an old reading would come too early.
    #[inline]
    pub fn arm(&self, slot: SlotId, wait: Wait, span: Span, ways: Ways) {
        self.clock.refresh();
        self.arm_at(slot, wait, self.clock.after(span), ways);
    }

    /// Sets a slot's deadline to a moment.
    pub fn arm_at(&self, slot: SlotId, wait: Wait, at: Tick, ways: Ways) {
        if let Some(at) = self.slots.arm(slot, wait, at, ways) {
            self.set_timer(at);
        }
    }

    /// Sets the kernel's timer, if there is one.
    pub fn set_timer(&self, at: Tick) {
        let Some(timer) = &self.timer else { return };
        let wait = self.clock.until(at);
        let value =
            Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        self.timer_at.set(monotonic_ns() + wait.as_nanos() as u64);
        let set = timerfd_settime(timer, TimerfdTimerFlags::empty(), &once);
        debug_assert!(set.is_ok(), "a timer of our own, set to a time that is not zero");
    }

    /// The timer has fired: counts how late that was.
    pub fn timer_fired(&self) {
        let late = monotonic_ns().saturating_sub(self.timer_at.get());
        self.post().lateness.record(late / 1_000);
    }

    /// A request begins: the worker's heart beats for as long as more come.
    #[inline]
    pub fn beat(&self) {
        self.heart.beat();
    }

    /// What beats while there are requests.
    pub(crate) fn heart(&self) -> &Heart {
        &self.heart
    }

    /// The descriptor that becomes readable when the timer fires.
    pub fn timer(&self) -> io::Result<Option<OwnedFd>> {
        self.timer.as_ref().map(OwnedFd::try_clone).transpose()
    }

    /// Connects to an instance. Cancel safety: may be dropped.
    pub async fn connect(&self, address: &Address) -> io::Result<Stream> {
        faults::connect(async {
            match &self.reach {
                Reach::Sockets { blocking } => connect::connect(address, *blocking).await,
                #[cfg(feature = "memory")]
                Reach::Memory(network) => network.connect(address),
            }
        })
        .await
    }

    /// Says that there is something that the sweep must look at in time: an idle connection in a pool, free memory.
    pub(crate) fn untidy(&self) {
        self.untidy.say();
    }

    /// Waits until there is something to look at; for the one task that sweeps.
    pub(crate) async fn until_untidy(&self) {
        self.untidy.until().await;
    }

    /// Says whether a client's connection waits for its next words, and since now.
    pub fn set_idle(&self, slot: SlotId, idle: bool) {
        self.slots.set_idle(slot, idle.then(|| self.clock.now()));
        match idle {
            true => self.stats().connections_idle.one(),
            false => self.stats().connections_idle.sub(1),
        }
    }

    /// A free exchange slot, if there is one.
    pub(crate) fn take_exchange(&self) -> Option<ExchangeSlot> {
        self.exchanges.take()
    }

    /// Keeps an exchange slot for the next request, unless there are enough.
    pub(crate) fn give_exchange(&self, slot: ExchangeSlot) {
        self.exchanges.give(slot, limits::FREE_EXCHANGES);
    }

    /// Frees memory that nobody has used since the last time; whether there is more to free.
    pub(crate) fn trim(&self) -> bool {
        self.buffers.trim() | self.exchanges.trim() | self.accounts.notes.trim()
    }

    /// A random number (splitmix64, Steele et al. 2014): for ids and jitter, not for secrets.
    pub fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Publishes a snapshot that will never change, for a world without a control plane.
#[cfg(feature = "memory")]
#[expect(clippy::disallowed_types, reason = "the door of arc-swap on this side")]
pub(crate) fn publish(snapshot: Snapshot) -> Published {
    Arc::new(ArcSwap::from_pointee(snapshot))
}
