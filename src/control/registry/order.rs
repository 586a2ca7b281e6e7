//! What instances ask of the registry, or those who speak for them; and what those who look are shown.

use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::compile::ChangeError;

use crate::registry::directory::admission::{Caller, Denied};
use crate::registry::directory::view::{InstanceView, InstancesView, ServicesView};
use crate::registry::directory::{Full, Invalid, Registration, Wish};

/// Something about one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its service.
    pub service: String,
    /// Its id.
    pub id: String,
    /// Who asks.
    pub by: Caller,
    /// What is asked.
    pub what: What,
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
    /// There is no such service.
    #[error("there is no service {0:?}")]
    NoSuchService(String),
    /// What is said of the instance is out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no room for what is said of it.
    #[error(transparent)]
    Full(#[from] Full),
    /// There is no room for the instance.
    #[error(transparent)]
    Change(#[from] ChangeError),
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
}
