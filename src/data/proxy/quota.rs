//! Quotas: taken from after it is known who calls and before rates are spent, and given back where a rate refuses.
//!
//! In this order since a rate's tokens cannot be given back and a quota's can: what a rate refuses costs nothing of a month, and what is
//! beyond its month costs nothing of a rate. What a request took is given back by whoever drops [`Taken`] without keeping it.
//!
//! Where control must be asked, the look at the snapshot ends, the request waits, and all is decided anew from its route on.

use std::rc::Rc;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::base::time::{Span, Tick};
use coregate_core::policy::quota::{Answer, Drawn, Held, Question, Whose};
use coregate_core::snapshot::quotas::Quota;

use crate::proxy::authenticate::Authenticated;
use crate::proxy::refusal::Refused;
use crate::proxy::reject::Reject;
use crate::proxy::route::Arrived;
use crate::worker::ask::ask;
use crate::worker::context::Worker;

/// What ends the look at the snapshot.
#[derive(Debug)]
pub enum Halt {
    /// The request is refused.
    Refused(Refused),
    /// Control must be asked first.
    Ask(Box<Asking>),
}

impl<R: Into<Refused>> From<R> for Halt {
    fn from(refused: R) -> Self {
        Self::Refused(refused.into())
    }
}

/// What control is asked.
#[derive(Debug)]
pub struct Asking {
    question: Question,
    /// What its answer is kept under.
    key: u64,
}

/// How long a request waits in all for control, and why it waits no longer.
#[derive(Debug, Default, Clone, Copy)]
pub struct Patience {
    until: Option<Tick>,
    over: Option<Reject>,
}

/// What a request took of its quotas.
#[must_use = "what is not kept is given back"]
#[derive(Debug)]
pub struct Taken {
    held: [Option<Held>; limits::QUOTAS_OF_ROUTE],
    worker: Rc<Worker>,
}

impl Taken {
    /// The request goes on.
    pub fn keep(mut self) {
        self.held = [None; limits::QUOTAS_OF_ROUTE];
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let held = self.held.iter().flatten();
        held.for_each(|held| self.worker.accounts.places.give_back(*held));
    }
}

/// Takes what a request costs of each quota of its route; nothing of any where one refuses.
#[inline]
pub fn take(
    arrived: &Arrived<'_>,
    authenticated: &Authenticated<'_>,
    patience: Patience,
) -> Result<Option<Taken>, Halt> {
    if authenticated.routed().guard().quotas.is_empty() {
        return Ok(None);
    }
    take_each(arrived, authenticated, patience).map(Some)
}

fn take_each(
    arrived: &Arrived<'_>,
    authenticated: &Authenticated<'_>,
    patience: Patience,
) -> Result<Taken, Halt> {
    let (worker, routed) = (arrived.worker, authenticated.routed());
    let whose = Whose {
        consumer: authenticated.consumer(),
        route: &routed.route().route.name,
        service: routed.service_name(),
    };
    let held = [None; limits::QUOTAS_OF_ROUTE];
    let mut taken = Taken { held, worker: Rc::clone(worker) };
    let wall = worker.clock.wall().as_secs();
    let quotas = &routed.guard().quotas;
    for (quota, held) in quotas.iter().zip(&mut taken.held) {
        let refused = match worker.accounts.places.take(quota, &whose, (wall, worker.clock.now())) {
            Drawn::Taken { held: tokens, ask } => {
                *held = Some(tokens);
                if ask {
                    ask_ahead(worker, quota, &whose);
                }
                continue;
            }
            Drawn::Spent { ends } => {
                let wait = Duration::from_secs(ends.saturating_sub(wall));
                Refused::by(routed.route(), Reject::QuotaExceeded, None).after(wait)
            }
            Drawn::Ask => match patience.over {
                Some(reject) => Refused::by(routed.route(), reject, None),
                None => {
                    let key = worker.accounts.places.key(quota, &whose);
                    let question = Question::new(quota, &whose);
                    return Err(Halt::Ask(Box::new(Asking { question, key })));
                }
            },
        };
        if !quota.dry_run {
            worker.stats().quota_refused.one();
            return Err(Halt::Refused(refused));
        }
        worker.stats().quota_dry_run.one();
    }
    Ok(taken)
}

/// Asks for more, before it is used up; nobody waits.
#[cold]
fn ask_ahead(worker: &Worker, quota: &Quota, whose: &Whose<'_>) {
    worker.stats().questions.one();
    // Where there is no room for it, who finds nothing left asks.
    let _asked = worker.posts().ask(worker.id, None, Question::new(quota, whose));
}

/// Asks, and waits. Cancel safety: may be dropped.
pub async fn wait(worker: &Rc<Worker>, asking: Asking, patience: &mut Patience) {
    let now = worker.clock.refresh();
    let until = *patience.until.get_or_insert(now.after(Span::of(limits::QUOTA_WAIT)));
    let answer = match until.is_due(now) {
        true => None,
        false => ask(worker, asking.question, until).await,
    };
    match answer {
        Some(Answer::Place(place)) => worker.accounts.places.learn(asking.key, place),
        Some(Answer::Full) => patience.over = Some(Reject::QuotaExceeded),
        Some(Answer::Unavailable) | None => patience.over = Some(Reject::QuotaUnavailable),
    }
}
