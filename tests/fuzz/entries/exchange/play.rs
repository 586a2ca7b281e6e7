//! Playing a script: the client's writes, an instance that answers what it has received, and the end of it all.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coregate_core::base::counter::Counter;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{Address, Plan};
use coregate_data::transport::memory::End;
use coregate_data::world::World;
use coregate_strict::{Fault, Reader, Request};

use super::{Answers, GOOD, Script, pieces};
use crate::shown;

/// Instances that wait for a connection: more than one run of the world can use up.
const SPARES: usize = 4;

/// A world in which scripts are played.
#[derive(Debug)]
pub struct Stage {
    world: World,
    address: Address,
    spares: VecDeque<End>,
    connects: u64,
}

/// What came of a script.
#[derive(Debug, Default)]
pub struct Played {
    /// What the client got.
    pub client: Vec<u8>,
    /// Whether its connection was reset, not ended.
    pub reset: bool,
    /// What each connection to the instance brought.
    pub upstreams: Vec<Upstream>,
    /// Every request that reached the instance, as far as it came, in order.
    pub given: Vec<Given>,
    /// Requests that ended without the instance's answer.
    pub rejects: u64,
}

/// A connection to the instance.
#[derive(Debug)]
pub struct Upstream {
    end: End,
    /// Everything that came.
    pub bytes: Vec<u8>,
    /// How much of it was whole requests.
    pub whole_bytes: usize,
    /// Which of the given requests those were.
    pub whole: Vec<usize>,
    /// Which of the given requests is being read.
    current: Option<usize>,
    answered: usize,
    /// It was switched to another protocol.
    pub raw: bool,
}

/// A request at the instance.
#[derive(Debug)]
pub struct Given {
    /// The request; its body only if it is whole.
    pub request: Request,
    /// Whether all of it came.
    pub whole: bool,
    /// Whether it was answered with [`GOOD`], or with the script's answer; `None`: not at all.
    pub good: Option<bool>,
}

impl Default for Stage {
    fn default() -> Self {
        let address = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)));
        let plan = Plan::to_instances(std::slice::from_ref(&address));
        let world = World::new(compile(&plan, 1).unwrap()).unwrap();
        Self { world, address, spares: VecDeque::new(), connects: 0 }
    }
}

impl Stage {
    /// Plays a script to its end. Panics if the gateway panicked, held anything back, or wrote what is not HTTP to the instance.
    pub fn play(&mut self, script: &Script<'_>) -> Played {
        let rejects = self.rejects();
        let mut played = Played::default();
        self.refill();
        let client = self.world.client();
        for piece in pieces(script.client, script.client_cuts) {
            client.push(piece);
            self.settle(script, &client, &mut played);
        }
        self.settle(script, &client, &mut played);
        if script.time {
            self.wait_for_all(script, &client, &mut played);
        } else {
            self.end_all(script, &client, &mut played);
        }
        self.all_over(&client, &played);
        played.reset = client.is_reset();
        played.rejects = self.rejects() - rejects;
        played
    }

    fn rejects(&self) -> u64 {
        self.world.stats().rejected.iter().map(Counter::get).sum()
    }

    fn refill(&mut self) {
        while self.spares.len() < SPARES {
            self.spares.push_back(self.world.instance(&self.address));
        }
    }

    /// Everybody ends what is open, in the script's order.
    fn end_all(&mut self, script: &Script<'_>, client: &End, played: &mut Played) {
        if script.client_first {
            client.end();
            self.settle(script, client, played);
        }
        // A request that waits for an answer may be sent again: those connections end too.
        let mut ended = 0;
        while ended < played.upstreams.len() {
            played.upstreams[ended].end.end();
            ended += 1;
            self.settle(script, client, played);
        }
        client.end();
        self.settle(script, client, played);
        for upstream in &played.upstreams[ended..] {
            upstream.end.end();
        }
        self.settle(script, client, played);
    }

    /// Nobody ends anything: every wait has a deadline.
    fn wait_for_all(&mut self, script: &Script<'_>, client: &End, played: &mut Played) {
        // Beyond the longest, that of a tunnel: an hour.
        for _ in 1..=8 {
            self.world.later(Duration::from_secs(1000));
            self.settle(script, client, played);
        }
        for upstream in &played.upstreams {
            upstream.end.end();
        }
        self.settle(script, client, played);
    }

    /// Nothing is left of the exchange.
    fn all_over(&self, client: &End, played: &Played) {
        self.world.sweep();
        assert_eq!(self.world.stats().panics.get(), 0, "panics");
        assert!(client.is_ended(), "the client's connection is still open");
        for upstream in &played.upstreams {
            assert!(upstream.end.is_ended(), "a connection to the instance is still open");
        }
        assert_eq!(self.world.stats().connections_open.get(), 0, "connections");
        assert_eq!(self.world.worker().slots.open_count(), 0, "slots");
    }

    /// Runs the world and the instance until nothing happens any more.
    fn settle(&mut self, script: &Script<'_>, client: &End, played: &mut Played) {
        loop {
            self.world.run();
            take(client, &mut played.client);
            let connects = self.world.stats().upstream_connects.get();
            for _ in self.connects..connects {
                let end = self.spares.pop_front().expect("it was connected to");
                played.upstreams.push(Upstream {
                    end,
                    bytes: Vec::new(),
                    whole_bytes: 0,
                    whole: Vec::new(),
                    current: None,
                    answered: 0,
                    raw: false,
                });
            }
            self.connects = connects;
            self.refill();
            let mut quiet = true;
            for at in 0..played.upstreams.len() {
                let upstream = &mut played.upstreams[at];
                if take(&upstream.end, &mut upstream.bytes) > 0 {
                    quiet = false;
                    self.hear(script, client, played, at);
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Reads what an instance has received and answers.
    fn hear(&self, script: &Script<'_>, client: &End, played: &mut Played, at: usize) {
        loop {
            let upstream = &mut played.upstreams[at];
            if upstream.raw {
                return;
            }
            let unread = &upstream.bytes[upstream.whole_bytes..];
            let mut reader = Reader::new(unread);
            let mut request = match reader.request_head() {
                Ok(request) => request,
                Err(Fault::Closed | Fault::Truncated) => return,
                Err(fault) => panic!("at the instance: {fault}: {}", shown(unread)),
            };
            let mut body = Vec::new();
            let read = reader.body(request.framing, |piece| body.extend_from_slice(piece));
            let consumed = unread.len() - reader.stream.len() - reader.buffered().len();
            let whole = match read {
                Ok(trailers) => {
                    request.body = body;
                    request.trailers = trailers;
                    true
                }
                Err(Fault::Closed | Fault::Truncated) => false,
                Err(fault) => panic!("at the instance: {fault}: {}", shown(unread)),
            };
            let given = Given { request, whole, good: None };
            let current = match upstream.current {
                Some(current) => {
                    let good = played.given[current].good;
                    played.given[current] = Given { good, ..given };
                    current
                }
                None => {
                    played.given.push(given);
                    played.given.len() - 1
                }
            };
            upstream.current = Some(current);
            if whole {
                upstream.current = None;
                upstream.whole_bytes += consumed;
                upstream.whole.push(current);
            }
            if (whole || script.early) && played.given[current].good.is_none() {
                self.answer(script, client, played, at, current);
            }
            if !whole {
                return;
            }
        }
    }

    fn answer(
        &self,
        script: &Script<'_>,
        client: &End,
        played: &mut Played,
        at: usize,
        current: usize,
    ) {
        let upstream = &mut played.upstreams[at];
        let given = &mut played.given[current];
        let good = match script.answers {
            Answers::Good => true,
            Answers::Given => false,
            Answers::FirstGiven => upstream.answered > 0,
            Answers::FirstGood => upstream.answered == 0,
        };
        upstream.answered += 1;
        given.good = Some(good);
        let asked_whole = given.whole;
        let head = given.request.method == "HEAD";
        let answer = match good {
            true if head => &GOOD[..GOOD.len() - 4],
            true => GOOD,
            false => script.answer,
        };
        upstream.raw = given.request.head.has("upgrade") && switches(answer) && !good;
        for piece in pieces(answer, script.answer_cuts) {
            upstream.end.push(piece);
            self.world.run();
            take(client, &mut played.client);
            if asked_whole && upstream.end.has_waiting() {
                // The next request is here already. What would still be said unasked answers that one, and nobody between
                // could tell (see "Known limits" in SECURITY.md).
                break;
            }
        }
        if script.ends {
            upstream.end.end();
        }
    }
}

/// Whether an answer begins as a 101, with a reason or without.
fn switches(answer: &[u8]) -> bool {
    answer
        .strip_prefix(b"HTTP/1.1 101")
        .is_some_and(|rest| rest.starts_with(b" ") || rest.starts_with(b"\r"))
}

/// Takes what an end has received; how much.
fn take(end: &End, into: &mut Vec<u8>) -> usize {
    let bytes = end.take();
    into.extend_from_slice(&bytes);
    bytes.len()
}
