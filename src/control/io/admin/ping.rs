//! Whether every worker is alive: a ping that all must answer within a second.
//!
//! Workers cannot wake a tokio task, so their answers are looked for every few milliseconds while somebody waits. Requests
//! that come in a burst share a ping.

use std::sync::{Mutex, PoisonError};

use coregate_core::base::limits;
use tokio::time::{Instant, sleep};

use super::question::{Ping, Process};

/// The last ping, and when it was sent.
#[derive(Debug, Default)]
pub(super) struct Pinger {
    last: Mutex<Option<(Ping, Instant)>>,
}

impl Pinger {
    /// The workers that do not answer within [`limits::PING_TIME`]; none, as soon as all have.
    pub(super) async fn unanswered(&self, process: &dyn Process) -> Vec<u16> {
        let (ping, since) = self.ping(process);
        loop {
            let silent = process.unanswered(ping);
            if silent.is_empty() || since.elapsed() >= limits::PING_TIME {
                return silent;
            }
            sleep(limits::PING_LOOK_EVERY).await;
        }
    }

    fn ping(&self, process: &dyn Process) -> (Ping, Instant) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((ping, since)) if since.elapsed() < limits::PING_EVERY => (ping, since),
            _ => *last.insert((process.ping(), Instant::now())),
        }
    }
}
