//! From a configuration to a process that serves: everything is made, and checked, before anything is served.
//!
//! ```text
//!  flags, file ─┐
//!  predecessor ─┴▶ make: cells, registry, sockets, admin sockets ─▶ start: threads, rings ─▶ ready ─▶ serve
//!                    └───────────── whatever fails: said, and to the predecessor too, which goes on
//! ```

use std::cell::RefCell;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use coregate_config::{Inputs, Io, RuntimeSettings, Settings};
use coregate_control::io::admin::room::Room;
use coregate_control::io::admin::view::Readiness;
use coregate_control::io::discover::Discovery;
use coregate_control::io::prober::{self, Prober};
use coregate_control::io::voice::Voice;
use coregate_control::registry::log::{self, Command, Configure, Log};
use coregate_control::registry::publish::Pointer;
use coregate_control::registry::thread::{Predecessor, Registry};
use coregate_core::base::cells::{Cells, ConnectionPermits, LAYOUT};
use coregate_core::base::ids::{ListenerId, WorkerId};
use coregate_core::base::limits;
use coregate_core::base::mailbox::Desk;
use coregate_core::snapshot::plan::Address;
use coregate_core::snapshot::reader::Reader;
use coregate_data::worker::post::{Listening, Post, Posts, doorbell};
use coregate_data::worker::runtime::Wanted;
use coregate_data::worker::serve::Sockets;

use crate::server::cli::{AdminPlace, Options};
use crate::server::configuration::watch::Watch;
use crate::server::configuration::{Configuration, Source};
use crate::server::events::{Event, Questions};
use crate::server::facts::{Facts, Published};
use crate::server::handover;
use crate::server::legacy::{self, Taken};
use crate::server::listen::live::{Handed, Live, WorkerSocket};
use crate::server::process::Process;
use crate::server::threads::{self, Spec};
use crate::server::told::Told;
use crate::server::upgrade::Before;
use crate::server::{
    Exit, admin, descriptors, rings, say, signals, state, stats, supervisor, tokens, topology,
    watchdog,
};

/// Why a process does not come to serve. Without words: it was said already.
pub(crate) type Failure = (Exit, String);

/// What is to be served, and where it was said.
pub(crate) struct Wish<'a> {
    pub(crate) source: Source,
    pub(crate) settings: Settings,
    pub(crate) text: String,
    /// The files that it is reloaded from whenever they change; none if it is not.
    pub(crate) watch: Option<Inputs>,
    pub(crate) options: &'a Options,
}

/// Serves until the end; `ready` is called once, with where it listens.
pub(crate) fn serve(wish: Wish<'_>, ready: impl FnOnce(&[Address])) -> Exit {
    // Before anything replaces the file.
    let _ = handover::own_binary();
    let (inheritance, predecessor) = match handover::inherit(LAYOUT) {
        Ok(inherited) => inherited.unzip(),
        Err(error) => {
            say::message(error);
            return Exit::Failed;
        }
    };
    let before = predecessor.as_ref().map(Before::of);
    let taken = legacy::take(inheritance);
    let started = taken.and_then(|taken| make(wish, taken, before)).and_then(|made| {
        let gates = made.start()?;
        Ok((made, gates))
    });
    match started {
        Ok((made, gates)) => {
            if let Some(Err(error)) = predecessor.map(handover::Predecessor::ready) {
                // It was told to stop, or has given us up: nobody wants us to serve.
                say::message(format_args!("{error} and has not said go: leaving"));
                return Exit::Failed;
            }
            made.go(gates, ready)
        }
        Err((exit, why)) => {
            if let Some(predecessor) = predecessor {
                predecessor.failed(&why);
            }
            if !why.is_empty() {
                say::message(why);
            }
            exit
        }
    }
}

/// Tells a predecessor, if there is one, why this process does not come to serve at all.
pub(crate) fn tell_predecessor(why: &str) {
    if let Ok(Some((_, predecessor))) = handover::inherit(LAYOUT) {
        predecessor.failed(why);
    }
}

/// Everything that a process consists of, before it serves.
struct Made {
    process: Process,
    cells: Cells,
    pointer: Pointer,
    io: Wanted,
    /// What the process calls itself in `Via`: with its own mark, so that it knows a request that comes back.
    via: String,
    sockets: RefCell<Vec<Vec<Listening>>>,
    bells: RefCell<Vec<std::os::fd::OwnedFd>>,
    admin: Option<admin::Bound>,
    /// Where registrations are kept; nothing is written before this process serves.
    store: Option<state::Waiting>,
    /// Whether it takes the place of another process.
    inherits: bool,
}

/// What keeps the workers from beginning until it is dropped.
type Gates = Vec<mpsc::Sender<()>>;

fn make(wish: Wish<'_>, taken: Taken, before: Option<Before>) -> Result<Made, Failure> {
    #[cfg(feature = "faults")]
    say_faults()?;
    let Wish { source, settings, text, watch, options } = wish;
    let runtime = &settings.runtime;
    let cores = options.cores.as_ref().unwrap_or(&runtime.cores);
    let workers = options.workers.map(|workers| workers as usize).or(runtime.workers);
    let cpus = topology::cpus(cores, workers).map_err(|error| (Exit::Config, error.to_string()))?;
    // Before any other thread is started: they take it over.
    topology::keep_off(&cpus);
    let Taken { shared, epoch, checkpoint, again, history, sockets, admin: admin_sockets } = taken;
    let inherits = epoch > 0;
    let cells = shared.cells.clone().in_epoch(epoch);
    let readers: Arc<[_]> = cpus.iter().map(|_| Reader::new(limits::INSTANCE_SLOTS)).collect();
    let tokens =
        tokens::resolve(&settings).map_err(|errors| (Exit::Config, errors.join("\ncoregate: ")))?;
    let services = tokens.services.clone();
    let plan = settings.plan_with_keys().map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        (Exit::Config, lines.join("\ncoregate: "))
    })?;
    let configure = Configure { tokens: services, ..Configure::from(plan) };
    // A predecessor knows better than what is stored, unless its knowledge comes as commands.
    let restore = checkpoint.is_none() || !again.is_empty();
    let mut registry = Registry::new(configure, cells.clone(), Arc::clone(&readers), checkpoint)
        .map_err(|refused| (Exit::Config, refused.to_string()))?;
    let (proposer, log) = log::in_memory();
    let kept = state::open(options, runtime)?.keep(&mut registry, proposer.waker(), restore);
    let (kept, store) = kept.unzip();
    state::warn_of_memory(&settings, kept.as_ref());
    let descriptors = descriptors::raise();
    let (live, sockets) =
        Live::bind(&settings.listeners, cpus.len(), sockets).map_err(|errors| {
            let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
            (Exit::Failed, lines.join("\ncoregate: "))
        })?;
    let sockets_open = live.descriptors() as u64;
    let most = runtime.connections;
    let places = descriptors::admin(descriptors, cpus.len() as u64, sockets_open, most);
    let admin = bind_admin((options, runtime), &source, admin_sockets, places)?;
    let room = descriptors::connections(descriptors, cpus.len() as u64, sockets_open);
    let most = descriptors::most_connections(runtime, descriptors, room);
    let permits = || ConnectionPermits::new(cells.clone(), epoch, most);
    let desk = {
        let waker = proposer.waker();
        Arc::new(Desk::new(limits::DESK_QUESTIONS, move || waker.wake()))
    };
    registry.sit_at(Arc::clone(&desk));
    let (posts, bells) = posts(readers, permits())?;
    let posts = posts.asking(desk);
    if let Some(path) = &options.stats {
        // Now, not when it is needed.
        stats::write(path, &posts)
            .map_err(|error| (Exit::Failed, format!("stats {}: {error}", path.display())))?;
    }
    let sockets = listening(sockets, &registry.listeners());
    let (pointer, stats, journal) = (registry.pointer(), registry.stats(), registry.journal());
    let generation = pointer.load().generation();
    let (tell, hear) = mpsc::channel();
    let notices = tell.clone();
    registry.telling(move |notice| drop(notices.send(Event::Noticed(notice))));
    let voice = Voice::new(|line| say::message(line));
    let prober = prober::start(proposer.waker(), descriptors::probes(descriptors), voice)
        .map_err(|error| (Exit::Failed, format!("prober: {error}")))?;
    let probed = prober.stats();
    let parts = (registry, log, prober);
    let registry =
        start_registry(parts, &posts, before.as_ref(), (permits(), cells.clone()), epoch)?;
    for command in again {
        // The answer is of no use: it was so before.
        let _ = proposer.propose(command);
    }
    let questions = Questions::new(tell.clone());
    let mut discovery = Discovery::new(proposer.clone(), voice);
    discovery
        .follow(&settings.plan, settings.dns.clone())
        .map_err(|error| (Exit::Failed, format!("discovery: {error}")))?;
    let (shown, known) = (Pointer::clone(&pointer), cells.clone());
    let published = Published { pointer: shown, stats, journal, cells: known, kept, probed };
    let told = (proposer.clone(), discovery.sources());
    let facts = Facts::new(posts, cpus, published, questions.clone(), told);
    facts.tokens.set(tokens);
    let io = wanted(options.io.as_ref().unwrap_or(&runtime.io));
    let process = Process {
        facts: Arc::new(facts),
        shared,
        proposer,
        registry,
        discovery,
        configuration: Configuration::new(source, settings, text, generation, history),
        live,
        office: None,
        stats: options.stats.clone(),
        watch: watch.map(Watch::new),
        drain_delay: options.drain_delay,
        epoch,
        predecessor: before,
        upgrading: false,
        questions,
        tell,
        hear,
    };
    let via = format!("coregate-{:08x}", random_mark());
    let (sockets, bells) = (sockets.into(), bells.into());
    Ok(Made { process, cells, pointer, io, via, sockets, bells, admin, store, inherits })
}

/// Binds where the admin listener is to be, with so many places for connections, and says who may ask there.
fn bind_admin(
    (options, runtime): (&Options, &RuntimeSettings),
    source: &Source,
    sockets: Vec<Handed>,
    places: Room,
) -> Result<Option<admin::Bound>, Failure> {
    let addresses = admin_addresses(options, runtime);
    let admin = admin::bind(addresses.as_deref(), matches!(source, Source::File(_)), sockets)
        .map_err(|why| (Exit::Failed, format!("admin listener: {why}")))?;
    warn_of_no_token(admin.as_ref(), runtime);
    let admin = admin.map(|admin| admin.guarded(runtime, places)).transpose();
    admin.map_err(|why| (Exit::Config, why))
}

/// The sockets of each worker, with the listeners that they belong to.
fn listening(sockets: Vec<Vec<WorkerSocket>>, ids: &[(String, ListenerId)]) -> Vec<Vec<Listening>> {
    let id = |name: &str| ids.iter().find(|(known, _)| known == name).map(|(_, id)| *id);
    let listening = |socket: WorkerSocket| {
        // All names have ids: the registry has just taken them.
        let listener = id(&socket.listener).unwrap_or(ListenerId(u16::MAX));
        Listening { id: socket.id, listener, socket: socket.socket, copy: None }
    };
    sockets.into_iter().map(|own| own.into_iter().map(listening).collect()).collect()
}

fn wanted(io: &Io) -> Wanted {
    match io {
        Io::Auto => Wanted::Auto,
        Io::Uring => Wanted::Uring,
        Io::Epoll => Wanted::Epoll,
    }
}

impl Made {
    /// Starts every worker's thread; all rings are built before any serves.
    fn start(&self) -> Result<Gates, Failure> {
        let Process { facts, tell, .. } = &self.process;
        signals::hear(tell.clone()).map_err(|error| (Exit::Failed, format!("signals: {error}")))?;
        let mut gates = Vec::new();
        let sockets = self.sockets.take();
        let bells = self.bells.take();
        for (index, (sockets, bell)) in sockets.into_iter().zip(bells).enumerate() {
            let (gate, go) = mpsc::channel();
            gates.push(gate);
            let spec = Spec {
                id: WorkerId(index as u16),
                cpu: facts.cpus[index],
                io: self.io,
                sockets: Sockets::new(sockets),
                bell,
                posts: facts.posts.clone(),
                cells: self.cells.clone(),
                published: Pointer::clone(&self.pointer),
                via: self.via.clone(),
            };
            let id = spec.id;
            let tell = tell.clone();
            // The main thread outlives the workers, so nobody misses what they tell.
            let tell = move |event| drop(tell.send(Event::Worker(id, event)));
            threads::start(spec, tell, go)
                .map_err(|error| (Exit::Failed, format!("worker {index}: no thread: {error}")))?;
        }
        let driver = rings::all_built(&self.process.hear, &facts.cpus)?;
        // It is set here and nowhere else.
        let _ = facts.driver.set(driver);
        Ok(gates)
    }

    /// Lets the workers begin, and serves to the end.
    fn go(self, gates: Gates, ready: impl FnOnce(&[Address])) -> Exit {
        let Made { mut process, admin, store, inherits, .. } = self;
        store.into_iter().for_each(state::Waiting::begin);
        let opened = match inherits {
            true => process.live.open().and_then(|()| process.live.take_over()),
            false => process.live.open(),
        };
        if let Err(error) = opened {
            say::message(error);
        }
        let places: Vec<_> = process.live.places().collect();
        for (name, address) in &places {
            say::message(format_args!("listening on {address} ({name})"));
        }
        let places: Vec<_> = places.into_iter().map(|(_, address)| address.clone()).collect();
        process.show_listeners();
        // Before the first request.
        if let Err(why) = process.propose(Command::TakeOver) {
            say::message(format_args!("the registry: {why}"));
        }
        // What a predecessor knew is there already.
        if !inherits && !process.discovery.sources().wait(limits::SOURCES_AT_START) {
            say::message("sources of instances have not all answered yet: serving without them");
        }
        drop(gates);
        if let Some(admin) = admin {
            let addresses = admin.places();
            match admin.start(Arc::clone(&process.facts)) {
                Ok(mut office) => {
                    if let (true, Err(error)) = (inherits, office.live.take_over()) {
                        say::message(error);
                    }
                    let addresses: Vec<_> = addresses.iter().map(Address::to_string).collect();
                    say::message(format_args!("admin listener on {}", addresses.join(", ")));
                    process.office = Some(office);
                }
                Err(why) => say::message(why),
            }
        }
        if let Err(error) = watchdog::start(Arc::clone(&process.facts)) {
            say::message(format_args!("watchdog: no thread: {error}"));
        }
        process.facts.set_readiness(Readiness::Ready);
        supervisor::ready();
        let facts = &process.facts;
        let cpus = facts.cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let plural = |one: &'static str| {
            if facts.cpus.len() == 1 { one.to_owned() } else { format!("{one}s") }
        };
        say::message(format_args!(
            "ready: {} {} on {} {cpus}, io {}",
            facts.cpus.len(),
            plural("worker"),
            plural("cpu"),
            facts.driver.get().map(String::as_str).unwrap_or_default(),
        ));
        ready(&places);
        process.run()
    }
}

/// Over TCP nothing but probes and metrics is answered without a token: most often not what was meant.
fn warn_of_no_token(admin: Option<&admin::Bound>, runtime: &RuntimeSettings) {
    let places = admin.map(admin::Bound::places).unwrap_or_default();
    if runtime.admin_token.is_none() && places.iter().any(|at| matches!(at, Address::Tcp(_))) {
        say::message(
            "runtime.admin_token is not set: over TCP the admin listener answers probes, metrics and instances with a service's token alone",
        );
    }
}

fn admin_addresses(options: &Options, runtime: &RuntimeSettings) -> Option<Vec<Address>> {
    if options.admin.is_empty() {
        return runtime.admin.clone();
    }
    let named = options.admin.iter().filter_map(|place| match place {
        AdminPlace::At(address) => Some(address.clone()),
        AdminPlace::None => None,
    });
    Some(named.collect())
}

fn posts(
    readers: Arc<[Reader]>,
    permits: ConnectionPermits,
) -> Result<(Posts, Vec<std::os::fd::OwnedFd>), Failure> {
    let (mut posts, mut bells) = (Vec::new(), Vec::new());
    for _ in readers.iter() {
        let (ring, bell) =
            doorbell().map_err(|error| (Exit::Failed, format!("doorbell: {error}")))?;
        posts.push(Post::new(ring));
        bells.push(bell);
    }
    Ok((Posts::new(posts, readers, permits), bells))
}

fn start_registry(
    (registry, log, prober): (Registry, Log, Prober),
    posts: &Posts,
    before: Option<&Before>,
    (permits, cells): (ConnectionPermits, Cells),
    epoch: u64,
) -> Result<JoinHandle<()>, Failure> {
    let failed = |error| (Exit::Failed, format!("registry: {error}"));
    let before = before.map(Before::again).transpose().map_err(failed)?;
    let before = before.map(|before| {
        Predecessor::new(move || {
            let gone = before.has_gone();
            if gone {
                // Whatever it held and could not give back.
                permits.forget(epoch.saturating_sub(1));
                cells.forget_other();
            }
            gone
        })
    });
    registry.start(log, Told(posts.clone()), before, prober).map_err(failed)
}

/// Says which faults were ordered, if any were: a gateway that fails on purpose must not be taken for one that does not.
#[cfg(feature = "faults")]
fn say_faults() -> Result<(), Failure> {
    use coregate_data::transport::faults;
    let ordered = faults::of_environment()
        .map_err(|error| (Exit::Config, format!("{}: {error}", faults::VARIABLE)))?;
    if ordered.is_some() {
        say::message(format_args!("faults on order: {} is set", faults::VARIABLE));
    }
    Ok(())
}

/// A number that no other gateway on a request's way has.
fn random_mark() -> u32 {
    let mut bytes = [0; 4];
    // Without it loops are found later, when their heads have grown too large.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u32::from_ne_bytes(bytes)
}
