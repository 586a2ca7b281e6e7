//! Bar: twice as many requests as a service can do, which has a bulkhead.
//!
//! The origin has 16 slots of 10 ms: 1,600 requests a second. Asked are 3,200, in an even pace whatever becomes of them. Those that are
//! let in must be answered within 100 ms, which is `wait`, at the 99th percentile, and be 95 % of what the origin can do at least.

use std::io;
use std::time::Duration;

use super::{Amount, Verdict};
use crate::live::line::{Line, Setup};
use crate::live::{place, slots};
use crate::loader::{self, Plan};
use crate::schedule::Schedule;
use crate::sock;

const SLOTS: usize = 16;
const TIME: Duration = Duration::from_millis(10);
/// What the origin can do, a second.
const CAPACITY: u64 = 1_600;
/// A few more than slots, so that a slot need not wait for the next request; what waits at the origin, waits for 2.5 ms at most.
const SERVICE: usize = 20;
const WAIT: Duration = Duration::from_millis(100);
/// So many may be in flight at once: what is due while all are busy would be late by the loader's fault.
const CONNECTIONS: u64 = 600;
const WARMUP: u64 = 2;

/// Runs it, for so many seconds.
pub fn queue(setup: &Setup<'_>, amount: Amount) -> io::Result<Verdict> {
    sock::raise_open_files()?;
    let (listener, origin) = slots::listen()?;
    let at = place::free(1)?[0];
    let text = format!(
        "[runtime]\nworkers = 2\n[listeners.l]\nbind = \"{at}\"\n\
         [services.s]\ninstances = [\"{origin}\"]\n\
         bulkhead = {{ service = {SERVICE}, queue = 100, wait = \"{}ms\" }}\n[routes]\n\"/*\" = \"s\"\n",
        WAIT.as_millis()
    );
    let line = Line::start(setup, "queue", &text, Duration::ZERO)?;
    let serving = slots::serve(listener, SLOTS, TIME)?;
    let figures = loader::run(Plan {
        to: at,
        requests: vec![b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()],
        connections: CONNECTIONS as usize,
        schedule: Schedule::new(2 * CAPACITY, CONNECTIONS, WARMUP, amount.count),
        timeout: Duration::from_secs(2),
    })?;
    drop(line);
    drop(serving);
    let goodput = figures.ok as f64 / figures.took.as_secs_f64();
    let part = goodput / CAPACITY as f64;
    let millis = |quantile| figures.latency.value_at_quantile(quantile) as f64 / 1e6;
    let mut wrong = Vec::new();
    if part <= 0.95 {
        wrong.push(format!(
            "goodput {:.1} % of the capacity: expected more than 95 %",
            part * 100.0
        ));
    }
    if millis(0.99) >= WAIT.as_secs_f64() * 1e3 {
        wrong.push(format!(
            "p99 {:.1} ms: expected less than {} ms",
            millis(0.99),
            WAIT.as_millis()
        ));
    }
    if figures.timeouts + figures.unsent > 0 {
        wrong
            .push(format!("{} without an answer, {} never sent", figures.timeouts, figures.unsent));
    }
    let text = format!(
        "{} requests of 3,200 a second, {SLOTS} slots of {} ms: {} answered, {goodput:.0} a second ({:.1} % of {CAPACITY}), \
         p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms; {} refused",
        figures.sent,
        TIME.as_millis(),
        figures.ok,
        part * 100.0,
        millis(0.5),
        millis(0.99),
        millis(1.0),
        figures.errors,
    );
    Verdict::of(text, wrong)
}
