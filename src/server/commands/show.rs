//! Answers as lines for people.

use coregate_control::io::admin::report::{
    ConfigReport, DiffReport, EntryState, HistoryEntry, InstanceReport, InstanceState,
    ReloadReport, UpgradeReport,
};
use coregate_control::io::admin::view::{StateView, Status};
use coregate_control::io::client::{ClientError, Reply};
use serde::Deserialize;
use serde_json::Value;

use crate::server::say;

/// What a command shows, or why the answer cannot be read.
pub(super) type Shown = Result<(), ClientError>;

/// What a refused question says.
pub(super) fn refused(reply: &Reply) -> Shown {
    say::message(reply.detail());
    Ok(())
}

/// How a reload, a confirmation or a rollback went.
pub(super) fn reload(reply: &Reply) -> Shown {
    let Ok(report) = reply.json::<ReloadReport>() else { return refused(reply) };
    report.errors.iter().chain(&report.warnings).for_each(|text| say::paragraph(text));
    if !report.applied {
        say::message(format_args!(
            "{}: refused; generation {} still runs",
            report.source, report.generation
        ));
        return Ok(());
    }
    report.lines.iter().for_each(say::data);
    let number = report.number.map(|number| format!(", number {number}")).unwrap_or_default();
    let nothing = if report.lines.is_empty() { "nothing changed; " } else { "" };
    say::data(format_args!(
        "{nothing}generation {}{number} runs on every worker after {} ms",
        report.generation, report.took_ms
    ));
    if let Some(until) = &report.confirm_until {
        say::data(format_args!("taken back at {} unless: coregate confirm", until.text));
    }
    Ok(())
}

#[derive(Deserialize)]
struct History {
    history: Vec<HistoryEntry>,
}

/// The configurations that were applied.
pub(super) fn history(reply: &Reply) -> Shown {
    if !reply.is_success() {
        return refused(reply);
    }
    let History { history } = reply.json()?;
    say::data(format_args!(
        "{:>6}  {:>10}  {:<20}  {:<11}  {:<16}  STATE",
        "NUMBER", "GENERATION", "APPLIED", "BY", "HASH"
    ));
    for entry in history {
        let state = match &entry.state {
            EntryState::Current => "current".to_owned(),
            EntryState::Pending { until } => format!("current, confirm until {}", until.text),
            EntryState::Superseded => "superseded".to_owned(),
            EntryState::TakenBack => "taken back".to_owned(),
        };
        let by = serde_json::to_value(entry.origin).ok();
        say::data(format_args!(
            "{:>6}  {:>10}  {:<20}  {:<11}  {:<16}  {state}",
            entry.number,
            entry.generation,
            entry.at.text,
            by.as_ref().and_then(Value::as_str).unwrap_or_default(),
            entry.hash,
        ));
    }
    Ok(())
}

/// How two of them differ.
pub(super) fn diff(reply: &Reply) -> Shown {
    if !reply.is_success() {
        return refused(reply);
    }
    let report: DiffReport = reply.json()?;
    report.lines.iter().for_each(say::data);
    if report.lines.is_empty() {
        say::message(format_args!("numbers {} and {} are the same", report.from, report.to));
    }
    Ok(())
}

/// How an upgrade went.
pub(super) fn upgrade(reply: &Reply) -> Shown {
    let Ok(report) = reply.json::<UpgradeReport>() else { return refused(reply) };
    report.errors.iter().for_each(|text| say::paragraph(text));
    match (report.upgraded, report.pid) {
        (true, Some(pid)) => {
            let version = report.version.unwrap_or_default();
            let cells = if report.cells_kept { "" } else { "; limits began anew" };
            say::data(format_args!(
                "process {pid} (coregate {version}) goes on after {} ms{cells}",
                report.took_ms
            ));
        }
        _ => say::message("not upgraded; the process that ran still runs"),
    }
    Ok(())
}

/// How an instance stands.
pub(super) fn instance(reply: &Reply) -> Shown {
    if !reply.is_success() {
        return refused(reply);
    }
    let report: InstanceReport = reply.json()?;
    let InstanceReport { service, address, state, in_flight, deadline, .. } = report;
    match state {
        InstanceState::Enabled => say::data(format_args!("{service} {address}: gets requests")),
        InstanceState::Draining => {
            let until = deadline.map(|at| format!(" until {}", at.text)).unwrap_or_default();
            say::data(format_args!(
                "{service} {address}: gets no new requests; {} in flight may finish{until}",
                in_flight.unwrap_or_default()
            ));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Workers {
    workers: Vec<Worker>,
}

#[derive(Deserialize)]
struct Worker {
    worker: u16,
    cpu: Option<usize>,
    generation: u64,
    busy_ratio: f64,
    stuck: bool,
    connections: u64,
    idle: u64,
    requests: u64,
    lateness: Lateness,
}

#[derive(Deserialize)]
struct Lateness {
    p99_us: Option<u64>,
    max_us: u64,
}

/// The process, its configuration and its workers.
pub(super) fn status(reply: &Reply, get: impl Fn(&str) -> Result<Reply, ClientError>) -> Shown {
    if !reply.is_success() {
        return refused(reply);
    }
    let status: Status = reply.json()?;
    let config: ConfigReport = get("/v1/config")?.json()?;
    let Workers { workers } = get("/v1/workers")?.json()?;
    say::data(format_args!(
        "coregate {} (pid {}), {}, up {} s, io {}",
        status.version,
        status.pid,
        status.readiness.word(),
        status.uptime_seconds as u64,
        status.io
    ));
    for listener in &status.listeners {
        say::data(format_args!("listening on {} ({})", listener.address, listener.name));
    }
    match &status.state {
        Some(StateView { directory, fault: None }) => {
            say::data(format_args!("registrations are kept in {directory}"));
        }
        Some(StateView { directory, fault: Some(fault) }) => {
            say::data(format_args!("registrations are lost at a restart: {directory}: {fault}"));
        }
        None => {}
    }
    let file = config.file.as_deref().unwrap_or("no file");
    say::data(format_args!(
        "configuration {file}, number {}, generation {}, since {}",
        config.number, config.generation, config.since.text
    ));
    if let Some(pending) = &config.pending {
        say::data(format_args!(
            "number {} is taken back at {} unless: coregate confirm",
            pending.number, pending.until.text
        ));
    }
    if !config.last.applied {
        say::data("the last reload was refused:");
        config.last.errors.iter().for_each(say::data);
    }
    say::data(format_args!(
        "{:>6} {:>4} {:>10} {:>6} {:>12} {:>8} {:>14} {:>12} {:>12}",
        "WORKER",
        "CPU",
        "GENERATION",
        "BUSY",
        "CONNECTIONS",
        "IDLE",
        "REQUESTS",
        "LATE p99",
        "LATE MAX"
    ));
    for worker in workers {
        let cpu = worker.cpu.map_or_else(|| "-".to_owned(), |cpu| cpu.to_string());
        let ms = |us: u64| format!("{:.1} ms", us as f64 / 1_000.0);
        say::data(format_args!(
            "{:>6} {cpu:>4} {:>10} {:>5.0}% {:>12} {:>8} {:>14} {:>12} {:>12}{}",
            worker.worker,
            worker.generation,
            worker.busy_ratio * 100.0,
            worker.connections,
            worker.idle,
            worker.requests,
            worker.lateness.p99_us.map_or_else(|| "-".to_owned(), ms),
            ms(worker.lateness.max_us),
            if worker.stuck { "  makes no progress" } else { "" },
        ));
    }
    Ok(())
}
