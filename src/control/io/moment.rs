//! Points in time as they go over the wire; how they are written is [`coregate_core::base::moment`]'s to say.

use std::time::{SystemTime, UNIX_EPOCH};

use coregate_core::base::moment;
use serde::{Deserialize, Serialize};

use crate::io::admin::openapi::ToSchema;

pub use coregate_core::base::moment::duration;

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
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix = since.as_secs().min(moment::LAST);
        Self { unix, text: moment::show(unix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moment_is_said_in_rfc_3339() {
        let moment = |unix| Moment::from(UNIX_EPOCH + Duration::from_secs(unix));
        assert_eq!(moment(951_782_400).text, "2000-02-29T00:00:00Z");
        assert_eq!(moment(253_402_300_800).text, "9999-12-31T23:59:59Z");
        assert_eq!(Moment::from(UNIX_EPOCH - Duration::from_secs(1)).unix, 0);
    }
}
