//! Discovery inwards: instances that are looked up, in names and in files.
//!
//! ```text
//!  configuration applied ─▶ sources that there are now ─▶ a task for each: look ─▶ keep ─▶ differs? ─▶ log ─▶ registry
//!                                                              ▲                    │
//!                                                              └── again, in time ◀─┘
//! ```
//!
//! All of them live on one thread with a runtime of its own, which is there when the first source is. A source that fails keeps
//! what it said last: it is said once, and shown in metrics with the age of the last answer. That a name has no instances is an
//! answer, which has to be given twice ([`keeper`]).
//!
//! - [`keeper`]: what an answer means, and when the next is asked for; pure.
//! - [`dns`]: names (door of hickory-resolver).
//! - [`file_sd`]: files in the form of Prometheus.
//! - [`task`]: the life of a source; [`sources`]: what is shown of all; [`speaker`]: what is said of them.

mod dns;
mod file_sd;
mod keeper;
pub mod sources;
mod speaker;
mod task;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::thread;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{DnsTerms, Plan, Source};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};

use self::dns::Resolver;
use self::sources::Sources;
use self::speaker::Speaker;
use self::task::Task;
use crate::io::voice::Voice;
use crate::registry::log::Proposer;

/// A source, and the service whose instances it brings.
pub type Place = (String, Source);

/// Looks instances up, for as long as it is there.
#[derive(Debug)]
pub struct Discovery {
    proposer: Proposer,
    voice: Voice,
    sources: Arc<Sources>,
    /// Whom the thread hears, once there is one.
    wishes: Option<UnboundedSender<Wish>>,
}

/// What is to be looked up from now on.
#[derive(Debug)]
struct Wish {
    places: Vec<Place>,
    terms: DnsTerms,
}

impl Discovery {
    /// Nothing is looked up yet. What is found is proposed to this log.
    pub fn new(proposer: Proposer, voice: Voice) -> Self {
        Self { proposer, voice, sources: Arc::default(), wishes: None }
    }

    /// What is shown of the sources.
    pub fn sources(&self) -> Arc<Sources> {
        Arc::clone(&self.sources)
    }

    /// The plan that was applied a moment ago says what is to be looked up. A source that was there goes on; one that comes again
    /// begins anew.
    ///
    /// # Errors
    /// There is no runtime, or no thread.
    pub fn follow(&mut self, plan: &Plan, terms: DnsTerms) -> io::Result<()> {
        let places = plan.services.iter().flat_map(|service| {
            service.sources.iter().map(|source| (service.name.clone(), source.clone()))
        });
        let places: Vec<_> = places.collect();
        if places.is_empty() && self.wishes.is_none() {
            return Ok(());
        }
        self.sources.expect(&places);
        let wishes = match &self.wishes {
            Some(wishes) => wishes,
            None => self.wishes.insert(start(Work {
                proposer: self.proposer.clone(),
                speaker: Arc::new(Speaker::new(self.voice)),
                sources: Arc::clone(&self.sources),
            })?),
        };
        // The thread ends after this does.
        let _ = wishes.send(Wish { places, terms });
        Ok(())
    }
}

impl Discovery {
    /// Looks nothing up any more: another process does.
    pub fn end(&mut self) {
        self.wishes = None;
    }
}

/// What all tasks share.
#[derive(Debug, Clone)]
struct Work {
    proposer: Proposer,
    speaker: Arc<Speaker>,
    sources: Arc<Sources>,
}

fn start(work: Work) -> io::Result<UnboundedSender<Wish>> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let (wishes, wished) = unbounded_channel();
    thread::Builder::new()
        .name("discovery".into())
        .spawn(move || runtime.block_on(run(wished, work)))?;
    Ok(wishes)
}

async fn run(mut wished: UnboundedReceiver<Wish>, work: Work) {
    let mut running: HashMap<Place, AbortHandle> = HashMap::new();
    let mut resolver = Arc::new(Resolver::new(DnsTerms::default()));
    while let Some(Wish { places, terms }) = wished.recv().await {
        if *resolver.terms() != terms {
            resolver = Arc::new(Resolver::new(terms));
            // Begun anew they ask others at once; what they say again changes nothing.
            let names = running.extract_if(|(_, source), _| !matches!(source, Source::File(_)));
            names.for_each(|(_, task)| task.abort());
        }
        let wanted: HashSet<_> = places.iter().collect();
        running.retain(|place, task| {
            let stays = wanted.contains(place);
            if !stays {
                task.abort();
            }
            stays
        });
        for place in places {
            running.entry(place).or_insert_with_key(|(service, source)| {
                let (service, source) = (service.clone(), source.clone());
                let (work, resolver) = (work.clone(), Arc::clone(&resolver));
                let task =
                    move || Task::new(&service, &source, work.clone(), Arc::clone(&resolver));
                tokio::spawn(keep_alive(task)).abort_handle()
            });
        }
    }
}

/// A task ends by a panic alone, which is said where all are: what a name server sends must not end its source for good.
async fn keep_alive(task: impl Fn() -> Task) {
    loop {
        // Dropped, it takes the task along.
        let mut one = JoinSet::new();
        one.spawn(task().live());
        one.join_next().await;
        tokio::time::sleep(limits::SOURCE_RETRY_MAX).await;
    }
}

#[cfg(test)]
mod tests;
