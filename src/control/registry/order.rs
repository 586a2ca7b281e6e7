//! What instances ask of the registry, or those who speak for them; and what those who look are shown.

use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::policy::quota::Question;
use coregate_core::snapshot::compile::ChangeError;
use coregate_core::snapshot::plan::Address;

use crate::registry::consumers::{ConsumerError, ConsumersView};
use crate::registry::directory::admission::{Caller, Denied};
use crate::registry::directory::view::{InstanceView, InstancesView, ServicesView};
use crate::registry::directory::{Full, Invalid, Registration, Wish};
use crate::registry::quotas::QuotasView;

/// Something about one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its service.
    pub service: String,
    /// Its id.
    pub id: String,
    /// Who asks.
    pub by: Caller,
    /// What the instance must be like for that.
    pub expected: Expected,
    /// What is asked.
    pub what: What,
}

impl Order {
    /// What an operator asks of the instance at an address.
    pub fn of_operator(service: String, address: &Address, what: What) -> Self {
        let (by, expected) = (Caller::Operator, Expected::Anything);
        Self { service, id: address.to_string(), by, expected, what }
    }
}

/// What an instance must be like for an order to be carried out: nobody has changed what was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expected {
    /// It does not matter.
    #[default]
    Anything,
    /// There is none of this id (`If-None-Match: *`).
    Absent,
    /// There is one (`If-Match: *`).
    Present,
    /// Its revision is one of these (`If-Match: "17"`).
    Revision(Vec<u64>),
}

impl Expected {
    /// Whether an instance of this revision, or none, is as expected.
    pub fn holds(&self, revision: Option<u64>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => revision.is_none(),
            Self::Present => revision.is_some(),
            Self::Revision(expected) => revision.is_some_and(|is| expected.contains(&is)),
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It is there, for a lease from now on.
    Register(Box<Registration>),
    /// It still is.
    Renew,
    /// It is there no more.
    Deregister,
    /// How it stands.
    Status(Wish),
    /// Its weight, until it registers with another.
    Weight(u32),
    /// It gets no new requests; what is in flight on it may take so long. For any instance: one that has not registered has its
    /// address as its id.
    Drain {
        /// How long.
        deadline: Duration,
    },
    /// It gets requests again, if it was drained; for any instance too.
    Enable,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// Whether the instance was not there before.
    pub is_new: bool,
    /// Whether it outlives this process: it is in the store.
    pub durable: bool,
    /// The instance; as it was, if it is there no more.
    pub instance: InstanceView,
}

/// Why an order cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Who asks may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such instance: it has to register.
    #[error("service {service:?} has no registered instance {id:?}: register it")]
    NoSuchInstance {
        /// The service.
        service: String,
        /// The id.
        id: String,
    },
    /// The instance is given no requests by its status, so it can be neither drained nor enabled.
    #[error(
        "instance {id:?} of service {service:?} gets no requests by its status (maintenance, down or starting): set that to up first"
    )]
    Withheld {
        /// The service.
        service: String,
        /// The id.
        id: String,
    },
    /// There is no such service.
    #[error("there is no service {0:?}")]
    NoSuchService(String),
    /// There is no such quota.
    #[error("there is no quota {0:?}")]
    NoSuchQuota(String),
    /// The instance is not as expected.
    #[error("{}", changed(*.0))]
    Changed(Option<u64>),
    /// What is said of the instance is out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no room for what is said of it.
    #[error(transparent)]
    Full(#[from] Full),
    /// There is no room for the instance.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// It is about a consumer.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
}

fn changed(revision: Option<u64>) -> String {
    match revision {
        Some(revision) => format!("the instance is at revision {revision}: nothing was changed"),
        None => "there is no such instance any more, or not yet: nothing was changed".to_owned(),
    }
}

/// What somebody looks at. Pages have at most [`limits::REGISTRY_PAGE`] entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The services.
    Services(Page),
    /// Who has registered as an instance of a service.
    Instances {
        /// The service.
        service: String,
        /// Which of them.
        page: Page,
    },
    /// One of these.
    Instance {
        /// The service.
        service: String,
        /// Its id.
        id: String,
    },
    /// The consumers.
    Consumers {
        /// This one alone.
        name: Option<String>,
        /// Which of them.
        page: Page,
        /// When it is asked, in seconds of Unix time.
        at: u64,
    },
    /// The counts of quotas: how many there are, and how these stand. Nothing is granted by that.
    Quotas {
        /// What a request would ask for.
        of: Vec<Question>,
        /// When it is asked, in seconds of Unix time.
        at: u64,
    },
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What comes after this; the first otherwise.
    pub after: Option<String>,
    /// So much of it.
    pub most: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, most: limits::REGISTRY_PAGE }
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// To [`Look::Services`].
    Services(ServicesView),
    /// To [`Look::Instances`].
    Instances(InstancesView),
    /// To [`Look::Instance`].
    Instance(Box<InstanceView>),
    /// To [`Look::Consumers`].
    Consumers(ConsumersView),
    /// To [`Look::Quotas`].
    Quotas(QuotasView),
}
