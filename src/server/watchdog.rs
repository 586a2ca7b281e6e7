//! The watchdog: asks every worker for a sign of life once a second, and says which have none; measures how busy they are.
//!
//! A worker that serves nobody is woken by it once a second, which is all that it then does.

use std::fs;
use std::io;
use std::sync::Arc;
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use coregate_control::io::admin::question::Process;
use coregate_core::base::limits;

use crate::server::facts::{Facts, Watched};
use crate::server::say;

/// Starts it, for as long as the process lives.
pub(crate) fn start(facts: Arc<Facts>) -> io::Result<()> {
    Builder::new().name("watchdog".into()).spawn(move || watch(&facts)).map(drop)
}

fn watch(facts: &Facts) {
    let workers = facts.posts.all().len();
    let mut stuck: Vec<Option<Instant>> = vec![None; workers];
    let mut ran = vec![None; workers];
    loop {
        let (asked, ping) = (Instant::now(), facts.ping());
        thread::sleep(limits::WATCHDOG_EVERY);
        let silent = facts.unanswered(ping);
        for (worker, post) in facts.posts.all().iter().enumerate() {
            // One that has stopped owes nobody an answer.
            let is_silent = silent.contains(&(worker as u16)) && !post.is_closed();
            stuck[worker] = is_silent.then(|| stuck[worker].unwrap_or(asked));
            let busy_ratio = busy(post.thread.get(), &mut ran[worker]);
            let before = facts.set_watched(worker, Watched { busy_ratio, stuck: stuck[worker] });
            match (before.stuck, stuck[worker]) {
                (None, Some(_)) => say::message(format_args!(
                    "worker {worker}: no progress for {} s; see top -H and its stack with gdb -p {}",
                    limits::WATCHDOG_EVERY.as_secs(),
                    std::process::id(),
                )),
                (Some(since), None) if !post.is_closed() => say::message(format_args!(
                    "worker {worker}: goes on after {:.1} s",
                    since.elapsed().as_secs_f64()
                )),
                _ => {}
            }
        }
    }
}

/// The share of the time since the last look that this thread ran.
fn busy(thread: u64, before: &mut Option<(Instant, Duration)>) -> f64 {
    let Some(ran) = time_of(thread) else { return 0.0 };
    let now = Instant::now();
    let before = before.replace((now, ran));
    before.map_or(0.0, |(then, had)| {
        let share = ran.saturating_sub(had).as_secs_f64() / now.duration_since(then).as_secs_f64();
        share.clamp(0.0, 1.0)
    })
}

/// How long a thread of this process has run: the first number in its `schedstat` (proc(5)), in nanoseconds.
fn time_of(thread: u64) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_runs_is_busy() {
        let thread = rustix::thread::gettid().as_raw_nonzero().get() as u64;
        let mut before = None;
        assert_eq!(busy(thread, &mut before), 0.0, "nothing to compare with");
        let begun = time_of(thread).unwrap();
        while time_of(thread).unwrap() < begun + Duration::from_millis(5) {
            std::hint::black_box(begun);
        }
        let share = busy(thread, &mut before);
        assert!(share > 0.0 && share <= 1.0, "{share}");
        assert_eq!(busy(u64::MAX, &mut None), 0.0, "no such thread");
    }
}
