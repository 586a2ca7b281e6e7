//! The toys as processes: each listens, and announces itself as any program can that knows nothing of us, by
//! `coregate registry register --keep`.
//!
//! A toy never outlives the demo: the kernel kills it with the thread that started it.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use coregate_control::io::toy;
use coregate_core::snapshot::plan::Address;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::server::cli::{self, Role};
use crate::server::{Exit, say};

/// The program that runs, even if another lies at its path by now.
const SELF: &str = "/proc/self/exe";
/// How long an instance is believed that says nothing.
const TTL: &str = "3s";
/// How often it is asked whether it is well; two answers that fail take it out.
const CHECK_EVERY: &str = "250ms";

/// Plays a toy until it is told to end.
pub(crate) fn play(role: &Role) -> Exit {
    let Role { service, id, admin, parent } = role;
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    // The demo may have ended before the line above.
    if bound.is_err() || getppid().map(Pid::as_raw_pid) != Some(*parent) {
        return Exit::Failed;
    }
    let address = match toy::start(service, id) {
        Ok(address) => address.to_string(),
        Err(error) => {
            say::message(format_args!("toy {id}: {error}"));
            return Exit::Failed;
        }
    };
    let admin = admin.to_string();
    let check = ["--check-get", "/healthz", "--check-every", CHECK_EVERY, "--check-fall", "2"];
    let words = ["coregate", "registry", "register", service, address.as_str(), "--id", id];
    let words = words.into_iter().chain(["--ttl", TTL]).chain(check);
    cli::obey(words.chain(["--check-instance-id", "--keep", "--admin", admin.as_str()]))
}

/// A toy that runs. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Toy {
    pub(super) service: &'static str,
    pub(super) id: String,
    child: Child,
    /// Whether the demo ended it itself.
    killed: bool,
}

impl Toy {
    /// Starts one. The thread that calls this is the one that it does not outlive.
    pub(super) fn start(service: &'static str, id: &str, admin: &Address) -> io::Result<Self> {
        let words = ["toy", "--service", service, "--id", id, "--admin", &admin.to_string()];
        let child = Command::new(SELF)
            .arg0("coregate")
            .args(words)
            .args(["--parent", &std::process::id().to_string()])
            // Ctrl-C is for the demo, which serves what is in flight by its toys.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { service, id: id.to_owned(), child, killed: false })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub(super) fn kill(&mut self) {
        self.killed = true;
        // It may have ended meanwhile, which is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it has by itself.
    pub(super) fn ended(&mut self) -> Option<String> {
        if self.killed {
            return None;
        }
        let status = self.child.try_wait().ok()??;
        Some(match status.signal() {
            Some(signal) => format!("by signal {signal}"),
            None => format!("with {}", status.code().unwrap_or_default()),
        })
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        self.kill();
    }
}
