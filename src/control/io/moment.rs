//! Times and durations as text: the door of humantime.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coregate_core::base::limits;
use serde::{Deserialize, Serialize};

use crate::io::admin::openapi::ToSchema;

/// A point in time, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moment {
    /// Seconds since 1970, UTC.
    pub unix: u64,
    /// The same as RFC 3339 has it: `2026-11-22T10:00:00Z`.
    pub text: String,
}

impl From<SystemTime> for Moment {
    /// Before 1970, or past the year 9999, is a clock that was never set: both ends are cut off there.
    fn from(time: SystemTime) -> Self {
        const LAST: u64 = 253_402_300_799;
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix = since.as_secs().min(LAST);
        let whole = UNIX_EPOCH + Duration::from_secs(unix);
        Self { unix, text: humantime::format_rfc3339_seconds(whole).to_string() }
    }
}

/// Reads a duration such as `60s` or `5m`: more than nothing, at most [`limits::TIMEOUT_MAX`].
///
/// # Errors
/// Says what was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() && duration <= limits::TIMEOUT_MAX => Ok(duration),
        _ => Err(format!("{text:?}: expected a duration such as 60s, more than 0s and up to 24h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_said_in_rfc_3339() {
        let moment = |unix| Moment::from(UNIX_EPOCH + Duration::from_secs(unix));
        assert_eq!(moment(0).text, "1970-01-01T00:00:00Z");
        assert_eq!(moment(951_782_400).text, "2000-02-29T00:00:00Z");
        assert_eq!(moment(253_402_300_800).text, "9999-12-31T23:59:59Z");
        assert_eq!(Moment::from(UNIX_EPOCH - Duration::from_secs(1)).unix, 0);
    }

    #[test]
    fn durations_have_bounds() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "0s", "60", "-1s", "25h", "s", "99999999999999999999h", "1x"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
