//! What the demo shows: instances register, take their turns, one is killed, and comes back.
//!
//! Each scene lasts as long as it was asked to, and until what it is about has happened.

use std::env;
use std::fmt::Display;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use coregate_control::io::client::{self, Request};
use coregate_control::registry::directory::view::InstanceView;
use coregate_core::snapshot::plan::Address;

use super::toys::Toy;
use super::traffic::Tally;
use crate::server::say;

/// The toys: service and id.
const CAST: [(&str, &str); 4] =
    [("users", "users-1"), ("users", "users-2"), ("orders", "orders-1"), ("orders", "orders-2")];
/// Which of them is killed: `users-2`.
const VICTIM: usize = 1;
/// The pause between two requests.
const PACE: Duration = Duration::from_millis(100);
/// How long anything may take that should happen within a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the story ends early.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0} did not start: {1}")]
    NoToy(String, io::Error),
    #[error("{0} ended {1}")]
    Ended(String, String),
    #[error("{0}: nothing else was seen for {time} s", time = PATIENCE.as_secs())]
    Late(String),
}

/// Tells the story, then waits as long as the process lasts: the toys end with this thread.
pub(super) fn tell(gateway: Address, admin: Address, scene: Duration) {
    let began = Instant::now();
    let mut stage = Stage { gateway, admin, began, toys: Vec::new() };
    match stage.play(scene) {
        Ok(()) => stage
            .say("that was the story; the demo sends nothing any more, and serves on until Ctrl-C"),
        Err(why) => say::message(format_args!("demo: {why}; the gateway serves on")),
    }
    loop {
        thread::park();
    }
}

struct Stage {
    gateway: Address,
    admin: Address,
    began: Instant,
    toys: Vec<Toy>,
}

impl Stage {
    fn play(&mut self, scene: Duration) -> Result<(), Broken> {
        for (service, id) in CAST {
            let toy = self.start(service, id)?;
            self.toys.push(toy);
        }
        for at in 0..self.toys.len() {
            self.has_registered(at)?;
        }
        say::data(self.invitation());
        self.in_turns(scene)?;
        self.one_is_killed()?;
        self.without_it(scene)?;
        self.it_comes_back(scene)
    }

    fn start(&self, service: &'static str, id: &str) -> Result<Toy, Broken> {
        Toy::start(service, id, &self.admin).map_err(|error| Broken::NoToy(id.to_owned(), error))
    }

    fn has_registered(&mut self, at: usize) -> Result<(), Broken> {
        let toy = &self.toys[at];
        let who = format!("{} (pid {})", toy.id, toy.pid());
        let view = self.until(&who, PATIENCE, |stage, _| stage.sees(at).filter(is_serving))?;
        self.say(format_args!("{who} has registered from {}: {}", view.address, view.belief));
        Ok(())
    }

    fn in_turns(&mut self, scene: Duration) -> Result<(), Broken> {
        self.traffic(scene, |tally| CAST.iter().all(|(_, id)| tally.of(id) > 0))
    }

    fn one_is_killed(&mut self) -> Result<(), Broken> {
        let victim = &mut self.toys[VICTIM];
        let (id, pid) = (victim.id.clone(), victim.pid());
        victim.kill();
        let died = Instant::now();
        self.say(format_args!("kill -9 {pid} ({id})"));
        let mut tally = Tally::default();
        let what = format!("{id} is dead and still given requests");
        let view = self.until(&what, PATIENCE, |stage, count| {
            stage.send(&mut tally, count);
            // Gone with its lease, it is given none either.
            stage.sees(VICTIM).map_or(Some(None), |view| (!is_serving(&view)).then_some(Some(view)))
        })?;
        let (sent, failed) = (tally.sent(), tally.failed());
        self.say(format_args!(
            "{id} is given no requests any more, {} after its death; of {sent} sent meanwhile {failed} failed",
            seconds(died.elapsed())
        ));
        if let Some(view) = view {
            self.say(format_args!("the registry on {id}: {}", view.belief));
        }
        Ok(())
    }

    fn without_it(&mut self, scene: Duration) -> Result<(), Broken> {
        let others = CAST.iter().map(|(_, id)| *id).filter(|id| *id != CAST[VICTIM].1);
        self.traffic(scene, |tally| others.clone().all(|id| tally.of(id) > 0))
    }

    fn it_comes_back(&mut self, scene: Duration) -> Result<(), Broken> {
        let (service, id) = CAST[VICTIM];
        self.toys[VICTIM] = self.start(service, id)?;
        self.say(format_args!("{id} is started again (pid {})", self.toys[VICTIM].pid()));
        self.has_registered(VICTIM)?;
        self.traffic(scene, |tally| tally.of(id) > 0)
    }

    /// Sends requests for so long, and until enough has been seen of them; says who answered.
    fn traffic(&mut self, scene: Duration, enough: impl Fn(&Tally) -> bool) -> Result<(), Broken> {
        let (began, mut tally) = (Instant::now(), Tally::default());
        self.until("traffic", scene + PATIENCE, |stage, count| {
            stage.send(&mut tally, count);
            (began.elapsed() >= scene && enough(&tally)).then_some(())
        })?;
        let took = seconds(began.elapsed());
        self.say(format_args!("requests answered in the last {took}: {tally}"));
        Ok(())
    }

    fn send(&self, tally: &mut Tally, count: usize) {
        let service = if count.is_multiple_of(2) { "users" } else { "orders" };
        tally.send(&self.gateway, service);
    }

    /// Looks, at the pace of the requests, until there is something to see. `look` is told how often it has looked.
    fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut look: impl FnMut(&Self, usize) -> Option<T>,
    ) -> Result<T, Broken> {
        let end = Instant::now() + within;
        let mut count = 0;
        while Instant::now() < end {
            if let Some(seen) = look(self, count) {
                return Ok(seen);
            }
            let ended = self.toys.iter_mut().find_map(|toy| Some((toy.ended()?, toy.id.clone())));
            if let Some((how, id)) = ended {
                return Err(Broken::Ended(id, how));
            }
            thread::sleep(PACE);
            count += 1;
        }
        Err(Broken::Late(what.to_owned()))
    }

    /// What the registry says of a toy; none: it knows none of that id, or does not answer.
    fn sees(&self, at: usize) -> Option<InstanceView> {
        let Toy { service, id, .. } = &self.toys[at];
        let target = format!("/v1/services/{service}/instances/{id}");
        let reply = client::request(&self.admin, &Request::get(&target, PATIENCE)).ok()?;
        reply.is_success().then(|| reply.json().ok()).flatten()
    }

    fn say(&self, what: impl Display) {
        say::data(format_args!("{:>7}  {what}", seconds(self.began.elapsed())));
    }

    fn invitation(&self) -> String {
        let (option, host) = match &self.gateway {
            Address::Tcp(address) => (String::new(), address.to_string()),
            Address::Unix(path) => {
                (format!("--unix-socket {} ", path.display()), "localhost".into())
            }
        };
        let (coregate, admin) = (env::args().next().unwrap_or_default(), &self.admin);
        format!(
            "\nTry, in another terminal:\n\n\
             \x20 curl {option}http://{host}/users/7         # a few times: each worker lets the instances take turns\n\
             \x20 curl {option}http://{host}/orders/1?full=yes\n\
             \x20 curl -i {option}http://{host}/nowhere      # no route: 404\n\
             \x20 curl -i {option}--path-as-is http://{host}/users/../../etc   # climbs above the root: 400\n\
             \x20 {coregate} registry list users --admin {admin}\n\
             \x20 {coregate} registry show users users-2 --admin {admin}\n\
             \x20 {coregate} registry watch --admin {admin}\n\n\
             Stop with Ctrl-C.\n"
        )
    }
}

/// Whether it is given requests.
fn is_serving(view: &InstanceView) -> bool {
    view.health.as_ref().is_some_and(|health| health.serving)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
