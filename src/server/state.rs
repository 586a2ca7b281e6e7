//! Where registrations are kept, and the registry's way there.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use coregate_config::{RuntimeSettings, Settings, StatePlace};
use coregate_control::io::store::{self, Opened, Store};
use coregate_control::registry::keep::{Asked, Progress, Stored, keeper};
use coregate_control::registry::log::Waker;
use coregate_control::registry::thread::Registry;
use coregate_core::snapshot::plan::Admission;

use crate::server::cli::Options;
use crate::server::start::Failure;
use crate::server::{Exit, say};

/// The state directory, opened; or none.
#[derive(Debug, Default)]
pub(crate) struct State {
    found: Option<(PathBuf, Store, Stored)>,
}

/// Where registrations are kept, and how that goes.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// The directory.
    pub(crate) folder: PathBuf,
    /// What the store says.
    pub(crate) progress: Arc<Progress>,
}

/// Opens the state directory: of the flag, else of the file, else the one that systemd made for the service (`StateDirectory=`).
pub(crate) fn open(options: &Options, runtime: &RuntimeSettings) -> Result<State, Failure> {
    let folder = match options.state.as_ref().or(runtime.state.as_ref()) {
        Some(StatePlace::Memory) => None,
        Some(StatePlace::Folder(folder)) => Some(folder.clone()),
        None => of_systemd(),
    };
    let Some(folder) = folder else { return Ok(State::default()) };
    // It may go to another directory by itself.
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let opened = store::open(&folder).map_err(|error| (Exit::Failed, error.to_string()))?;
    let Opened { store, stored, notes } = opened;
    notes.iter().for_each(say::message);
    Ok(State { found: Some((folder, store, stored)) })
}

/// Several folders are separated by colons (systemd.exec(5)).
fn of_systemd() -> Option<PathBuf> {
    let folders = env::var_os("STATE_DIRECTORY").filter(|value| !value.is_empty())?;
    env::split_paths(&folders).next()
}

/// A store that has not written anything yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    store: Store,
    asked: Asked,
    waker: Waker,
}

impl State {
    /// Lets the registry keep things there from now on. What is there is so again, if it is `true` that nobody knows better.
    /// Nothing is written before [`Waiting::begin`].
    pub(crate) fn keep(
        self,
        registry: &mut Registry,
        waker: Waker,
        restore: bool,
    ) -> Option<(Kept, Waiting)> {
        let (folder, store, stored) = self.found?;
        let (keeper, asked) = keeper();
        let progress = Arc::clone(keeper.progress());
        let most = stored.kept.len();
        let count = registry.keep(keeper, stored, restore);
        if restore && most > 0 {
            let gone = match most.saturating_sub(count) {
                0 => String::new(),
                gone => format!("; {gone} more are of services that are there no more"),
            };
            let folder = folder.display();
            let are = if count == 1 { "instance is" } else { "instances are" };
            say::message(format_args!("{count} registered {are} there again from {folder}{gone}"));
        }
        Some((Kept { folder, progress }, Waiting { store, asked, waker }))
    }
}

impl Waiting {
    /// Writes from now on: the process serves, and no other one does.
    pub(crate) fn begin(self) {
        let Self { store, asked, waker } = self;
        // Without the thread the registry says that nothing is kept.
        if let Err(error) = store.start(asked, waker, |text| say::message(text)) {
            say::message(format_args!("store: no thread: {error}"));
        }
    }
}

/// Says that registrations will be lost, where some are expected: most often not what was meant.
pub(crate) fn warn_of_memory(settings: &Settings, kept: Option<&Kept>) {
    let services = &settings.plan.services;
    let meant = settings.runtime.state == Some(StatePlace::Memory);
    if kept.is_none()
        && !meant
        && services.iter().any(|service| service.register != Admission::Nobody)
    {
        say::message(
            "registrations are kept in memory, and lost at a restart: --state DIR, or runtime.state, keeps them",
        );
    }
}
