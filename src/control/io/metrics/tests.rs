//! Every counter appears once, in a text that a strict parser takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::io::admin::tests::{status, worker};
use crate::io::admin::view::{BulkheadView, Count};

/// A sample: its name, labels and value.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// A family: its type and samples.
#[derive(Debug)]
struct Family {
    kind: String,
    samples: Vec<Sample>,
}

/// A strict parser of the text format, as far as we write it (OpenMetrics 1.0.0): each family once, HELP then TYPE then
/// samples that belong to it, no sample twice, `# EOF` at the end and nothing behind.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let body = text.strip_suffix("# EOF\n").expect("it ends with EOF");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut helped: Option<String> = None;
    let mut current: Option<String> = None;
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a name and help");
            assert!(helped.is_none() && !help.is_empty() && is_name(name), "{line}");
            helped = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert_eq!(helped.take().as_deref(), Some(name), "help stands before its type");
            assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
            let family = Family { kind: kind.to_owned(), samples: Vec::new() };
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} twice");
            current = Some(name.to_owned());
        } else {
            assert!(helped.is_none(), "help without a type before {line}");
            let sample = parse_sample(line);
            assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
            let name = current.as_ref().expect("a family before its samples");
            let family = families.get_mut(name).expect("a family");
            let suffix = sample.name.strip_prefix(name.as_str()).expect("a sample of its family");
            let right = match family.kind.as_str() {
                "counter" => suffix == "_total",
                "info" => suffix == "_info" && sample.value == 1.0,
                "gauge" => suffix.is_empty(),
                _ => ["_sum", "_count", "_bucket"].contains(&suffix),
            };
            assert!(right, "{line}");
            family.samples.push(sample);
        }
    }
    assert!(helped.is_none() && families.values().all(|family| !family.samples.is_empty()));
    families
}

fn parse_sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a series and a value");
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').expect("a closing brace")),
        None => (series, ""),
    };
    assert!(is_name(name), "{line}");
    let mut read = BTreeMap::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (key, behind) = rest.split_once("=\"").expect("a label and its value");
        // Values that need escapes are not written here.
        let (value, behind) = behind.split_once('"').expect("a closing quote");
        assert!(is_name(key) && !value.contains('\\'), "{line}");
        assert!(read.insert(key.to_owned(), value.to_owned()).is_none(), "{line}");
        rest = match behind.strip_prefix(',') {
            Some(more) => {
                assert!(!more.is_empty(), "{line}");
                more
            }
            None => {
                assert!(behind.is_empty(), "{line}");
                behind
            }
        };
    }
    let value: f64 = value.parse().expect("a number");
    assert!(value.is_finite() && value >= 0.0, "{line}");
    Sample { name: name.to_owned(), labels: read, value }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn registry() -> Vec<Count> {
    let count = |name, value, kind| Count { name, help: "What it counts", value, kind };
    vec![count("publishes", 7, Kind::Counter), count("instances", 3, Kind::Gauge)]
}

fn bulkheads() -> Vec<BulkheadView> {
    vec![BulkheadView { service: "s".into(), in_flight: 16, waiting: 2 }]
}

fn decisions() -> Vec<DecisionsView> {
    let view = |route: &str, admitted, refused| DecisionsView {
        route: route.to_owned(),
        decisions: vec![("admitted", admitted), ("refused", refused)],
    };
    vec![view("a/*", 9, 2), view("_other", 3, 1)]
}

fn sources() -> Vec<SourceView> {
    let source = |source: &str, age: Option<u64>, failing: Option<&str>| SourceView {
        service: "s".into(),
        source: source.into(),
        instances: 2,
        age: age.map(Duration::from_secs),
        failing: failing.map(str::to_owned),
        looks: 9,
        failures: 3,
    };
    vec![source("dns:a:80", Some(5), Some("SERVFAIL")), source("srv:b", None, None)]
}

fn scrape(workers: Vec<WorkerView>) -> BTreeMap<String, Family> {
    let facts = ProcessFacts::now();
    let text = encode(Scrape {
        status: status(),
        workers,
        registry: registry(),
        sources: sources(),
        decisions: decisions(),
        bulkheads: bulkheads(),
        facts,
        started: Some(1.5),
    });
    parse(&text.expect("metrics"))
}

fn value(families: &BTreeMap<String, Family>, family: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let found: Vec<_> =
        families[family].samples.iter().filter(|sample| sample.labels == labels).collect();
    let [sample] = found.as_slice() else {
        panic!("{family} {labels:?}: {found:?}");
    };
    sample.value
}

#[test]
fn the_registry_is_told_of() {
    let families = scrape(Vec::new());
    assert_eq!(value(&families, "coregate_registry_publishes", &[]), 7.0);
    assert_eq!(value(&families, "coregate_registry_instances", &[]), 3.0);
}

#[test]
fn sources_are_told_of() {
    let families = scrape(Vec::new());
    let told = |family: &str, source: &str| {
        let labels = [("service", "s"), ("source", source)];
        value(&families, &format!("coregate_source_{family}"), &labels)
    };
    assert_eq!(told("instances", "dns:a:80"), 2.0);
    assert_eq!([told("failing", "dns:a:80"), told("failing", "srv:b")], [1.0, 0.0]);
    assert_eq!(told("answer_age_seconds", "dns:a:80"), 5.0);
    assert_eq!(families["coregate_source_answer_age_seconds"].samples.len(), 1, "one has none");
    assert_eq!([told("looks", "srv:b"), told("failures", "srv:b")], [9.0, 3.0]);
}

#[test]
fn every_counter_is_told_exactly_once() {
    // All that a worker has today; what is added later is told the same way.
    let names = [
        "connections_accepted",
        "accept_emfile",
        "requests",
        "responses_1xx",
        "body_bytes_in",
        "worker_deaths",
    ];
    let view = |number: u16| {
        let counters = names.iter().enumerate().map(|(at, name)| Count {
            name,
            help: "What it counts",
            value: at as u64 * 100 + u64::from(number),
            kind: Kind::Counter,
        });
        let mut view = worker(number);
        let gauges = view.counters.drain(..).filter(|count| count.kind == Kind::Gauge);
        let counters = counters.chain(gauges).collect();
        WorkerView { counters, ..view }
    };
    let families = scrape((0..3).map(view).collect());
    for (at, name) in names.iter().enumerate() {
        let family = format!("coregate_worker_{name}");
        assert_eq!(families[&family].kind, "counter");
        assert_eq!(families[&family].samples.len(), 3, "{name}");
        for number in 0..3 {
            let expected = at as f64 * 100.0 + f64::from(number);
            assert_eq!(value(&families, &family, &[("worker", &number.to_string())]), expected);
        }
    }
    assert_eq!(families["coregate_worker_tunnels_open"].kind, "gauge");
    assert!(!families.contains_key("coregate_worker_connections_open"));
}

#[test]
fn names_are_those_that_are_promised() {
    let families = scrape(vec![worker(0), worker(1)]);
    let is = |family: &str, labels: &[(&str, &str)], expected: f64| {
        assert_eq!(value(&families, family, labels), expected, "{family} {labels:?}");
    };
    is("coregate_worker_requests", &[("worker", "1")], 101.0);
    is("coregate_worker_connections", &[("worker", "1"), ("state", "active")], 3.0);
    is("coregate_worker_connections", &[("worker", "1"), ("state", "idle")], 1.0);
    is("coregate_worker_busy_ratio", &[("worker", "0")], 0.25);
    is("coregate_worker_snapshot_generation", &[("worker", "1")], 8.0);
    is("coregate_worker_stuck", &[("worker", "0")], 0.0);
    is("coregate_worker_stuck", &[("worker", "1")], 1.0);
    is("coregate_rejected", &[("reason", "no_route")], 8.0);
    is("coregate_rejected", &[("reason", "bad_request")], 1.0);
    is("coregate_config_generation", &[], 9.0);
    is("coregate_config_last_reload_successful", &[], 0.0);
    is("coregate_config_reloads", &[("result", "applied")], 5.0);
    is("coregate_config_reloads", &[("result", "refused")], 2.0);
    is("coregate_ready", &[], 1.0);
    is("process_start_time_seconds", &[], 1.5);
    let build =
        [("version", "0.1.0"), ("rustc", "1.95.0"), ("io", "io_uring"), ("allocator", "mimalloc")];
    is("coregate_build", &build, 1.0);
    for name in ["cpu_seconds", "resident_memory_bytes", "threads", "open_fds"] {
        assert_eq!(families[&format!("process_{name}")].samples.len(), 1, "{name}");
    }
}

#[test]
fn policies_are_told_of() {
    let families = scrape(vec![worker(0), worker(1)]);
    let is = |family: &str, labels: &[(&str, &str)], expected: f64| {
        assert_eq!(value(&families, family, labels), expected, "{family} {labels:?}");
    };
    is("coregate_authentications", &[("result", "known")], 10.0);
    is("coregate_authentications", &[("result", "missing")], 1.0);
    let decided = |route, decision| [("route", route), ("decision", decision)];
    is("coregate_rate_limit_decisions", &decided("a/*", "admitted"), 9.0);
    is("coregate_rate_limit_decisions", &decided("_other", "refused"), 1.0);
    is("coregate_requests_in_flight", &[("service", "s")], 16.0);
    is("coregate_requests_waiting", &[("service", "s")], 2.0);
}

#[test]
fn lateness_is_a_histogram_in_seconds() {
    let families = scrape(vec![worker(0)]);
    let name = "coregate_worker_tick_lateness_seconds";
    let family = &families[name];
    let of = |suffix: &str| {
        let name = format!("{name}{suffix}");
        family.samples.iter().filter(|sample| sample.name == name).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of("_count")[0].value, 100.0);
    assert_eq!(of("_sum")[0].value, 0.012);
    let buckets = of("_bucket");
    let up_to = |bound: &str| {
        buckets.iter().find(|bucket| bucket.labels["le"] == bound).map(|bucket| bucket.value)
    };
    assert_eq!(buckets.len(), LATENESS_BOUNDS_US.len() + 1);
    assert!(buckets.is_sorted_by(|one, next| one.value <= next.value), "they add up");
    // The bucket up to 300 µs lies across 250, so it counts above.
    assert_eq!(
        (up_to("0.0001"), up_to("0.00025"), up_to("0.0005")),
        (Some(90.0), Some(90.0), Some(99.0))
    );
    assert_eq!((up_to("1.0"), up_to("+Inf")), (Some(99.0), Some(100.0)));
}

#[test]
fn without_workers_and_facts_there_is_still_a_scrape() {
    let (facts, status) = (ProcessFacts::default(), status());
    let text = encode(Scrape {
        status,
        workers: vec![],
        registry: vec![],
        sources: vec![],
        decisions: vec![],
        bulkheads: vec![],
        facts,
        started: None,
    })
    .expect("metrics");
    let families = parse(&text);
    assert!(families.contains_key("coregate_build"));
    assert!(!families.keys().any(|name| name.starts_with("process_") || name.contains("worker")));
}
