//! What the kernel says of this process, from `/proc/self`: for the metrics named `process_*`.
//!
//! A file that cannot be read leaves its number out: a scrape never fails for it.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Clock ticks a second in `/proc`: `USER_HZ`, which is 100 on every machine that this builds for (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// What is known of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessFacts {
    /// Seconds of processor time spent, of all threads, in user and kernel.
    pub cpu_seconds: Option<f64>,
    /// Memory that is resident, in bytes.
    pub resident_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Descriptors that are open.
    pub open_descriptors: Option<u64>,
    /// Descriptors that may be open; none if there is no limit.
    pub max_descriptors: Option<u64>,
}

impl ProcessFacts {
    /// What holds now.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self {
            cpu_seconds: cpu_seconds(&stat),
            resident_bytes: field(&status, "VmRSS:").map(|kib| kib * 1024),
            threads: field(&status, "Threads:"),
            open_descriptors: open_descriptors(),
            max_descriptors: field(&limits, "Max open files"),
        }
    }
}

/// When this process began, in seconds since 1970. To be asked once: `now` less its age, so it wavers by some 10 ms.
pub fn started() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let up: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let began: f64 = stat_field(&stat, 22)?.parse().ok()?;
    Some(now.as_secs_f64() - up + began / TICKS_PER_SECOND)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    let ticks = |number| stat_field(stat, number)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

/// A field of `/proc/self/stat` by its number in proc(5). The second is the name in brackets, which may hold anything.
fn stat_field(stat: &str, number: usize) -> Option<&str> {
    let (_, behind_name) = stat.rsplit_once(") ")?;
    behind_name.split_whitespace().nth(number.checked_sub(3)?)
}

/// The first number behind `name` at the begin of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Since Linux 6.2 the directory's size is their number; before, they are counted.
fn open_descriptors() -> Option<u64> {
    match fs::metadata("/proc/self/fd").ok()?.len() {
        // One of the counted is the directory itself.
        0 => Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1)),
        size => Some(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) R (b) S 1 7 7 0 -1 4194304 99 0 0 0 250 150 0 0 20 0 3 0 12345 1 2";
        assert_eq!(cpu_seconds(stat), Some(4.0));
        assert_eq!(stat_field(stat, 22), Some("12345"));
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(stat_field("7 (a) S 1", 9), None);
    }

    #[test]
    fn this_process_has_facts() {
        let facts = ProcessFacts::now();
        assert!(facts.cpu_seconds.is_some() && facts.resident_bytes > Some(0));
        assert!(facts.threads > Some(0) && facts.open_descriptors > Some(2));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs_f64();
        let started = started().expect("a start");
        assert!(started <= now + 1.0 && started > now - 7.0 * 86_400.0);
    }
}
