//! Connections to instances: made, kept, and looked at before they are used again.

pub mod connect;
pub mod pool;

use coregate_core::base::time::Tick;

use crate::worker::context::Wire;

/// A connection to an instance, in the hands of one exchange.
#[derive(Debug)]
pub struct Upstream {
    /// The connection.
    pub wire: Wire,
    /// Whether an exchange has used it before: then it may have died meanwhile, and one retry is due.
    pub reused: bool,
    born: Tick,
}
