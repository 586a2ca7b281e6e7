//! Renewals of leases: every registered instance in turn, at a constant rate, over many connections that are kept alive.
//!
//! Each connection has one request on its way at a time; its answer is read when its turn comes again. So a hundred connections
//! ask 3,400 times a second from a few threads, and an answer has some 30 ms before it holds up anybody.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use crate::churn::ask::{Admin, Client};
use crate::churn::gateway::World;

/// Threads that share the connections.
const THREADS: u64 = 4;
/// What every instance says of its lease: nothing but renewals is to change it.
const TTL: &str = "1h";

/// How many renewals there are.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A second.
    pub rate: u64,
    /// Over so many connections.
    pub connections: u64,
}

/// What was renewed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Renewed {
    /// Renewals that were answered.
    pub answered: u64,
    /// Those of them that were refused.
    pub refused: u64,
    /// How long that took.
    pub took: Duration,
}

impl Renewed {
    /// Renewals a second.
    pub fn a_second(self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64().max(1e-9)
    }

    fn and(self, other: Self) -> Self {
        Self {
            answered: self.answered + other.answered,
            refused: self.refused + other.refused,
            took: self.took.max(other.took),
        }
    }
}

/// Renewals on their way.
pub struct Renewals {
    stop: Arc<AtomicBool>,
    begun: Instant,
    threads: Vec<JoinHandle<io::Result<Renewed>>>,
}

/// Registers every instance with a lease, over so many connections.
pub fn register_all(admin: &Path, world: World, connections: u64) -> io::Result<()> {
    let all = u64::from(world.services) * u64::from(world.instances);
    let next = Arc::new(AtomicU64::new(0));
    let register = move |crew: &mut Crew| {
        loop {
            let which = next.fetch_add(1, Ordering::Relaxed);
            if which >= all {
                return crew.finish();
            }
            let body = format!("{{\"ttl\":\"{TTL}\"}}");
            crew.send(&format!(
                "PUT {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                path(&world, which),
                body.len()
            ))?;
        }
    };
    let registered = together(crews(admin, connections, register))?;
    match registered {
        Renewed { answered, refused: 0, .. } if answered == all => Ok(()),
        other => Err(io::Error::other(format!("of {all} instances: {other:?}"))),
    }
}

impl Renewals {
    /// Begins.
    pub fn begin(admin: &Path, world: World, Pace { rate, connections }: Pace) -> Renewals {
        let (stop, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let (stopped, next) = (Arc::clone(&stop), Arc::new(AtomicU64::new(0)));
        let all = u64::from(world.services) * u64::from(world.instances);
        let renew = move |crew: &mut Crew| {
            while !stopped.load(Ordering::Relaxed) {
                let which = next.fetch_add(1, Ordering::Relaxed);
                let due = begun + Duration::from_micros(which * 1_000_000 / rate);
                sleep(due.saturating_duration_since(Instant::now()));
                crew.send(&format!(
                    "POST {}/renew HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
                    path(&world, which % all)
                ))?;
            }
            crew.finish()
        };
        Renewals { stop, begun, threads: crews(admin, connections, renew) }
    }

    /// Ends them.
    pub fn end(self) -> io::Result<Renewed> {
        self.stop.store(true, Ordering::Relaxed);
        let renewed = together(self.threads)?;
        Ok(Renewed { took: self.begun.elapsed(), ..renewed })
    }
}

/// Instance number `which`: services in turn.
fn path(world: &World, which: u64) -> String {
    let (service, number) = (which as u32 % world.services, which as u32 / world.services);
    format!("/v1/services/s{service}/instances/{}", world.instance(service, number))
}

/// The connections of one thread.
struct Crew {
    clients: Vec<(Admin, bool)>,
    at: usize,
    done: Renewed,
}

impl Crew {
    fn new(admin: &Path, connections: u64) -> io::Result<Self> {
        let client = |_| Ok((Client::admin(admin)?, false));
        let clients = (0..connections).map(client).collect::<io::Result<_>>()?;
        Ok(Self { clients, at: 0, done: Renewed::default() })
    }

    /// Sends a request over the next connection, once its last has been answered.
    fn send(&mut self, request: &str) -> io::Result<()> {
        self.at = (self.at + 1) % self.clients.len();
        self.hear(self.at)?;
        let (client, waits) = &mut self.clients[self.at];
        client.send(request.as_bytes())?;
        *waits = true;
        Ok(())
    }

    fn hear(&mut self, at: usize) -> io::Result<()> {
        let (client, waits) = &mut self.clients[at];
        if std::mem::take(waits) {
            let (status, _) = client.receive()?;
            self.done.answered += 1;
            self.done.refused += u64::from(status >= 300);
        }
        Ok(())
    }

    /// Hears all answers that are still to come.
    fn finish(&mut self) -> io::Result<()> {
        (0..self.clients.len()).try_for_each(|at| self.hear(at))
    }
}

fn crews(
    admin: &Path,
    connections: u64,
    work: impl Fn(&mut Crew) -> io::Result<()> + Clone + Send + 'static,
) -> Vec<JoinHandle<io::Result<Renewed>>> {
    let start = |number| {
        let (admin, work) = (admin.to_owned(), work.clone());
        let share = connections / THREADS + u64::from(number < connections % THREADS);
        spawn(move || {
            let mut crew = Crew::new(&admin, share.max(1))?;
            work(&mut crew)?;
            Ok(crew.done)
        })
    };
    (0..THREADS).map(start).collect()
}

fn together(threads: Vec<JoinHandle<io::Result<Renewed>>>) -> io::Result<Renewed> {
    threads.into_iter().try_fold(Renewed::default(), |all, thread| {
        let died = |_| io::Error::other("a thread of renewals died");
        Ok(all.and(thread.join().map_err(died)??))
    })
}
