//! What has changed of registered instances lately, for those who watch: a ring of events, bounded in number and bytes.
//!
//! The registry's thread writes: each event is made to text once, and all watchers share it. A watcher holds a cursor and no
//! event; who falls behind the ring is told so, and lists again. Which services have changed is kept until a single reader
//! [asks](Journal::changed): it wakes their watchers, so that the registry's thread wakes one, however many there are.
//!
//! Invariants, which the tests hold:
//!
//! 1. Whoever has seen revision R of a service and reads from there misses no event of it, or is told that it may have.
//! 2. Events are read in the order of their revisions, each at most once.
//! 3. An event is there before the answer to the command that made it: what a list says up to R stands there up to R.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use coregate_core::base::limits;
use serde::Serialize;
use tokio::sync::Notify;

use crate::registry::directory::view::InstanceView;
use crate::registry::directory::{Changed, What, Why};
use crate::registry::state::State;

/// The ring. The registry's thread writes, anybody reads.
#[derive(Debug, Default)]
pub struct Journal {
    ring: Mutex<Ring>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Event>,
    bytes: usize,
    /// The place of the first event, counted from the first that there ever was.
    first: u64,
    /// The revision of the latest change.
    latest: u64,
    /// The revision of the latest event that is not kept any more.
    lost: u64,
    /// Up to this revision events of some service are not kept, and nothing else is known of it.
    floor: u64,
    lanes: HashMap<Arc<str>, Lane>,
    /// Services that have changed since somebody asked.
    changed: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Event {
    revision: u64,
    service: Arc<str>,
    text: Bytes,
}

/// What the ring holds of one service.
#[derive(Debug, Default)]
struct Lane {
    /// The places of its events.
    places: VecDeque<u64>,
    /// The place behind its latest event that is not kept any more, and that event's revision.
    lost: (u64, u64),
    /// Whether it stands among those that have changed.
    is_told: bool,
}

/// Where a watcher stands: it has seen all before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    place: u64,
}

/// What a watcher reads next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// An event, as it goes over the wire.
    Event(Bytes),
    /// There is nothing new.
    Nothing,
    /// What comes next is not kept any more.
    Compacted,
}

/// An event as JSON: the `data` of a server-sent event named `instance`.
#[derive(Debug, Serialize)]
struct Told<'a> {
    revision: u64,
    service: &'a str,
    id: &'a str,
    what: &'static str,
    why: Option<&'static str>,
    instance: Option<&'a InstanceView>,
}

impl Journal {
    /// An empty one.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes over what has changed, as it stands at `now`. On the registry's thread, before anything is answered.
    pub fn write(&self, changes: &[Changed], state: &State, now: Duration) {
        if changes.is_empty() {
            return;
        }
        for change in changes {
            let gone = matches!(change.what, What::Gone(_));
            let instance =
                if gone { None } else { state.instance(&change.service, &change.id, now) };
            // Who has gone in the same breath is told as gone, by the next one.
            if instance.is_none() && !gone {
                continue;
            }
            // One at a time: readers wait for no text, and the texts of many need no memory beyond the ring's.
            let text = text(change, instance.as_ref());
            let (revision, service) = (change.revision, Arc::clone(&change.service));
            let mut ring = self.ring();
            ring.push(Event { revision, service, text });
            ring.latest = ring.latest.max(revision);
        }
        let last = changes.last().map_or(0, |change| change.revision);
        let mut ring = self.ring();
        ring.latest = ring.latest.max(last);
        drop(ring);
        self.bell.notify_one();
    }

    /// Nothing up to this revision is kept: what was before is another process's.
    pub fn begin(&self, revision: u64) {
        let mut ring = self.ring();
        ring.floor = ring.floor.max(revision);
        ring.latest = ring.latest.max(revision);
    }

    /// Where a watcher begins that has seen everything of a service, or of all, up to this revision; without one it begins now.
    /// None: what came after that is not kept.
    pub fn cursor(&self, service: Option<&str>, from: Option<u64>) -> Option<Cursor> {
        let ring = self.ring();
        let end = ring.first + ring.events.len() as u64;
        let Some(from) = from else { return Some(Cursor { place: end }) };
        let lost = match service {
            Some(service) => ring.lanes.get(service).map_or(0, |lane| lane.lost.1),
            None => ring.lost,
        };
        // Who has seen more than there is has seen it of another process.
        if from < lost.max(ring.floor) || from > ring.latest {
            return None;
        }
        let seen = ring.events.partition_point(|event| event.revision <= from);
        Some(Cursor { place: ring.first + seen as u64 })
    }

    /// What comes next for a watcher of a service, or of all.
    pub fn next(&self, service: Option<&str>, cursor: &mut Cursor) -> Next {
        let ring = self.ring();
        let place = match service {
            None if cursor.place < ring.first => return Next::Compacted,
            None => Some(cursor.place),
            Some(service) => {
                let Some(lane) = ring.lanes.get(service) else { return Next::Nothing };
                if cursor.place < lane.lost.0 {
                    return Next::Compacted;
                }
                lane.places.get(lane.places.partition_point(|place| *place < cursor.place)).copied()
            }
        };
        let event =
            place.and_then(|place| Some((place, ring.events.get((place - ring.first) as usize)?)));
        let Some((place, event)) = event else { return Next::Nothing };
        cursor.place = place + 1;
        Next::Event(event.text.clone())
    }

    /// The revision of the latest change.
    pub fn latest(&self) -> u64 {
        self.ring().latest
    }

    /// Waits until some services have changed since this was last asked; gives which. For one reader.
    ///
    /// Cancel safety: dropped, it has taken nothing.
    pub async fn changed(&self) -> Vec<Arc<str>> {
        loop {
            let changed = {
                let mut ring = self.ring();
                let changed = std::mem::take(&mut ring.changed);
                for service in &changed {
                    if let Some(lane) = ring.lanes.get_mut(service) {
                        lane.is_told = false;
                    }
                }
                changed
            };
            if !changed.is_empty() {
                return changed;
            }
            self.bell.notified().await;
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, event: Event) {
        let place = self.first + self.events.len() as u64;
        let lane = match self.lanes.get_mut(&event.service) {
            Some(lane) => lane,
            None => self.lanes.entry(Arc::clone(&event.service)).or_default(),
        };
        lane.places.push_back(place);
        if !lane.is_told {
            lane.is_told = true;
            self.changed.push(Arc::clone(&event.service));
        }
        self.bytes += event.text.len();
        self.events.push_back(event);
        while self.events.len() > limits::JOURNAL_EVENTS || self.bytes > limits::JOURNAL_BYTES {
            self.forget();
        }
    }

    /// Forgets the oldest event.
    fn forget(&mut self) {
        let Some(event) = self.events.pop_front() else { return };
        self.bytes -= event.text.len();
        self.first += 1;
        self.lost = event.revision;
        if let Some(lane) = self.lanes.get_mut(&event.service) {
            lane.places.pop_front();
            lane.lost = (self.first, event.revision);
        }
        // Names come and go for as long as the process lives.
        if self.lanes.len() > limits::NAMES {
            self.floor = self.lost;
            self.lanes.retain(|_, lane| !lane.places.is_empty());
        }
    }
}

/// An event as it goes over the wire.
fn text(change: &Changed, instance: Option<&InstanceView>) -> Bytes {
    let (what, why) = match change.what {
        What::Said => ("said", None),
        What::Health => ("health", None),
        What::Gone(why) => ("gone", Some(why)),
    };
    let why = why.map(|why| match why {
        Why::Deregistered => "deregistered",
        Why::Expired => "expired",
        Why::Claimed => "claimed",
        Why::ServiceGone => "service_gone",
    });
    let Changed { revision, service, id, .. } = change;
    let told = Told { revision: *revision, service, id, what, why, instance };
    let mut text = format!("id: {revision}\nevent: instance\ndata: ").into_bytes();
    // None that is known: it is text and numbers. JSON has no line feed outside of texts, and there it is escaped.
    let _ = serde_json::to_writer(&mut text, &told);
    text.extend_from_slice(b"\n\n");
    text.into()
}

#[cfg(test)]
mod tests;
