//! The table, the files and the bars of a comparison.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::peers::Kind;
use crate::point::Point;
use crate::stats::{Spread, spread};

/// Connections, and the most that coregate's CPU a request on both cores may be of the better of
/// nginx and HAProxy.
pub const BARS: [(u32, f64); 3] = [(64, 1.00), (512, 0.95), (2_000, 0.85)];

/// A point with where it belongs.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The peer's name.
    pub peer: String,
    /// Which program it is.
    pub kind: Kind,
    /// Connections of the load.
    pub connections: u32,
    /// Which round, from 1.
    pub round: u32,
    /// The figures.
    pub point: Point,
}

/// The rounds of one peer at one number of connections, put together.
#[derive(Debug, Clone)]
pub struct Row {
    /// The peer's name.
    pub peer: String,
    /// Which program it is.
    pub kind: Kind,
    /// Connections of the load.
    pub connections: u32,
    /// Requests a second.
    pub rate: Spread,
    /// CPU µs a request of the proxy.
    pub proxy_us: Spread,
    /// CPU µs a request of proxy, load and origin.
    pub both_us: Spread,
    /// CPU µs a request of the whole machine.
    pub machine_us: Spread,
    /// wrk's median latency, µs.
    pub p50_us: Spread,
    /// wrk's 99th percentile, µs.
    pub p99_us: Spread,
    /// Resident memory of the proxy, KiB.
    pub resident_kib: Spread,
    /// Errors of all rounds.
    pub errors: u64,
    /// Time-outs of all rounds.
    pub timeouts: u64,
}

/// One line of the verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether the bar holds.
    pub passed: bool,
    /// What was asked and found.
    pub text: String,
}

/// Puts samples together, in the order in which connections and peers first appear.
pub fn rows(samples: &[Sample]) -> Vec<Row> {
    let mut keys: Vec<(u32, &str, Kind)> = Vec::new();
    for sample in samples {
        let key = (sample.connections, sample.peer.as_str(), sample.kind);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    // Stable: peers stay in the order of the first round.
    keys.sort_by_key(|(connections, ..)| *connections);
    keys.into_iter()
        .filter_map(|(connections, peer, kind)| row(samples, connections, peer, kind))
        .collect()
}

/// The table, for the screen and for the file alike.
pub fn table(rows: &[Row]) -> String {
    let mut cells = vec![
        [
            "conns",
            "peer",
            "req/s (min–max)",
            "proxy µs",
            "both cores µs (min–max)",
            "of best",
            "machine µs",
            "p50 ms",
            "p99 ms",
            "RSS MiB",
            "errors",
            "timeouts",
        ]
        .map(String::from)
        .to_vec(),
    ];
    for row in rows {
        let of_best = reference(rows, row.connections)
            .map_or_else(|| "-".to_owned(), |best| format!("{:.2}", row.both_us.median / best));
        cells.push(vec![
            row.connections.to_string(),
            row.peer.clone(),
            ranged(row.rate, 0),
            format!("{:.1}", row.proxy_us.median),
            ranged(row.both_us, 1),
            of_best,
            format!("{:.1}", row.machine_us.median),
            format!("{:.2}", row.p50_us.median / 1e3),
            format!("{:.2}", row.p99_us.median / 1e3),
            format!("{:.1}", row.resident_kib.median / 1024.0),
            row.errors.to_string(),
            row.timeouts.to_string(),
        ]);
    }
    aligned(&cells)
}

/// What the bars say. A bar that was not measured does not hold.
pub fn verdicts(rows: &[Row]) -> Vec<Verdict> {
    let mut ours: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Coregate) {
        if !ours.contains(&row.peer.as_str()) {
            ours.push(&row.peer);
        }
    }
    if ours.is_empty() {
        return vec![Verdict { passed: false, text: "coregate: not measured".into() }];
    }
    let mut verdicts = Vec::new();
    for name in ours {
        verdicts.extend(BARS.map(|(connections, most)| cpu_bar(rows, name, connections, most)));
        let own = || rows.iter().filter(|row| row.peer == name);
        let errors: u64 = own().map(|row| row.errors).sum();
        let timeouts: u64 = own().map(|row| row.timeouts).sum();
        verdicts.push(Verdict {
            passed: errors + timeouts == 0,
            text: format!("{name}: {errors} errors, {timeouts} time-outs (bar 0, 0)"),
        });
    }
    verdicts
}

/// Samples and medians, for later reading by programs.
pub fn json(samples: &[Sample], rows: &[Row], verdicts: &[Verdict]) -> Value {
    json!({
        "medians": rows.iter().map(row_value).collect::<Vec<_>>(),
        "bars": verdicts.iter()
            .map(|verdict| json!({ "passed": verdict.passed, "text": verdict.text }))
            .collect::<Vec<_>>(),
        "samples": samples.iter().map(sample_value).collect::<Vec<_>>(),
    })
}

fn row(samples: &[Sample], connections: u32, peer: &str, kind: Kind) -> Option<Row> {
    let own = || samples.iter().filter(|s| s.connections == connections && s.peer == peer);
    let of = |figure: fn(&Point) -> f64| spread(own().map(|sample| figure(&sample.point)));
    Some(Row {
        peer: peer.to_owned(),
        kind,
        connections,
        rate: of(Point::rate)?,
        proxy_us: of(|point| point.proxy_us)?,
        both_us: of(|point| point.both_us)?,
        machine_us: of(|point| point.machine_us)?,
        p50_us: of(|point| point.wrk.p50_us)?,
        p99_us: of(|point| point.wrk.p99_us)?,
        resident_kib: of(|point| point.resident_kib as f64)?,
        errors: own().map(|sample| sample.point.wrk.errors()).sum(),
        timeouts: own().map(|sample| sample.point.wrk.timeouts).sum(),
    })
}

/// The better of nginx and HAProxy at a number of connections; `None` unless both were measured.
fn reference(rows: &[Row], connections: u32) -> Option<f64> {
    let of = |kind| {
        let row = rows.iter().find(|row| row.kind == kind && row.connections == connections)?;
        Some(row.both_us.median)
    };
    Some(f64::min(of(Kind::Nginx)?, of(Kind::Haproxy)?))
}

fn cpu_bar(rows: &[Row], name: &str, connections: u32, most: f64) -> Verdict {
    let row = rows.iter().find(|row| row.peer == name && row.connections == connections);
    let what = format!("{name} at {connections}: CPU a request of both cores");
    let (Some(row), Some(best)) = (row, reference(rows, connections)) else {
        return Verdict { passed: false, text: format!("{what}: not measured (bar {most:.2})") };
    };
    let ratio = row.both_us.median / best;
    let text = format!(
        "{what} {:.1} µs, {ratio:.3} of the better of nginx and haproxy, {best:.1} µs (bar {most:.2})",
        row.both_us.median
    );
    Verdict { passed: ratio <= most, text }
}

fn ranged(spread: Spread, places: usize) -> String {
    let Spread { min, median, max } = spread;
    format!("{median:.places$} ({min:.places$}–{max:.places$})")
}

/// A markdown table whose columns are as wide as they need to be, all but the second to the right.
fn aligned(cells: &[Vec<String>]) -> String {
    let columns = cells.first().map_or(0, Vec::len);
    let width =
        |column: usize| cells.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in cells.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Writing to a string does not fail.
            let _ = match column {
                1 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                text.push_str(&if column == 1 {
                    format!("|{dashes}-")
                } else {
                    format!("|{dashes}:")
                });
            }
            text.push_str("|\n");
        }
    }
    text
}

fn row_value(row: &Row) -> Value {
    let spread = |s: Spread| json!({ "min": s.min, "median": s.median, "max": s.max });
    json!({
        "peer": row.peer,
        "connections": row.connections,
        "requests_per_second": spread(row.rate),
        "proxy_cpu_us": spread(row.proxy_us),
        "both_cores_cpu_us": spread(row.both_us),
        "machine_busy_us": spread(row.machine_us),
        "p50_us": spread(row.p50_us),
        "p99_us": spread(row.p99_us),
        "resident_kib": spread(row.resident_kib),
        "errors": row.errors,
        "timeouts": row.timeouts,
    })
}

fn sample_value(sample: &Sample) -> Value {
    let Point { wrk, .. } = &sample.point;
    json!({
        "peer": sample.peer,
        "connections": sample.connections,
        "round": sample.round,
        "requests": wrk.requests,
        "seconds": wrk.seconds,
        "proxy_cpu_us": sample.point.proxy_us,
        "both_cores_cpu_us": sample.point.both_us,
        "origin_cpu_us": sample.point.origin_us,
        "machine_busy_us": sample.point.machine_us,
        "p50_us": wrk.p50_us,
        "p99_us": wrk.p99_us,
        "resident_kib": sample.point.resident_kib,
        "errors": {
            "connect": wrk.connect_errors, "read": wrk.read_errors, "write": wrk.write_errors,
            "status": wrk.bad_statuses, "timeout": wrk.timeouts,
        },
    })
}

#[cfg(test)]
mod tests;
