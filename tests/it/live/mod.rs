//! What changes while a gateway runs, as those who run it see it: reload, history, drain, instances, the admin listener, upgrade.
//!
//! Clients retry nothing here: a connection may end after an answer that says `Connection: close`, and in no other way.

mod admin;
mod connections;
mod drain;
mod going;
mod history;
mod include;
mod instances;
mod listeners;
mod membership;
mod registered;
mod reload;
mod stuck;
mod successor;
mod triggers;
mod upgrade;

use std::sync::{Mutex, mpsc};

use crate::harness::client::Peer;
use crate::harness::clock::PATIENCE;
use crate::harness::gateway::config;
use crate::harness::origin::{Origin, Reply};

/// An instance that answers to `/slow` when it is told to, and to all else at once: its name and the target.
#[derive(Debug)]
struct Slow {
    origin: Origin,
    arrivals: mpsc::Receiver<()>,
    answers: mpsc::Sender<()>,
}

impl Slow {
    fn named(name: &'static str) -> Self {
        let (arrived, arrivals) = mpsc::channel();
        let (answers, told) = mpsc::channel::<()>();
        let told = Mutex::new(told);
        let origin = Origin::serving(move |request| {
            if request.target.starts_with("/slow") {
                arrived.send(()).unwrap();
                // A test that fails lets go of the other end.
                let _ = told.lock().unwrap().recv_timeout(2 * PATIENCE);
            }
            Reply::ok(format!("{name} {}", request.target))
        });
        Self { origin, arrivals, answers }
    }

    fn address(&self) -> &str {
        self.origin.address()
    }

    /// Waits until a request for `/slow` is here.
    #[track_caller]
    fn arrived(&self) {
        self.arrivals.recv_timeout(PATIENCE).expect("a request for /slow");
    }

    /// Lets one of them be answered.
    fn answer(&self) {
        self.answers.send(()).unwrap();
    }
}

/// Two services, `a` for `/*` and `b` for `/b/*`, each with one instance.
fn two_services(a: &str, b: &str) -> String {
    let text = config("", "", &[a]).replace("\"s\"", "\"a\"").replace("services.s]", "services.a]");
    format!("{text}\"/b/*\" = \"b\"\n[services.b]\ninstances = [{b:?}]\n")
}

/// The same configuration with two workers.
fn two_workers(text: &str) -> String {
    text.replace("cores = 1", "cores = 1\nworkers = 2")
}

/// One GET whose answer must be this, on a connection that stays.
#[track_caller]
fn stays(client: &mut Peer, target: &str, body: &str) {
    let response = client.get(target);
    assert_eq!((response.status, response.text().as_str()), (200, body));
    assert!(!response.closes(), "{}", response.head.text());
}

/// One GET whose answer must be this, and the last one of its connection.
#[track_caller]
fn is_the_last(client: &mut Peer, target: &str, body: &str) {
    let response = client.get(target);
    assert_eq!((response.status, response.text().as_str()), (200, body));
    assert!(response.head.has_option("close"), "{}", response.head.text());
    client.expect_end();
}
