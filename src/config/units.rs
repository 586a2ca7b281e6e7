//! The micro-syntax of times (`"250ms"`), sizes (`"16KiB"`) and percents (`"12.5%"`).

use std::time::Duration;

/// A text that is no time, size or percent, and the one that was perhaps meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitFault {
    pub(crate) meant: Option<String>,
}

/// Reads a whole number and one of `ms`, `s`, `m`, `h`.
pub(crate) fn duration(text: &str) -> Result<Duration, UnitFault> {
    let Some((number, unit)) = split(text) else {
        return Err(UnitFault { meant: None });
    };
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => {
            let unit = match unit.trim().to_ascii_lowercase().as_str() {
                "" | "s" | "sec" | "secs" | "second" | "seconds" => "s",
                "ms" | "msec" | "millis" => "ms",
                "m" | "min" | "mins" | "minute" | "minutes" => "m",
                "h" | "hr" | "hour" | "hours" => "h",
                _ => return Err(UnitFault { meant: None }),
            };
            return Err(UnitFault { meant: Some(format!("{number}{unit}")) });
        }
    };
    // Far above any range that is accepted, so saturating loses nothing.
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

/// Reads a whole number and one of `B`, `KiB`, `MiB`, `GiB`, `KB`, `MB`, `GB`; bytes.
pub(crate) fn size(text: &str) -> Result<u64, UnitFault> {
    let Some((number, unit)) = split(text) else {
        return Err(UnitFault { meant: None });
    };
    let bytes = match unit {
        "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            let unit = unit.trim().to_ascii_lowercase();
            // A rate is a size too, by the second.
            let meant = match unit.strip_suffix("/s").unwrap_or(&unit) {
                "" | "b" | "bytes" => format!("{number}B"),
                "k" | "kib" => format!("{number}KiB"),
                "m" | "mib" => format!("{number}MiB"),
                "g" | "gib" => format!("{number}GiB"),
                "kb" => format!("{number}KB"),
                "mb" => format!("{number}MB"),
                "gb" => format!("{number}GB"),
                _ => return Err(UnitFault { meant: None }),
            };
            return Err(UnitFault { meant: Some(meant) });
        }
    };
    Ok(number.saturating_mul(bytes))
}

/// `5s`, `250ms`: the largest unit that shows it whole; `0s`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if millis.is_multiple_of(unit) {
            return format!("{}{name}", millis / unit);
        }
    }
    format!("{millis}ms")
}

/// `64KiB`: the largest unit that shows it whole.
pub(crate) fn show_size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes > 0 && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

/// Reads a number with at most two digits behind the point, and `%`; hundredths of a percent.
pub(crate) fn percent(text: &str) -> Result<u32, UnitFault> {
    if let Some(hundredths) = text.strip_suffix('%').and_then(hundredths) {
        return Ok(hundredths);
    }
    let bare = text.trim().trim_end_matches('%').trim_end();
    let bare = bare.replace(',', ".");
    // Digits that there is no room for are left out.
    let end = bare.find('.').map_or(bare.len(), |point| bare.len().min(point + 3));
    let bare = bare.get(..end).unwrap_or_default();
    let meant = match hundredths(bare) {
        // 0.95 is 95% where no sign says otherwise.
        Some(part) if bare.contains('.') && part <= 100 && !text.contains('%') => part * 100,
        Some(hundredths) => hundredths,
        None => return Err(UnitFault { meant: None }),
    };
    Err(UnitFault { meant: Some(show_percent(u64::from(meant))) })
}

/// `12.5%`, of hundredths of a percent.
pub(crate) fn show_percent(hundredths: u64) -> String {
    let (whole, part) = (hundredths / 100, hundredths % 100);
    let text = match part {
        0 => whole.to_string(),
        part => format!("{whole}.{part:02}").trim_end_matches('0').to_owned(),
    };
    format!("{text}%")
}

/// Hundredths of a number with at most two digits behind the point.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 || whole.len() > 6 {
        return None;
    }
    let part = format!("{part:0<2}");
    Some(whole.parse::<u32>().ok()? * 100 + part.parse::<u32>().ok()?)
}

/// A number and what follows it; numbers beyond `u64` saturate.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (!digits.is_empty()).then(|| (digits.parse().unwrap_or(u64::MAX), unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(text: &str) -> UnitFault {
        UnitFault { meant: Some(text.into()) }
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("250ms", 250),
            ("0s", 0),
            ("5s", 5_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("99999999999999999999h", u64::MAX),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, expected) in [("5", "5s"), ("5 s", "5s"), ("5sec", "5s"), ("1H", "1h")] {
            assert_eq!(duration(text), Err(meant(expected)), "{text}");
        }
        for text in ["", "s", "-5s", "1.5s", "1m30s", "5d", "5µs"] {
            assert_eq!(duration(text), Err(UnitFault { meant: None }), "{text}");
        }
        for text in ["0s", "250ms", "5s", "2m", "24h", "90s"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn percents() {
        for (text, hundredths) in
            [("95%", 9_500), ("12.5%", 1_250), ("0.01%", 1), ("0%", 0), ("100.00%", 10_000)]
        {
            assert_eq!(percent(text), Ok(hundredths), "{text}");
        }
        for (text, expected) in [
            ("95", "95%"),
            (" 95 %", "95%"),
            ("0.95", "95%"),
            ("1.00", "100%"),
            ("0,5%", "0.5%"),
            ("12.5", "12.5%"),
            ("12.345%", "12.34%"),
        ] {
            assert_eq!(percent(text), Err(meant(expected)), "{text}");
        }
        for text in ["", "%", ".5%", "5.%", "-5%", "1e1%", "9999999%", "half"] {
            assert_eq!(percent(text), Err(UnitFault { meant: None }), "{text}");
        }
        for text in ["0%", "0.05%", "12.5%", "100%"] {
            assert_eq!(show_percent(u64::from(percent(text).unwrap())), text);
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1B", 1),
            ("16KiB", 16_384),
            ("16KB", 16_000),
            ("1MiB", 1 << 20),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, expected) in
            [("5", "5B"), ("16k", "16KiB"), ("16 KiB", "16KiB"), ("1mb", "1MB"), ("1KiB/s", "1KiB")]
        {
            assert_eq!(size(text), Err(meant(expected)), "{text}");
        }
        for text in ["", "KiB", "-1KiB", "1.5KiB", "1TiB"] {
            assert_eq!(size(text), Err(UnitFault { meant: None }), "{text}");
        }
        for text in ["1B", "1000B", "64KiB", "1GiB"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
    }
}
