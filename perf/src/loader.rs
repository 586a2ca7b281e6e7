//! The engine of `load`: sends requests when the schedule says so and keeps the figures.
//!
//! One request at a time a connection, never pipelined: what is due while an answer is awaited
//! waits, and its latency runs from the moment it was due. Time, connections and requests are all
//! bounded by the schedule and the time-out.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use hdrhistogram::{Counter, Histogram};
use socket2::SockAddr;

use crate::frame::{Framer, status_of};
use crate::ring::{Event, Op, Ring};
use crate::schedule::Schedule;
use crate::sock;

/// How often connections are looked over for time-outs.
const SWEEP: Duration = Duration::from_millis(50);
/// All connections must stand within this time before the schedule starts.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What to send, where and when.
pub struct Plan {
    /// The target.
    pub to: SocketAddr,
    /// The requests, head and all: one after the other, over and over. At least one.
    pub requests: Vec<Vec<u8>>,
    /// How many connections.
    pub connections: usize,
    /// When.
    pub schedule: Schedule,
    /// How long an answer may take from when it was asked for.
    pub timeout: Duration,
}

/// The figures of a run. Latencies are in nanoseconds.
pub struct Figures {
    /// Counted requests that left.
    pub sent: u64,
    /// Answers with a status below 400.
    pub ok: u64,
    /// Other answers, and connections that broke under a request.
    pub errors: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Requests that never left, because the one before them on their connection took too long.
    pub unsent: u64,
    /// From when a request was due to its answer. A request that timed out or never left counts
    /// with the time it had waited, so that it cannot flatter the percentiles; errors do not count.
    pub latency: Histogram<u64>,
    /// From when a request was due to when it was handed to the kernel, where its connection was
    /// free: the loader's own lateness, which is part of `latency`.
    pub own_lag: Histogram<u64>,
    /// Answers and latency of each connection.
    pub connections: Vec<(u64, Histogram<u32>)>,
    /// From when the first counted request was due to the last answer.
    pub took: Duration,
}

/// Runs the plan to its end.
pub fn run(plan: Plan) -> io::Result<Figures> {
    let latency = Histogram::<u64>::new(3).map_err(io::Error::other)?;
    let one = Histogram::<u32>::new(2).map_err(io::Error::other)?;
    let figures = Figures {
        sent: 0,
        ok: 0,
        errors: 0,
        timeouts: 0,
        unsent: 0,
        own_lag: latency.clone(),
        latency,
        connections: vec![(0, one); plan.connections],
        took: Duration::ZERO,
    };
    let mut loader = Loader {
        ring: Ring::new(8192)?,
        to_raw: Box::leak(Box::new(SockAddr::from(plan.to))),
        to: plan.to,
        requests: plan.requests.into_iter().map(|request| &*request.leak()).collect(),
        schedule: plan.schedule,
        timeout: plan.timeout,
        lanes: (0..plan.connections).map(|_| Lane::default()).collect(),
        figures,
        start: Instant::now(),
        settled: 0,
        starved: Vec::new(),
    };
    loader.connect_all()?;
    loader.load()?;
    Ok(loader.figures)
}

struct Loader {
    ring: Ring,
    to: SocketAddr,
    to_raw: &'static SockAddr,
    requests: Vec<&'static [u8]>,
    schedule: Schedule,
    timeout: Duration,
    lanes: Vec<Lane>,
    figures: Figures,
    start: Instant,
    /// Requests whose fate is known.
    settled: u64,
    starved: Vec<usize>,
}

/// One connection, opened again under the same number when it breaks.
///
/// ```text
///   Closed -> Connecting -> Idle <-> Asked
///                 any of them -> Closing -> Closed, once nothing is in flight
/// ```
#[derive(Default)]
struct Lane {
    fd: Option<OwnedFd>,
    state: State,
    receiving: bool,
    /// What of the request has not left yet; empty when no send is in flight.
    sending: &'static [u8],
    framer: Framer,
    /// How many of its requests are due by now, and how many of them were begun.
    due: u64,
    begun: u64,
    /// The status of the answer being received.
    status: u16,
    /// When the request in flight was sent.
    sent_at: Duration,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Connecting,
    Idle,
    Asked,
    Closing,
}

impl Loader {
    fn connect_all(&mut self) -> io::Result<()> {
        let (begun, mut events) = (Instant::now(), Vec::new());
        for lane in 0..self.lanes.len() {
            self.connect(lane)?;
        }
        while self.lanes.iter().any(|lane| lane.state == State::Connecting) {
            if begun.elapsed() > CONNECT_LIMIT {
                return Err(io::Error::other("not all connections stood within 10 s"));
            }
            self.ring.wait(Some(SWEEP), &mut events)?;
            for event in events.drain(..) {
                if let (Op::Connect, Err(error)) = (event.op, &event.result) {
                    return Err(io::Error::new(error.kind(), format!("connect: {error}")));
                }
                self.take(event);
            }
        }
        Ok(())
    }

    fn load(&mut self) -> io::Result<()> {
        let total = self.schedule.total();
        let end = self.schedule.at(total) + self.timeout;
        let (mut next, mut swept, mut events) = (0, Duration::ZERO, Vec::new());
        self.start = Instant::now();
        while self.settled < total {
            let now = self.start.elapsed();
            while next < total && self.schedule.at(next) <= now {
                let lane = self.schedule.connection(next);
                self.lanes[lane].due += 1;
                self.ask(lane, true);
                next += 1;
            }
            if now >= end {
                break;
            }
            if now >= swept + SWEEP {
                self.sweep(now);
                swept = now;
            }
            let until = if next < total { self.schedule.at(next) } else { end };
            let limit = until.saturating_sub(self.start.elapsed()).min(SWEEP);
            self.ring.wait(Some(limit), &mut events)?;
            for event in events.drain(..) {
                self.take(event);
            }
            if self.ring.has_buffers() {
                for lane in std::mem::take(&mut self.starved) {
                    self.receive(lane);
                }
            }
        }
        self.settle_the_rest();
        Ok(())
    }

    /// Sends the connection's next request if one is due and the connection free. `on_time` says
    /// that it has only now come due, so that any lateness is the loader's own.
    fn ask(&mut self, index: usize, on_time: bool) {
        let lane = &mut self.lanes[index];
        if lane.begun == lane.due {
            return;
        }
        if lane.state == State::Closed && self.connect(index).is_err() {
            self.lanes[index].begun += 1;
            return self.settle(index, Fate::Error);
        }
        let lane = &mut self.lanes[index];
        let (State::Idle, true, Some(fd)) = (lane.state, lane.sending.is_empty(), &lane.fd) else {
            return;
        };
        let k = self.schedule.request(index, lane.begun);
        lane.begun += 1;
        lane.state = State::Asked;
        lane.sent_at = self.start.elapsed();
        lane.sending = self.requests[(k % self.requests.len() as u64) as usize];
        self.ring.send(fd.as_fd(), index as u32, lane.sending);
        if self.schedule.counts(k) {
            self.figures.sent += 1;
            if on_time {
                let lag = lane.sent_at.saturating_sub(self.schedule.at(k));
                record(&mut self.figures.own_lag, lag);
            }
        }
    }

    fn take(&mut self, event: Event) {
        let index = event.slot as usize;
        match event.op {
            Op::Connect => self.connected(index, event.result),
            Op::Recv => self.received(index, event),
            Op::Send => self.sent(index, event.result),
            Op::Accept | Op::Pause => {}
        }
        self.free(index);
        self.ask(index, false);
    }

    fn connect(&mut self, index: usize) -> io::Result<()> {
        let fd = sock::dialer(self.to)?;
        self.ring.connect(fd.as_fd(), index as u32, self.to_raw);
        let lane = &mut self.lanes[index];
        lane.fd = Some(fd);
        lane.state = State::Connecting;
        lane.sent_at = self.start.elapsed();
        lane.framer = Framer::default();
        Ok(())
    }

    fn connected(&mut self, index: usize, result: io::Result<usize>) {
        let lane = &mut self.lanes[index];
        if result.is_ok() && lane.state == State::Connecting {
            lane.state = State::Idle;
            self.receive(index);
            return;
        }
        // The request that asked for this connection fails with it.
        lane.state = State::Closed;
        lane.fd = None;
        if lane.begun < lane.due {
            lane.begun += 1;
            self.settle(index, Fate::Error);
        }
    }

    fn receive(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        let open = matches!(lane.state, State::Idle | State::Asked);
        if let (true, false, Some(fd)) = (open, lane.receiving, &lane.fd) {
            lane.receiving = true;
            self.ring.recv(fd.as_fd(), index as u32);
        }
    }

    fn received(&mut self, index: usize, event: Event) {
        let lane = &mut self.lanes[index];
        lane.receiving = event.more;
        let mut status = None;
        let mut ended = Ok(0);
        if let Some(chunk) = event.chunk {
            let bytes = self.ring.bytes(&chunk);
            ended = lane.framer.feed(bytes, |head| status = status_of(head).or(status));
            self.ring.recycle(chunk);
        }
        if let Some(status) = status {
            lane.status = status;
        }
        match (event.result, ended) {
            (Err(error), _) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.starved.push(index);
            }
            (Ok(1..), Ok(0)) => self.receive(index),
            (Ok(1..), Ok(1)) if lane.state == State::Asked => {
                let fate = if lane.status < 400 { Fate::Ok } else { Fate::Error };
                lane.state = State::Idle;
                self.settle(index, fate);
                self.receive(index);
            }
            _ => self.fail(index, Fate::Error),
        }
    }

    fn sent(&mut self, index: usize, result: io::Result<usize>) {
        let lane = &mut self.lanes[index];
        let sending = std::mem::take(&mut lane.sending);
        match (result, &lane.fd) {
            (Ok(count @ 1..), Some(fd)) => {
                let left = sending.get(count..).unwrap_or_default();
                if !left.is_empty() && lane.state == State::Asked {
                    lane.sending = left;
                    self.ring.send(fd.as_fd(), index as u32, left);
                }
            }
            _ => self.fail(index, Fate::Error),
        }
    }

    /// Ends a connection and the request on it.
    fn fail(&mut self, index: usize, fate: Fate) {
        let lane = &mut self.lanes[index];
        let state = std::mem::replace(&mut lane.state, State::Closing);
        if let Some(fd) = &lane.fd {
            sock::shut(fd);
        }
        if state == State::Asked {
            self.settle(index, fate);
        }
    }

    fn free(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        if lane.state == State::Closing && !lane.receiving && lane.sending.is_empty() {
            lane.state = State::Closed;
            lane.fd = None;
        }
    }

    fn sweep(&mut self, now: Duration) {
        for index in 0..self.lanes.len() {
            let lane = &self.lanes[index];
            if now.saturating_sub(lane.sent_at) < self.timeout {
                continue;
            }
            match lane.state {
                State::Asked => self.fail(index, Fate::Timeout),
                // Its completion fails the request.
                State::Connecting => lane.fd.iter().for_each(sock::shut),
                State::Idle | State::Closed | State::Closing => {}
            }
        }
    }

    /// Writes down how the connection's last begun request ended.
    fn settle(&mut self, index: usize, fate: Fate) {
        self.settled += 1;
        let turn = self.lanes[index].begun.saturating_sub(1);
        let k = self.schedule.request(index, turn);
        if !self.schedule.counts(k) {
            return;
        }
        let now = self.start.elapsed();
        let waited = now.saturating_sub(self.schedule.at(k));
        let (answers, latency) = &mut self.figures.connections[index];
        match fate {
            Fate::Ok => {
                self.figures.ok += 1;
                *answers += 1;
                self.figures.took = now.saturating_sub(self.schedule.counted_from());
            }
            Fate::Error => self.figures.errors += 1,
            Fate::Timeout => self.figures.timeouts += 1,
            Fate::Unsent => self.figures.unsent += 1,
        }
        if fate != Fate::Error {
            record(&mut self.figures.latency, waited);
            record(latency, waited);
        }
    }

    fn settle_the_rest(&mut self) {
        for index in 0..self.lanes.len() {
            if self.lanes[index].state == State::Asked {
                self.settle(index, Fate::Timeout);
            }
            while self.lanes[index].begun < self.lanes[index].due {
                self.lanes[index].begun += 1;
                self.settle(index, Fate::Unsent);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Ok,
    Error,
    Timeout,
    Unsent,
}

fn record<C: Counter>(histogram: &mut Histogram<C>, value: Duration) {
    // The histograms grow with their values: only a value beyond 64 bits could fail.
    let _ = histogram.record(value.as_nanos() as u64);
}
