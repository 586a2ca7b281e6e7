//! How many connections there is room for, and how they are shared out.

use coregate_core::base::limits;

/// The places for connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All of them.
    pub all: usize,
    /// Those that may come over TCP.
    pub tcp: usize,
    /// Those that may watch.
    pub watchers: usize,
}

impl Room {
    /// What a process with so many descriptors has: an eighth of them, within [`limits::ADMIN_CONNECTIONS`].
    pub fn of(descriptors: u64) -> Self {
        let eighth = usize::try_from(descriptors / 8).unwrap_or(usize::MAX);
        let all = eighth.clamp(limits::ADMIN_CONNECTIONS_MIN, limits::ADMIN_CONNECTIONS);
        Self {
            all,
            tcp: all * limits::ADMIN_TCP_OF_16 / 16,
            watchers: all * limits::ADMIN_WATCHERS_OF_16 / 16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_some_room() {
        assert_eq!(Room::of(0), Room { all: 64, tcp: 56, watchers: 48 });
        assert_eq!(Room::of(8_000), Room { all: 1_000, tcp: 875, watchers: 750 });
        assert_eq!(Room::of(u64::MAX), Room { all: 16_384, tcp: 14_336, watchers: 12_288 });
    }
}
