//! Looking at a process from outside: its counters, its `/proc`, and the tools that a test runs it under.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The counters as the gateway wrote them.
#[derive(Debug, Clone)]
pub struct Stats(pub Value);

impl Stats {
    pub fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        // Written beside and renamed: what is there is whole.
        Some(Self(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))))
    }

    /// A counter over all workers; `rejected.no_route` looks one deeper.
    #[track_caller]
    pub fn total(&self, name: &str) -> u64 {
        self.counter(&self.0["total"], name)
    }

    /// The same counter of each worker.
    #[track_caller]
    pub fn each(&self, name: &str) -> Vec<u64> {
        let workers =
            self.0["workers"].as_array().unwrap_or_else(|| panic!("no workers: {self:?}"));
        workers.iter().map(|worker| self.counter(worker, name)).collect()
    }

    #[track_caller]
    fn counter(&self, table: &Value, name: &str) -> u64 {
        let value = name.split('.').fold(table, |value, key| &value[key]);
        // A reason that never occurred may be left out.
        if value.is_null() && name.contains('.') {
            return 0;
        }
        value.as_u64().unwrap_or_else(|| panic!("no counter {name}: {:#}", self.0))
    }
}

/// Open descriptors of a process.
pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// CPU that a process has used in user and kernel, in ticks (of 10 ms on every Linux we know).
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold anything; the fields behind it are numbers. 14 and 15 are utime and stime.
    let behind = stat.rsplit_once(')').unwrap().1;
    behind.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// A line of `/proc/PID/status` in KiB: `VmRSS`, `VmHWM`.
pub fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.unwrap_or_else(|| panic!("no {name} in {status}")).trim();
    value.strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Makes `VmHWM` begin anew at what is resident now.
pub fn forget_memory_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails the test, with what to install, if a tool is missing: a test that cannot run has not passed.
#[track_caller]
pub fn need(tool: &str, package: &str) {
    let found = Command::new(tool).arg("--version").output().is_ok_and(|out| out.status.success());
    assert!(found, "this test needs {tool}: apt-get install {package} (tests/run does it as root)");
}

/// Runs a tool to its end and fails if it does.
#[track_caller]
pub fn tool(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output();
    let output = output.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(output.status.success(), "{words:?}: {output:?}");
}
