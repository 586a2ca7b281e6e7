//! Listeners as workers see them.

use std::sync::Arc;

use crate::base::ids::ServiceId;
use crate::snapshot::plan::{ListenerPlan, ListenerTerms};
use crate::snapshot::trusted::TrustedPeers;

/// On what terms clients are taken in.
#[derive(Debug)]
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// The terms on which it speaks HTTP.
    pub terms: ListenerTerms,
    /// The peers that must begin with a PROXY protocol header, where there are any: from them a connection without one is
    /// closed, from others a header is not looked for.
    pub trusted: Option<TrustedPeers>,
    /// The service that connections are passed to as they are; with none, requests are read and routed.
    pub tcp: Option<ServiceId>,
}

impl Listener {
    pub(crate) fn new(plan: &ListenerPlan, tcp: Option<ServiceId>) -> Self {
        Self {
            name: plan.name.as_str().into(),
            terms: plan.terms,
            trusted: plan.proxy_protocol.clone(),
            tcp,
        }
    }
}
