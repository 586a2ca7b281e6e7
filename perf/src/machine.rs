//! What the kernel tells about processes and about the machine.
#![allow(unsafe_code)] // The clock of another process has no safe door.

use std::fs;
use std::io;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Pid;

/// CPU time of a process with all its threads, those that ended and the kernel's for it included.
pub fn cpu_of(pid: Pid) -> io::Result<Duration> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls only write to the two locals that they are given.
    let failed = unsafe {
        match libc::clock_getcpuclockid(pid.as_raw_nonzero().get(), &raw mut clock) {
            0 if libc::clock_gettime(clock, &raw mut time) == 0 => 0,
            0 => libc::ESRCH,
            code => code,
        }
    };
    match failed {
        0 => Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Has a thread run before all others on its CPU, at the lowest real-time priority; an error without the right to.
pub fn run_first(thread: u64) -> io::Result<()> {
    let thread = i32::try_from(thread).map_err(io::Error::other)?;
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call only reads the local that it is given.
    match unsafe { libc::sched_setscheduler(thread, libc::SCHED_FIFO, &raw const priority) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the calling thread run only while nobody else wants its CPU.
pub fn run_last() -> io::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call only reads the local that it is given.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// CPU time of some processes together; one that has ended counts nothing.
pub fn cpu_of_all(pids: &[Pid]) -> Duration {
    pids.iter().filter_map(|pid| cpu_of(*pid).ok()).sum()
}

/// Resident memory of some processes together, KiB. Shared pages count once for each.
pub fn resident_kib(pids: &[Pid]) -> u64 {
    let of = |pid: &Pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum()
}

/// Proportional memory of some processes together, KiB: a page that several have counts once in
/// all. Reading it stops the process for a moment.
pub fn proportional_kib(pids: &[Pid]) -> u64 {
    let of = |pid: &Pid| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum()
}

/// A process and all that descend from it.
pub fn family_of(root: Pid) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(Pid, Pid)> = entries
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter_map(|pid| Some((pid, parent_of(pid)?)))
        .collect();
    let mut family = vec![root];
    let mut at = 0;
    while at < family.len() {
        let of = family[at];
        family.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        at += 1;
    }
    family
}

/// Whether a process exists and has not ended.
pub fn is_alive(pid: Pid) -> bool {
    stat_fields(pid).is_some_and(|fields| !fields.starts_with(['Z', 'X']))
}

/// Time the machine's CPUs were busy, kernel threads and interrupts included.
pub fn busy() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let ticks = busy_ticks(&text).ok_or_else(|| io::Error::other("/proc/stat: no cpu line"))?;
    let hertz = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_micros(ticks * 1_000_000 / hertz))
}

/// The kernel's release.
pub fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The CPU's name.
pub fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name).to_owned()
}

/// How many CPUs there are.
pub fn cpus() -> usize {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count()
}

/// The commit of the work tree that this runs in.
pub fn commit() -> String {
    let arguments = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
    let output = Command::new("git").args(arguments).output();
    let text = output.ok().filter(|out| out.status.success()).map(|out| out.stdout);
    text.map_or("unknown".into(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}

/// Now, in UTC, as `2026-01-31T09:05:00Z`.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date(since.as_secs())
}

/// user, nice, system, irq and softirq of the first line; not idle, iowait, steal, nor guest
/// (which user includes).
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    Some([0, 1, 2, 5, 6].iter().filter_map(|at| ticks.get(*at)).sum())
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let fields = stat_fields(pid)?;
    Pid::from_raw(fields.split_whitespace().nth(1)?.parse().ok()?)
}

/// `/proc/PID/stat` from the state on: what stands before it may hold spaces.
fn stat_fields(pid: Pid) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.to_owned())
}

/// Days to a date of the Gregorian calendar, in years that begin in March.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(date(1_767_225_600), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn busy_leaves_out_waiting_and_the_host() {
        let stat = "cpu  100 20 3 9999 9999 4 5 9999 50 0\ncpu0 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(132));
        assert_eq!(busy_ticks("intr 1"), None);
    }

    #[test]
    fn this_process() {
        let me = rustix::process::getpid();
        assert!(cpu_of(me).is_ok_and(|time| time > Duration::ZERO));
        assert!(resident_kib(&[me]) > 0);
        assert!(proportional_kib(&[me]) > 0);
        assert!(cpus() > 0);
        assert!(is_alive(me) && family_of(me).contains(&me));
    }
}
