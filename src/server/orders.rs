//! What instances ask for, and those who look at them: straight to the registry. The server's own thread may be amid a reload, and
//! a lease does not wait for that.

use coregate_control::io::admin::question::Asker;
use coregate_control::io::admin::report::{Answer, Why};
use coregate_control::registry::log::{Command, Detail, Outcome, Proposer, Refused};
use coregate_control::registry::order::{Look, Order};

use crate::server::answers::{refusal, refused};
use crate::server::reload::why_of;

/// Proposes what an instance asks for; `asker` is answered when it is public.
pub(crate) fn order(proposer: &Proposer, order: Box<Order>, asker: Asker) {
    propose(proposer, Command::Order(order), asker);
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
        Ok(Detail::Seen(seen)) => Answer::Seen(seen),
        Ok(other) => {
            debug_assert!(false, "{other:?} for an order");
            refused(refusal(Why::Unavailable, "the registry answered something else"))
        }
        // Whoever renews comes again by itself: the new process answers then.
        Err(why @ Refused::HandedOver) => refused(refusal(Why::Unavailable, why.to_string())),
        Err(why) => refused(refusal(why_of(&why), why.to_string())),
    }
}
