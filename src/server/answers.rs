//! Answers to what is asked by the admin listener, and changes of configuration that nobody asked for by it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use coregate_control::io::admin::question::{Asker, Change, ChangeAction, Question};
use coregate_control::io::admin::report::{
    Acknowledged, Answer, ConfigReport, DiffReport, InstanceReport, InstanceState,
    MembershipReport, Origin, Pending, Refusal, RefusedChange, ReloadReport, Why,
};
use coregate_control::registry::log::{self, Command, Detail, Outcome};
use coregate_control::registry::order::{Order, What};
use coregate_core::base::ids::InstanceSlot;
use coregate_core::snapshot::plan::Address;
use serde_json::Value;

use crate::server::configuration::Source;
use crate::server::configuration::history::Entry;
use crate::server::configuration::watch::Watch;
use crate::server::events::Event;
use crate::server::facts::Facts;
use crate::server::process::Process;
use crate::server::{orders, say};

/// The new process reads the file, and knows nothing of what is to be taken back.
const UNCONFIRMED: &str = "what was reloaded waits to be confirmed, and the new process would keep it for good: \
                           first coregate confirm, or coregate rollback and the file as it was";

impl Process {
    /// Answers a question. `leaving`: the process was told to stop, and changes nothing any more.
    pub(crate) fn answer(&mut self, question: Question, asker: Asker, leaving: bool) {
        let answer = match question {
            Question::History => {
                let unconfirmed = self.configuration.unconfirmed.as_ref();
                Answer::History(self.configuration.history.list(unconfirmed))
            }
            Question::Diff { from, to } => self.diff(from, to).map_or_else(refused, Answer::Diff),
            Question::Config => Answer::Config(self.config()),
            Question::Look(look) => return orders::look(&self.proposer, look, asker),
            Question::Order(order) => return orders::order(&self.proposer, order, asker),
            Question::Orders(all) => return orders::orders(&self.proposer, all, asker),
            Question::ResetQuota { quota, key } => {
                return orders::reset(&self.proposer, quota, key, asker);
            }
            Question::Consumer(order) => return orders::consumer(&self.proposer, order, asker),
            _ if leaving => refused(refusal(Why::Unavailable, "this process was told to stop")),
            _ if self.upgrading => {
                refused(refusal(Why::Conflict, "an upgrade is under way: again in a moment"))
            }
            Question::Upgrade { .. } if self.configuration.unconfirmed.is_some() => {
                refused(refusal(Why::Conflict, UNCONFIRMED))
            }
            Question::Upgrade { binary } => return self.upgrade(binary, asker),
            Question::Reload { confirm } => match self.configuration.load() {
                Ok(candidate) => {
                    let report = self.reload(candidate, Origin::Reload, confirm);
                    Self::say_reload(&report);
                    Answer::Reload(report)
                }
                Err(why) => refused(refusal(Why::Conflict, why)),
            },
            Question::Confirm => self.confirm().map_or_else(refused, Answer::Reload),
            Question::Rollback { to } => self.roll_back(to).map_or_else(refused, Answer::Reload),
            Question::Operate(order) => return self.operate(*order, asker),
            Question::Membership(changes) => return self.membership(changes, asker),
        };
        asker.answer(answer);
    }

    /// Reloads because of a signal or a changed file; says how it went.
    pub(crate) fn reload_unasked(&mut self, origin: Origin) {
        if self.upgrading {
            say::message("an upgrade is under way: the new process reads the configuration");
            return;
        }
        if self.configuration.unconfirmed.is_some() {
            say::message(
                "a reload waits to be confirmed, so the file is not read: coregate confirm, or wait",
            );
            return;
        }
        match self.configuration.load() {
            Ok(candidate) => Self::say_reload(&self.reload(candidate, origin, None)),
            Err(why) => say::message(why),
        }
    }

    /// Takes a reload back whose time to be confirmed is over.
    pub(crate) fn back_if_unconfirmed(&mut self, now: Instant) {
        if self.upgrading {
            return;
        }
        let over = self.configuration.unconfirmed.take_if(|pending| pending.until <= now);
        let Some(pending) = over else { return };
        let Some(candidate) = self.configuration.recall(pending.back_to) else { return };
        let taken_back = self.configuration.history.current().map(|entry| entry.number);
        say::message(format_args!(
            "not confirmed in time: going back to number {} of the history",
            pending.back_to
        ));
        let report = self.reload(candidate, Origin::Unconfirmed, None);
        if let (true, Some(number)) = (report.applied, taken_back) {
            self.configuration.history.take_back(number);
            self.watch.iter_mut().for_each(Watch::taken_back);
        }
        Self::say_reload(&report);
    }

    fn confirm(&mut self) -> Result<ReloadReport, Refusal> {
        let pending = self.configuration.unconfirmed.take();
        if pending.is_none() {
            return Err(refusal(Why::Conflict, "there is nothing to confirm"));
        }
        let current = self.configuration.history.current();
        say::message("confirmed: what was reloaded stays");
        Ok(ReloadReport {
            applied: true,
            generation: self.facts.generation(),
            number: current.map(|entry| entry.number),
            source: current.map(named).unwrap_or_default(),
            ..ReloadReport::default()
        })
    }

    fn roll_back(&mut self, to: Option<u64>) -> Result<ReloadReport, Refusal> {
        let history = &self.configuration.history;
        let current = history.current().map_or(0, |entry| entry.number);
        let number = match to {
            Some(number) => number,
            None => history.step_back().map(|entry| entry.number).ok_or_else(|| {
                refusal(Why::NotFound, "there is no configuration before the one that runs")
            })?,
        };
        let Some(candidate) = self.configuration.recall(number) else {
            let why = format!("number {number} is not in the history; see coregate history");
            return Err(refusal(Why::NotFound, why));
        };
        let report = self.reload(candidate, Origin::Rollback, None);
        Self::say_reload(&report);
        if report.applied && number != current {
            self.configuration.history.take_back(current);
        }
        Ok(report)
    }

    fn diff(&self, from: Option<u64>, to: Option<u64>) -> Result<DiffReport, Refusal> {
        let history = &self.configuration.history;
        let find = |number: u64| {
            let why = || format!("number {number} is not in the history; see coregate history");
            history.get(number).ok_or_else(|| refusal(Why::NotFound, why()))
        };
        let none = |what| refusal(Why::NotFound, what);
        let to = match to {
            Some(number) => find(number)?,
            None => history.current().ok_or_else(|| none("nothing was applied"))?,
        };
        let from = match from {
            Some(number) => find(number)?,
            None => history
                .before(to.number)
                .ok_or_else(|| none("there is no configuration before this one"))?,
        };
        let text = coregate_config::textdiff(&named(from), &from.text, &named(to), &to.text);
        let settings = |entry: &Entry| coregate_config::parse(&named(entry), &entry.text).settings;
        let changes = match (settings(from), settings(to)) {
            (Some(from), Some(to)) => coregate_config::changes::between(&from, &to).to_json(),
            _ => Value::Null,
        };
        let lines = text.lines().map(str::to_owned).collect();
        Ok(DiffReport { from: from.number, to: to.number, lines, changes })
    }

    fn config(&self) -> ConfigReport {
        let current = self.configuration.history.current();
        let readers = self.facts.posts.readers().iter().enumerate();
        let acknowledged = readers.map(|(worker, reader)| Acknowledged {
            worker: worker as u16,
            generation: reader.acknowledged(),
        });
        ConfigReport {
            generation: self.facts.generation(),
            workers: acknowledged.collect(),
            file: match &self.configuration.source {
                Source::File(path) => Some(path.display().to_string()),
                Source::Flags => None,
            },
            hash: current.map(Entry::hash).unwrap_or_default(),
            number: current.map_or(0, |entry| entry.number),
            since: current.map_or(SystemTime::UNIX_EPOCH, |entry| entry.at).into(),
            last: self.configuration.last.clone(),
            pending: self.configuration.unconfirmed.map(|pending| Pending {
                number: current.map_or(0, |entry| entry.number),
                back_to: pending.back_to,
                until: pending.until_wall.into(),
            }),
        }
    }

    /// Has an operator's order carried out; `asker` is answered when it is in the store. Nobody waits here meanwhile: a disk may take
    /// its time, and signals must be heard.
    fn operate(&self, order: Order, asker: Asker) {
        let (facts, tell) = (Arc::clone(&self.facts), self.tell.clone());
        let (service, what) = (order.service.clone(), order.what.clone());
        self.proposer.propose_then(Command::Operate(Box::new(order)), move |outcome| {
            let answer = match outcome.map(|outcome| outcome.detail) {
                Ok(Detail::Operated { slot, address, durable }) => {
                    let report = operated(&facts, (service, slot, address), &what, durable);
                    let _ = tell.send(Event::Operated(Box::new(report.clone())));
                    Answer::Instance(report)
                }
                Ok(_) => refused(refusal(Why::Unavailable, "the registry answered something else")),
                Err(why) => refused(orders::because(&why)),
            };
            asker.answer(answer);
        });
    }

    /// Proposes changes; `asker` is answered when they are public. Nobody waits here meanwhile: changes that others ask for
    /// go into the same publish.
    fn membership(&self, changes: Vec<Change>, asker: Asker) {
        let changes = changes.into_iter().map(|Change { action, service, address }| match action {
            ChangeAction::Register => log::Change::Register { service, address },
            ChangeAction::Deregister => log::Change::Deregister { service, address },
        });
        self.proposer.propose_then(Command::Change(changes.collect()), |outcome| {
            asker.answer(match outcome {
                Ok(outcome) => Answer::Membership(changed(outcome)),
                Err(why) => refused(refusal(Why::Unavailable, why.to_string())),
            });
        });
    }
}

/// What an operator's order has led to, with what the instance still has.
fn operated(
    facts: &Facts,
    (service, slot, address): (String, InstanceSlot, Address),
    what: &What,
    durable: bool,
) -> InstanceReport {
    let (state, deadline) = match what {
        What::Drain { deadline } => {
            (InstanceState::Draining, SystemTime::now().checked_add(*deadline))
        }
        _ => (InstanceState::Enabled, None),
    };
    let readers = facts.posts.readers().iter();
    let in_flight = Some(readers.map(|reader| u64::from(reader.in_flight(slot))).sum::<u64>());
    let deadline = deadline.map(Into::into);
    InstanceReport { service, address, state, in_flight, deadline, durable }
}

/// Says what an operator's order has led to.
pub(crate) fn say_operated(report: &InstanceReport) {
    let InstanceReport { service, address, state, .. } = report;
    let state = match state {
        InstanceState::Enabled => "enabled",
        InstanceState::Draining => "drained",
    };
    say::message(format_args!("instance {address} of service {service}: {state}"));
}

/// What became of changes of membership.
fn changed(outcome: Outcome) -> MembershipReport {
    let mut report =
        MembershipReport { generation: outcome.generation, ..MembershipReport::default() };
    let Detail::Changed { results, durable } = outcome.detail else { return report };
    report.durable = durable;
    for (index, result) in results.into_iter().enumerate() {
        match result {
            Ok(true) => report.applied += 1,
            Ok(false) => report.unchanged += 1,
            Err(why) => report.refused.push(RefusedChange { index, reason: why.to_string() }),
        }
    }
    report
}

fn named(entry: &Entry) -> String {
    format!("number {}", entry.number)
}

pub(crate) fn refused(refusal: Refusal) -> Answer {
    Answer::Refused(refusal)
}

pub(crate) fn refusal(why: Why, detail: impl Into<String>) -> Refusal {
    Refusal { why, detail: detail.into(), revision: None }
}
