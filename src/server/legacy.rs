//! What a predecessor leaves, turned into what a start needs; without one, everything is fresh.

use std::time::Duration;

use coregate_control::registry::checkpoint::{Brought, Checkpoint, Draining};
use coregate_control::registry::log::Command;
use coregate_control::registry::order::{Order, What};
use coregate_core::snapshot::plan::Address;

use crate::server::configuration::history::History;
use crate::server::handover::Inheritance;
use crate::server::listen::live::Handed;
use crate::server::memory::{Inherited, Shared};
use crate::server::start::Failure;
use crate::server::upgrade::Legacy;
use crate::server::{Exit, say};

/// What a start begins with.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The cells.
    pub(crate) shared: Shared,
    /// Which process of a line of upgrades it is.
    pub(crate) epoch: u64,
    /// What the registry goes on from, where its cells are the same.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// What is to be done anew, where they are not: instances are registered, and drained.
    pub(crate) again: Vec<Command>,
    /// What was applied before.
    pub(crate) history: Option<History>,
    pub(crate) sockets: Vec<Handed>,
    pub(crate) admin: Vec<Handed>,
}

/// Takes what is left, if anything is.
pub(crate) fn take(inheritance: Option<Inheritance>) -> Result<Taken, Failure> {
    let failed = |why: String| (Exit::Failed, why);
    let fresh = || Shared::create().map_err(|error| failed(format!("cells: {error}")));
    let Some(Inheritance { sockets, admin, cells, generation, checkpoint }) = inheritance else {
        return Ok(Taken {
            shared: fresh()?,
            epoch: 0,
            checkpoint: None,
            again: Vec::new(),
            history: None,
            sockets: Vec::new(),
            admin: Vec::new(),
        });
    };
    let legacy: Legacy = serde_json::from_str(checkpoint.get())
        .map_err(|error| failed(format!("what the old process knows: {error}")))?;
    let (shared, why) = match cells.map(own).transpose().map_err(failed)? {
        Some(cells) => {
            match Shared::inherit(cells).map_err(|error| failed(format!("cells: {error}")))? {
                Inherited::Adopted(shared) => (shared, None),
                Inherited::Fresh(shared, why) => (shared, Some(why.to_string())),
            }
        }
        None => (fresh()?, Some("the old process lays them out in another way".to_owned())),
    };
    let epoch = legacy.epoch + 1;
    let (checkpoint, again) = match why {
        None => (Some(legacy.registry), Vec::new()),
        Some(why) => {
            say::message(format_args!("cells begin anew, and limits with them: {why}"));
            let again = again(&legacy.registry);
            // Generations go on: nobody shall see them fall.
            (Some(Checkpoint { generation, ..Checkpoint::default() }), again)
        }
    };
    let history = Some(legacy.history);
    Ok(Taken { shared, epoch, checkpoint, again, history, sockets, admin })
}

/// A descriptor that nobody else in this process has.
fn own(descriptor: std::sync::Arc<std::os::fd::OwnedFd>) -> Result<std::os::fd::OwnedFd, String> {
    let shared = |descriptor: std::sync::Arc<std::os::fd::OwnedFd>| {
        descriptor.try_clone().map_err(|error| format!("cells: {error}"))
    };
    std::sync::Arc::try_unwrap(descriptor).or_else(shared)
}

/// What was registered, discovered and drained, to be so again.
fn again(before: &Checkpoint) -> Vec<Command> {
    let drain = |drain: &Draining| {
        let (service, address) = (drain.service.clone(), drain.address.parse::<Address>().ok()?);
        let what = What::Drain { deadline: Duration::from_millis(drain.left_ms) };
        Some(Command::Operate(Box::new(Order::of_operator(service, &address, what))))
    };
    let brought = |brought: &Brought| Command::Discovered {
        service: brought.service.clone(),
        source: brought.source.clone().into(),
        instances: brought.instances(),
    };
    let registered = Command::Restore(before.registrations());
    let discovered = before.discovered.iter().map(brought);
    let drains = before.drains.iter().filter_map(drain);
    [registered].into_iter().chain(discovered).chain(drains).collect()
}
