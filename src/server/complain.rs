//! What workers count but do not say: descriptors or connections that have run out. Looked at once a second, said at most
//! once a second.

use std::time::Instant;

use coregate_core::base::limits;
use coregate_data::worker::post::Posts;
use coregate_data::worker::stats::WorkerStats;

use crate::server::say;

/// What was counted when it was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    emfile: u64,
    refused: u64,
    looked: Option<Instant>,
}

impl Complaints {
    /// Says what has run out since the last look, if that was a second ago.
    pub(crate) fn look(&mut self, posts: &Posts) {
        if self.looked.is_some_and(|looked| looked.elapsed() < limits::COMPLAIN_EVERY) {
            return;
        }
        let sum =
            |of: fn(&WorkerStats) -> u64| posts.all().iter().map(|post| of(&post.stats)).sum();
        let emfile: u64 = sum(|stats| stats.accept_emfile.get());
        let refused: u64 = sum(|stats| stats.connections_refused.get());
        if emfile > self.emfile {
            say::message(
                "descriptors have run out: idle connections are closed for new ones; raise ulimit -n",
            );
        }
        if refused > self.refused {
            say::message(format_args!(
                "{} connections turned away: the host has as many as it may (runtime.connections)",
                refused - self.refused
            ));
        }
        *self = Self { emfile, refused, looked: Some(Instant::now()) };
    }
}
