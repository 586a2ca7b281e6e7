//! Child processes that never outlive their parent.
//!
//! A child is ended by its id when its guard drops (return, error or panic); should the parent be
//! killed, the kernel ends the child. Whatever the child started is ended with it.
#![allow(unsafe_code)] // `pre_exec` alone can ask the kernel for a signal at the parent's death.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use rustix::process::{getppid, set_parent_process_death_signal};

use crate::{machine, sock};

/// How long a child may take to end when asked to.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running child.
pub struct Guarded {
    child: Child,
    pid: Pid,
    reaped: bool,
}

impl Guarded {
    /// Starts `command` on one CPU, its output going to `out`.
    pub fn spawn(command: Command, cpu: usize, out: &Path) -> io::Result<Guarded> {
        Guarded::spawn_on(command, &[cpu], out)
    }

    /// Starts `command` on these CPUs, its output going to `out`.
    pub fn spawn_on(mut command: Command, cpus: &[usize], out: &Path) -> io::Result<Guarded> {
        let cpus = sock::cpu_set(cpus)?;
        let out = File::create(out)?;
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        let parent = rustix::process::getpid();
        let before_exec = move || {
            rustix::thread::sched_setaffinity(None, &cpus)?;
            set_parent_process_death_signal(Some(Signal::TERM))?;
            // The parent may have died before the line above.
            if getppid() != Some(parent) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        };
        // SAFETY: the closure makes three system calls and, unless one fails, allocates nothing;
        // this program forks from its only thread, so that no other can hold the allocator's lock.
        unsafe { command.pre_exec(before_exec) };
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", command.get_program().display()))
        })?;
        let pid = Pid::from_child(&child);
        Ok(Guarded { child, pid, reaped: false })
    }

    /// The child's id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it has ended. It is not reaped yet: its clock can still be read.
    pub fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None))
    }

    /// Reaps a child that has ended.
    pub fn reap(mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait();
        self.reaped = true;
        status
    }

    fn end(&mut self) {
        let family = machine::family_of(self.pid);
        self.signal(self.pid, Signal::TERM);
        let asked = Instant::now();
        while !self.has_ended() && asked.elapsed() < PATIENCE {
            sleep(Duration::from_millis(5));
        }
        self.signal(self.pid, Signal::KILL);
        // An error here means that there is nothing to wait for.
        let _ = self.child.wait();
        // What it started: an ended parent's children are somebody else's now, same ids.
        for pid in family.into_iter().filter(|pid| *pid != self.pid && machine::is_alive(*pid)) {
            self.signal(pid, Signal::KILL);
        }
    }

    fn signal(&self, pid: Pid, signal: Signal) {
        // It may have ended meanwhile, which is what was wanted.
        let _ = kill_process(pid, signal);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if !self.reaped {
            self.end();
        }
    }
}
