//! Verdicts on their way to the registry: in batches, and none is lost while the log is full.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use coregate_core::base::ids::InstanceSlot;
use coregate_core::base::limits;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::places::Place;
use super::stats::ProbeStats;
use super::words;
use crate::io::voice::Voice;
use crate::registry::log::{Command, Waker};
use crate::registry::probe::{Finding, ProbeOrder, Probed};

/// What is said when probes cannot be made.
const SKIPPED: &str = "health checks are left out: this host has no descriptor, memory or port for them; raise ulimit -n";

/// What a probe will have to say, once.
#[derive(Debug)]
pub(super) struct Report {
    slot: InstanceSlot,
    generation: u16,
    begun: Instant,
    place: Arc<Place>,
    verdicts: UnboundedSender<Verdict>,
}

/// What a probe has said; it has its place until this is in the log.
#[derive(Debug)]
pub(super) struct Verdict {
    /// None: the probe could not be made.
    probed: Option<Probed>,
    place: Arc<Place>,
}

impl Report {
    pub(super) fn new(
        order: &ProbeOrder,
        place: Arc<Place>,
        verdicts: UnboundedSender<Verdict>,
    ) -> Self {
        let (slot, generation) = (order.slot, order.generation);
        Self { slot, generation, begun: Instant::now(), place, verdicts }
    }

    /// Says it. What comes back is to be kept until the connection is closed.
    pub(super) fn say(self, finding: Finding) -> Arc<Place> {
        let Self { slot, generation, begun, place, verdicts } = self;
        let probed = Probed { slot, generation, finding, took: begun.elapsed() };
        // Without anyone who delivers there is no registry either.
        let _ = verdicts.send(Verdict { probed: Some(probed), place: Arc::clone(&place) });
        place
    }

    pub(super) fn failed(self, why: impl Into<Box<str>>) {
        self.say(Finding::Failed(why.into()));
    }

    /// There is no connection: a verdict, unless it was this host that had none to give.
    pub(super) fn unconnected(self, error: &io::Error) {
        match words::of_connect(error) {
            Some(why) => self.failed(why),
            None => drop(self.verdicts.send(Verdict { probed: None, place: self.place })),
        }
    }
}

/// Proposes verdicts as they come, those of 10 ms together.
pub(super) async fn deliver(
    mut verdicts: UnboundedReceiver<Verdict>,
    registry: Waker,
    stats: Arc<ProbeStats>,
    voice: Voice,
) {
    let mut complained: Option<Instant> = None;
    let (mut batch, mut places) = (Vec::new(), Vec::new());
    while let Some(first) = verdicts.recv().await {
        let flush_at = tokio::time::Instant::now() + limits::PROBE_FLUSH;
        let mut next = Some(first);
        while let Some(Verdict { probed, place }) = next {
            match probed {
                Some(probed) => {
                    stats.count(&probed.finding);
                    batch.push(probed);
                    places.push(place);
                }
                None => {
                    stats.skipped.one();
                    if complained.is_none_or(|at| at.elapsed() >= limits::PROBE_COMPLAIN) {
                        complained = Some(Instant::now());
                        voice.say(SKIPPED);
                    }
                }
            }
            let is_full = batch.len() >= limits::PROBE_RESULTS;
            let more = async { if is_full { None } else { verdicts.recv().await } };
            next = tokio::time::timeout_at(flush_at, more).await.ok().flatten();
        }
        if batch.is_empty() {
            continue;
        }
        let mut command = Command::Probed(mem::take(&mut batch));
        while let Err(back) = registry.offer(command) {
            command = back;
            tokio::time::sleep(limits::PROBE_FLUSH).await;
        }
        places.clear();
    }
}
