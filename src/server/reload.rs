//! Carrying out a change of configuration: whole or not at all, and said either way.
//!
//! ```text
//!  read ─▶ nothing that needs a restart? ─▶ bind what is new ─▶ registry: compile, publish ─▶ workers: listen, unlisten
//!            └──────────────── any of these says no: everything is as it was ──────┘              └─▶ every worker has it
//! ```

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};
use std::{io, mem, thread};

use coregate_config::{Settings, changes};
use coregate_control::io::admin::report::{Origin, ReloadReport, Verdict, Why};
use coregate_control::io::admin::view::ListenerView;
use coregate_control::registry::consumers::ConsumerError;
use coregate_control::registry::directory::admission::Denied;
use coregate_control::registry::log::{self, Command, Configure, Detail, Outcome, Refused};
use coregate_control::registry::order::OrderError;
use coregate_core::base::ids::ListenerId;
use coregate_core::base::limits;
use coregate_core::snapshot::compile::ChangeError;
use coregate_core::snapshot::reader::acknowledged_by_all;
use coregate_data::worker::post::{Listening, Message};

use crate::server::configuration::history::Applied;
use crate::server::configuration::{Candidate, Configuration, Unconfirmed};
use crate::server::listen::live::{Step, WorkerSocket};
use crate::server::process::Process;
use crate::server::{say, supervisor, tokens};

impl Process {
    /// Applies a configuration, or says why not. `confirm`: it is taken back unless it is confirmed within this.
    pub(crate) fn reload(
        &mut self,
        candidate: Candidate,
        origin: Origin,
        confirm: Option<Duration>,
    ) -> ReloadReport {
        let begun = Instant::now();
        supervisor::reloading();
        let Candidate { settings, text, source, report, again, inputs } = candidate;
        if let (Some(watch), Some(inputs)) = (&mut self.watch, inputs) {
            watch.follow(inputs);
        }
        let mut result = ReloadReport { source, ..ReloadReport::default() };
        let current = self.configuration.history.current();
        let back_to = current.map(|entry| entry.number);
        let same = current.is_some_and(|entry| entry.text == text)
            && settings.as_ref() == Some(&self.configuration.settings);
        let applied = match settings {
            Some(settings) => {
                result.warnings.extend(Some(report).filter(|report| !report.is_empty()));
                self.apply(settings, &mut result)
            }
            None => Err(vec![report]),
        };
        match applied {
            Ok(()) if same => {
                result.number = back_to;
                if let Some(time) = confirm {
                    self.confirm_what_runs(time, &mut result);
                }
            }
            Ok(()) => {
                let Configuration { history, unconfirmed, .. } = &mut self.configuration;
                if let (Some(pending), None, Origin::Reload) = (&unconfirmed, confirm, origin) {
                    result.warnings.push(format!(
                        "what waited to be confirmed is kept by this: nothing goes back to number {}",
                        pending.back_to
                    ));
                }
                // What was not confirmed is nothing to go back to.
                let back_to = unconfirmed.take().map(|pending| pending.back_to).or(back_to);
                let pending = back_to.zip(confirm);
                let applied = Applied { text, generation: result.generation, origin, again };
                result.number = Some(history.add(applied, pending.map(|(back_to, _)| back_to)));
                *unconfirmed = pending.map(|(back_to, time)| Unconfirmed::within(time, back_to));
            }
            Err(errors) => {
                result.errors = errors;
                result.generation = self.facts.generation();
            }
        }
        supervisor::ready();
        result.applied = result.errors.is_empty();
        let unconfirmed = self.configuration.unconfirmed.filter(|_| result.applied);
        result.confirm_until = unconfirmed.map(|unconfirmed| unconfirmed.until_wall.into());
        result.took_ms = begun.elapsed().as_millis() as u64;
        self.facts.count_reload(result.applied);
        self.configuration.last = Verdict {
            at: SystemTime::now().into(),
            origin,
            applied: result.applied,
            errors: result.errors.clone(),
            warnings: result.warnings.clone(),
        };
        result
    }

    /// What is asked for runs already. Where the file is watched, nobody has asked for it before: it has to be confirmed from now
    /// on. What somebody reloaded without a word of confirming stays.
    fn confirm_what_runs(&mut self, time: Duration, result: &mut ReloadReport) {
        let Configuration { history, unconfirmed, .. } = &mut self.configuration;
        // What waits to be confirmed still does, and anew.
        let pending = unconfirmed.map(|pending| pending.back_to);
        let before =
            || history.step_back().map(|entry| entry.number).filter(|_| history.is_watched());
        let back_to = pending.or_else(before);
        *unconfirmed = back_to.map(|back_to| Unconfirmed::within(time, back_to));
        match back_to {
            Some(back_to) => {
                result
                    .warnings
                    .push(format!("unless it is confirmed, number {back_to} comes back"));
            }
            None => result.warnings.push(
                "this configuration runs already: there is nothing to confirm, and it stays"
                    .to_owned(),
            ),
        }
    }

    fn apply(&mut self, settings: Settings, result: &mut ReloadReport) -> Result<(), Vec<String>> {
        let restart = self.configuration.settings.needs_restart(&settings);
        if !restart.is_empty() {
            let restart = restart.join(", ");
            return Err(vec![format!(
                "{restart}: a change needs a restart, or `coregate upgrade`, which loses no request"
            )]);
        }
        let mut step = self.live.plan(&settings.listeners).map_err(|errors| said(&errors))?;
        let added = copied(mem::take(&mut step.added));
        let added = added.map_err(|error| vec![format!("listening sockets: {error}")])?;
        let tokens = tokens::resolve(&settings)?;
        let plan = settings.plan_with_keys().map_err(|errors| said(&errors))?;
        let configure = Configure {
            plan,
            sockets: step.sockets().map(|(id, name)| (id, name.to_owned())).collect(),
            drain: settings.runtime.drain,
            tokens: tokens.services.clone(),
        };
        let outcome = self.propose(Command::Configure(Box::new(configure)));
        let Outcome { generation, detail, .. } =
            outcome.map_err(|fault| vec![fault.to_string()])?;
        result.generation = generation;
        self.facts.tokens.set(tokens);
        if let Detail::Configured(listeners) = detail {
            self.listen(step, added, &listeners);
        }
        let changed = changes::between(&self.configuration.settings, &settings);
        result.changes = changed.to_json();
        result.lines = changed.to_string().lines().map(str::to_owned).collect();
        self.look_up(&settings);
        self.configuration.settings = settings;
        self.show_listeners();
        if !self.wait_for_workers(generation) {
            result.warnings.push(format!(
                "not every worker has taken generation {generation} within {} s; see coregate status",
                limits::RELOAD_TIME.as_secs()
            ));
        }
        Ok(())
    }

    /// Sources of instances are those of these settings from now on.
    fn look_up(&mut self, settings: &Settings) {
        if let Err(error) = self.discovery.follow(&settings.plan, settings.dns.clone()) {
            say::message(format_args!("no instances are looked up: no thread: {error}"));
        }
    }

    /// Proposes a command and waits for what becomes of it.
    pub(crate) fn propose(&self, command: Command) -> Result<Outcome, Fault> {
        let answer = self.proposer.propose(command)?;
        answer.blocking_recv().map_err(|_| Fault::Ended)?.map_err(Fault::Refused)
    }

    /// Tells the workers which sockets come and go. Those that change hands do so in the snapshot.
    fn listen(&mut self, step: Step, added: Vec<Vec<Copied>>, ids: &[(String, ListenerId)]) {
        let id = |name: &str| ids.iter().find(|(known, _)| known == name).map(|(_, id)| *id);
        let posts = self.facts.posts.clone();
        self.live.deafen(|socket| step.removed.contains(&socket));
        for (post, added) in posts.all().iter().zip(added) {
            for (WorkerSocket { id: socket_id, listener, socket }, copy) in added {
                let Some(listener) = id(&listener) else { continue };
                let copy = Some(copy);
                tell(post, Message::Listen(Listening { id: socket_id, listener, socket, copy }));
            }
            for socket in &step.removed {
                tell(post, Message::Unlisten(*socket));
            }
            tell(post, Message::Look);
        }
        self.live.apply(step);
    }

    /// Waits until every worker has acknowledged a generation; whether they have.
    fn wait_for_workers(&self, generation: u64) -> bool {
        let give_up = Instant::now() + limits::RELOAD_TIME;
        loop {
            if acknowledged_by_all(self.facts.posts.readers()) >= generation {
                return true;
            }
            if Instant::now() >= give_up {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Shows where the process listens now.
    pub(crate) fn show_listeners(&self) {
        let places = self.live.places().map(|(name, address)| ListenerView {
            name: name.to_owned(),
            address: address.to_string(),
        });
        self.facts.set_listeners(places.collect());
    }

    /// Says on standard error how a reload went that nobody waits for.
    pub(crate) fn say_reload(report: &ReloadReport) {
        if !report.applied {
            say::message("the configuration is refused; the one before still runs");
        }
        report.errors.iter().chain(&report.warnings).for_each(|text| say::paragraph(text));
        if report.applied {
            say::message(format_args!(
                "reloaded: generation {}{}, {} changed, {} ms",
                report.generation,
                report.number.map(|number| format!(", number {number}")).unwrap_or_default(),
                match report.lines.len() {
                    0 => "nothing".to_owned(),
                    count => count.to_string(),
                },
                report.took_ms
            ));
            report.lines.iter().for_each(say::message);
        }
    }
}

/// One line each.
fn said(errors: &[impl ToString]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Full(#[from] log::Full),
    #[error("the registry has ended, and nothing can be changed any more: restart")]
    Ended,
    #[error(transparent)]
    Refused(Refused),
}

/// Of what kind the reason of a refusal is.
pub(crate) fn why_of(refused: &Refused) -> Why {
    match refused {
        Refused::Full(_) => Why::Unavailable,
        Refused::Order(OrderError::Denied(Denied::WrongToken(_))) => Why::Unauthorized,
        Refused::Order(OrderError::Denied(Denied::Nobody(_) | Denied::SocketOnly(_))) => {
            Why::Forbidden
        }
        Refused::Order(OrderError::Consumer(error)) => match error {
            ConsumerError::NoSuchConsumer(_) | ConsumerError::NoSuchKey { .. } => Why::NotFound,
            ConsumerError::BadName { .. }
            | ConsumerError::LikeAGroup(_)
            | ConsumerError::BadDigest => Why::Invalid,
            ConsumerError::IsThere(_)
            | ConsumerError::OfTheFile(_)
            | ConsumerError::Ambiguous { .. }
            | ConsumerError::TooMany { .. } => Why::Conflict,
        },
        Refused::Order(OrderError::Invalid(_)) => Why::Invalid,
        Refused::Order(OrderError::Changed(_)) => Why::Changed,
        Refused::Order(OrderError::Full(_) | OrderError::Withheld { .. })
        | Refused::Change(
            ChangeError::OfTheFile { .. } | ChangeError::OfASource { .. } | ChangeError::NoSlots,
        )
        | Refused::Order(OrderError::Change(
            ChangeError::OfTheFile { .. } | ChangeError::OfASource { .. } | ChangeError::NoSlots,
        ))
        | Refused::HandedOver
        | Refused::StoreBusy
        | Refused::Plan(_) => Why::Conflict,
        Refused::Order(_) | Refused::Change(_) => Why::NotFound,
    }
}

/// A worker's new socket, and a copy of it.
type Copied = (WorkerSocket, OwnedFd);

/// Makes every copy that workers need now, while it can still be refused.
fn copied(added: Vec<Vec<WorkerSocket>>) -> io::Result<Vec<Vec<Copied>>> {
    let copy = |one: WorkerSocket| {
        let copy = one.socket.try_clone()?;
        Ok((one, copy))
    };
    added.into_iter().map(|own| own.into_iter().map(copy).collect()).collect()
}

/// A worker whose mailbox is full is so busy that it is tried until there is room; one that has gone needs to know nothing.
fn tell(post: &coregate_data::worker::post::Post, message: Message) {
    let mut message = message;
    let give_up = Instant::now() + limits::RELOAD_TIME;
    while let Err(back) = post.tell(message) {
        if post.is_closed() || Instant::now() >= give_up {
            say::message("a worker's mailbox is full: it did not hear of a change of listeners");
            return;
        }
        message = back;
        thread::sleep(Duration::from_millis(1));
    }
}
