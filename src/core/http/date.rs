//! The `Date` field: an IMF-fixdate (RFC 9110 §5.6.7), formatted once a second (door of httpdate).

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The date of the current second, ready to be copied into heads.
#[derive(Debug)]
pub struct DateCache {
    second: u64,
    text: [u8; 29],
}

impl Default for DateCache {
    fn default() -> Self {
        let mut cache = Self { second: u64::MAX, text: [0; 29] };
        cache.at(Duration::ZERO);
        cache
    }
}

impl DateCache {
    /// The date at `since_epoch`, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn at(&mut self, since_epoch: Duration) -> &[u8; 29] {
        // httpdate cannot write years beyond 9999.
        let second = since_epoch.as_secs().min(253_402_300_799);
        if second != self.second {
            self.second = second;
            let moment: SystemTime = UNIX_EPOCH + Duration::from_secs(second);
            let written = write!(&mut self.text[..], "{}", httpdate::HttpDate::from(moment));
            debug_assert!(written.is_ok(), "an IMF-fixdate has 29 characters");
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_9110() {
        let mut cache = DateCache::default();
        assert_eq!(cache.at(Duration::from_secs(784_111_777)), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(cache.at(Duration::ZERO), b"Thu, 01 Jan 1970 00:00:00 GMT");
        let _ = cache.at(Duration::MAX);
    }
}
