//! Building a worker's runtime: the ladder from the best ring down to epoll.
//!
//! | rung | flags | why it may fail |
//! |---|---|---|
//! | defer-taskrun, single-issuer | work is deferred to the worker's own enter: one system call a turn | kernel older than 6.1 |
//! | coop-taskrun, single-issuer | no interrupts for task work | kernel older than 6.0 |
//! | plain | | seccomp, `kernel.io_uring_disabled`, no memory |
//! | epoll | monoio's other driver | - |
//!
//! `ENOMEM` on any rung is answered with smaller rings before the next: rings are charged to `RLIMIT_MEMLOCK` unless the
//! process has CAP_IPC_LOCK. `EPERM` and `ENOSYS` go straight to epoll: no other flags will be allowed either.
//!
//! monoio takes a builder of io-uring 0.6, which is why that version is a dependency beside 0.7.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem::ManuallyDrop;

use coregate_core::base::limits;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};
use rustix::io::Errno;

/// Which driver is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The best there is.
    Auto,
    /// io_uring or nothing.
    Uring,
    /// epoll.
    Epoll,
}

/// A rung of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    driver: Flags,
    small: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flags {
    Defer,
    Coop,
    Plain,
    Epoll,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.driver {
            Flags::Defer => "uring (defer-taskrun, single-issuer",
            Flags::Coop => "uring (coop-taskrun, single-issuer",
            Flags::Plain => "uring (plain",
            Flags::Epoll => return f.write_str("epoll"),
        })?;
        f.write_str(if self.small { ", small rings)" } else { ")" })
    }
}

impl Rung {
    /// Whether the driver wants blocking sockets: the ring waits by itself, epoll must not.
    pub fn wants_blocking(self) -> bool {
        self.driver != Flags::Epoll
    }

    /// The rung to try when this one failed.
    fn below(self, error: &io::Error) -> Option<Self> {
        let errno = Errno::from_io_error(error);
        let driver = match (self.driver, errno) {
            (Flags::Epoll, _) => return None,
            (_, Some(Errno::NOMEM)) if !self.small => return Some(Self { small: true, ..self }),
            (_, Some(Errno::PERM | Errno::NOSYS | Errno::ACCESS)) => Flags::Epoll,
            (Flags::Defer, _) => Flags::Coop,
            (Flags::Coop, _) => Flags::Plain,
            (Flags::Plain, _) => Flags::Epoll,
        };
        Some(Self { driver, small: self.small && driver != Flags::Epoll })
    }
}

/// A runtime that was built, and what was tried before it.
#[derive(Debug)]
pub struct Built {
    /// The runtime.
    pub runtime: AnyRuntime,
    /// The rung it stands on.
    pub rung: Rung,
    /// The rungs that failed, and why.
    pub tried: Vec<(Rung, io::Error)>,
}

/// Why no runtime could be built.
#[derive(Debug, thiserror::Error)]
#[error("{rung}: {error}")]
pub struct BuildError {
    /// The last rung that was tried.
    pub rung: Rung,
    /// Why it failed.
    pub error: io::Error,
}

/// A monoio runtime on either driver.
///
/// Never dropped: a runtime that is dropped frees buffers that the kernel may still write to.
pub struct AnyRuntime(ManuallyDrop<Kind>);

enum Kind {
    Uring(Runtime<IoUringDriver>),
    Epoll(Runtime<LegacyDriver>),
}

impl fmt::Debug for AnyRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyRuntime")
    }
}

impl AnyRuntime {
    /// Runs a future to its end on this thread.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match &mut *self.0 {
            Kind::Uring(runtime) => runtime.block_on(future),
            Kind::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

/// Builds the best runtime that `wanted` and the kernel allow. Call it on the worker's own thread, after pinning it:
/// a single-issuer ring belongs to the thread that made it.
pub fn build(wanted: Wanted) -> Result<Built, BuildError> {
    let mut tried = Vec::new();
    let driver = if wanted == Wanted::Epoll { Flags::Epoll } else { Flags::Defer };
    let mut rung = Rung { driver, small: false };
    loop {
        let error = match build_rung(rung) {
            Ok(kind) => {
                let runtime = AnyRuntime(ManuallyDrop::new(kind));
                return Ok(Built { runtime, rung, tried });
            }
            Err(error) => error,
        };
        match rung.below(&error) {
            Some(next) if next.wants_blocking() || wanted == Wanted::Auto => {
                tried.push((rung, error));
                rung = next;
            }
            _ => return Err(BuildError { rung, error }),
        }
    }
}

fn build_rung(rung: Rung) -> io::Result<Kind> {
    let (entries, completions) = match rung.small {
        false => (limits::RING_ENTRIES, limits::RING_COMPLETIONS),
        true => (limits::RING_ENTRIES_SMALL, limits::RING_ENTRIES_SMALL * 2),
    };
    let mut builder = io_uring_06::IoUring::builder();
    builder.setup_cqsize(completions);
    match rung.driver {
        Flags::Defer => builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all(),
        Flags::Coop => builder.setup_single_issuer().setup_coop_taskrun().setup_submit_all(),
        Flags::Plain => &mut builder,
        Flags::Epoll => return RuntimeBuilder::<LegacyDriver>::new().build().map(Kind::Epoll),
    };
    let runtime =
        RuntimeBuilder::<IoUringDriver>::new().with_entries(entries).uring_builder(builder);
    runtime.build().map(Kind::Uring)
}

/// Why io_uring may be refused on this host, as far as can be told: the knob to look at.
pub fn refusal_hint() -> Option<&'static str> {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
    if disabled.is_some_and(|value| value.trim() != "0") {
        return Some("sysctl kernel.io_uring_disabled is not 0");
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let filtered = status.lines().any(|line| line.starts_with("Seccomp:") && !line.ends_with('0'));
    filtered.then_some("a seccomp filter is in force (Docker's default profile blocks io_uring)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_goes_down_and_ends() {
        let walk = |errno: Errno| {
            let mut rung = Rung { driver: Flags::Defer, small: false };
            let mut names = vec![rung.to_string()];
            while let Some(next) = rung.below(&errno.into()) {
                rung = next;
                names.push(rung.to_string());
            }
            names.join(" > ")
        };
        let (defer, coop) =
            ("uring (defer-taskrun, single-issuer", "uring (coop-taskrun, single-issuer");
        assert_eq!(walk(Errno::INVAL), format!("{defer}) > {coop}) > uring (plain) > epoll"));
        assert_eq!(walk(Errno::PERM), format!("{defer}) > epoll"));
        assert_eq!(walk(Errno::NOSYS), format!("{defer}) > epoll"));
        let small = ", small rings)";
        let expected =
            format!("{defer}) > {defer}{small} > {coop}{small} > uring (plain{small} > epoll");
        assert_eq!(walk(Errno::NOMEM), expected);
    }
}
