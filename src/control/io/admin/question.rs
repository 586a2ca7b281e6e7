//! What the admin listener asks of the process that it belongs to.
//!
//! The control plane does not see the data plane (rule 1), so the process is a trait object that the server implements.
//! What can be read at any time is read at once; what the server's own thread must decide goes through [`Process::ask`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coregate_core::base::cells::Cells;
use coregate_core::base::ids::RouteId;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::plan::Address;
use coregate_core::snapshot::quotas::QuotaKey;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::openapi::ToSchema;
use super::report::{Answer, address_as_text};
use super::view::{BulkheadView, Count, DecisionsView, Load, Readiness, Status, WorkerView};
use crate::io::discover::sources::SourceView;
use crate::registry::consumers::ConsumerOrder;
use crate::registry::journal::Journal;
use crate::registry::order::{Look, Order};

/// The process that an admin listener belongs to. Implemented by the server, which sees both planes.
///
/// Every function is called on the admin listener's thread and must return at once.
pub trait Process: Send + Sync + 'static {
    /// Asks every worker for a sign of life. It is called at most ten times a second, whether or not earlier pings were
    /// answered: it must not queue a message for each.
    fn ping(&self) -> Ping;

    /// The workers that have answered neither this ping nor a later one, by number.
    fn unanswered(&self, ping: Ping) -> Vec<u16>;

    /// What of it has died without ending it, if anything: it serves, and can not be changed.
    fn ailing(&self) -> Option<&'static str>;

    /// Whether new requests should be sent here.
    fn readiness(&self) -> Readiness;

    /// What this process is.
    fn status(&self) -> Status;

    /// What every worker says of itself.
    fn workers(&self) -> Vec<WorkerView>;

    /// What was published last: what workers route by.
    fn snapshot(&self) -> Arc<Snapshot>;

    /// What has changed of registered instances lately.
    fn journal(&self) -> Arc<Journal>;

    /// The words that all workers share.
    fn cells(&self) -> Cells;

    /// What the limits of a route have said of its requests so far.
    fn decided(&self, route: RouteId) -> Decided;

    /// What the instances of a service have to do, as far as that is counted; none: there is no such service.
    fn load(&self, service: &str) -> Option<Load>;

    /// What the registry counts.
    fn registry(&self) -> Vec<Count>;

    /// Where else instances are looked up; as many as metrics tell of.
    fn sources(&self) -> Vec<SourceView> {
        Vec::new()
    }

    /// What rates have said of requests, by route; as many as metrics tell of, and the others together as `_other`.
    fn decisions(&self) -> Vec<DecisionsView> {
        Vec::new()
    }

    /// The services that have a bulkhead; as many as metrics tell of.
    fn bulkheads(&self) -> Vec<BulkheadView> {
        Vec::new()
    }

    /// Queues a question for the server's own thread, which answers through `asker`; what is the registry's alone to answer may go
    /// there at once.
    ///
    /// # Errors
    /// The queue is full: nothing was queued.
    fn ask(&self, question: Question, asker: Asker) -> Result<(), Busy>;
}

/// How many requests of a route its limits have let through, or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decided {
    /// They were within all limits.
    pub admitted: u64,
    /// One refused them.
    pub refused: u64,
    /// One that only counts would have refused them.
    pub dry_run: u64,
}

/// The number of a ping; it rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ping(pub u64);

/// The queue of questions is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many questions wait for the server already")]
pub struct Busy;

/// Who waits for an answer. Dropped without one, it is told that the process is ending.
#[derive(Debug)]
#[must_use = "somebody waits for an answer"]
pub struct Asker(oneshot::Sender<Answer>);

impl Asker {
    /// A new one, and where its answer arrives.
    pub(crate) fn new() -> (Self, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Answers. Nobody may be waiting any more; that changes nothing.
    pub fn answer(self, answer: Answer) {
        // Whoever asked has hung up.
        drop(self.0.send(answer));
    }

    /// Whether nobody waits any more. A question that changes something is carried out all the same.
    pub fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

/// What only the server's own thread can answer. Questions are carried out in the order in which they were asked; those that
/// take their time (an upgrade, changes of membership) are answered when it is over, later ones meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Read the configuration again and apply it, all or nothing.
    Reload {
        /// Take it back unless it is confirmed within this.
        confirm: Option<Duration>,
    },
    /// Keep what was reloaded.
    Confirm,
    /// Apply a configuration of the history.
    Rollback {
        /// Its number; the one before the current by default.
        to: Option<u64>,
    },
    /// The configurations that were applied, the newest first.
    History,
    /// How two configurations of the history differ.
    Diff {
        /// The number of the first; by default the one before the second.
        from: Option<u64>,
        /// The number of the second; by default the current.
        to: Option<u64>,
    },
    /// What runs, and how the last reload went.
    Config,
    /// Hand everything over to a new process.
    Upgrade {
        /// Its binary; by default the path that this one was started from. Absolute.
        binary: Option<PathBuf>,
    },
    /// Drain or enable an instance.
    Operate(Box<Order>),
    /// An instance, or who speaks for it, asks something.
    Order(Box<Order>),
    /// The same of several, at most [`limits::MEMBERSHIP_BATCH`](coregate_core::base::limits::MEMBERSHIP_BATCH), in this order.
    Orders(Vec<Order>),
    /// A consumer comes or goes, or keys of one.
    Consumer(Box<ConsumerOrder>),
    /// The count of this key of a quota begins anew.
    ResetQuota {
        /// The quota.
        quota: String,
        /// Whose count.
        key: QuotaKey,
    },
    /// Who has registered is asked for.
    Look(Look),
    /// Changes of membership, at most [`limits::MEMBERSHIP_BATCH`](coregate_core::base::limits::MEMBERSHIP_BATCH), at least
    /// one; to be applied in this order.
    Membership(Vec<Change>),
}

/// A change of membership: `{"action": "register", "service": "users", "address": "10.0.0.1:9000"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What to do.
    pub action: ChangeAction,
    /// The service's name.
    pub service: String,
    /// The instance.
    #[serde(with = "address_as_text")]
    #[schema(value_type = String)]
    pub address: Address,
}

/// What a [`Change`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// The instance joins its service.
    Register,
    /// It leaves.
    Deregister,
}
