//! Waiting: for a condition, never for time alone, and never without an end.

use std::time::{Duration, Instant};

/// How long anything that should happen at once may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until `condition` gives a value; fails with `what` after [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    match within(PATIENCE, condition) {
        Some(value) => value,
        None => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Polls until `condition` gives a value or `time` is over.
pub fn within<T>(time: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        // The pause between two looks, not a guess at how long something takes.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Amounts by `COREGATE_TEST_SCALE`: the same test with little, more, or a soak's worth of the same.
pub fn scale<T>(quick: T, full: T, long: T) -> T {
    match std::env::var("COREGATE_TEST_SCALE").as_deref() {
        Err(_) | Ok("quick") => quick,
        Ok("full") => full,
        Ok("long") => long,
        Ok(other) => panic!("COREGATE_TEST_SCALE={other}: quick, full or long"),
    }
}
