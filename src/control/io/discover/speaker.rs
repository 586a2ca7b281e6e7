//! What is said of sources: all of them may fail at once, and nobody reads ten thousand lines.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use coregate_core::base::limits;

use crate::io::voice::Voice;

/// Says some lines, and how many others there were.
#[derive(Debug)]
pub(super) struct Speaker {
    voice: Voice,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    since: Option<Instant>,
    lines: u32,
}

impl Speaker {
    pub(super) fn new(voice: Voice) -> Self {
        Self { voice, said: Mutex::default() }
    }

    /// Says it at `now`, unless much was said already.
    pub(super) fn say(&self, line: &str, now: Instant) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |since: Instant| now.duration_since(since) >= limits::SOURCES_SAID_TIME;
        if said.since.is_none_or(is_over) {
            *said = Said { since: Some(now), lines: 0 };
        }
        said.lines += 1;
        if said.lines <= limits::SOURCES_SAID {
            self.voice.say(line);
        } else if said.lines == limits::SOURCES_SAID + 1 {
            self.voice.say(
                "there is more to say of sources than anybody reads: see coregate_source_failing in /metrics",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_storm_is_a_few_lines() {
        static LINES: AtomicU32 = AtomicU32::new(0);
        let speaker = Speaker::new(Voice::new(|_| {
            LINES.fetch_add(1, Ordering::Relaxed);
        }));
        let begun = Instant::now();
        (0..10_000).for_each(|_| speaker.say("x", begun));
        let most = limits::SOURCES_SAID + 1;
        assert_eq!(LINES.load(Ordering::Relaxed), most);
        speaker.say("x", begun + limits::SOURCES_SAID_TIME);
        assert_eq!(LINES.load(Ordering::Relaxed), most + 1);
    }
}
