//! Points in time as RFC 3339 writes them, and durations as people do: the door of humantime.
//!
//! A point in time is a number of seconds since 1970, UTC; what the time is now nobody asks here.

use std::time::{Duration, UNIX_EPOCH};

use crate::base::limits;

/// 9999-12-31T23:59:59Z.
pub const LAST: u64 = 253_402_300_799;

/// `2026-11-22T10:00:00Z`; what comes after [`LAST`] is shown as that.
pub fn show(unix: u64) -> String {
    let whole = UNIX_EPOCH + Duration::from_secs(unix.min(LAST));
    humantime::format_rfc3339_seconds(whole).to_string()
}

/// Reads `2026-11-22T10:00:00Z`: UTC, from 1970 on; parts of a second are left out.
pub fn read(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
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

/// Reads how long something lasts that may last for years, such as `24h` or `90d`: nothing (`0`) to [`limits::KEY_LIFE_MAX`].
///
/// # Errors
/// Says what was expected.
pub fn life(text: &str) -> Result<Duration, String> {
    match text {
        "0" => Ok(Duration::ZERO),
        _ => match humantime::parse_duration(text) {
            Ok(duration) if duration <= limits::KEY_LIFE_MAX => Ok(duration),
            _ => Err(format!("{text:?}: expected a duration such as 24h or 90d, up to 3660d")),
        },
    }
}

/// Reads when something ends that lasts at `now`, in seconds since 1970: `90d` from now on, or `2027-01-31T00:00:00Z`.
///
/// # Errors
/// Says what was expected.
pub fn end(text: &str, now: u64) -> Result<u64, String> {
    let end = match read(text) {
        Some(end) => Some(end),
        None => life(text).ok().map(|life| now.saturating_add(life.as_secs())),
    };
    let last = now.saturating_add(limits::KEY_LIFE_MAX.as_secs());
    end.filter(|end| (now + 1..=last).contains(end)).ok_or_else(|| {
        format!("{text:?}: expected a time to come, such as 90d or 2027-01-31T00:00:00Z, within 3660 days")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!((show(unix).as_str(), read(text)), (text, Some(unix)));
        }
        assert_eq!(show(LAST + 1), show(LAST));
        assert_eq!(read("2026-11-22T10:00:00.750Z"), read("2026-11-22T10:00:00Z"));
        for wrong in [
            "",
            "2027-01-31",
            "2027-01-31T00:00:00",
            "2027-01-31T00:00:00+02:00",
            "2027-02-30T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1800000000",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_have_bounds() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "0s", "60", "-1s", "25h", "s", "99999999999999999999h", "1x"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ends_are_to_come() {
        let day = 86_400;
        assert_eq!(life("0"), Ok(Duration::ZERO));
        assert_eq!(life("90d"), Ok(Duration::from_secs(90 * day)));
        assert!(life("3661d").is_err() && life("-1s").is_err() && life("").is_err());
        let now = 1_800_000_000;
        assert_eq!(end("90d", now), Ok(now + 90 * day));
        assert_eq!(end(&show(now + 5), now), Ok(now + 5));
        for wrong in ["0", "", "3661d", "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
            assert!(end(wrong, now).is_err(), "{wrong}");
        }
    }
}
