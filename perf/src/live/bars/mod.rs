//! The bars: each runs once on one driver, and says in one line how it went.

mod killed;
mod queue;
mod registered;
mod reloads;
mod restarts;
mod revoked;
mod sigterm;
mod tunnels;
mod upgrades;
mod world;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::live::crowd::Group;
use crate::live::line::Setup;

pub use killed::killed;
pub use queue::queue;
pub use registered::registered;
pub use reloads::reloads;
pub use restarts::restarts;
pub use revoked::revoked;
pub use sigterm::sigterm;
pub use tunnels::tunnels;
pub use upgrades::upgrades;

/// How a bar went.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it holds.
    pub holds: bool,
    /// Its figures.
    pub figures: String,
    /// What was wrong, in words.
    pub wrong: Vec<String>,
}

impl Verdict {
    /// Nothing was wrong.
    fn of(figures: String, wrong: Vec<String>) -> io::Result<Self> {
        Ok(Self { holds: wrong.is_empty(), figures, wrong })
    }
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Reloads, generations, upgrades, stops or restarts.
    pub count: u64,
    /// What the reloads are spread over.
    pub time: Duration,
}

/// A bar.
pub type Bar = fn(&Setup<'_>, Amount) -> io::Result<Verdict>;

/// 64 clients in a closed loop on connections that they keep.
const fn kept(to: SocketAddr, targets: &'static [&'static str]) -> Group {
    Group { to, count: 64, targets, think: Duration::ZERO, fresh: false, comes_and_goes: false }
}
