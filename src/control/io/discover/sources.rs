//! What is shown of sources: read by metrics and by whoever waits for first answers.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coregate_core::snapshot::plan::Source;

use super::Place;

/// What is known of all sources that there are.
#[derive(Debug, Default)]
pub struct Sources {
    states: Mutex<BTreeMap<Place, State>>,
    answered: Condvar,
}

/// What is known of one.
#[derive(Debug, Default, Clone)]
pub(super) struct State {
    /// Whether it has answered, or failed to, at all.
    pub(super) has_answered: bool,
    /// How many instances it brings.
    pub(super) instances: usize,
    /// When it answered last.
    pub(super) answered: Option<Instant>,
    /// What is wrong with it now.
    pub(super) failing: Option<String>,
    /// How often it was looked at, and how often that failed.
    pub(super) looks: [u64; 2],
}

/// What is shown of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceView {
    /// Its service.
    pub service: String,
    /// The source, as a configuration has it.
    pub source: String,
    /// How many instances it brings.
    pub instances: usize,
    /// How old its last answer is, if there was one.
    pub age: Option<Duration>,
    /// What is wrong with it now; its last answer is kept.
    pub failing: Option<String>,
    /// How often it was looked up.
    pub looks: u64,
    /// How often that failed.
    pub failures: u64,
}

impl Sources {
    /// What is shown of each, of so many at most.
    pub fn view(&self, most: usize) -> Vec<SourceView> {
        let view = |((service, source), state): (&Place, &State)| SourceView {
            service: service.clone(),
            source: source.to_string(),
            instances: state.instances,
            age: state.answered.map(|at| at.elapsed()),
            failing: state.failing.clone(),
            looks: state.looks[0],
            failures: state.looks[1],
        };
        self.lock().iter().take(most).map(view).collect()
    }

    /// Waits until every source has answered, or has failed to; no longer than this. Whether they have.
    pub fn wait(&self, most: Duration) -> bool {
        let is_open =
            |states: &mut BTreeMap<Place, State>| states.values().any(|state| !state.has_answered);
        let waited = self.answered.wait_timeout_while(self.lock(), most, is_open);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// These are there now.
    pub(super) fn expect(&self, places: &[Place]) {
        let mut states = self.lock();
        let expected: HashSet<_> = places.iter().collect();
        states.retain(|place, _| expected.contains(place));
        for place in places {
            states.entry(place.clone()).or_default();
        }
    }

    /// Changes what is known of one, if it is there still.
    pub(super) fn change(&self, service: &str, source: &Source, change: impl FnOnce(&mut State)) {
        let place = (service.to_owned(), source.clone());
        if let Some(state) = self.lock().get_mut(&place) {
            change(state);
        }
        self.answered.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
