//! A play in the world in memory: clients with requests of every kind, instances that answer them, a schedule of faults, and
//! the rules that hold whatever strikes.
//!
//! The rules: nothing malformed at either end; an answer that was cut never looks whole; an exchange that met no grave fault
//! is answered, and right; a request that is not idempotent is seen by one connection at most; in the end everything is
//! given back. A play is its seed, but for the worker's clock, which is real: where time is moved, a tick more or less may
//! change which deadline comes first.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::compile::compile;
use coregate_core::snapshot::plan::{Address, Plan};
use coregate_data::transport::faults::{Call, Fault, Odds, Schedule, tally};
use coregate_data::transport::memory::End;
use coregate_data::world::World;

use coregate_strict::{self as strict, Framing, Reader, Response, latin1};

/// Steps without a byte moved that are waited for: delays last for four turns at most, one may follow another.
const STALLED: u32 = 12;
/// Connections that wait at each instance: more than any play can need.
const WAITING: usize = 40;

/// Numbers that follow from a seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// The same bytes in pieces.
    fn pieces(&mut self, bytes: &[u8]) -> VecDeque<Vec<u8>> {
        let largest = self.of(&[1, 7, 100, 2_000, 100_000]).max(bytes.len() / 20);
        let (mut pieces, mut left) = (VecDeque::new(), bytes);
        while !left.is_empty() {
            let (piece, rest) = left.split_at((1 + self.below(largest)).min(left.len()));
            pieces.push_back(piece.to_vec());
            left = rest;
        }
        pieces
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Get,
    Head,
    Post,
    PostChunked,
    PostExpecting,
    /// HTTP/1.0.
    Old,
    Tunnel,
}

/// How an instance frames its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Length,
    Chunked,
    Close,
    /// It says more than it gives.
    Cut,
    /// The same, in chunks.
    CutChunked,
}

/// A request, and what should come of it.
#[derive(Debug)]
struct Asked {
    id: usize,
    kind: Kind,
    answer: Answer,
    /// What the client sends as a body, or through the tunnel.
    up: Vec<u8>,
    /// The body of the answer.
    down: Vec<u8>,
}

fn pattern(id: usize, size: usize) -> Vec<u8> {
    (0..size).map(|at| ((id * 31 + at * 7) % 251) as u8).collect()
}

impl Asked {
    /// `last`: nothing is asked behind it on its connection.
    fn new(dice: &mut Dice, id: usize, last: bool) -> Self {
        let kinds = [Kind::Get, Kind::Head, Kind::Post, Kind::PostChunked, Kind::PostExpecting];
        let kind = match last && dice.one_in(2) {
            true => dice.of(&[Kind::Old, Kind::Tunnel]),
            false => dice.of(&kinds),
        };
        let whole = [Answer::Length, Answer::Length, Answer::Chunked, Answer::Close];
        let answer = match last && dice.one_in(5) {
            true => dice.of(&[Answer::Cut, Answer::CutChunked]),
            false => dice.of(&whole),
        };
        let size = |dice: &mut Dice| match dice.below(40) {
            0 => 100_000 + dice.below(400_000),
            1..4 => dice.below(40_000),
            4..20 => dice.below(600),
            _ => dice.below(20),
        };
        let up = match kind {
            Kind::Get | Kind::Head | Kind::Old => 0,
            _ => size(dice),
        };
        let down = size(dice).max(2);
        Self { id, kind, answer, up: pattern(id + 1, up), down: pattern(id + 2, down) }
    }

    fn method(&self) -> &'static str {
        match self.kind {
            Kind::Get | Kind::Old | Kind::Tunnel => "GET",
            Kind::Head => "HEAD",
            Kind::Post | Kind::PostChunked | Kind::PostExpecting => "POST",
        }
    }

    /// No answer to it can look right.
    fn is_cut(&self) -> bool {
        matches!(self.answer, Answer::Cut | Answer::CutChunked)
            && !matches!(self.kind, Kind::Head | Kind::Tunnel)
    }

    fn request(&self, dice: &mut Dice) -> Vec<u8> {
        let version = if self.kind == Kind::Old { "1.0" } else { "1.1" };
        let line = format!("{} /{} HTTP/{version}\r\nHost: a\r\n", self.method(), self.id);
        let length = self.up.len();
        let (fields, body) = match self.kind {
            Kind::Get | Kind::Head | Kind::Old => (String::new(), Vec::new()),
            Kind::Post => (format!("Content-Length: {length}\r\n"), self.up.clone()),
            Kind::PostExpecting => {
                (format!("Expect: 100-continue\r\nContent-Length: {length}\r\n"), self.up.clone())
            }
            Kind::PostChunked => ("Transfer-Encoding: chunked\r\n".into(), chunks(dice, &self.up)),
            Kind::Tunnel => ("Connection: Upgrade\r\nUpgrade: echo\r\n".into(), Vec::new()),
        };
        [line.as_bytes(), fields.as_bytes(), b"\r\n", &body].concat()
    }

    /// The answer, and whether the instance ends its connection behind it.
    fn response(&self, dice: &mut Dice) -> (Vec<u8>, bool) {
        let interim = match self.kind {
            Kind::PostExpecting => "HTTP/1.1 100 Continue\r\n\r\n",
            _ => "",
        };
        let length = self.down.len();
        let (fields, mut body, ends) = match self.answer {
            _ if self.kind == Kind::Tunnel => {
                let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
                return (head.into(), false);
            }
            Answer::Length => (format!("Content-Length: {length}\r\n"), self.down.clone(), false),
            Answer::Chunked => {
                ("Transfer-Encoding: chunked\r\n".into(), chunks(dice, &self.down), false)
            }
            Answer::Close => (String::new(), self.down.clone(), true),
            Answer::Cut => {
                (format!("Content-Length: {length}\r\n"), self.down[..length / 2].into(), true)
            }
            Answer::CutChunked => {
                let whole = chunks(dice, &self.down);
                let kept = dice.below(whole.len());
                ("Transfer-Encoding: chunked\r\n".into(), whole[..kept].into(), true)
            }
        };
        if self.kind == Kind::Head {
            body.clear();
        }
        let head = format!("{interim}HTTP/1.1 200 OK\r\n{fields}\r\n");
        ([head.as_bytes(), &body].concat(), ends)
    }
}

fn chunks(dice: &mut Dice, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in dice.pieces(data) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(&piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// A connection to an instance.
struct Origin {
    end: End,
    got: Vec<u8>,
    /// How much of it was answered.
    at: usize,
    /// How much of it was found to be no whole request.
    looked: usize,
    out: VecDeque<Vec<u8>>,
    ends: bool,
    tunnel: bool,
}

impl Origin {
    fn new(end: End) -> Self {
        Self {
            end,
            got: Vec::new(),
            at: 0,
            looked: 0,
            out: VecDeque::new(),
            ends: false,
            tunnel: false,
        }
    }

    /// Whether anything moved.
    fn step(&mut self, all: &[Asked], dice: &mut Dice) -> Result<bool, String> {
        let more = self.end.take();
        let mut moved = !more.is_empty();
        self.got.extend_from_slice(&more);
        if self.tunnel {
            self.out.extend((!more.is_empty()).then_some(more));
            self.ends |= self.end.is_ended();
        } else if self.out.is_empty()
            && !self.ends
            && more.is_empty()
            && self.looked < self.got.len()
        {
            self.looked = self.got.len();
            self.answer(all, dice)?;
        }
        if let Some(piece) = self.out.pop_front() {
            self.end.push(&piece);
            moved = true;
            if self.out.is_empty() && self.ends {
                self.end.end();
            }
        } else if self.end.is_ended() && !moved {
            self.end.end();
        }
        Ok(moved)
    }

    fn answer(&mut self, all: &[Asked], dice: &mut Dice) -> Result<(), String> {
        let left = &self.got[self.at..];
        let mut reader = Reader::new(left);
        let request = match reader.request() {
            Ok(request) => request,
            Err(strict::Fault::Closed | strict::Fault::Truncated) => return Ok(()),
            Err(fault) => return Err(format!("at an instance: {fault}: {:?}", latin1(left))),
        };
        self.at += left.len() - reader.buffered().len() - reader.stream.len();
        self.looked = self.at;
        let id: usize = request.target[1..].parse().map_err(|_| request.target.clone())?;
        let asked = &all[id];
        let body = if asked.kind == Kind::Tunnel { &[][..] } else { &asked.up };
        if request.method != asked.method() || request.body != body {
            return Err(format!("another request than /{id} at an instance: {request:?}"));
        }
        self.tunnel = asked.kind == Kind::Tunnel;
        let (bytes, ends) = asked.response(dice);
        self.out = dice.pieces(&bytes);
        self.ends = ends;
        Ok(())
    }
}

/// A client's connection.
struct Client {
    end: End,
    /// What it has yet to ask.
    plan: VecDeque<usize>,
    /// What waits for an answer, and the grave faults before it was sent.
    waiting: VecDeque<(usize, u64)>,
    out: VecDeque<Vec<u8>>,
    got: Vec<u8>,
    at: usize,
    /// How much of it was found to be no whole answer, and whether that was all.
    looked: (usize, bool),
    pipelined: bool,
    /// What was sent through the tunnel so far, once there is one.
    tunnel: Option<usize>,
    over: bool,
    /// A request was refused: what is too much to drain behind it ends the connection.
    refused: bool,
    /// A part of an answer that ends with its connection, and an end, came: a reset must follow. Where a deadline ends the
    /// connection it does, as soon as the write that was held back is heard of.
    doubtful: bool,
}

impl Client {
    fn new(world: &World, plan: VecDeque<usize>, pipelined: bool) -> Self {
        Self {
            end: world.client(),
            plan,
            waiting: VecDeque::new(),
            out: VecDeque::new(),
            got: Vec::new(),
            at: 0,
            looked: (0, false),
            pipelined,
            tunnel: None,
            over: false,
            refused: false,
            doubtful: false,
        }
    }
}

/// A play.
pub struct Play {
    seed: u64,
    dice: Dice,
    world: World,
    asked: Vec<Asked>,
    origins: Vec<Origin>,
    clients: Vec<Client>,
    /// Grave faults are told apart by exchange only if there is one at a time.
    serial: bool,
    /// Time was moved, or a client left early: an exchange may fail without a fault.
    disturbed: bool,
    /// How far time was moved: the world's stands still while we only ask for less.
    ahead: Duration,
    /// Exchanges that were answered as they should be.
    pub right: usize,
}

impl Play {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let address = |port| Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let all: Vec<_> = (0..1 + dice.below(2) as u16).map(|at| address(9_000 + at)).collect();
        let plan = Plan::to_instances(&all);
        let world = World::new(compile(&plan, 1).unwrap()).unwrap();
        let waiting = all.iter().flat_map(|address| (0..WAITING).map(move |_| address));
        let origins = waiting.map(|address| Origin::new(world.instance(address))).collect();
        let serial = dice.one_in(2);
        let mut play = Self {
            seed,
            world,
            asked: Vec::new(),
            origins,
            clients: Vec::new(),
            serial,
            disturbed: !serial && dice.one_in(4),
            ahead: Duration::ZERO,
            right: 0,
            dice,
        };
        let schedule = play.schedule();
        play.world.meet(&schedule);
        for _ in 0..if serial { 1 } else { 1 + play.dice.below(3) } {
            let begin = play.asked.len();
            let end = begin + 1 + play.dice.below(5);
            for id in begin..end {
                let asked = Asked::new(&mut play.dice, id, id + 1 == end);
                play.asked.push(asked);
            }
            let pipelined = !serial && play.dice.one_in(2);
            play.clients.push(Client::new(&play.world, (begin..end).collect(), pipelined));
        }
        play
    }

    fn schedule(&mut self) -> Schedule {
        let mut schedule = Schedule::quiet(self.seed);
        let harmless = [
            (Call::Connect, Fault::Again),
            (Call::Connect, Fault::Delay),
            (Call::Read, Fault::Again),
            (Call::Read, Fault::Short),
            (Call::Read, Fault::Part),
            (Call::Read, Fault::Delay),
            (Call::Write, Fault::Short),
            (Call::Write, Fault::Part),
            (Call::Write, Fault::Delay),
            (Call::Ready, Fault::Again),
            (Call::Ready, Fault::Delay),
        ];
        let among = self.dice.below(4);
        match among {
            0 => {}
            1 => {
                let of = self.dice.of(&[8, 30, 100, 300]);
                schedule = Schedule::everything(self.seed, Odds::one_in(of));
            }
            _ => {
                for _ in 0..1 + self.dice.below(3) {
                    let (call, fault) = (self.dice.of(Call::ALL), self.dice.of(Fault::ALL));
                    schedule = schedule.with(call, fault, Odds::one_in(self.dice.of(&[2, 5, 20])));
                }
            }
        }
        for (call, fault) in harmless {
            if self.dice.one_in(3) {
                let of = self.dice.of(&[2, 3, 10]);
                schedule = schedule.with(call, fault, Odds::one_in(of));
            }
        }
        schedule
    }

    /// Plays to the end and looks whether everything was given back. Gives what went wrong.
    pub fn run(&mut self) -> Result<(), String> {
        let (mut still, mut waited) = (0, 0);
        while still < STALLED || waited < 3 {
            let before = tally();
            if still >= STALLED {
                // Connects that were told to come again wait for a moment.
                (still, waited) = (0, waited + 1);
                self.pass(Duration::from_millis(30));
            }
            if self.disturbed && self.dice.one_in(40) {
                self.disturb();
            }
            match self.step()? || tally() != before {
                true => (still, waited) = (0, 0),
                false => still += 1,
            }
        }
        self.end()?;
        self.none_twice()
    }

    fn step(&mut self) -> Result<bool, String> {
        let mut moved = false;
        for at in 0..self.clients.len() {
            moved |= self.step_client(at)?;
            self.world.run();
        }
        for origin in &mut self.origins {
            moved |= origin.step(&self.asked, &mut self.dice)?;
        }
        self.world.run();
        Ok(moved)
    }

    /// Time passes, or a client leaves.
    fn disturb(&mut self) {
        match self.dice.below(3) {
            0 => {
                let at = self.dice.below(self.clients.len());
                let client = &mut self.clients[at];
                client.end.end();
                client.out.clear();
                client.plan.clear();
            }
            _ => {
                let time = Duration::from_secs(1 + self.dice.below(30) as u64);
                self.pass(time);
            }
        }
    }

    fn step_client(&mut self, at: usize) -> Result<bool, String> {
        let client = &mut self.clients[at];
        let more = client.end.take();
        let mut moved = !more.is_empty();
        client.got.extend_from_slice(&more);
        // Not while more comes: reading the same half again and again takes time.
        while !moved && self.take_answer(at)? {}
        let client = &mut self.clients[at];
        if client.over {
            // The rest is asked on another connection.
            let plan = std::mem::take(&mut client.plan);
            if !plan.is_empty() {
                let pipelined = client.pipelined;
                self.clients.push(Client::new(&self.world, plan, pipelined));
                moved = true;
            }
            return Ok(moved);
        }
        if client.out.is_empty()
            && client.tunnel.is_none()
            && (client.pipelined || client.waiting.is_empty())
            && let Some(id) = client.plan.pop_front()
        {
            client.waiting.push_back((id, tally().grave));
            let bytes = self.asked[id].request(&mut self.dice);
            client.out = self.dice.pieces(&bytes);
        }
        if let Some(piece) = client.out.pop_front() {
            client.end.push(&piece);
            moved = true;
            if let Some(sent) = &mut client.tunnel {
                *sent += piece.len();
                if client.out.is_empty() {
                    client.end.end();
                }
            }
        }
        Ok(moved)
    }

    /// Reads what the client has got; whether an answer was whole, or there is nothing more to come.
    fn take_answer(&mut self, at: usize) -> Result<bool, String> {
        let client = &mut self.clients[at];
        let Some(&(id, grave)) = client.waiting.front().filter(|_| !client.over) else {
            client.over |= client.end.is_ended();
            return Ok(false);
        };
        let (asked, ended) = (&self.asked[id], client.end.is_ended());
        let excused = self.disturbed
            || client.refused
            || tally().grave > if self.serial { grave } else { 0 }
            || asked.is_cut();
        let left = &client.got[client.at..];
        if client.tunnel.is_some() {
            if !asked.up.starts_with(left) {
                return Err(format!("/{id}: other bytes through a tunnel"));
            }
            let cut = left.len() < asked.up.len();
            if ended && cut && !excused {
                return Err(format!("/{id}: a tunnel cut without a grave fault"));
            }
            if ended && cut && !client.end.is_reset() && !self.disturbed {
                return Err(format!("/{id}: a tunnel that broke off looks whole"));
            }
            if ended {
                client.waiting.clear();
                client.over = true;
                self.right += usize::from(!cut);
            }
            return Ok(ended);
        }
        if client.looked == (client.got.len(), ended) {
            return Ok(false);
        }
        let mut reader = Reader::new(left);
        client.looked = (client.got.len(), ended);
        let response = match reader.response(asked.kind == Kind::Head) {
            Ok(response) if response.framing == Framing::Close && !ended => return Ok(false),
            Ok(response)
                if response.framing == Framing::Close
                    && self.disturbed
                    && !client.end.is_reset()
                    && response.body.len() < asked.down.len() =>
            {
                client.doubtful = true;
                return Ok(false);
            }
            Ok(response) if response.framing == Framing::Close && client.end.is_reset() => {
                Err(response.framing)
            }
            Ok(response) => Ok(response),
            Err(strict::Fault::Closed | strict::Fault::Truncated) if !ended => return Ok(false),
            Err(strict::Fault::Closed | strict::Fault::Truncated) => Err(Framing::None),
            Err(fault) => return Err(format!("at a client: {fault}: {:?}", latin1(left))),
        };
        let used = left.len() - reader.buffered().len() - reader.stream.len();
        let Ok(response) = response else {
            if !excused {
                return Err(format!("/{id}: cut without a grave fault: {:?}", latin1(left)));
            }
            client.over = true;
            return Ok(false);
        };
        client.at += used;
        client.looked = (client.at, false);
        if (100..200).contains(&response.status) && response.status != 101 {
            return Ok(true);
        }
        let right = judge(asked, &response).map_err(|what| format!("/{id}: {what}"))?;
        if !right && !excused {
            return Err(format!("/{id}: a {} without a grave fault", response.status));
        }
        client.refused |= !right;
        self.right += usize::from(right && asked.kind != Kind::Tunnel);
        if response.status == 101 {
            client.tunnel = Some(0);
            client.out = self.dice.pieces(&asked.up);
            if client.out.is_empty() {
                client.end.end();
            }
            return Ok(true);
        }
        client.waiting.pop_front();
        client.over |= response.closes();
        Ok(true)
    }

    /// Everybody leaves, time passes, and everything is given back.
    fn end(&mut self) -> Result<(), String> {
        for client in &self.clients {
            let unanswered = !client.over && !client.waiting.is_empty();
            if unanswered && !self.disturbed {
                return Err(format!("no answer to /{}", client.waiting[0].0));
            }
            client.end.end();
        }
        self.settle();
        self.origins.iter().for_each(|origin| origin.end.end());
        self.settle();
        for client in &self.clients {
            if !client.end.is_ended() {
                return Err("a client's connection that does not end".into());
            }
            if client.doubtful && !client.end.is_reset() {
                return Err(format!("/{}: a part looks whole", client.waiting[0].0));
            }
        }
        for _ in 0..100 {
            if self.world.sweep() == 0 {
                break;
            }
        }
        let (worker, stats) = (self.world.worker(), self.world.stats());
        let left = [
            ("panics", stats.panics.get()),
            ("open slots", worker.slots.open_count() as u64),
            ("open connections", stats.connections_open.get()),
            ("open tunnels", stats.tunnels_open.get()),
            ("permits", worker.posts().permits_taken()),
            ("bytes of large buffers", worker.buffers.large_in_use() as u64),
        ];
        match left.iter().find(|(_, count)| *count > 0) {
            Some((what, count)) => Err(format!("left in the end: {count} {what}")),
            None => Ok(()),
        }
    }

    /// Time passes.
    fn pass(&mut self, time: Duration) {
        self.ahead += time;
        self.world.later(self.ahead);
    }

    fn settle(&mut self) {
        for _ in 0..4 {
            (0..STALLED).for_each(|_| self.world.run());
            self.pass(Duration::from_secs(100));
            for end in self.clients.iter().map(|client| &client.end) {
                let _ = end.take();
            }
            for end in self.origins.iter().map(|origin| &origin.end) {
                let _ = end.take();
            }
        }
    }

    /// RFC 9110 §9.2.2: what is not idempotent was seen by one connection at most; the others were retried within bounds.
    fn none_twice(&self) -> Result<(), String> {
        for asked in &self.asked {
            let line = format!("{} /{} HTTP/1.1\r\n", asked.method(), asked.id);
            let has = |origin: &&Origin| {
                origin.got.windows(line.len()).any(|window| window == line.as_bytes())
            };
            let seen = self.origins.iter().filter(has).count();
            let most = if asked.method() == "POST" { 1 } else { limits::ATTEMPTS as usize };
            if seen > most {
                return Err(format!("{line:?} on {seen} connections"));
            }
        }
        Ok(())
    }
}

/// Whether this is the right answer, or one that is none; an error if it is another's, or a part that looks whole.
fn judge(asked: &Asked, response: &Response) -> Result<bool, String> {
    match response.status {
        101 if asked.kind == Kind::Tunnel => Ok(true),
        200 if asked.kind == Kind::Tunnel => Err("a 200 to an upgrade".into()),
        200 if asked.is_cut() => {
            Err(format!("a part looks whole: {:?}, {}", response.framing, response.body.len()))
        }
        200 if asked.kind == Kind::Head && response.body.is_empty() => Ok(true),
        200 if asked.kind != Kind::Head && response.body == asked.down => Ok(true),
        200 => Err(format!(
            "another answer: {:?} {:?} {:?}, {} bytes of {}",
            asked.kind,
            asked.answer,
            response.head.text(),
            response.body.len(),
            asked.down.len()
        )),
        408 | 502 | 503 | 504 => Ok(false),
        status => Err(format!("a {status} to {:?}", asked.kind)),
    }
}
