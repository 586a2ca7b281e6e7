//! What the two processes say to each other.
//!
//! JSON, because they may be of different versions: fields may be added, and are ignored by who does not know them. What would
//! be misunderstood needs a new [`PROTOCOL`].

use coregate_core::snapshot::plan::{Address, AddressError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::server::listen::bind::FileMark;
use crate::server::listen::live::Handed;

/// The version of this protocol.
pub(super) const PROTOCOL: u32 = 1;

/// A message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// Who the successor is.
    Hello(Hello),
    /// What it is given.
    Manifest(Manifest),
    /// So many descriptors come beside this message.
    Descriptors(usize),
    /// So many have come by now.
    Got(usize),
    /// The successor can serve.
    Ready { pid: u32 },
    /// It cannot.
    Failed { reason: String },
    /// It shall serve alone.
    Go,
}

impl Message {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Manifest(_) => "manifest",
            Self::Descriptors(_) => "descriptors",
            Self::Got(_) => "got",
            Self::Ready { .. } => "ready",
            Self::Failed { .. } => "failed",
            Self::Go => "go",
        }
    }
}

/// Who the successor is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// What it understands.
    pub(super) protocol: u32,
    /// Its version.
    pub(super) version: String,
    /// The hash of the layout of its cells.
    pub(super) layout: u64,
}

/// What is handed over. The descriptors come in this order: of the sockets, of the admin listener, of the cells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) sockets: Vec<Entry>,
    pub(super) admin: Vec<Entry>,
    pub(super) cells: bool,
    pub(super) generation: u64,
    pub(super) checkpoint: Box<RawValue>,
}

impl Manifest {
    /// How many descriptors come with it; none, where that is past counting.
    pub(super) fn descriptors(&self) -> Option<usize> {
        let entries = self.sockets.iter().chain(&self.admin).map(|entry| entry.descriptors);
        entries.chain([usize::from(self.cells)]).try_fold(0, usize::checked_add)
    }
}

/// An address that is handed over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    listener: String,
    configured: String,
    bound: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<FileMark>,
    /// How many sockets it has.
    pub(super) descriptors: usize,
}

impl Entry {
    pub(super) fn of(handed: &Handed) -> Self {
        Self {
            listener: handed.listener.clone(),
            configured: handed.configured.to_string(),
            bound: handed.bound.to_string(),
            file: handed.file,
            descriptors: handed.sockets.len(),
        }
    }

    /// The address as it is; its sockets are still to come.
    pub(super) fn address(self) -> Result<Handed, AddressError> {
        Ok(Handed {
            configured: self.configured.parse::<Address>()?,
            bound: self.bound.parse::<Address>()?,
            listener: self.listener,
            file: self.file,
            sockets: Vec::new(),
        })
    }
}
