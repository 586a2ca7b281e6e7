//! From settings to a running process, and back to an exit code.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use coregate_config::{Io, Settings};
use coregate_control::registry::publish::Publisher;
use coregate_core::base::cells::ConnectionPermits;
use coregate_core::base::ids::WorkerId;
use coregate_core::base::limits;
use coregate_data::worker::post::{Message, Post, Posts, doorbell};
use coregate_data::worker::runtime::{self, Wanted};
use rustix::process::{Resource, Rlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::server::cli::Options;
use crate::server::complain::Complaints;
use crate::server::listen::{self, Bound};
use crate::server::memory::Shared;
use crate::server::threads::{self, Event, Spec};
use crate::server::{Exit, say, stats, topology};

/// Serves until it is told to stop.
pub(crate) fn run(settings: Settings, options: &Options) -> Exit {
    run_and(settings, options, |_| {})
}

/// Serves until it is told to stop; `ready` is called once, with where it listens.
pub(crate) fn run_and(settings: Settings, options: &Options, ready: impl FnOnce(&Bound)) -> Exit {
    match prepare(settings, options) {
        Ok((process, mut bound)) => match process.start(&mut bound) {
            Ok(()) => {
                ready(&bound);
                process.watch()
            }
            Err(exit) => exit,
        },
        Err((exit, text)) => {
            say::message(text);
            exit
        }
    }
}

struct Process {
    posts: Posts,
    publisher: Publisher,
    cpus: Vec<usize>,
    io: Wanted,
    /// What the process calls itself in `Via`: with its own mark, so that it knows a request that comes back.
    via: String,
    bells: std::cell::RefCell<Vec<std::os::fd::OwnedFd>>,
    stats: Option<std::path::PathBuf>,
    tell: mpsc::Sender<(WorkerId, Event)>,
    hear: mpsc::Receiver<(WorkerId, Event)>,
}

fn prepare(settings: Settings, options: &Options) -> Result<(Process, Bound), (Exit, String)> {
    #[cfg(feature = "faults")]
    say_faults()?;
    let cores = options.cores.as_ref().unwrap_or(&settings.runtime.cores);
    let workers = options.workers.map(|workers| workers as usize).or(settings.runtime.workers);
    let cpus = topology::cpus(cores, workers).map_err(|error| (Exit::Config, error.to_string()))?;
    let publisher = Publisher::new(&settings.plan).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        (Exit::Config, lines.join("\n"))
    })?;
    let descriptors = raise_descriptors();
    let bound = listen::bind(&settings.listeners, cpus.len()).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        (Exit::Failed, lines.join("\ncoregate: "))
    })?;
    let sockets = bound.per_worker.iter().map(Vec::len).sum::<usize>() as u64;
    let room = connection_limit(descriptors, cpus.len() as u64, sockets);
    let most = settings.runtime.connections.unwrap_or(room);
    if most > room {
        say::message(format_args!(
            "connections = {most}: {descriptors} descriptors (ulimit -n) are enough for {room} with one to an instance each"
        ));
    }
    let (mut posts, mut bells) = (Vec::new(), Vec::new());
    for _ in &cpus {
        let (ring, bell) =
            doorbell().map_err(|error| (Exit::Failed, format!("doorbell: {error}")))?;
        posts.push(Post::new(ring, limits::MAILBOX_MESSAGES));
        bells.push(bell);
    }
    let shared = Shared::create().map_err(|error| (Exit::Failed, format!("cells: {error}")))?;
    let posts = Posts::new(posts, ConnectionPermits::new(shared.cells.clone(), 0, most));
    if let Some(path) = &options.stats {
        // Now, not when it is needed.
        stats::write(path, &posts)
            .map_err(|error| (Exit::Failed, format!("stats {}: {error}", path.display())))?;
    }
    let (tell, hear) = mpsc::channel();
    let process = Process {
        posts,
        publisher,
        cpus,
        io: match options.io.as_ref().unwrap_or(&settings.runtime.io) {
            Io::Auto => Wanted::Auto,
            Io::Uring => Wanted::Uring,
            Io::Epoll => Wanted::Epoll,
        },
        bells: bells.into(),
        via: format!("coregate-{:08x}", random_mark()),
        stats: options.stats.clone(),
        tell,
        hear,
    };
    Ok((process, bound))
}

/// Says which faults were ordered, if any were: a gateway that fails on purpose must not be taken for one that does not.
#[cfg(feature = "faults")]
fn say_faults() -> Result<(), (Exit, String)> {
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

/// Raises the limit on descriptors as far as it goes; gives what it is then.
fn raise_descriptors() -> u64 {
    let now = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: now.maximum, maximum: now.maximum };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    }
    // No limit at all is still bounded by the kernel's table.
    .unwrap_or(limits::DESCRIPTORS)
}

/// How many connections there can be, each with one to an instance, beside what the process and its workers need.
fn connection_limit(descriptors: u64, workers: u64, sockets: u64) -> u64 {
    // A listening socket is held twice: by its worker's tasks, and for the worker's next life.
    let own = limits::RESERVED_DESCRIPTORS + workers * limits::WORKER_DESCRIPTORS + 2 * sockets;
    (descriptors.saturating_sub(own) / 2).max(limits::CONNECTIONS_MIN)
}

impl Process {
    /// Starts every worker; all rings are built before any serves.
    fn start(&self, bound: &mut Bound) -> Result<(), Exit> {
        self.hear_signals()?;
        let mut gates = Vec::new();
        let sockets = std::mem::take(&mut bound.per_worker);
        let bells = self.bells.take();
        for (index, (sockets, bell)) in sockets.into_iter().zip(bells).enumerate() {
            let (gate, go) = mpsc::channel();
            gates.push(gate);
            let spec = Spec {
                id: WorkerId(index as u16),
                cpu: self.cpus[index],
                io: self.io,
                sockets: sockets.into(),
                bell,
                posts: self.posts.clone(),
                published: self.publisher.pointer(),
                via: self.via.clone(),
            };
            if let Err(error) = threads::start(spec, self.tell.clone(), go) {
                say::message(format_args!("worker {index}: no thread: {error}"));
                return Err(Exit::Failed);
            }
        }
        let driver = self.all_built()?;
        for (name, address) in &bound.places {
            say::message(format_args!("listening on {address} ({name})"));
        }
        drop(gates);
        let cpus = self.cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let workers = if self.cpus.len() == 1 { "worker" } else { "workers" };
        let noun = if self.cpus.len() == 1 { "cpu" } else { "cpus" };
        say::message(format_args!(
            "ready: {} {workers} on {noun} {cpus}, io {driver}",
            self.cpus.len()
        ));
        Ok(())
    }

    /// Waits until every worker has its ring; says what was tried, once.
    fn all_built(&self) -> Result<String, Exit> {
        let mut driver = String::new();
        let mut missing = self.cpus.len();
        while missing > 0 {
            match self.hear.recv() {
                Ok((id, Event::Built { rung, tried, pinned })) => {
                    missing -= 1;
                    if !pinned {
                        say::message(format_args!(
                            "worker {}: could not be pinned to cpu {}",
                            id.index(),
                            self.cpus[id.index()]
                        ));
                    }
                    let name = rung.to_string();
                    if driver.is_empty() {
                        self.say_tried(&tried, &name);
                        driver = name;
                    } else if driver != name {
                        self.say_tried(&tried, &name);
                        say::message(format_args!("worker {} is on io {name}", id.index()));
                    }
                }
                Ok((id, Event::NotBuilt(error))) => {
                    let hint =
                        runtime::refusal_hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                    say::message(format_args!(
                        "worker {}: {error}{hint}; try --io epoll",
                        id.index()
                    ));
                    return Err(Exit::Failed);
                }
                Ok((_, Event::Signal(SIGTERM | SIGINT))) => return Err(Exit::Ok),
                Ok(_) => {}
                Err(_) => return Err(Exit::Failed),
            }
        }
        Ok(driver)
    }

    fn say_tried(&self, tried: &[(runtime::Rung, std::io::Error)], end: &str) {
        for (at, (rung, error)) in tried.iter().enumerate() {
            let next = tried.get(at + 1).map_or(end.to_owned(), |(next, _)| next.to_string());
            say::message(format_args!("io {rung}: {error}; trying {next}"));
        }
        if end == "epoll"
            && !tried.is_empty()
            && let Some(hint) = runtime::refusal_hint()
        {
            say::message(format_args!("io_uring is refused: {hint}"));
        }
    }

    /// Signals come as events, from a thread of their own.
    fn hear_signals(&self) -> Result<(), Exit> {
        let mut signals =
            Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]).map_err(|error| {
                say::message(format_args!("signals: {error}"));
                Exit::Failed
            })?;
        let tell = self.tell.clone();
        let hear = move || {
            for signal in signals.forever() {
                if tell.send((WorkerId(0), Event::Signal(signal))).is_err() {
                    return;
                }
            }
        };
        match thread::Builder::new().name("signals".into()).spawn(hear) {
            Ok(_) => Ok(()),
            Err(error) => {
                say::message(format_args!("signals: no thread: {error}"));
                Err(Exit::Failed)
            }
        }
    }

    /// Watches workers and signals until the end.
    fn watch(&self) -> Exit {
        let mut running = self.cpus.len();
        let mut deaths = VecDeque::new();
        let mut exit = Exit::Ok;
        let mut stop_by: Option<Instant> = None;
        let mut complaints = Complaints::default();
        while running > 0 {
            let left = stop_by.map(|by| by.saturating_duration_since(Instant::now()));
            let look = left.map_or(limits::COMPLAIN_EVERY, |left| left.min(limits::COMPLAIN_EVERY));
            let event = match self.hear.recv_timeout(look) {
                Ok(event) => Some(event),
                Err(_) => match left {
                    Some(left) if left.is_zero() => None,
                    _ => {
                        complaints.look(&self.posts);
                        continue;
                    }
                },
            };
            complaints.look(&self.posts);
            let stop = match event {
                Some((_, Event::Signal(SIGUSR2))) => {
                    match &self.stats {
                        Some(_) => self.write_stats(),
                        None => {
                            say::message("counters were asked for, but no --stats FILE was given")
                        }
                    }
                    false
                }
                Some((_, Event::Signal(SIGHUP | SIGUSR1))) => {
                    say::message(
                        "a reload is not supported yet: restart to change the configuration",
                    );
                    false
                }
                Some((_, Event::Signal(_))) if stop_by.is_some() => {
                    say::message("told to stop twice: leaving at once");
                    exit = Exit::Failed;
                    break;
                }
                Some((_, Event::Signal(_))) => {
                    self.say_stopping();
                    true
                }
                Some((id, Event::Died)) => {
                    let now = Instant::now();
                    deaths.push_back(now);
                    deaths.retain(|death| now.duration_since(*death) < limits::WORKER_DEATH_WINDOW);
                    say::message(format_args!(
                        "worker {}: died of a panic; begun anew",
                        id.index()
                    ));
                    let too_often = deaths.len() > limits::WORKER_DEATHS_PER_MINUTE;
                    if too_often && stop_by.is_none() {
                        say::message("workers die too often: giving up");
                        exit = Exit::GaveUp;
                    }
                    too_often && stop_by.is_none()
                }
                Some((id, Event::Failed(error))) => {
                    say::message(format_args!("worker {}: {error}", id.index()));
                    exit = Exit::Failed;
                    running -= 1;
                    stop_by.is_none()
                }
                Some((id, Event::NotBuilt(error))) => {
                    say::message(format_args!("worker {}: {error}", id.index()));
                    exit = Exit::Failed;
                    running -= 1;
                    stop_by.is_none()
                }
                Some((id, Event::Stopped { cut })) => {
                    running -= 1;
                    if cut > 0 {
                        say::message(format_args!(
                            "worker {}: {cut} connections did not end in time and are cut",
                            id.index()
                        ));
                    }
                    false
                }
                Some((_, Event::Built { .. })) => false,
                None => {
                    say::message("some workers did not stop in time: leaving without them");
                    exit = Exit::Failed;
                    break;
                }
            };
            if stop {
                stop_by = Some(Instant::now() + limits::SHUTDOWN_TIME + limits::SHUTDOWN_GRACE);
                let refused = |post: &Post| post.tell(Message::Stop).is_err();
                if self.posts.all().iter().any(refused) {
                    say::message("a worker's mailbox is full: leaving at once");
                    break;
                }
            }
        }
        self.write_stats();
        say::message("stopped");
        exit
    }

    fn say_stopping(&self) {
        let open: u64 = self.posts.all().iter().map(|post| post.stats.connections_open.get()).sum();
        say::message(format_args!(
            "stopping: {open} connections open, {} s at most for what is in flight; again to leave at once",
            limits::SHUTDOWN_TIME.as_secs()
        ));
    }

    fn write_stats(&self) {
        let Some(path) = &self.stats else {
            return;
        };
        if let Err(error) = stats::write(path, &self.posts) {
            say::message(format_args!("stats {}: {error}", path.display()));
        }
    }
}
