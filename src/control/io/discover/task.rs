//! The life of a source: look, keep, tell the registry what differs, wait.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Source;
use tokio::time::sleep;

use super::dns::{Memory, Resolver};
use super::keeper::{Answer, Instances, Keeper, News, Step};
use super::{Work, file_sd};
use crate::io::look::look;
use crate::registry::log::{Command, Refused};

/// A source of one service.
#[derive(Debug)]
pub(super) struct Task {
    service: String,
    source: Source,
    work: Work,
    resolver: Arc<Resolver>,
    keeper: Keeper,
    began: Instant,
    /// Whether it was said that the registry does not take what it is told.
    is_refused: bool,
}

impl Task {
    pub(super) fn new(service: &str, source: &Source, work: Work, resolver: Arc<Resolver>) -> Self {
        let (service, source) = (service.to_owned(), source.clone());
        let (keeper, began) = (Keeper::default(), Instant::now());
        Self { service, source, work, resolver, keeper, began, is_refused: false }
    }

    /// Goes on until nobody wants it any more.
    pub(super) async fn live(mut self) {
        let resolver = Arc::clone(&self.resolver);
        let mut memory = Memory::default();
        match self.source.clone() {
            Source::Dns { host, port } => loop {
                let answer = resolver.addresses(&host, port, &mut memory).await;
                sleep(self.take(answer).await).await;
            },
            Source::Srv { name } => loop {
                let answer = resolver.services(&name, &mut memory).await;
                sleep(self.take(answer).await).await;
            },
            Source::File(path) => self.watch(&path).await,
        }
    }

    /// A file is looked at once a second, and read when it is another, or was written to, and has settled; or never settles.
    async fn watch(&mut self, path: &Path) {
        let (mut read, mut restless) = (None, 0);
        let mut seen = look(path);
        loop {
            let now = look(path);
            restless = if now == seen { 0 } else { restless + 1 };
            let has_settled = restless == 0 || restless > limits::FILE_RESTLESS;
            // Half a file that is being written is as broken as any: it is read again.
            if now.is_none() || (has_settled && now != read) {
                restless = 0;
                let answer = match file_sd::read(path) {
                    Ok(instances) => {
                        Answer::Found { instances, ttl: Duration::ZERO, lacking: None }
                    }
                    Err(why) => Answer::Failed(why),
                };
                self.take(answer).await;
                read = now.filter(|_| !self.is_refused);
            }
            seen = now;
            sleep(limits::WATCH_EVERY).await;
        }
    }

    /// Takes an answer; gives how long it is to the next look.
    async fn take(&mut self, answer: Answer) -> Duration {
        let random = RandomState::new().build_hasher().finish();
        let chance = random as f64 / u64::MAX as f64;
        let has_failed = matches!(answer, Answer::Failed(_));
        let now = self.began.elapsed();
        let step = self.keeper.take(answer, now, chance, self.resolver.terms());
        let Step { tell, mut next, news, failing } = step;
        let failing = failing.map(|why| clean(&why));
        if let Some(instances) = tell
            && !self.tell(instances).await
        {
            next = next.min(limits::SOURCE_RETRY);
        }
        if let Some(news) = news {
            self.say(&news, failing.as_deref());
        }
        let count = self.keeper.count();
        self.work.sources.change(&self.service, &self.source, |state| {
            state.has_answered = true;
            state.instances = count;
            state.looks[0] += 1;
            state.looks[1] += u64::from(has_failed);
            if !has_failed {
                state.answered = Some(Instant::now());
            }
            state.failing = failing;
        });
        next
    }

    /// Tells the registry; whether it has taken it.
    async fn tell(&mut self, instances: Instances) -> bool {
        let (service, source) = (self.service.clone(), self.source.clone());
        let command = Command::Discovered { service, source, instances: instances.clone() };
        let refused = match self.work.proposer.propose(command) {
            Ok(answer) => match answer.await {
                Ok(Ok(_)) => None,
                // Said where the upgrade is; whoever goes on looks for itself.
                Ok(Err(Refused::HandedOver)) => return false,
                Ok(Err(refused)) => Some(refused.to_string()),
                // The registry has ended, which is said elsewhere.
                Err(_) => return false,
            },
            Err(full) => Some(full.to_string()),
        };
        let Some(why) = refused else {
            self.keeper.told(instances);
            self.is_refused = false;
            return true;
        };
        if !std::mem::replace(&mut self.is_refused, true) {
            let line = format!("{}: not taken: {why}; it is tried again", self.name());
            self.work.speaker.say(&line, Instant::now());
        }
        false
    }

    fn say(&self, news: &News, failing: Option<&str>) {
        let name = self.name();
        let line = match news {
            News::Fails => {
                let why = failing.unwrap_or_default();
                match self.keeper.count() {
                    0 => format!("{name}: {why}; it has brought no instances yet"),
                    1 => format!("{name}: {why}; its instance is kept"),
                    count => format!("{name}: {why}; its {count} instances are kept"),
                }
            }
            News::Answers => format!("{name}: answers again"),
            News::TooMany(count) => {
                let most = limits::INSTANCES_PER_SOURCE;
                format!("{name}: {count} instances; the first {most} of them are taken")
            }
        };
        self.work.speaker.say(&line, Instant::now());
    }

    fn name(&self) -> String {
        format!("service {:?}: {}", self.service, self.source)
    }
}

/// What others wrote, as a part of one line: without control characters, and not long.
fn clean(why: &str) -> String {
    let mut clean: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.truncate(clean.floor_char_boundary(limits::SOURCE_WORD_BYTES));
    clean
}
