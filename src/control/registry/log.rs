//! The log: whoever wants something changed proposes a command; the log puts commands in one order, and the registry thread
//! applies them in it and answers.
//!
//! It is kept in memory: what must survive the process is told to a store once it is applied (`registry/keep.rs`).
//! The queue is bounded, and a proposal that finds it full is refused at once: the caller can say so to whoever asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use coregate_core::base::ids::{InstanceSlot, ListenerId, SocketId};
use coregate_core::base::limits;
use coregate_core::snapshot::compile::{ChangeError, CompileError};
use coregate_core::snapshot::plan::{Address, Plan, Source};
use coregate_core::snapshot::quotas::QuotaKey;
use tokio::sync::oneshot;

use crate::registry::checkpoint::Checkpoint;
use crate::registry::consumers::{ConsumerOrder, ConsumerOrdered};
use crate::registry::directory::Kept;
use crate::registry::directory::admission::TokenCheck;
use crate::registry::order::{Look, Order, OrderError, Ordered, Seen, What};
use crate::registry::probe::Probed;

/// What can be proposed.
#[derive(Debug)]
pub enum Command {
    /// Routes, services and listeners are to be these.
    Configure(Box<Configure>),
    /// Instances come and go, in this order; one that cannot is told apart from the others.
    Change(Vec<Change>),
    /// An instance, or who speaks for it, registers, renews, goes, or changes its status.
    Order(Box<Order>),
    /// Several such orders, in this order; one that cannot be carried out is told apart from the others.
    Orders(Vec<Order>),
    /// The same of one, whose slot is wanted: it is drained, or enabled.
    Operate(Box<Order>),
    /// A consumer comes or goes, or keys of one.
    Consumer(Box<ConsumerOrder>),
    /// Counts of a quota begin anew.
    ResetQuotas {
        /// The quota.
        quota: String,
        /// The count of this key; all otherwise.
        key: Option<QuotaKey>,
    },
    /// Who has registered is asked for.
    Look(Look),
    /// What a process before this one knew of instances is to be so again.
    Restore(Vec<Kept>),
    /// What came of probes.
    Probed(Vec<Probed>),
    /// What a source of instances says now: all of them. None of any other source is touched.
    Discovered {
        /// The service.
        service: String,
        /// The source, one of the service's.
        source: Source,
        /// The instances, and their weights.
        instances: Vec<(Address, u32)>,
    },
    /// Another process is to go on: nothing is changed here any more, and the store is closed when this is answered.
    HandOver,
    /// The other process did not: all is as before.
    TakeBack,
    /// The other process goes on, for good: nothing is heard here any more.
    Leave,
    /// The process is about to end, and no other one goes on: what was granted of quotas and not spent is taken back.
    Finish,
    /// The process before this one has handed over for good: what the host shares is ours to write.
    TakeOver,
}

impl Command {
    /// Whether its answer says that something is so from now on, across the end of this process: then it is given once that is
    /// in the store.
    pub fn is_kept(&self) -> bool {
        match self {
            Self::Order(order) => order.what != What::Renew,
            Self::Orders(orders) => orders.iter().any(|order| order.what != What::Renew),
            Self::Operate(_) | Self::Consumer(_) => true,
            Self::ResetQuotas { .. } | Self::Finish => true,
            Self::Change(_) | Self::Restore(_) => true,
            // What the file says, and what is found again by looking.
            Self::Configure(_) | Self::Look(_) | Self::Probed(_) | Self::Discovered { .. } => false,
            Self::HandOver | Self::TakeBack | Self::Leave | Self::TakeOver => false,
        }
    }

    /// Whether it may wait until an upgrade has come to its end, as who registers does; operators are told that there is one.
    pub fn can_wait(&self) -> bool {
        matches!(self, Self::Order(_) | Self::Orders(_) | Self::Consumer(_)) && self.is_kept()
    }

    /// Whether it changes nothing that was handed over: leases all begin anew in the other process.
    pub fn changes_nothing(&self) -> bool {
        match self {
            Self::Look(_) => true,
            Self::Order(order) => order.what == What::Renew,
            Self::Orders(orders) => orders.iter().all(|order| order.what == What::Renew),
            _ => false,
        }
    }
}

/// A configuration, and what it is carried out with.
#[derive(Debug)]
pub struct Configure {
    /// Routes, services and listeners.
    pub plan: Plan,
    /// The listening sockets, and the names of the listeners that they belong to.
    pub sockets: Vec<(SocketId, String)>,
    /// How long connections may go on whose listener is gone.
    pub drain: Duration,
    /// The tokens of services that have one, by name; one that is missing here lets nobody in.
    pub tokens: HashMap<String, TokenCheck>,
}

impl From<Plan> for Configure {
    /// A plan whose sockets belong to the listeners that they were made for, without tokens.
    fn from(plan: Plan) -> Self {
        let (sockets, tokens) = (Vec::new(), HashMap::new());
        Self { plan, sockets, drain: limits::SHUTDOWN_TIME, tokens }
    }
}

/// A change of membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This instance is there.
    Register {
        /// Its service.
        service: String,
        /// Its address.
        address: Address,
    },
    /// It is there no more.
    Deregister {
        /// Its service.
        service: String,
        /// Its address.
        address: Address,
    },
}

/// What became of a command.
#[derive(Debug)]
pub struct Outcome {
    /// Its place in the order of all commands, from 1 on.
    pub index: u64,
    /// The generation that has it; requests that begin now are routed by that one or a later one.
    pub generation: u64,
    /// What else there is to say of it.
    pub detail: Detail,
}

/// What there is to say of a command that was applied.
#[derive(Debug)]
pub enum Detail {
    /// Nothing.
    Done,
    /// The ids of the listeners that there are now, by name.
    Configured(Vec<(String, ListenerId)>),
    /// Changes of membership.
    Changed {
        /// What became of each, in their order: whether it changed anything.
        results: Vec<Result<bool, OrderError>>,
        /// Whether they outlive this process: they are in the store; before they are answered, whether they are to be.
        durable: bool,
    },
    /// What became of an order.
    Ordered(Box<Ordered>),
    /// What became of each of several.
    OrderedAll(Vec<Result<Ordered, OrderError>>),
    /// What was done to an instance, and where that is.
    Operated {
        /// Its slot.
        slot: InstanceSlot,
        /// Its address.
        address: Address,
        /// Whether that outlives this process: it is in the store; before it is answered, whether it is to be.
        durable: bool,
    },
    /// What became of an order about a consumer.
    Consumer(Box<ConsumerOrdered>),
    /// How many counts of quotas began anew.
    Reset {
        /// How many.
        count: usize,
        /// Whether that outlives this process.
        durable: bool,
    },
    /// What was asked for.
    Seen(Box<Seen>),
    /// What a successor needs.
    HandedOver(Box<Checkpoint>),
}

/// Why a command was not applied.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The plan cannot be compiled.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Plan(Vec<CompileError>),
    /// The change cannot be made.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The order cannot be carried out.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// Another process goes on.
    #[error("an upgrade is under way: ask the new process, or again in a moment")]
    HandedOver,
    /// The store is to be closed for another process, and is not.
    #[error(
        "the state directory is not written within {} s: nothing can be handed over; see coregate status",
        limits::STORE_CLOSE.as_secs()
    )]
    StoreBusy,
    /// It was not even taken.
    #[error(transparent)]
    Full(#[from] Full),
}

/// Where an answer will be.
pub type Answer = oneshot::Receiver<Result<Outcome, Refused>>;

/// What is done with the answer. The registry's thread does it, so it must not wait for anything.
pub struct Then(Box<dyn FnOnce(Result<Outcome, Refused>) + Send>);

impl Then {
    /// Answers.
    pub fn answer(self, outcome: Result<Outcome, Refused>) {
        (self.0)(outcome);
    }
}

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then")
    }
}

/// A command on its way.
#[derive(Debug)]
pub struct Proposal {
    /// What is proposed.
    pub command: Command,
    /// What is done with the answer.
    pub then: Then,
}

/// The log has no room for one more: the registry thread is behind.
#[derive(Debug, thiserror::Error)]
#[error("the registry is busy: {} commands wait", limits::PROPOSALS)]
pub struct Full;

/// Proposes commands; clones propose to the same log.
#[derive(Debug, Clone)]
pub struct Proposer(Arc<SyncSender<Entry>>);

/// What comes to the registry.
#[derive(Debug)]
enum Entry {
    Proposal(Proposal),
    /// It is to look around.
    Wake,
}

/// Wakes the registry, and tells it what nobody needs an answer to. Does not keep it: it ends when nobody can propose any more.
#[derive(Debug, Clone)]
pub struct Waker(Weak<SyncSender<Entry>>);

impl Waker {
    /// Makes it look around. Does not wait.
    pub fn wake(&self) {
        if let Some(log) = self.0.upgrade() {
            // Where the log is full it is awake.
            let _ = log.try_send(Entry::Wake);
        }
    }

    /// Proposes a command whose answer nobody needs. Does not wait. Gives it back if the log is full.
    pub fn offer(&self, command: Command) -> Result<(), Command> {
        let Some(log) = self.0.upgrade() else { return Ok(()) };
        put(&log, Proposal { command, then: Then(Box::new(drop)) }).map_err(|back| back.command)
    }
}

impl Proposer {
    /// What wakes the registry.
    pub fn waker(&self) -> Waker {
        Waker(Arc::downgrade(&self.0))
    }

    /// Proposes a command. Does not wait.
    pub fn propose(&self, command: Command) -> Result<Answer, Full> {
        let (answer, awaited) = oneshot::channel();
        // Who asked may have gone meanwhile.
        match self.send(command, move |outcome| drop(answer.send(outcome))) {
            Ok(()) => Ok(awaited),
            Err(_) => Err(Full),
        }
    }

    /// Proposes a command whose answer nobody waits for: `then` takes it. Does not wait. Without a registry `then` is dropped.
    pub fn propose_then(
        &self,
        command: Command,
        then: impl FnOnce(Result<Outcome, Refused>) + Send + 'static,
    ) {
        if let Err(then) = self.send(command, then) {
            then.answer(Err(Refused::Full(Full)));
        }
    }

    /// Gives `then` back if the log is full.
    fn send(
        &self,
        command: Command,
        then: impl FnOnce(Result<Outcome, Refused>) + Send + 'static,
    ) -> Result<(), Then> {
        put(&self.0, Proposal { command, then: Then(Box::new(then)) }).map_err(|back| back.then)
    }
}

/// Gives it back if the log is full.
fn put(log: &SyncSender<Entry>, proposal: Proposal) -> Result<(), Proposal> {
    match log.try_send(Entry::Proposal(proposal)) {
        Err(TrySendError::Full(Entry::Proposal(proposal))) => Err(proposal),
        // Without a registry nobody answers, and what awaits an answer is told so by the end of its channel.
        Ok(()) | Err(TrySendError::Disconnected(_) | TrySendError::Full(Entry::Wake)) => Ok(()),
    }
}

/// The registry's end of the log.
#[derive(Debug)]
pub struct Log {
    proposals: Receiver<Entry>,
    index: u64,
}

/// A log in memory.
pub fn in_memory() -> (Proposer, Log) {
    let (propose, proposals) = sync_channel(limits::PROPOSALS);
    (Proposer(Arc::new(propose)), Log { proposals, index: 0 })
}

impl Log {
    /// The next command, with its place in the order, if one comes in time, and nobody [wakes](Waker) it before. Nobody can
    /// propose any more: an error.
    pub fn next(&mut self, wait: Duration) -> Result<Option<(u64, Proposal)>, Closed> {
        let entry = match wait.is_zero() {
            true => self.proposals.try_recv().ok(),
            false => match self.proposals.recv_timeout(wait) {
                Ok(entry) => Some(entry),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Err(Closed),
            },
        };
        let Some(Entry::Proposal(proposal)) = entry else { return Ok(None) };
        self.index += 1;
        Ok(Some((self.index, proposal)))
    }
}

/// Nobody can propose any more.
#[derive(Debug)]
pub struct Closed;
