//! The running process: what it consists of, and the one thread that decides for it.
//!
//! That thread hears workers, signals and questions in turn, so that nothing changes while something else is being changed. It
//! never waits long: an upgrade, which may take half a minute, has a thread of its own and comes back as an event.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coregate_control::io::admin::report::Origin;
use coregate_control::io::admin::view::Readiness;
use coregate_control::io::discover::Discovery;
use coregate_control::registry::log::{Command, Proposer};
use coregate_core::base::ids::WorkerId;
use coregate_core::base::limits;
use coregate_core::base::time::Span;
use coregate_data::worker::post::{Message, Post, Stop};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::server::admin::Office;
use crate::server::answers::say_operated;
use crate::server::complain::Complaints;
use crate::server::configuration::Configuration;
use crate::server::configuration::watch::Watch;
use crate::server::events::{Event, Questions, Tell};
use crate::server::facts::Facts;
use crate::server::listen::live::Live;
use crate::server::memory::Shared;
use crate::server::upgrade::Before;
use crate::server::{Exit, say, stats, supervisor, threads};

/// A process that serves, or is about to.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) facts: Arc<Facts>,
    pub(crate) shared: Shared,
    pub(crate) proposer: Proposer,
    /// The registry's thread.
    pub(crate) registry: JoinHandle<()>,
    /// Where else instances are looked up.
    pub(crate) discovery: Discovery,
    pub(crate) configuration: Configuration,
    pub(crate) live: Live,
    pub(crate) office: Option<Office>,
    pub(crate) stats: Option<PathBuf>,
    pub(crate) watch: Option<Watch>,
    /// How long readiness is false before a stop, if a flag says so.
    pub(crate) drain_delay: Option<Duration>,
    /// Which process of a line of upgrades it is, from 0 on.
    pub(crate) epoch: u64,
    /// Whether the process before it lives still.
    pub(crate) predecessor: Option<Before>,
    /// Whether a successor is on its way.
    pub(crate) upgrading: bool,
    pub(crate) questions: Questions,
    pub(crate) tell: Tell,
    pub(crate) hear: mpsc::Receiver<Event>,
}

/// Where the process is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Told to stop: not ready any more, and still accepting, until then.
    Leaving(Instant),
    /// Workers were told to stop, and are waited for until then.
    Stopping(Instant),
}

/// What the main thread keeps track of.
#[derive(Debug)]
struct Course {
    stage: Stage,
    running: usize,
    deaths: VecDeque<Instant>,
    exit: Exit,
    complaints: Complaints,
    look_at: Instant,
    /// Whether another process goes on, and counts in the same file.
    succeeded: bool,
}

/// What is to be done after an event.
enum Then {
    GoOn,
    /// Stop, and how.
    Stop(How),
    /// Leave without waiting for anybody.
    Leave,
}

/// How a process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// By SIGTERM: load balancers are given time to see it, clients to hear of it.
    Gently,
    /// By hand, or because it must: what is in flight is finished.
    Soon,
    /// Another process goes on.
    HandedOver,
}

impl Process {
    /// Hears events until the end.
    pub(crate) fn run(mut self) -> Exit {
        let mut course = Course {
            stage: Stage::Serving,
            running: self.facts.cpus.len(),
            deaths: VecDeque::new(),
            exit: Exit::Ok,
            complaints: Complaints::default(),
            look_at: Instant::now() + limits::WATCH_EVERY,
            succeeded: false,
        };
        while course.running > 0 {
            let event = self.hear.recv_timeout(self.wait(&course)).ok();
            course.complaints.look(&self.facts.posts);
            let then = match event {
                Some(event) => self.take(event, &mut course),
                None => Then::GoOn,
            };
            let then = match then {
                Then::GoOn => self.on_time(&mut course),
                other => other,
            };
            match then {
                Then::GoOn => {}
                Then::Stop(how) => {
                    if self.stop(how, &mut course).is_err() {
                        break;
                    }
                }
                Then::Leave => {
                    course.exit = Exit::Failed;
                    break;
                }
            }
        }
        if !course.succeeded {
            self.write_stats();
            self.finish();
        }
        if let Some(office) = self.office.take() {
            // Whoever still waits for an answer has it by now, or never will.
            let _ = office.admin.end(limits::DRAIN_TIME);
        }
        say::message("stopped");
        course.exit
    }

    /// Has what is left of quotas' grants taken back, and waits a moment until that is in the store: without it, it counts as spent.
    fn finish(&self) {
        let (done, heard) = mpsc::channel();
        let told = move |outcome: Result<_, _>| {
            // Who waits may have given up.
            let _ = done.send(outcome.is_ok());
        };
        self.proposer.propose_then(Command::Finish, told);
        if heard.recv_timeout(limits::STORE_CLOSE).is_err() {
            say::message("the registry does not answer: what was leased of quotas counts as spent");
        }
    }

    /// How long nothing happens by itself.
    fn wait(&self, course: &Course) -> Duration {
        let stage = match course.stage {
            Stage::Serving => None,
            Stage::Leaving(until) | Stage::Stopping(until) => Some(until),
        };
        // Meanwhile nothing is taken back: see `Self::on_time`.
        let may = stage.is_none() && !self.upgrading;
        let unconfirmed = self.configuration.unconfirmed.filter(|_| may);
        let unconfirmed = unconfirmed.map(|unconfirmed| unconfirmed.until);
        let next = [stage, unconfirmed].into_iter().flatten().min().unwrap_or(course.look_at);
        next.min(course.look_at).saturating_duration_since(Instant::now())
    }

    fn take(&mut self, event: Event, course: &mut Course) -> Then {
        let serving = course.stage == Stage::Serving;
        match event {
            Event::Worker(id, event) => self.hear_worker(id, event, course),
            Event::Signal(signal) => self.hear_signal(signal.hear(), course),
            Event::Asked(question, asker) => {
                self.questions.taken();
                self.answer(question, asker, !serving);
                Then::GoOn
            }
            Event::Noticed(notice) => {
                say::message(notice);
                Then::GoOn
            }
            Event::Operated(report) => {
                say_operated(&report);
                Then::GoOn
            }
            Event::Upgraded(attempt) => match self.upgraded(*attempt, serving) {
                true => Then::Stop(How::HandedOver),
                false => Then::GoOn,
            },
        }
    }

    fn hear_signal(&mut self, signal: i32, course: &mut Course) -> Then {
        match signal {
            SIGUSR2 => {
                match &self.stats {
                    Some(_) => self.write_stats(),
                    None => say::message("counters were asked for, but no --stats FILE was given"),
                }
                Then::GoOn
            }
            SIGHUP if course.stage == Stage::Serving => {
                self.reload_unasked(Origin::Signal);
                Then::GoOn
            }
            SIGHUP => Then::GoOn,
            // Elsewhere it opens log files anew, so it must not end us.
            SIGUSR1 => {
                say::message("SIGUSR1: there are no files to open anew; a reload is SIGHUP");
                Then::GoOn
            }
            SIGTERM | SIGINT if course.stage != Stage::Serving => {
                say::message("told to stop twice: leaving at once");
                Then::Leave
            }
            SIGTERM => Then::Stop(How::Gently),
            _ => Then::Stop(How::Soon),
        }
    }

    fn hear_worker(&self, id: WorkerId, event: threads::Event, course: &mut Course) -> Then {
        let serving = course.stage == Stage::Serving;
        let stop = || if serving { Then::Stop(How::Soon) } else { Then::GoOn };
        match event {
            threads::Event::Died => {
                let now = Instant::now();
                course.deaths.push_back(now);
                course
                    .deaths
                    .retain(|death| now.duration_since(*death) < limits::WORKER_DEATH_WINDOW);
                say::message(format_args!("worker {}: died of a panic; begun anew", id.index()));
                let too_often = course.deaths.len() > limits::WORKER_DEATHS_PER_MINUTE;
                if too_often && serving {
                    say::message("workers die too often: giving up");
                    course.exit = Exit::GaveUp;
                    return stop();
                }
                Then::GoOn
            }
            threads::Event::Failed(error) => {
                say::message(format_args!("worker {}: {error}", id.index()));
                course.exit = Exit::Failed;
                course.running -= 1;
                stop()
            }
            threads::Event::NotBuilt(error) => {
                say::message(format_args!("worker {}: {error}", id.index()));
                course.exit = Exit::Failed;
                course.running -= 1;
                stop()
            }
            threads::Event::Stopped { cut } => {
                course.running -= 1;
                if cut > 0 {
                    say::message(format_args!(
                        "worker {}: {cut} connections did not end in time and are cut",
                        id.index()
                    ));
                }
                Then::GoOn
            }
            threads::Event::Built { .. } => Then::GoOn,
        }
    }

    /// What is due by the clock.
    fn on_time(&mut self, course: &mut Course) -> Then {
        let now = Instant::now();
        match course.stage {
            Stage::Leaving(until) if now >= until => {
                course.stage = Stage::Serving;
                return Then::Stop(How::Gently);
            }
            Stage::Stopping(by) if now >= by => {
                say::message("some workers did not stop in time: leaving without them");
                return Then::Leave;
            }
            Stage::Serving => self.back_if_unconfirmed(now),
            Stage::Leaving(_) | Stage::Stopping(_) => {}
        }
        if now >= course.look_at {
            course.look_at = now + limits::WATCH_EVERY;
            self.predecessor.take_if(|before| before.has_gone());
            if self.registry.is_finished() && self.facts.set_registry_ended() {
                say::message(
                    "the registry has ended: requests are served, nothing can be changed; restart",
                );
            }
            // While it may not be read it is not looked at either: a change is seen afterwards.
            let may = course.stage == Stage::Serving
                && !self.upgrading
                && self.configuration.unconfirmed.is_none();
            if may && self.watch.as_mut().is_some_and(Watch::is_due) {
                self.reload_unasked(Origin::Watch);
            }
        }
        Then::GoOn
    }

    /// Begins to stop, or goes on with it.
    fn stop(&mut self, how: How, course: &mut Course) -> Result<(), ()> {
        let runtime = &self.configuration.settings.runtime;
        let delay = self.drain_delay.unwrap_or(runtime.drain_delay);
        let was_ready = self.is_ready();
        self.facts.set_readiness(Readiness::Draining);
        if how != How::HandedOver {
            supervisor::stopping();
        }
        if how == How::Gently && was_ready && !delay.is_zero() {
            say::message(format_args!(
                "told to stop: not ready any more, accepting for another {} s; again to leave at once",
                delay.as_secs_f64()
            ));
            course.stage = Stage::Leaving(Instant::now() + delay);
            return Ok(());
        }
        let drain = runtime.drain;
        course.succeeded |= how == How::HandedOver;
        self.say_stopping(how, drain);
        let grace = if how == How::Soon { Duration::ZERO } else { limits::DRAIN_IDLE.min(drain) };
        course.stage = Stage::Stopping(Instant::now() + drain + limits::SHUTDOWN_GRACE);
        let stop = Stop {
            grace: Span::of(grace),
            time: Span::of(drain),
            handed_over: how == How::HandedOver,
        };
        if how != How::HandedOver {
            self.live.deafen(|_| true);
        }
        // Before the workers close theirs: an address listens as long as anyone holds a socket of it.
        self.live.close();
        let refused = |post: &&Post| !post.is_closed() && post.tell(Message::Stop(stop)).is_err();
        // All of them, whatever becomes of one.
        if self.facts.posts.all().iter().filter(refused).count() > 0 {
            say::message("a worker has too many orders to hear of the stop: leaving at once");
            course.exit = Exit::Failed;
            return Err(());
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        use coregate_control::io::admin::question::Process;
        self.facts.readiness() == Readiness::Ready
    }

    fn say_stopping(&self, how: How, drain: Duration) {
        let posts = self.facts.posts.all();
        let open: u64 = posts.iter().map(|post| post.stats.connections_open.get()).sum();
        let why = if how == How::HandedOver { "handed over" } else { "stopping" };
        say::message(format_args!(
            "{why}: {open} connections open, {} s at most for what is in flight; again to leave at once",
            drain.as_secs_f64()
        ));
    }

    pub(crate) fn write_stats(&self) {
        let Some(path) = &self.stats else { return };
        if let Err(error) = stats::write(path, &self.facts.posts) {
            say::message(format_args!("stats {}: {error}", path.display()));
        }
    }
}
