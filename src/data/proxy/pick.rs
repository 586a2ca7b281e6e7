//! Picking an instance: round robin, not the one that just failed while there is another.

use crate::proxy::reject::Reject;
use crate::worker::services::LocalService;

/// An instance, by its place in the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picked(usize);

impl Picked {
    /// Its place in the service.
    pub fn index(self) -> usize {
        self.0
    }
}

/// The next instance in turn.
pub fn pick(service: &LocalService, failed: Option<Picked>) -> Result<Picked, Reject> {
    let next = || service.next_instance().map(Picked).ok_or(Reject::NoHealthyInstance);
    match (next()?, failed) {
        (picked, Some(failed)) if picked == failed => next(),
        (picked, _) => Ok(picked),
    }
}
