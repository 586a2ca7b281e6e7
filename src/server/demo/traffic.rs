//! A little traffic of the demo's own, and who answered it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use coregate_control::io::client::{self, Request};
use coregate_core::snapshot::plan::Address;

/// How long a request may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of some requests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many each instance answered.
    answered: BTreeMap<String, u32>,
    failed: u32,
}

impl Tally {
    /// Sends a request to a service, and counts what comes of it.
    pub(super) fn send(&mut self, gateway: &Address, service: &str) {
        let target = format!("/{service}/7");
        match client::request(gateway, &Request::get(&target, PATIENCE)) {
            Ok(reply) if reply.is_success() => self.count(&String::from_utf8_lossy(&reply.body)),
            Ok(_) | Err(_) => self.failed += 1,
        }
    }

    /// Counts an answer for whoever it names: `hello from users (users-1)`.
    fn count(&mut self, answer: &str) {
        let first = answer.lines().next().unwrap_or_default();
        let name = first.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        let name = name.map_or("somebody else", |(name, _)| name);
        *self.answered.entry(name.to_owned()).or_default() += 1;
    }

    /// How many this instance answered.
    pub(super) fn of(&self, id: &str) -> u32 {
        self.answered.get(id).copied().unwrap_or_default()
    }

    pub(super) fn failed(&self) -> u32 {
        self.failed
    }

    /// How many were sent.
    pub(super) fn sent(&self) -> u32 {
        self.failed + self.answered.values().sum::<u32>()
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.answered {
            write!(f, "{name} {count}, ")?;
        }
        write!(f, "failed {}", self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_name() {
        let mut tally = Tally::default();
        for answer in
            ["hello from users (users-1)\n  via: (x)", "hello from users (users-1)", "hello"]
        {
            tally.count(answer);
        }
        tally.failed = 2;
        assert_eq!((tally.of("users-1"), tally.of("users-2"), tally.sent()), (2, 0, 5));
        assert_eq!(tally.to_string(), "somebody else 1, users-1 2, failed 2");
    }
}
