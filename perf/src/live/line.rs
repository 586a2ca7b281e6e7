//! A gateway and the processes that take over from it, one after the other: started, watched and ended by their ids.
//!
//! This process adopts what its children leave behind, so that it is told how every process of the line ends.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid,
};

use crate::child::Guarded;
use crate::live::admin::Admin;
use crate::machine;
use crate::point::Stop;

/// How long a gateway may take until it is ready, or until it has ended.
const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(5);
/// Lines of a gateway's messages that are shown.
const SHOWN: usize = 40;

/// How gateways are started.
pub struct Setup<'a> {
    /// The binary.
    pub binary: PathBuf,
    /// The driver: `uring` or `epoll`.
    pub io: &'static str,
    /// Where files go.
    pub folder: &'a Path,
    /// Whether to stop.
    pub stop: &'a Stop,
}

/// A gateway, and those that took over.
pub struct Line {
    /// Where its configuration is.
    pub file: PathBuf,
    /// Where to ask it.
    pub admin: Admin,
    log: PathBuf,
    first: Option<Guarded>,
    /// All processes, the one that serves last.
    pids: Vec<Pid>,
    /// How those ended that have.
    ends: BTreeMap<i32, String>,
}

impl Line {
    /// Starts one with this configuration, which accepts for `delay` after SIGTERM, and waits until it is ready. Must be called
    /// from the only thread.
    pub fn start(setup: &Setup<'_>, name: &str, text: &str, delay: Duration) -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let path = |what: &str| setup.folder.join(format!("{name}-{}.{what}", setup.io));
        let (file, socket, log) = (path("toml"), path("sock"), path("log"));
        fs::write(&file, text)?;
        let delay = format!("{}ms", delay.as_millis());
        let mut command = Command::new(&setup.binary);
        command.args(["run", "--io", setup.io, "--drain-delay", &delay, "-c"]).arg(&file);
        command.arg("--admin").arg(format!("unix:{}", socket.display()));
        let cpus: Vec<_> = (0..machine::cpus()).collect();
        let first = Guarded::spawn_on(command, &cpus, &log)?;
        let (pids, admin) = (vec![first.pid()], Admin::at(&socket));
        let mut line = Self { file, admin, log, first: Some(first), pids, ends: BTreeMap::new() };
        line.until("ready", setup.stop, |line| {
            line.reap();
            match line.ends.is_empty() {
                true => Ok(line.admin.get("/readyz").is_ok_and(|said| said.status == 200)),
                false => Err(line.failed("the gateway ended")),
            }
        })?;
        Ok(line)
    }

    /// The process that serves.
    pub fn pid(&self) -> Pid {
        self.pids[self.pids.len() - 1]
    }

    /// Another process serves from now on.
    pub fn goes_on(&mut self, pid: Pid) {
        self.pids.push(pid);
    }

    /// Signals the process that serves.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(self.pid(), signal)?)
    }

    /// Waits until every process has ended; an error unless each did with 0.
    pub fn wait(&mut self, stop: &Stop) -> io::Result<()> {
        self.until("ended", stop, |line| {
            line.reap();
            Ok(line.ends.len() == line.pids.len())
        })?;
        match self.ends.values().find(|end| *end != "0") {
            Some(end) => Err(self.failed(&format!("a process ended with {end}"))),
            None => Ok(()),
        }
    }

    /// Waits for a condition.
    pub fn until(
        &mut self,
        what: &str,
        stop: &Stop,
        mut condition: impl FnMut(&mut Self) -> io::Result<bool>,
    ) -> io::Result<()> {
        let begun = Instant::now();
        while !condition(self)? {
            stop.check()?;
            if begun.elapsed() > PATIENCE {
                return Err(self.failed(&format!("not {what} within {} s", PATIENCE.as_secs())));
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Notes who has ended, and how.
    pub fn reap(&mut self) {
        if self.first.as_ref().is_some_and(Guarded::has_ended)
            && let Some(first) = self.first.take()
        {
            let end = first.reap().map(|status| match status.code() {
                Some(code) => code.to_string(),
                None => status.to_string(),
            });
            self.ends
                .insert(self.pids[0].as_raw_pid(), end.unwrap_or_else(|error| error.to_string()));
        }
        for pid in &self.pids[1..] {
            // Until it is ours, its parent has to do with it.
            if let Ok(Some((_, status))) = waitpid(Some(*pid), WaitOptions::NOHANG) {
                let end = match status.exit_status() {
                    Some(code) => code.to_string(),
                    None => format!("signal {:?}", status.terminating_signal()),
                };
                self.ends.insert(pid.as_raw_pid(), end);
            }
        }
    }

    /// How many processes have ended.
    pub fn ended(&self) -> usize {
        self.ends.len()
    }

    /// An error, with what the gateway said.
    pub fn failed(&self, why: &str) -> io::Error {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(SHOWN)..].join("\n  ");
        io::Error::other(format!("{why}; its last messages:\n  {last}"))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Nothing else was started by this program.
        let me = getpid();
        for pid in machine::family_of(me).into_iter().filter(|pid| *pid != me) {
            // It may have ended meanwhile, which is what was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
        while let Some(pid) = self.pids.pop() {
            if !self.ends.contains_key(&pid.as_raw_pid()) && !self.pids.is_empty() {
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
        }
    }
}
