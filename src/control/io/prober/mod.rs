//! The prober: carries out the probes that the registry orders, and proposes what came of them.
//!
//! ```text
//!  registry ──order──▶ room for one more? ──▶ connect ─▶ (ask, judge) ─▶ verdict ──▶ batch ─▶ log ─▶ registry
//!     ▲                       │ no                              └─▶ close, without a reset where the peer lets us
//!     └────── given back ◀────┘
//! ```
//!
//! A thread and a runtime of its own: a storm of probes delays no answer of the admin listener. An order holds one of the
//! permits from the moment it is taken until its connection is closed and its verdict is in the log, so descriptors and memory
//! are bounded, and nothing is lost while the log is full. The peer may do what it likes: a probe reads so many bytes and lasts so
//! long, and then there is a verdict.
//!
//! - [`connect`]: a fresh connection for each probe, and its end.
//! - [`http`]: what is asked and expected over HTTP/1.1 (door of hyper on this side); [`metered`]: no more than so many bytes.
//! - [`places`]: how many are on their way, of each service too.
//! - [`deliver`]: verdicts in batches; [`words`]: what is said of failures; [`stats`]: what is counted.

mod connect;
mod deliver;
mod http;
mod metered;
mod places;
pub mod stats;
mod words;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Probe;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::connect::{Stream, connect};
use self::deliver::Report;
use self::places::{Place, Places};
use self::stats::ProbeStats;
use crate::io::voice::Voice;
use crate::registry::log::Waker;
use crate::registry::probe::{Finding, ProbeOrder, Probes, Unprobed};

/// Takes orders for probes.
#[derive(Debug)]
pub struct Prober {
    orders: UnboundedSender<Order>,
    places: Places,
    stats: Arc<ProbeStats>,
}

/// An order, and its place among those that are on their way.
type Order = (ProbeOrder, Place);

/// Starts the thread; it ends with the prober. No more than `most` probes are on their way at once, each with a descriptor.
///
/// # Errors
/// There is no runtime, or no thread.
pub fn start(registry: Waker, most: usize, voice: Voice) -> io::Result<Prober> {
    let most = most.clamp(1, limits::PROBES_AT_ONCE);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let room = Arc::new(Semaphore::new(most));
    let stats = Arc::new(ProbeStats::new(&room, most));
    let (orders, ordered) = unbounded_channel();
    let counted = Arc::clone(&stats);
    thread::Builder::new()
        .name("prober".into())
        .spawn(move || runtime.block_on(run(ordered, registry, counted, voice)))?;
    Ok(Prober { orders, places: Places::new(&room, most), stats })
}

impl Prober {
    /// What it counts.
    pub fn stats(&self) -> Arc<ProbeStats> {
        Arc::clone(&self.stats)
    }
}

impl Probes for Prober {
    fn probe(&self, order: ProbeOrder) -> Result<(), Unprobed> {
        let placed = self.places.take(order).inspect_err(|_| self.stats.held_back.one())?;
        self.orders.send(placed).map_err(|back| Unprobed::Full(back.0.0))
    }
}

async fn run(
    mut orders: UnboundedReceiver<Order>,
    registry: Waker,
    stats: Arc<ProbeStats>,
    voice: Voice,
) {
    let (verdicts, delivered) = unbounded_channel();
    tokio::spawn(deliver::deliver(delivered, registry, stats, voice));
    while let Some((order, place)) = orders.recv().await {
        let report = Report::new(&order, Arc::new(place), verdicts.clone());
        tokio::spawn(carry_out(order, report));
    }
}

/// Makes one probe.
async fn carry_out(order: ProbeOrder, report: Report) {
    let check = &order.check;
    let deadline = Instant::now() + check.timeout;
    let connected = tokio::time::timeout_at(deadline.into(), connect(&order.address, check.port));
    let stream = match connected.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return report.unconnected(&error),
        Err(_) => return report.failed(words::no_connection(check.timeout)),
    };
    match &check.probe {
        Probe::Tcp => {
            let _place = report.say(Finding::Passed);
            connect::close(stream).await;
        }
        Probe::Http(probe) => {
            let asked = http::Asked { probe, order: &order, deadline };
            match stream {
                Stream::Tcp(stream) => http::ask(stream, asked, report).await,
                Stream::Unix(stream) => http::ask(stream, asked, report).await,
            }
        }
    }
}

#[cfg(test)]
mod tests;
