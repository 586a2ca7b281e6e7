//! The micro-syntax of rates: `100/s`, `10/min`, `5000/h`, `100000/day`, `20/15min`.

use std::time::Duration;

use coregate_core::snapshot::plan::written;

use crate::units::UnitFault;

/// The units, the largest first, and what else they are called.
const UNITS: [(&str, u64, &[&str]); 4] = [
    ("day", 86_400, &["d", "days"]),
    ("h", 3_600, &["hr", "hour", "hours"]),
    ("min", 60, &["m", "mins", "minute", "minutes"]),
    ("s", 1, &["sec", "secs", "second", "seconds"]),
];

/// What others write for so many a second or a minute.
const SHORT: [(&str, &str); 5] =
    [("rps", "s"), ("qps", "s"), ("rpm", "min"), ("r/s", "s"), ("r/m", "min")];

/// Reads a rate: how many, and in which time. Numbers beyond `u64` saturate.
pub(crate) fn read(text: &str) -> Result<(u64, Duration), UnitFault> {
    exact(text).ok_or_else(|| UnitFault { meant: meant(text) })
}

/// `100/s`: in the largest unit that shows the time whole.
pub(crate) fn show(count: u64, window: Duration) -> String {
    format!("{count}/{}", written(window))
}

fn exact(text: &str) -> Option<(u64, Duration)> {
    let (count, time) = text.split_once('/')?;
    let (many, unit) = time.split_at(digits(time));
    let (_, seconds, _) = UNITS.iter().find(|(name, _, _)| *name == unit)?;
    let many = if many.is_empty() { 1 } else { number(many) };
    let whole = !count.is_empty() && digits(count) == count.len();
    whole.then(|| (number(count), Duration::from_secs(many.saturating_mul(*seconds))))
}

/// What was perhaps meant: other units, words around them, a number alone.
fn meant(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase().replace(['_', ','], "");
    let (count, rest) = text.split_at(digits(&text));
    if count.is_empty() || number(count) == 0 {
        return None;
    }
    let rest = rest.trim();
    if let Some((_, unit)) = SHORT.iter().find(|(short, _)| *short == rest) {
        return Some(format!("{count}/{unit}"));
    }
    let words = ["requests", "request", "reqs", "req", "r"];
    let rest = words.iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest).trim();
    let rest = rest.strip_prefix('/').or_else(|| rest.strip_prefix("per")).unwrap_or(rest).trim();
    let (many, unit) = rest.split_at(digits(rest));
    let unit = unit.trim();
    let known = |(name, _, others): &&(&str, u64, &[&str])| *name == unit || others.contains(&unit);
    let unit = match unit {
        "" if many.is_empty() => "s",
        "" => return None,
        _ => UNITS.iter().find(known)?.0,
    };
    let many = if many.is_empty() || number(many) == 1 { "" } else { many };
    Some(format!("{count}/{many}{unit}"))
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len())
}

fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, count, seconds) in [
            ("100/s", 100, 1),
            ("10/min", 10, 60),
            ("1/30s", 1, 30),
            ("20/15min", 20, 900),
            ("5000/h", 5_000, 3_600),
            ("7/day", 7, 86_400),
            ("0/s", 0, 1),
            ("99999999999999999999/s", u64::MAX, 1),
        ] {
            assert_eq!(read(text), Ok((count, Duration::from_secs(seconds))), "{text}");
        }
        for text in ["100/s", "10/min", "1/30s", "20/15min", "5000/h", "7/day", "1/90s", "1/2day"] {
            let (count, window) = read(text).unwrap();
            assert_eq!(show(count, window), text);
        }
        assert_eq!(show(60, Duration::from_secs(3600)), "60/h");
    }

    #[test]
    fn what_was_meant() {
        for (text, meant) in [
            ("100", "100/s"),
            ("100/m", "100/min"),
            ("100/sec", "100/s"),
            ("10r/s", "10/s"),
            ("10r/m", "10/min"),
            ("100 rps", "100/s"),
            ("100 req/s", "100/s"),
            ("100 requests per minute", "100/min"),
            ("1,000/S", "1000/s"),
            ("5/1h", "5/h"),
            ("5/10 s", "5/10s"),
            ("5/d", "5/day"),
        ] {
            // What is right already is not asked about.
            let found = read(text).map(|(count, window)| show(count, window));
            let found = found.or_else(|fault| fault.meant.ok_or(()));
            assert_eq!(found.as_deref(), Ok(meant), "{text}");
        }
        for text in ["", "s", "/s", "fast", "-1/s", "1.5/s", "0r/s", "10/week", "10/5", "10/"] {
            let fault = read(text).unwrap_err();
            assert!(fault.meant.is_none() || text == "10/", "{text}: {fault:?}");
        }
    }
}
