//! What the server answers to questions, as it goes over the wire: JSON, names in snake case, absent things are `null`.
//!
//! Readers must ignore members that they do not know: more may come.

use coregate_core::snapshot::plan::Address;
use serde::{Deserialize, Serialize};

use super::openapi::ToSchema;
use crate::io::moment::Moment;
use crate::registry::consumers::ConsumerOrdered;
use crate::registry::order::{Ordered, Seen};

/// An answer to a [`Question`](super::question::Question).
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Question::Reload`](super::question::Question::Reload), [`Question::Confirm`](super::question::Question::Confirm) and [`Question::Rollback`](super::question::Question::Rollback).
    Reload(ReloadReport),
    /// To [`Question::History`](super::question::Question::History).
    History(Vec<HistoryEntry>),
    /// To [`Question::Diff`](super::question::Question::Diff).
    Diff(DiffReport),
    /// To [`Question::Config`](super::question::Question::Config).
    Config(ConfigReport),
    /// To [`Question::Upgrade`](super::question::Question::Upgrade).
    Upgrade(UpgradeReport),
    /// To [`Question::Operate`](super::question::Question::Operate).
    Instance(InstanceReport),
    /// To [`Question::Membership`](super::question::Question::Membership).
    Membership(MembershipReport),
    /// To [`Question::Order`](super::question::Question::Order).
    Ordered(Box<Ordered>),
    /// To [`Question::Orders`](super::question::Question::Orders), one each.
    OrderedAll(Vec<Result<Ordered, Refusal>>),
    /// To [`Question::Consumer`](super::question::Question::Consumer).
    Consumer(Box<ConsumerOrdered>),
    /// To [`Question::ResetQuota`](super::question::Question::ResetQuota).
    Reset {
        /// Whether it outlives the process: it is in the store.
        durable: bool,
    },
    /// To [`Question::Look`](super::question::Question::Look).
    Seen(Box<Seen>),
    /// To any: it cannot be answered.
    Refused(Refusal),
}

/// Why a question cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of what kind the reason is.
    pub why: Why,
    /// The reason, for people: lower case, no full stop.
    pub detail: String,
    /// The revision that the instance has, where that is the reason.
    pub revision: Option<u64>,
}

/// Of what kind the reason of a [`Refusal`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// What was named is not there (404).
    NotFound,
    /// Who asks has shown no token that allows it (401).
    Unauthorized,
    /// Nobody may do that this way (403).
    Forbidden,
    /// It does not fit what is now: nothing to confirm, an upgrade is under way (409).
    Conflict,
    /// The instance is not as it was expected to be (412).
    Changed,
    /// It can never be done as it was asked (400).
    Invalid,
    /// Not now: the process is starting or stopping (503).
    Unavailable,
}

/// The configurations that were applied, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// One each.
    pub history: Vec<HistoryEntry>,
}

/// How a reload, a confirmation or a rollback went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReloadReport {
    /// Whether it was applied. If not, what was there still runs.
    pub applied: bool,
    /// The generation that runs now.
    pub generation: u64,
    /// Its number in the history, if it was applied and is in there.
    pub number: Option<u64>,
    /// Where it was read from: a file's name, or the number in the history.
    pub source: String,
    /// What changed, for people: a line each.
    pub lines: Vec<String>,
    /// What changed, for programs.
    pub changes: serde_json::Value,
    /// Why it was not applied.
    pub errors: Vec<String>,
    /// What was applied all the same.
    pub warnings: Vec<String>,
    /// Until when it must be confirmed, else it is taken back.
    pub confirm_until: Option<Moment>,
    /// How long it took, in milliseconds, until every worker had it.
    pub took_ms: u64,
}

/// What a configuration was loaded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The start of the process.
    Start,
    /// The start of a process that took the place of another.
    Upgrade,
    /// `coregate reload`.
    Reload,
    /// SIGHUP.
    Signal,
    /// `--watch`: its file changed.
    Watch,
    /// `coregate rollback`.
    Rollback,
    /// A reload that was not confirmed in time was taken back.
    Unconfirmed,
}

/// What became of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum EntryState {
    /// It runs.
    Current,
    /// It runs, and is taken back unless it is confirmed.
    Pending {
        /// Until then.
        until: Moment,
    },
    /// Another came after it.
    Superseded,
    /// It was taken back, or never confirmed.
    TakenBack,
}

/// A configuration in the history: one that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// Its number: it rises, and is never given twice while the process runs.
    pub number: u64,
    /// The generation that it was first published as.
    pub generation: u64,
    /// When it was applied.
    pub at: Moment,
    /// What it was loaded by.
    pub origin: Origin,
    /// The hash of its text, in hexadecimal digits.
    pub hash: String,
    /// What became of it.
    pub state: EntryState,
}

/// How two configurations of the history differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiffReport {
    /// The number of the first.
    pub from: u64,
    /// The number of the second.
    pub to: u64,
    /// The differences, for people: a line each.
    pub lines: Vec<String>,
    /// The differences, for programs.
    pub changes: serde_json::Value,
}

/// `GET /v1/config`: what runs, and how the last reload went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigReport {
    /// The generation that was published last.
    pub generation: u64,
    /// What each worker has acknowledged.
    pub workers: Vec<Acknowledged>,
    /// The configuration file, if there is one.
    pub file: Option<String>,
    /// The hash of its text as it was applied, in hexadecimal digits.
    pub hash: String,
    /// Its number in the history.
    pub number: u64,
    /// Since when it runs.
    pub since: Moment,
    /// How the last reload went; the start, if there was none.
    pub last: Verdict,
    /// What is taken back unless it is confirmed.
    pub pending: Option<Pending>,
}

/// What a worker has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledged {
    /// The worker's number.
    pub worker: u16,
    /// The newest generation that it has seen.
    pub generation: u64,
}

/// How a reload went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// When.
    pub at: Moment,
    /// What it was asked for by.
    pub origin: Origin,
    /// Whether it was applied.
    pub applied: bool,
    /// Why not.
    pub errors: Vec<String>,
    /// What was applied all the same.
    pub warnings: Vec<String>,
}

/// A configuration that waits to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pending {
    /// Its number in the history.
    pub number: u64,
    /// The number of the one that comes back if it is not.
    pub back_to: u64,
    /// Until when.
    pub until: Moment,
}

/// How an upgrade to another binary went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpgradeReport {
    /// Whether the new process serves. If not, this one still does.
    pub upgraded: bool,
    /// The new process.
    pub pid: Option<u32>,
    /// The binary that was started.
    pub binary: String,
    /// Its version, if it said so.
    pub version: Option<String>,
    /// Whether cells were taken over; if not, their layout differs, and limits began afresh.
    pub cells_kept: bool,
    /// Why it failed.
    pub errors: Vec<String>,
    /// How long it took until the new process served, in milliseconds.
    pub took_ms: u64,
}

/// How an instance stands after it was drained or enabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceReport {
    /// The service's name.
    pub service: String,
    /// The instance.
    #[serde(with = "address_as_text")]
    #[schema(value_type = String)]
    pub address: Address,
    /// How it stands.
    pub state: InstanceState,
    /// Requests and tunnels that it still has, where that is counted.
    pub in_flight: Option<u64>,
    /// When what it still has is cut.
    pub deadline: Option<Moment>,
    /// Whether this outlives the process: it does for instances that registered, where there is a store.
    #[serde(default)]
    pub durable: bool,
}

/// How an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// It is given requests.
    Enabled,
    /// It is given no new ones.
    Draining,
}

/// How a batch of changes of membership went. A change that is refused does not stop the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MembershipReport {
    /// The generation that has them; they may be published together with later ones.
    pub generation: u64,
    /// How many changed something.
    pub applied: usize,
    /// How many were so already.
    pub unchanged: usize,
    /// Whether they outlive the process.
    #[serde(default)]
    pub durable: bool,
    /// Those that were refused.
    pub refused: Vec<RefusedChange>,
}

/// A change of membership that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedChange {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why.
    pub reason: String,
}

/// An address in JSON: the text that the configuration has.
pub(super) mod address_as_text {
    use coregate_core::snapshot::plan::Address;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::io::admin) fn serialize<S: Serializer>(
        address: &Address,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(address)
    }

    pub(in crate::io::admin) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Address, D::Error> {
        String::deserialize(from)?.parse().map_err(Error::custom)
    }
}
