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
    /// Room for so many, within [`limits::ADMIN_CONNECTIONS_MIN`] and [`limits::ADMIN_CONNECTIONS`].
    pub fn of(all: u64) -> Self {
        let all = usize::try_from(all).unwrap_or(usize::MAX);
        let all = all.clamp(limits::ADMIN_CONNECTIONS_MIN, limits::ADMIN_CONNECTIONS);
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
        assert_eq!(Room::of(1_000), Room { all: 1_000, tcp: 875, watchers: 750 });
        assert_eq!(Room::of(u64::MAX), Room { all: 16_384, tcp: 14_336, watchers: 12_288 });
    }
}
