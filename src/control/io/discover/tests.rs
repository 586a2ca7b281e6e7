//! What becomes of sources: files, which need no server, from a plan to the log.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use coregate_core::snapshot::plan::ServicePlan;

use super::*;
use crate::registry::log::{self, Command, Detail, Log, Outcome, Refused};

/// What was said so far. Tests of this file run in one process: each looks for its own service.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn said(text: &str) -> usize {
    SAID.lock().unwrap().iter().filter(|line| line.contains(text)).count()
}

/// Discovery, the log that it proposes to, and a file.
struct Bench {
    discovery: Discovery,
    log: Log,
    service: &'static str,
    path: PathBuf,
}

impl Bench {
    fn new(service: &'static str) -> Self {
        let (proposer, log) = log::in_memory();
        let voice = Voice::new(|line| SAID.lock().unwrap().push(line.to_owned()));
        let path = std::env::temp_dir().join(format!("coregate-{service}-{}", std::process::id()));
        Self { discovery: Discovery::new(proposer, voice), log, service, path }
    }

    /// Writes the file as careful programs do.
    fn write(&self, text: &str) {
        let beside = self.path.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &self.path).unwrap();
    }

    fn follow(&mut self, sources: &[Source]) {
        let service = ServicePlan { sources: sources.to_vec(), ..ServicePlan::named(self.service) };
        let plan = Plan { services: vec![service], ..Plan::default() };
        self.discovery.follow(&plan, DnsTerms::default()).unwrap();
    }

    fn file(&self) -> Source {
        Source::File(self.path.clone())
    }

    /// The next thing that is proposed: how many instances; it is answered so.
    #[track_caller]
    fn told(&mut self, answer: Result<(), Refused>) -> usize {
        let next = self.log.next(Duration::from_secs(20)).unwrap().expect("nothing is proposed");
        let Command::Discovered { service, source, instances } = next.1.command else { panic!() };
        assert_eq!((service.as_str(), source), (self.service, self.file()));
        let outcome = answer.map(|()| Outcome { index: 1, generation: 1, detail: Detail::Done });
        next.1.then.answer(outcome);
        instances.len()
    }

    #[track_caller]
    fn view_when(&self, what: &str, holds: impl Fn(&sources::SourceView) -> bool) {
        let begun = Instant::now();
        while !self.discovery.sources().view(9).iter().any(&holds) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

const ONE: &str = r#"[{"targets": ["10.0.0.1:1"]}]"#;
const TWO: &str = r#"[{"targets": ["10.0.0.1:1", "10.0.0.2:1"]}]"#;

#[test]
fn a_file_is_followed_and_a_broken_one_keeps_what_was() {
    let mut bench = Bench::new("followed");
    bench.write(TWO);
    bench.follow(&[bench.file()]);
    assert!(!bench.discovery.sources().wait(Duration::ZERO), "the registry has not taken it");
    assert_eq!(bench.told(Ok(())), 2);
    assert!(bench.discovery.sources().wait(Duration::from_secs(10)));
    bench.write("[{");
    bench.view_when("it fails", |one| one.failing.is_some() && one.instances == 2);
    bench.write("[{ ");
    assert_eq!(said("followed\": file_sd:"), 1, "once");
    assert_eq!(said("line 1 column 2; its 2 instances are kept"), 1);
    bench.write(ONE);
    assert_eq!(bench.told(Ok(())), 1);
    bench.view_when("it answers again", |one| one.failing.is_none() && one.instances == 1);
    fs::remove_file(&bench.path).unwrap();
    bench.view_when("it is missing", |one| one.failing.is_some() && one.instances == 1);
    bench.write(ONE);
    bench.view_when("it is there again", |one| one.failing.is_none());
    bench.write("[]");
    assert_eq!(bench.told(Ok(())), 0);
}

#[test]
fn what_is_not_taken_is_proposed_again() {
    let mut bench = Bench::new("again");
    bench.write(ONE);
    bench.follow(&[bench.file()]);
    assert_eq!(bench.told(Err(log::Full.into())), 1);
    assert_eq!(bench.told(Err(Refused::HandedOver)), 1);
    assert_eq!(bench.told(Ok(())), 1);
    assert_eq!(said("again\": file_sd:"), 1);
}

#[test]
fn sources_come_and_go_with_the_plan() {
    let mut bench = Bench::new("comes");
    bench.follow(&[]);
    assert!(bench.discovery.wishes.is_none(), "no thread for nothing");
    assert!(bench.discovery.sources().wait(Duration::ZERO));
    bench.write(ONE);
    bench.follow(&[bench.file()]);
    assert_eq!(bench.told(Ok(())), 1);
    bench.follow(&[]);
    assert!(bench.discovery.sources().view(9).is_empty());
    bench.write(TWO);
    bench.follow(&[bench.file()]);
    assert_eq!(bench.told(Ok(())), 2, "it begins anew");
    bench.follow(&[bench.file()]);
    bench.discovery.end();
    bench.write(ONE);
    let end = bench.log.next(Duration::from_secs(3)).map(|next| next.is_some());
    assert!(matches!(end, Ok(false) | Err(_)), "nobody looks any more");
}

/// Somebody writes it anew all the time: it is read nonetheless.
#[test]
fn a_file_that_never_settles_is_read() {
    let mut bench = Bench::new("restless");
    bench.write("[]");
    let (file, stop) = (bench.file(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    bench.follow(&[file]);
    assert_eq!(bench.told(Ok(())), 0);
    let writer = {
        let (path, stop) = (bench.path.clone(), Arc::clone(&stop));
        thread::spawn(move || {
            let beside = path.with_extension("new");
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fs::write(&beside, ONE).unwrap();
                fs::rename(&beside, &path).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        })
    };
    assert_eq!(bench.told(Ok(())), 1);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
}
