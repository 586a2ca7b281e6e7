//! How the registry tells workers something.

use coregate_control::registry::publish::Workers;
use coregate_core::base::ids::{InstanceSlot, WorkerId};
use coregate_core::base::mailbox::Ticket;
use coregate_core::policy::quota::Answer;
use coregate_data::worker::post::{Message, Post, Posts};

/// All workers, as the registry reaches them.
pub(crate) struct Told(pub(crate) Posts);

impl Workers for Told {
    fn wake(&self, at: usize) {
        // A knock is always taken.
        let _ = self.0.all()[at].tell(Message::Look);
    }

    fn answer(&self, by: WorkerId, ticket: Ticket, answer: Answer) {
        if let Some(post) = self.0.all().get(by.index()) {
            post.answer(ticket, answer);
        }
    }

    fn cut(&self, slot: InstanceSlot, generation: u16) -> bool {
        let told =
            |post: &Post| post.is_closed() || post.tell(Message::Cut(slot, generation)).is_ok();
        self.0.all().iter().filter(|post| !told(post)).count() == 0
    }
}
