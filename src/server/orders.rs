//! What instances ask for, and those who look at them: straight to the registry. The server's own thread may be amid a reload, and
//! a lease does not wait for that.

use coregate_control::io::admin::question::Asker;
use coregate_control::io::admin::report::{Answer, Refusal, Why};
use coregate_control::registry::consumers::ConsumerOrder;
use coregate_control::registry::log::{Command, Detail, Outcome, Proposer, Refused};
use coregate_control::registry::order::{Look, Order, OrderError};
use coregate_core::snapshot::quotas::QuotaKey;

use crate::server::answers::{refusal, refused};
use crate::server::reload::why_of;

/// Proposes what an instance asks for; `asker` is answered when it is public.
pub(crate) fn order(proposer: &Proposer, order: Box<Order>, asker: Asker) {
    propose(proposer, Command::Order(order), asker);
}

/// The same of several.
pub(crate) fn orders(proposer: &Proposer, orders: Vec<Order>, asker: Asker) {
    propose(proposer, Command::Orders(orders), asker);
}

/// The same of who changes consumers.
pub(crate) fn consumer(proposer: &Proposer, order: Box<ConsumerOrder>, asker: Asker) {
    propose(proposer, Command::Consumer(order), asker);
}

/// The same of who lets a count of a quota begin anew.
pub(crate) fn reset(proposer: &Proposer, quota: String, key: QuotaKey, asker: Asker) {
    propose(proposer, Command::ResetQuotas { quota, key: Some(key) }, asker);
}

/// The same of who looks.
pub(crate) fn look(proposer: &Proposer, look: Look, asker: Asker) {
    propose(proposer, Command::Look(look), asker);
}

fn propose(proposer: &Proposer, command: Command, asker: Asker) {
    proposer.propose_then(command, |outcome| asker.answer(answer(outcome)));
}

fn answer(outcome: Result<Outcome, Refused>) -> Answer {
    match outcome.map(|outcome| outcome.detail) {
        Ok(Detail::Ordered(ordered)) => Answer::Ordered(ordered),
        Ok(Detail::OrderedAll(results)) => {
            let results = results.into_iter();
            Answer::OrderedAll(results.map(|one| one.map_err(|why| because(&why.into()))).collect())
        }
        Ok(Detail::Consumer(ordered)) => Answer::Consumer(ordered),
        Ok(Detail::Reset { durable, .. }) => Answer::Reset { durable },
        Ok(Detail::Seen(seen)) => Answer::Seen(seen),
        Ok(other) => {
            debug_assert!(false, "{other:?} for an order");
            refused(refusal(Why::Unavailable, "the registry answered something else"))
        }
        // Whoever renews comes again by itself: the new process answers then.
        Err(why @ Refused::HandedOver) => refused(refusal(Why::Unavailable, why.to_string())),
        Err(why) => refused(because(&why)),
    }
}

/// What is told of a refusal.
pub(crate) fn because(why: &Refused) -> Refusal {
    let revision = match why {
        Refused::Order(OrderError::Changed(revision)) => *revision,
        _ => None,
    };
    Refusal { revision, ..refusal(why_of(why), why.to_string()) }
}
