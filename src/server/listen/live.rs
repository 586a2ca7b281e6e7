//! The addresses that the running process holds.
//!
//! ```text
//!  configuration ──▶ Live::plan ──▶ Step: added, removed, whose each is ──▶ the workers are told ──▶ Live::apply
//!                        │            └── dropped: what was bound is closed, its files are removed, nothing has changed
//!                        └─▶ why not, of every address
//!
//!  predecessor's Live::hand_over ──▶ Vec<Handed> ──▶ successor's Live::bind ─▶ open ─▶ (go) ─▶ take_over
//!                └─▶ (go) ─▶ disown_files
//! ```
//!
//! The process keeps a copy of every socket beside its workers', to hand it over and to give it to a worker that begins anew. A
//! socket listens as long as anyone holds it: an address is gone once this copy, which `apply` drops, and the workers' are.
//!
//! A Unix socket's file is removed by the process that owns it: who bound it, until a successor has taken over.
//!
//! What cannot be done without a loss is refused. Measured on Linux 6.18: beside sockets of the same user with SO_REUSEPORT,
//! an exact address can be bound while the wildcard of its port is held, and takes new connections at once; but a connection that
//! waits in the old socket's queue is reset when that is closed (`net.ipv4.tcp_migrate_req` is off, and moves connections between
//! equal addresses only), and a probe without SO_REUSEPORT, which would find another process, fails on our own socket.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use std::{io, mem};

use coregate_config::Listener;
use coregate_core::base::ids::SocketId;
use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use socket2::SockRef;

use super::ListenError;
use super::bind::{self, FileMark, SocketFile};
use super::overlap::Taken;
use super::step::{self, Source};

/// The number of the next bound address; never given twice in one process.
fn next_id() -> SocketId {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    SocketId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What a worker is given of a bound address. It may be given several sockets of one.
#[derive(Debug)]
pub(crate) struct WorkerSocket {
    /// The address's number; never given twice in one process.
    pub(crate) id: SocketId,
    /// The name of the listener that it belongs to.
    pub(crate) listener: String,
    /// A socket: bound, listening, non-blocking.
    pub(crate) socket: OwnedFd,
}

/// An address with its sockets, as one process hands it to the next.
#[derive(Debug, Clone)]
pub(crate) struct Handed {
    /// The name of its listener.
    pub(crate) listener: String,
    /// What was asked for.
    pub(crate) configured: Address,
    /// What was bound: with the port that was given for port 0.
    pub(crate) bound: Address,
    /// Of a Unix socket: which file it made.
    pub(crate) file: Option<FileMark>,
    /// TCP: SO_REUSEPORT sockets, one a worker or more. Unix: one.
    pub(crate) sockets: Vec<Arc<OwnedFd>>,
}

/// A bound address.
#[derive(Debug)]
pub(super) struct Held {
    id: SocketId,
    pub(super) listener: String,
    pub(super) configured: Address,
    pub(super) bound: Address,
    ipv6_alone: bool,
    /// Before the sockets, so that it is dropped first: see [`SocketFile`].
    file: Option<SocketFile>,
    sockets: Vec<Arc<OwnedFd>>,
    /// How many of the sockets listen, from the first on; the others are bound and wait for [`Live::open`].
    listening: usize,
}

/// The addresses that the process holds, in the order of its configuration.
#[derive(Debug)]
pub(crate) struct Live {
    workers: usize,
    held: Vec<Held>,
    /// Inherited Unix sockets that nobody asks for: their files are removed once they are ours.
    left_over: Vec<Held>,
}

/// The way from what is held to what is wanted. Everything that it needs is bound; dropped, it leaves nothing behind.
#[derive(Debug)]
#[must_use = "dropped, it changes nothing: see Live::apply"]
pub(crate) struct Step {
    /// What each worker is to listen on besides, by the worker's index.
    pub(crate) added: Vec<Vec<WorkerSocket>>,
    /// What each worker is to accept no more from, once it has taken what waits there.
    pub(crate) removed: Vec<SocketId>,
    next: Vec<Next>,
}

impl Step {
    /// Every address after the step, and the name of the listener that it belongs to then.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (SocketId, &str)> {
        self.next.iter().map(|next| match next {
            Next::Kept { id, listener, .. } => (*id, listener.as_str()),
            Next::Fresh(held) => (held.id, held.listener.as_str()),
        })
    }
}

/// An address after a step.
#[derive(Debug)]
enum Next {
    Kept { id: SocketId, listener: String, configured: Address },
    Fresh(Held),
}

impl Live {
    /// Binds all listeners for all workers, or none; gives each worker's sockets too. An address that was handed over is not
    /// bound again; a handed one that nobody asks for is closed here, and keeps listening in the process that handed it over.
    ///
    /// With more workers than handed sockets, further ones are bound beside them; they listen from [`Self::open`] on, so that a
    /// start that fails takes no connection with it. With fewer, some workers get more than one.
    pub(crate) fn bind(
        listeners: &[Listener],
        workers: usize,
        handed: Vec<Handed>,
    ) -> Result<(Self, Vec<Vec<WorkerSocket>>), Vec<ListenError>> {
        let held: Result<_, _> = handed.into_iter().map(Held::inherit).collect();
        let held = held.map_err(|error| vec![error])?;
        let mut live = Self { workers, held, left_over: Vec::new() };
        let step = live.plan(listeners)?;
        live.apply(step);
        let mut sockets = Vec::new();
        sockets.resize_with(workers, Vec::new);
        for held in &mut live.held {
            held.widen(workers)
                .and_then(|()| held.deal(&mut sockets))
                .map_err(|error| vec![ListenError::of(&held.listener, &held.configured, error)])?;
        }
        Ok((live, sockets))
    }

    /// Lets every socket listen that [`Self::bind`] left waiting. To be called once the workers can begin, before they do.
    pub(crate) fn open(&mut self) -> Result<(), ListenError> {
        for held in &mut self.held {
            for socket in &held.sockets[held.listening..] {
                bind::listen(socket)
                    .map_err(|error| ListenError::of(&held.listener, &held.configured, error))?;
                held.listening += 1;
            }
        }
        Ok(())
    }

    /// Binds whatever is new in these listeners, or nothing at all; says of every address why it cannot be had.
    ///
    /// Blocks for [`limits::BIND_TIME`] at most, at a start for [`limits::BIND_TIME_START`], where an address is taken.
    pub(crate) fn plan(&self, new: &[Listener]) -> Result<Step, Vec<ListenError>> {
        let wanted = step::sources(&self.held, new)?;
        let mut step = Step { added: Vec::new(), removed: vec![], next: vec![] };
        step.added.resize_with(self.workers, Vec::new);
        let is_start = self.held.is_empty();
        let time = if is_start { limits::BIND_TIME_START } else { limits::BIND_TIME };
        let give_up = Instant::now() + time;
        let mut errors = Vec::new();
        for wanted in wanted {
            let listener = wanted.listener.to_owned();
            let configured = wanted.address.clone();
            match wanted.source {
                Source::Held(at) => {
                    let id = self.held[at].id;
                    step.next.push(Next::Kept { id, listener, configured });
                }
                Source::Fresh(taken) => {
                    let bound = Held::bind(&listener, &configured, taken, self.workers, give_up)
                        .and_then(|held| held.deal(&mut step.added).map(|()| held));
                    match bound {
                        Ok(held) => step.next.push(Next::Fresh(held)),
                        Err(error) => {
                            errors.push(ListenError::of(&listener, &configured, error));
                        }
                    }
                }
            }
        }
        let stays = |held: &Held| {
            step.next.iter().any(|next| matches!(next, Next::Kept { id, .. } if *id == held.id))
        };
        step.removed = self.held.iter().filter(|held| !stays(held)).map(|held| held.id).collect();
        if errors.is_empty() { Ok(step) } else { Err(errors) }
    }

    /// Makes a step so: what it added is held, what it removed is closed on this side, and its socket files are removed.
    ///
    /// The step must have been planned from what is held now.
    pub(crate) fn apply(&mut self, step: Step) {
        let mut old = mem::take(&mut self.held);
        for next in step.next {
            match next {
                Next::Fresh(held) => self.held.push(held),
                Next::Kept { id, listener, configured } => {
                    let at = old.iter().position(|held| held.id == id);
                    debug_assert!(at.is_some(), "a step from elsewhere");
                    if let Some(at) = at {
                        self.held.push(Held { listener, configured, ..old.swap_remove(at) });
                    }
                }
            }
        }
        let foreign = |held: &Held| held.file.as_ref().is_some_and(|file| !file.ours);
        self.left_over.extend(old.into_iter().filter(foreign));
    }

    /// Where each listener listens: its name, and the address with the port that was really bound.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, &Address)> {
        self.held.iter().map(|held| (held.listener.as_str(), &held.bound))
    }

    /// How many descriptors are held here, beside the workers' own.
    pub(crate) fn descriptors(&self) -> usize {
        self.held.iter().chain(&self.left_over).map(|held| held.sockets.len()).sum()
    }

    /// Lets no connection begin on these addresses any more; to be called before workers are told to close theirs. Where the
    /// kernel does not, a connection that comes in the last moment is reset.
    pub(crate) fn deafen(&self, which: impl Fn(SocketId) -> bool) {
        let of_tcp = |held: &&Held| matches!(held.bound, Address::Tcp(_)) && which(held.id);
        for socket in self.held.iter().filter(of_tcp).flat_map(|held| &held.sockets) {
            let _ = bind::deafen(SockRef::from(&**socket));
        }
    }

    /// Closes every socket on this side, so that none listens longer than the workers do; files stay until the end.
    pub(crate) fn close(&mut self) {
        for held in self.held.iter_mut().chain(&mut self.left_over) {
            held.sockets.clear();
            held.listening = 0;
        }
    }

    /// What a successor is to be given. The sockets are the same ones, not copies.
    pub(crate) fn hand_over(&self) -> Vec<Handed> {
        self.held.iter().map(Held::hand_over).collect()
    }

    /// For a process whose successor has taken over: no socket file is its own any more.
    pub(crate) fn disown_files(&mut self) {
        for file in self.held.iter_mut().filter_map(|held| held.file.as_mut()) {
            file.ours = false;
        }
    }

    /// For a successor that has taken over: the inherited socket files are its own now, and those that it has no use for are
    /// removed; inherited sockets are set as this version sets its own.
    pub(crate) fn take_over(&mut self) -> Result<(), ListenError> {
        for held in self.held.iter_mut().chain(&mut self.left_over) {
            if let Some(file) = &mut held.file {
                file.ours = true;
            }
        }
        self.left_over.clear();
        for held in &self.held {
            held.set_anew()
                .map_err(|error| ListenError::of(&held.listener, &held.configured, error))?;
        }
        Ok(())
    }
}

impl Held {
    fn bind(
        listener: &str,
        configured: &Address,
        taken: Option<Taken>,
        workers: usize,
        give_up: Instant,
    ) -> io::Result<Self> {
        let (bound, file, sockets) = match (configured, taken) {
            (Address::Tcp(address), taken) => {
                let taken = taken.unwrap_or(Taken { address: *address, ipv6_alone: false });
                let (address, sockets) = bind::tcp(taken, workers, give_up)?;
                (Address::Tcp(address), None, sockets)
            }
            (Address::Unix(path), _) => {
                let (file, socket) = bind::unix(path, give_up)?;
                (configured.clone(), Some(file), vec![socket])
            }
        };
        Ok(Self {
            id: next_id(),
            listener: listener.to_owned(),
            configured: configured.clone(),
            bound,
            ipv6_alone: taken.is_some_and(|taken| taken.ipv6_alone),
            file,
            listening: sockets.len(),
            sockets: sockets.into_iter().map(Arc::new).collect(),
        })
    }

    /// An address of another process; checks that the sockets are what they are said to be.
    fn inherit(handed: Handed) -> Result<Self, ListenError> {
        let not = |what| ListenError::NotInherited {
            name: handed.listener.clone(),
            address: handed.configured.clone(),
            what,
        };
        let mut ipv6_alone = false;
        for socket in &handed.sockets {
            let socket = SockRef::from(&**socket);
            let look = || Ok::<_, io::Error>((socket.is_listener()?, socket.local_addr()?));
            let (listens, address) = look().map_err(|_| not("is not a socket"))?;
            let same = match &handed.bound {
                Address::Tcp(bound) => address.as_socket() == Some(*bound),
                Address::Unix(path) => address.as_pathname() == Some(path),
            };
            if !listens || !same {
                return Err(not("does not listen there"));
            }
            socket.set_nonblocking(true).map_err(|_| not("cannot be set"))?;
            if let Address::Tcp(bound) = &handed.bound
                && bound.is_ipv6()
            {
                ipv6_alone = socket.only_v6().map_err(|_| not("has no family"))?;
            }
        }
        let file = match (&handed.bound, handed.file) {
            (Address::Unix(path), Some(mark)) => Some(SocketFile::inherited(path, mark)),
            (Address::Unix(_), None) => return Err(not("does not say which file it is")),
            (Address::Tcp(_), _) => None,
        };
        if handed.sockets.is_empty() {
            return Err(not("has no socket"));
        }
        let Handed { listener, configured, bound, file: _, sockets } = handed;
        let (id, listening) = (next_id(), sockets.len());
        Ok(Self { id, listener, configured, bound, ipv6_alone, file, sockets, listening })
    }

    fn hand_over(&self) -> Handed {
        Handed {
            listener: self.listener.clone(),
            configured: self.configured.clone(),
            bound: self.bound.clone(),
            file: self.file.as_ref().map(|file| file.mark),
            sockets: self.sockets[..self.listening].to_vec(),
        }
    }

    /// How it takes its TCP address.
    pub(super) fn taken(&self) -> Option<Taken> {
        match self.bound {
            Address::Tcp(address) => Some(Taken { address, ipv6_alone: self.ipv6_alone }),
            Address::Unix(_) => None,
        }
    }

    /// Binds further TCP sockets, until there is one a worker.
    fn widen(&mut self, workers: usize) -> io::Result<()> {
        let Some(taken) = self.taken() else { return Ok(()) };
        while self.sockets.len() < workers {
            self.sockets.push(Arc::new(bind::tcp_beside(taken)?));
        }
        Ok(())
    }

    /// Gives copies of its sockets to the workers: every socket to one, and every worker at least one.
    fn deal(&self, workers: &mut [Vec<WorkerSocket>]) -> io::Result<()> {
        for turn in 0..self.sockets.len().max(workers.len()) {
            let socket = self.sockets[turn % self.sockets.len()].try_clone()?;
            let listener = self.listener.clone();
            let worker = turn % workers.len();
            workers[worker].push(WorkerSocket { id: self.id, listener, socket });
        }
        Ok(())
    }

    fn set_anew(&self) -> io::Result<()> {
        for socket in &self.sockets {
            if let Address::Tcp(_) = self.bound {
                bind::set_options(SockRef::from(&**socket))?;
            }
            bind::listen(socket)?;
        }
        Ok(())
    }
}
