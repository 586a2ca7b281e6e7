//! Places of probes that are on their way: so many in all, and no more than a part of them for one service, so that instances
//! which let every probe wait do not keep others' from being made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coregate_core::base::ids::ServiceId;
use coregate_core::base::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::registry::probe::{ProbeOrder, Unprobed};

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    room: Arc<Semaphore>,
    /// Those that one service may have.
    share: usize,
    taken: Arc<Taken>,
}

/// How many each service has, where it has any.
#[derive(Debug, Default)]
struct Taken(Mutex<HashMap<ServiceId, usize>>);

impl Taken {
    fn now(&self) -> MutexGuard<'_, HashMap<ServiceId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    service: ServiceId,
    taken: Arc<Taken>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.now();
        if let Some(count) = taken.get_mut(&self.service) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.service);
            }
        }
    }
}

impl Places {
    pub(super) fn new(room: &Arc<Semaphore>, most: usize) -> Self {
        let share = most - most / limits::PROBES_FOR_OTHERS;
        Self { room: Arc::clone(room), share, taken: Arc::default() }
    }

    /// A place for this order, which is given back where there is none.
    pub(super) fn take(&self, order: ProbeOrder) -> Result<(ProbeOrder, Place), Unprobed> {
        let service = order.service;
        let mut taken = self.taken.now();
        if taken.get(&service).is_some_and(|count| *count >= self.share) {
            return Err(Unprobed::Share(order));
        }
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            return Err(Unprobed::Full(order));
        };
        *taken.entry(service).or_default() += 1;
        drop(taken);
        Ok((order, Place { service, taken: Arc::clone(&self.taken), _permit: permit }))
    }
}
