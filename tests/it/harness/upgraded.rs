//! Processes that took a gateway's place: no children of the tests, until the one before them has ended.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};
use serde_json::Value;

use super::clock::{until, within};
use super::gateway::{Gateway, binary};

fn pid_of(number: u32) -> Pid {
    Pid::from_raw(number as i32).unwrap()
}

/// Processes whose parents have ended become ours, so that nothing outlives a test and exit codes are seen.
pub(super) fn adopt_orphans() {
    set_child_subreaper(Some(pid_of(std::process::id()))).unwrap();
}

impl Gateway {
    /// `coregate upgrade`, which must succeed: the gateway is the new process from now on. Gives its report.
    #[track_caller]
    pub fn upgrade(&mut self) -> Value {
        self.upgrade_to(&[])
    }

    /// The same with more words, such as `--binary`.
    #[track_caller]
    pub fn upgrade_to(&mut self, words: &[&str]) -> Value {
        let report = self.command_json(&[&["upgrade"], words].concat(), 0);
        self.has_successor(&report);
        report
    }

    /// This report says who goes on: that is the gateway now.
    #[track_caller]
    pub fn has_successor(&mut self, report: &Value) {
        assert_eq!(report["upgraded"], true, "{report:#}");
        let pid = report["pid"].as_u64().unwrap() as u32;
        assert_ne!(pid, self.pid());
        self.successors.push(pid);
    }

    /// Waits for the end of the process that served `back` upgrades ago; its exit code.
    #[track_caller]
    pub fn wait_for_predecessor(&mut self, back: usize) -> Option<i32> {
        match self.successors.len() - back {
            0 => self.wait().code(),
            at => self.wait_for(self.successors[at - 1]),
        }
    }

    /// Waits for the end of the process that serves; its exit code. All before it must have ended.
    #[track_caller]
    pub fn wait_for_last(&mut self) -> Option<i32> {
        self.wait_for_predecessor(0)
    }

    #[track_caller]
    fn wait_for(&mut self, pid: u32) -> Option<i32> {
        let gone = self.successors.iter().position(|one| *one == pid);
        let status =
            until("the process ends", || waitpid(Some(pid_of(pid)), WaitOptions::NOHANG).unwrap());
        // Its number means nothing any more.
        gone.filter(|at| *at + 1 == self.successors.len()).map(|at| self.successors.remove(at));
        status.1.exit_status()
    }

    /// Ends what is left of those that took over, and of those that were about to: whatever runs our binary with our folder.
    pub(super) fn end_successors(&self) {
        if !self.asked_to_upgrade.load(Ordering::SeqCst) {
            return;
        }
        let folder = self.folder.path("coregate.toml").display().to_string();
        for pid in processes() {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let is_ours = line.split(|byte| *byte == 0).any(|word| word == folder.as_bytes());
            if is_ours && runs(pid, &binary()) {
                let _ = kill_process(pid_of(pid), Signal::KILL);
                within(std::time::Duration::from_secs(5), || {
                    waitpid(Some(pid_of(pid)), WaitOptions::NOHANG)
                        .map_or(Some(()), |s| s.map(drop))
                });
            }
        }
    }
}

fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether a process runs this binary, or one of that path that was replaced meanwhile.
fn runs(pid: u32, binary: &std::path::Path) -> bool {
    let Ok(path) = std::fs::read_link(format!("/proc/{pid}/exe")) else { return false };
    let named: PathBuf = path.display().to_string().trim_end_matches(" (deleted)").into();
    named.file_name() == binary.file_name()
}
