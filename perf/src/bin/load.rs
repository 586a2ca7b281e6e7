//! `load`: asks at a constant rate, whatever the answers do, and says how long each took.
//!
//! An open loop: the schedule is fixed before the first byte and latency counts from the moment a
//! request was due. It speaks to loopback only, for a bounded time and number of requests.
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program: its user reads the terminal.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use coregate_perf::loader::{self, Figures, Plan};
use coregate_perf::schedule::Schedule;
use coregate_perf::sock;
use coregate_perf::stats::{Spread, spread};
use serde_json::{Value, json};

/// An open-loop HTTP/1.1 loader at a constant rate, for targets on loopback.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The target, `http://127.0.0.1:8080/path`; loopback only.
    #[arg(long)]
    url: Target,
    /// Connections, all open before the load starts.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    connections: u64,
    /// Requests a second, over all connections.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Seconds that count.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Seconds before, at the same rate, that do not count.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=60))]
    warmup: u64,
    /// Milliseconds an answer may take.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout: u64,
    /// The `Host` of the requests, if it is not that of the URL. `{}` stands for a number from 0 to `--hosts` - 1, in turn.
    #[arg(long, value_parser = host)]
    host: Option<String>,
    /// How many hosts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    hosts: u32,
    /// The CPU to run on.
    #[arg(long)]
    cpu: Option<usize>,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Target {
    address: SocketAddr,
    authority: String,
    path: String,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    if let Some(cpu) = args.cpu {
        sock::pin(cpu)?;
    }
    sock::raise_open_files()?;
    // Else the kernel may wake a waiting thread 50 µs late.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let Target { address, authority, path } = &args.url;
    let schedule = Schedule::new(args.rate, args.connections, args.warmup, args.seconds);
    let host = args.host.as_ref().unwrap_or(authority);
    let request = |number: u32| {
        let host = host.replace("{}", &number.to_string());
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes()
    };
    let figures = loader::run(Plan {
        to: *address,
        requests: (0..args.hosts).map(request).collect(),
        connections: args.connections as usize,
        schedule,
        timeout: Duration::from_millis(args.timeout),
    })?;
    let summary = summary(args, &figures, &schedule);
    if args.json {
        println!("{summary:#}");
    } else {
        print_lines(&summary);
    }
    Ok(())
}

fn summary(args: &Args, figures: &Figures, schedule: &Schedule) -> Value {
    let asked = figures.connections.iter().filter(|(_, latency)| !latency.is_empty());
    let p99s = asked.map(|(_, latency)| micros(latency.value_at_quantile(0.99)));
    let answers = figures.connections.iter().map(|(answers, _)| *answers as f64);
    let latency = |quantile| micros(figures.latency.value_at_quantile(quantile));
    json!({
        "rate": args.rate,
        "connections": args.connections,
        "seconds": args.seconds,
        "scheduled": schedule.counted(),
        "sent": figures.sent,
        "ok": figures.ok,
        "errors": figures.errors,
        "timeouts": figures.timeouts,
        "unsent": figures.unsent,
        "achieved_rate": figures.ok as f64 / figures.took.as_secs_f64().max(1e-9),
        "latency_us": {
            "p50": latency(0.5), "p90": latency(0.9), "p99": latency(0.99),
            "p99.9": latency(0.999), "max": micros(figures.latency.max()),
        },
        "own_lag_us": {
            "p50": micros(figures.own_lag.value_at_quantile(0.5)),
            "p99": micros(figures.own_lag.value_at_quantile(0.99)),
        },
        "per_connection": {
            "requests": spread(answers).map(spread_value),
            "p99_us": spread(p99s).map(spread_value),
        },
    })
}

fn print_lines(summary: &Value) {
    let number = |pointer: &str| summary.pointer(pointer).and_then(Value::as_f64).unwrap_or(0.0);
    let line = |name: &str, keys: &[&str], group: &str| {
        let parts: Vec<String> = keys
            .iter()
            .map(|key| format!("{key} {:.0}", number(&format!("{group}/{key}"))))
            .collect();
        println!("{name:<28}{}", parts.join("  "));
    };
    line("requests", &["scheduled", "sent", "ok", "errors", "timeouts", "unsent"], "");
    println!("{:<28}{:.1} of {}", "achieved rate /s", number("/achieved_rate"), summary["rate"]);
    line("latency µs", &["p50", "p90", "p99", "p99.9", "max"], "/latency_us");
    line("of it the loader's own µs", &["p50", "p99"], "/own_lag_us");
    let spread = ["min", "median", "max"];
    line("requests a connection", &spread, "/per_connection/requests");
    line("p99 µs a connection", &spread, "/per_connection/p99_us");
}

fn spread_value(spread: Spread) -> Value {
    json!({ "min": spread.min, "median": spread.median, "max": spread.max })
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

fn host(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("expected visible ASCII only".into()),
    }
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let rest = text.strip_prefix("http://").ok_or("expected http://HOST[:PORT]/PATH")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("expected visible ASCII only".into());
        }
        let address = address_of(authority).ok_or("expected an address, or localhost")?;
        if !address.ip().is_loopback() {
            return Err(format!("{address} is not loopback: this loader speaks to loopback only"));
        }
        Ok(Target { address, authority: authority.to_owned(), path: path.to_owned() })
    }
}

fn address_of(authority: &str) -> Option<SocketAddr> {
    if let Ok(address) = authority.parse() {
        return Some(address);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(_) => (authority, 80),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, 80),
        },
    };
    if host == "localhost" {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(SocketAddr::new(host.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<(&str, &str)>) {
        let got = url.parse::<Target>().ok();
        let got = got.map(|target| (target.address.to_string(), target.path));
        assert_eq!(got, expected.map(|(a, p)| (a.to_owned(), p.to_owned())), "{url}");
    }

    #[test]
    fn targets_are_loopback_only() {
        check("http://127.0.0.1:8080/a?b", Some(("127.0.0.1:8080", "/a?b")));
        check("http://127.9.9.9", Some(("127.9.9.9:80", "/")));
        check("http://localhost:81/", Some(("127.0.0.1:81", "/")));
        check("http://[::1]:8080/", Some(("[::1]:8080", "/")));
        check("http://[::1]/x", Some(("[::1]:80", "/x")));
        check("http://10.0.0.1/", None);
        check("http://0.0.0.0/", None);
        check("http://example.com/", None);
        check("http://127.0.0.1@example.com/", None);
        check("https://127.0.0.1/", None);
        check("http://127.0.0.1/a b", None);
        check("http://127.0.0.1/a\r\nx:", None);
    }
}
