//! Every counter as OpenMetrics text: the door of prometheus-client.
//!
//! What is encoded is read first and belongs to nobody else, so a scrape locks nothing. Labels come from us alone: worker
//! numbers, reasons, versions; nothing that a client sent.
//!
//! A worker's plain counter `name` becomes `coregate_worker_name_total{worker}`, a gauge `coregate_worker_name{worker}`. The
//! two of [`CONNECTIONS`] become `coregate_worker_connections{worker,state}`, which add up to the open ones.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, LabelSetEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::io::admin::view::{
    BulkheadView, Count, DecisionsView, Kind, Lateness, Readiness, Status, WorkerView,
};
use crate::io::discover::sources::SourceView;
use crate::io::procfs::ProcessFacts;

/// The media type of what [`encode`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The gauges that become one family, those that are open and those of them that wait for a request.
pub const CONNECTIONS: [&str; 2] = ["connections_open", "connections_idle"];

/// Upper bounds of the histogram of ticks, in microseconds; above the last there is no bound.
const LATENESS_BOUNDS_US: [u64; 13] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

/// Everything that a scrape tells, as it was read.
#[derive(Debug)]
pub struct Scrape {
    /// What the process is.
    pub status: Status,
    /// What every worker says.
    pub workers: Vec<WorkerView>,
    /// What the registry counts.
    pub registry: Vec<Count>,
    /// Where else instances are looked up.
    pub sources: Vec<SourceView>,
    /// What rates have said of requests, by route.
    pub decisions: Vec<DecisionsView>,
    /// The services that have a bulkhead.
    pub bulkheads: Vec<BulkheadView>,
    /// What the kernel says.
    pub facts: ProcessFacts,
    /// When the process began, in seconds since 1970.
    pub started: Option<f64>,
}

/// Encodes a scrape.
///
/// # Errors
/// None that is known: what is written to is a string.
pub fn encode(scrape: Scrape) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.encode_process(&mut families)?;
        self.encode_config(&mut families)?;
        self.encode_registry(&mut families)?;
        self.encode_sources(&mut families)?;
        self.encode_counters(&mut families)?;
        self.encode_connections(&mut families)?;
        self.encode_rejected(&mut families)?;
        self.encode_policies(&mut families)?;
        self.encode_bulkheads(&mut families)?;
        self.encode_pace(&mut families)
    }
}

impl Scrape {
    fn encode_process(&self, families: &mut Families<'_>) -> fmt::Result {
        let status = &self.status;
        let build = [
            ("version", status.version.as_str()),
            ("rustc", &status.rustc),
            ("io", &status.io),
            ("allocator", &status.allocator),
        ];
        families.info("coregate_build", "What was built, and what it runs on", &build)?;
        let facts = &self.facts;
        let help = "Processor time of all threads, in user and kernel, in seconds";
        families.counters("process_cpu_seconds", help, plain(facts.cpu_seconds))?;
        let help = "Memory that is resident";
        families.gauges("process_resident_memory_bytes", help, plain(facts.resident_bytes))?;
        families.gauges("process_threads", "Threads", plain(facts.threads))?;
        families.gauges("process_open_fds", "Open descriptors", plain(facts.open_descriptors))?;
        let help = "Descriptors that may be open";
        families.gauges("process_max_fds", help, plain(facts.max_descriptors))?;
        let help = "When the process started, in seconds since 1970";
        families.gauges("process_start_time_seconds", help, plain(self.started))
    }

    fn encode_config(&self, families: &mut Families<'_>) -> fmt::Result {
        let status = &self.status;
        let help = "The generation that was published last";
        families.gauges("coregate_config_generation", help, plain(Some(status.generation)))?;
        let last = u64::from(status.reloads.last_applied);
        let help = "Whether the last reload was applied, 1 if there was none";
        families.gauges("coregate_config_last_reload_successful", help, plain(Some(last)))?;
        let results = [("applied", status.reloads.applied), ("refused", status.reloads.refused)];
        let results = results.map(|(result, count)| ([("result", result)], count));
        families.counters("coregate_config_reloads", "Reloads, by how they went", results)?;
        let ready = u64::from(status.readiness == Readiness::Ready);
        families.gauges(
            "coregate_ready",
            "Whether requests should be sent here",
            plain(Some(ready)),
        )
    }

    fn encode_registry(&self, families: &mut Families<'_>) -> fmt::Result {
        for count in &self.registry {
            let name = format!("coregate_registry_{}", count.name);
            match count.kind {
                Kind::Counter => families.counters(&name, count.help, plain(Some(count.value)))?,
                Kind::Gauge => families.gauges(&name, count.help, plain(Some(count.value)))?,
            }
        }
        Ok(())
    }

    fn encode_sources(&self, families: &mut Families<'_>) -> fmt::Result {
        let labels =
            |one: &SourceView| [("service", one.service.clone()), ("source", one.source.clone())];
        let each = |value: fn(&SourceView) -> u64| {
            self.sources.iter().map(move |one| (labels(one), value(one)))
        };
        let help = "Instances that a source brings";
        families.gauges("coregate_source_instances", help, each(|one| one.instances as u64))?;
        let help = "Whether a source fails now; what it said last is kept";
        let failing = each(|one| one.failing.is_some().into());
        families.gauges("coregate_source_failing", help, failing)?;
        let help = "How old the last answer of a source is, in seconds";
        let ages =
            self.sources.iter().filter_map(|one| Some((labels(one), one.age?.as_secs_f64())));
        families.gauges("coregate_source_answer_age_seconds", help, ages)?;
        let help = "How often a source was looked at";
        families.counters("coregate_source_looks", help, each(|one| one.looks))?;
        let help = "How often that failed";
        families.counters("coregate_source_failures", help, each(|one| one.failures))
    }

    /// Every plain counter that some worker has, once, with the workers that have it.
    fn encode_counters(&self, families: &mut Families<'_>) -> fmt::Result {
        let counts = self.workers.iter().flat_map(|view| &view.counters);
        let counts: BTreeMap<_, _> = counts.map(|count| (count.name, count)).collect();
        for count in counts.values().filter(|count| !CONNECTIONS.contains(&count.name)) {
            let name = format!("coregate_worker_{}", count.name);
            let samples = self.workers.iter().filter_map(|view| {
                let count = view.counters.iter().find(|other| other.name == count.name)?;
                Some(([("worker", view.worker)], count.value))
            });
            match count.kind {
                Kind::Counter => families.counters(&name, count.help, samples)?,
                Kind::Gauge => families.gauges(&name, count.help, samples)?,
            }
        }
        Ok(())
    }

    fn encode_connections(&self, families: &mut Families<'_>) -> fmt::Result {
        let samples = self.workers.iter().flat_map(|view| {
            let [open, idle] = CONNECTIONS.map(|name| view.count(name));
            // Read one after the other, while the worker goes on.
            let states = [("active", open.saturating_sub(idle)), ("idle", idle)];
            states.map(|(state, count)| (WorkerState { worker: view.worker, state }, count))
        });
        let help = "Connections from clients that are open, by whether they wait for a request";
        families.gauges("coregate_worker_connections", help, samples)
    }

    fn encode_rejected(&self, families: &mut Families<'_>) -> fmt::Result {
        let reasons = sums(self.workers.iter().flat_map(|view| &view.rejected));
        let samples = reasons.into_iter().map(|(reason, count)| ([("reason", reason)], count));
        let help = "Requests that ended without an answer of the upstream, by reason";
        families.counters("coregate_rejected", help, samples)
    }

    fn encode_policies(&self, families: &mut Families<'_>) -> fmt::Result {
        let results = sums(self.workers.iter().flat_map(|view| &view.authentications));
        let samples = results.into_iter().map(|(result, count)| ([("result", result)], count));
        let help = "Requests that were asked who calls, by what came of it";
        families.counters("coregate_authentications", help, samples)?;
        let samples = self.decisions.iter().flat_map(|view| {
            view.decisions.iter().map(|(decision, count)| {
                ([("route", view.route.as_str()), ("decision", *decision)], *count)
            })
        });
        let help = "What rates have said of requests";
        families.counters("coregate_rate_limit_decisions", help, samples)
    }

    fn encode_bulkheads(&self, families: &mut Families<'_>) -> fmt::Result {
        let each = |value: fn(&BulkheadView) -> u64| {
            let bulkheads = self.bulkheads.iter();
            bulkheads.map(move |view| ([("service", view.service.as_str())], value(view)))
        };
        let help = "Requests in flight, of services that have a bulkhead";
        families.gauges("coregate_requests_in_flight", help, each(|view| view.in_flight))?;
        let help = "Requests that wait for a service";
        families.gauges("coregate_requests_waiting", help, each(|view| view.waiting))
    }

    fn encode_pace(&self, families: &mut Families<'_>) -> fmt::Result {
        let each = |value: fn(&WorkerView) -> f64| {
            self.workers.iter().map(move |view| ([("worker", view.worker)], value(view)))
        };
        let help = "The share of the last second that the worker did not sleep";
        families.gauges("coregate_worker_busy_ratio", help, each(|view| view.busy_ratio))?;
        let help = "The newest generation that the worker has acknowledged";
        let samples = self.workers.iter().map(|view| ([("worker", view.worker)], view.generation));
        families.gauges("coregate_worker_snapshot_generation", help, samples)?;
        let help = "Whether the worker makes no progress";
        let stuck = each(|view| f64::from(u8::from(view.stuck.is_some())));
        families.gauges("coregate_worker_stuck", help, stuck)?;
        let help = "How late the ticks of the worker were, in seconds";
        let samples = self.workers.iter().map(|view| ([("worker", view.worker)], &view.lateness));
        families.histograms("coregate_worker_tick_lateness_seconds", help, samples)
    }
}

/// The counts of each name together.
fn sums<'c>(counts: impl Iterator<Item = &'c (&'static str, u64)>) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    counts.for_each(|(name, count)| *sums.entry(*name).or_default() += count);
    sums
}

/// A single sample without labels, if there is one.
fn plain<V>(value: Option<V>) -> impl Iterator<Item = ([(&'static str, &'static str); 0], V)> {
    value.into_iter().map(|value| ([], value))
}

/// The labels of a connection's state.
#[derive(Debug)]
struct WorkerState {
    worker: u16,
    state: &'static str,
}

impl EncodeLabelSet for WorkerState {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("worker", self.worker)].encode(encoder)?;
        [("state", self.state)].encode(encoder)
    }
}

/// Writes families: a name, help and type each, then the samples. A family without samples is left out.
struct Families<'e>(DescriptorEncoder<'e>);

impl Families<'_> {
    fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str); 4]) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Info)?;
        family.encode_info(labels)
    }

    /// `_total` is written behind the name of each sample.
    fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            let mut metric = family.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, V, f64>(&value, None)?;
        }
        Ok(())
    }

    fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histograms<'l, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, &'l Lateness)>,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, lateness) in samples {
            let sum = lateness.sum_us as f64 / 1e6;
            let buckets = coarse(lateness);
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                sum,
                lateness.count(),
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

/// The buckets of a worker, gathered into those of the metric, in seconds. One that lies across a bound counts above it, so that
/// no tick looks earlier than it was.
fn coarse(lateness: &Lateness) -> Vec<(f64, u64)> {
    let bounds = LATENESS_BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6);
    let mut coarse: Vec<_> = bounds.chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
    for (upper, count) in &lateness.buckets {
        let place = match upper {
            Some(upper) => LATENESS_BOUNDS_US.partition_point(|bound| bound < upper),
            None => LATENESS_BOUNDS_US.len(),
        };
        if let Some((_, sum)) = coarse.get_mut(place) {
            *sum += count;
        }
    }
    coarse
}

#[cfg(test)]
mod tests;
