//! Periods: days and months as people count them, in a time zone. The door of jiff.
//!
//! The rules of time zones are data of this build (the IANA database that jiff bundles): nothing is read from the system, so two hosts
//! agree, and a rule that changes comes with a new build.
//!
//! A day begins with its first moment: at midnight, or where a clock goes forward at midnight, when it has. Where it goes back over
//! midnight, the hour that comes again belongs to the day that had begun: no day begins twice.

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// What a quota counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Every {
    /// A day, from midnight to midnight: of 23 to 25 hours where clocks change.
    Day,
    /// A month of the calendar.
    Month,
}

impl Every {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// A period, in seconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first second.
    pub starts: u64,
    /// The first second of the next.
    pub ends: u64,
}

/// There is no time zone of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no time zone {0:?}: expected a name of the IANA database such as \"UTC\" or \"Europe/Berlin\""
)]
pub struct NoSuchZone(pub String);

/// Which period a moment lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    every: Every,
    zone: TimeZone,
}

impl Calendar {
    /// Days or months of a zone, by its name in the IANA database; small letters or capitals.
    pub fn new(every: Every, zone: &str) -> Result<Self, NoSuchZone> {
        let found = TimeZoneDatabase::bundled().get(zone);
        let zone = found.map_err(|_| NoSuchZone(zone.to_owned()))?;
        Ok(Self { every, zone })
    }

    /// What is counted together.
    pub const fn every(&self) -> Every {
        self.every
    }

    /// The name of the zone, as the IANA database has it.
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The period of a moment, in seconds of Unix time: it starts at or before that, and ends after it. Beyond the year 9999: for ever.
    pub fn at(&self, now: u64) -> Period {
        self.period(now).unwrap_or(Period { starts: 0, ends: u64::MAX })
    }

    fn period(&self, now: u64) -> Option<Period> {
        let moment = Timestamp::from_second(i64::try_from(now).ok()?).ok()?;
        let date = self.zone.to_datetime(moment).date();
        let mut first = match self.every {
            Every::Day => date,
            Every::Month => date.first_of_month(),
        };
        let mut starts = self.begins(first)?;
        loop {
            let next = match self.every {
                Every::Day => first.tomorrow().ok()?,
                Every::Month => first.checked_add(1.month()).ok()?,
            };
            let ends = self.begins(next)?;
            // Where a clock goes back over midnight, the date says yesterday in a day that has begun.
            if ends > now {
                return Some(Period { starts, ends });
            }
            (first, starts) = (next, ends);
        }
    }

    /// The first moment of a day.
    fn begins(&self, date: Date) -> Option<u64> {
        let first = date.to_zoned(self.zone.clone()).ok()?;
        // Before 1970 nothing is counted.
        Some(u64::try_from(first.timestamp().as_second()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;

    fn unix(text: &str) -> u64 {
        text.parse::<Timestamp>().unwrap().as_second() as u64
    }

    fn check(every: Every, zone: &str, now: &str, starts: &str, ends: &str) {
        let period = Calendar::new(every, zone).unwrap().at(unix(now));
        assert_eq!(period, Period { starts: unix(starts), ends: unix(ends) }, "{now} in {zone}");
    }

    #[test]
    fn days_of_utc_and_of_berlin() {
        check(
            Every::Day,
            "UTC",
            "2026-11-23T09:30:00Z",
            "2026-11-23T00:00:00Z",
            "2026-11-24T00:00:00Z",
        );
        check(
            Every::Day,
            "UTC",
            "2026-11-23T00:00:00Z",
            "2026-11-23T00:00:00Z",
            "2026-11-24T00:00:00Z",
        );
        let (starts, ends) = ("2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z");
        check(Every::Day, "Europe/Berlin", "2026-11-23T22:59:59Z", starts, ends);
        check(Every::Day, "europe/berlin", "2026-11-22T23:00:00Z", starts, ends);
    }

    #[test]
    fn days_on_which_clocks_change_have_23_and_25_hours() {
        let (starts, ends) = ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        check(Every::Day, "Europe/Berlin", "2026-03-29T12:00:00Z", starts, ends);
        assert_eq!(unix(ends) - unix(starts), 23 * HOUR);
        let (starts, ends) = ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        for now in ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T22:59:59Z"] {
            check(Every::Day, "Europe/Berlin", now, starts, ends);
        }
        assert_eq!(unix(ends) - unix(starts), 25 * HOUR);
    }

    #[test]
    fn months_end_when_they_end() {
        let of = |now, starts, ends| check(Every::Month, "Europe/Berlin", now, starts, ends);
        of("2026-01-31T22:59:59Z", "2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z");
        of("2026-02-01T00:00:00Z", "2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z");
        of("2028-02-29T12:00:00Z", "2028-01-31T23:00:00Z", "2028-02-29T23:00:00Z");
        of("2026-03-15T12:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
        of("2026-12-31T23:30:00Z", "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z");
    }

    #[test]
    fn midnights_that_are_not_there_or_come_twice() {
        // In Beirut clocks went forward at midnight; in Havana back at one, to midnight.
        check(
            Every::Day,
            "Asia/Beirut",
            "2024-03-31T12:00:00Z",
            "2024-03-30T22:00:00Z",
            "2024-03-31T21:00:00Z",
        );
        let (starts, ends) = ("2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z");
        check(Every::Day, "America/Havana", "2025-11-02T05:30:00Z", starts, ends);
        // Samoa left a day out; in Newfoundland clocks went back over midnight.
        check(
            Every::Day,
            "Pacific/Apia",
            "2011-12-30T09:59:59Z",
            "2011-12-29T10:00:00Z",
            "2011-12-30T10:00:00Z",
        );
        let (starts, ends) = ("2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z");
        check(Every::Day, "America/St_Johns", "2010-11-07T03:00:00Z", starts, ends);
    }

    #[test]
    fn a_zone_that_is_not_there() {
        for zone in ["Europe/Bonn", "", "CEST+1", "../etc/passwd"] {
            assert_eq!(Calendar::new(Every::Day, zone), Err(NoSuchZone(zone.to_owned())));
        }
        let ever = Calendar::new(Every::Month, "UTC").unwrap().at(u64::MAX);
        assert_eq!(ever, Period { starts: 0, ends: u64::MAX });
    }

    proptest! {
        /// Each moment lies in one period, and the next begins where that ends.
        #[test]
        fn periods_follow_each_other(now in 0_u64..4_000_000_000, zone in 0_usize..8, month: bool) {
            let zones = [
                "UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "America/Havana", "Asia/Beirut",
                "Africa/Casablanca", "Australia/Lord_Howe",
            ];
            let every = if month { Every::Month } else { Every::Day };
            let calendar = Calendar::new(every, zones[zone]).unwrap();
            let period = calendar.at(now);
            prop_assert!(period.starts <= now && now < period.ends);
            prop_assert_eq!(calendar.at(period.starts), period);
            prop_assert_eq!(calendar.at(period.ends - 1), period);
            prop_assert_eq!(calendar.at(period.ends).starts, period.ends);
            let days = (period.ends - period.starts) / DAY;
            let expected = if month { 27..=31 } else { 0..=1 };
            prop_assert!(expected.contains(&days));
        }
    }
}
