//! Telling systemd how the process stands (door of sd-notify): sd_notify(3), for `Type=notify-reload`.
//!
//! Without it an upgrade under systemd would end with the old process: the main process would seem to have exited, and all of its
//! group be killed. So the old one names the new one before it leaves.

use std::process;

use sd_notify::NotifyState;

/// Requests are served.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being reloaded.
pub(crate) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The process was told to stop.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process is the main one from now on.
pub(crate) fn succeeded_by(pid: u32) {
    debug_assert_ne!(pid, process::id());
    tell(&[NotifyState::MainPid(pid)]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Without a supervisor there is nobody to tell; one that does not listen misses something that it can do without.
    let _ = sd_notify::notify(states);
}
