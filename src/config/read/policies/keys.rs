//! A key of a consumer: where it lies, or its digest, and until when it is good. Never the key itself.

use std::ops::Range;

use coregate_core::base::moment;
use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::plan::KeyPlan;

use crate::codes;
use crate::item::{Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::read::secrets::{self, Example};
use crate::report::{Diagnostic, Faults};
use crate::{ConsumerKey, Secret};

const KEYS: &[&str] = known!(language::CONSUMER_KEY);

/// What suggestions show.
const KEY: Example = Example { variable: "MOBILE_KEY", file: "mobile.key" };
const WHOLE: &str = "write { env = \"MOBILE_KEY\" }, { file = \"/etc/coregate/mobile.key\" } or { sha256 = \"...\" }, what printf %s KEY | sha256sum gives";

/// A key as it was read.
#[derive(Debug)]
pub(super) struct Read {
    what: What,
    /// From when on it is refused, and where that stands.
    pub(super) expires: Option<(u64, Range<usize>)>,
}

#[derive(Debug)]
enum What {
    Digest(KeyDigest),
    Secret(Secret),
}

/// Where a key belongs.
pub(super) enum Taken {
    /// In the plan.
    Plan(KeyPlan),
    /// Beside it, until it is read.
    Elsewhere(ConsumerKey),
}

impl Read {
    /// Whether two keys are the same, as far as the file says.
    pub(super) fn mark(&self) -> String {
        match &self.what {
            What::Digest(digest) => digest.to_hex(),
            What::Secret(secret) => secret.to_string(),
        }
    }

    pub(super) fn take(self, consumer: &str) -> Taken {
        let expires = self.expires.map(|(unix, _)| unix);
        match self.what {
            What::Digest(digest) => Taken::Plan(KeyPlan { digest, expires }),
            What::Secret(secret) => {
                Taken::Elsewhere(ConsumerKey { consumer: consumer.to_owned(), secret, expires })
            }
        }
    }
}

/// Reads a key. What may be the key itself is not shown.
pub(super) fn read(item: &Item<'_>, faults: &mut Faults) -> Option<Read> {
    let fields = match item.value() {
        Value::Table(fields) => fields,
        Value::String(_) | Value::Array(_) | Value::Other => {
            item.hide(faults);
            let why = "a key does not belong in a file that is shown: expected a table that says where it lies, or its SHA-256";
            return item.refuse(codes::SECRET, why, Some(WHOLE.to_owned()), faults);
        }
    };
    let strangers = fields.items().into_iter().filter(|item| !KEYS.contains(&item.key));
    strangers.for_each(|item| item.hide(faults));
    fields.check(KEYS, faults);
    let expires = fields.get("expires");
    let expires = expires.map(|item| (self::expires(&item, faults), item.value_span()));
    let there: Vec<_> =
        ["env", "file", "sha256"].iter().filter_map(|key| fields.get(key)).collect();
    let what = match &there[..] {
        [one] if one.key == "env" => secrets::variable(one, KEY, faults).map(What::Secret),
        [one] if one.key == "file" => secrets::path(one, KEY, faults).map(What::Secret),
        [one] => digest(one, faults).map(What::Digest),
        [] if fields.items().iter().any(|item| !KEYS.contains(&item.key)) => None,
        [] => {
            let why = "expected `env`, `file` or `sha256`";
            item.refuse(codes::SECRET, why, Some(WHOLE.to_owned()), faults)
        }
        [first, second, ..] => {
            crate::read::conflict(first, second, faults);
            None
        }
    }?;
    let expires = match expires {
        Some((unix, place)) => Some((unix?, place)),
        None => None,
    };
    Some(Read { what, expires })
}

/// A digest; what is none may be the key itself.
fn digest(item: &Item<'_>, faults: &mut Faults) -> Option<KeyDigest> {
    let Value::String(text) = item.value() else {
        item.hide(faults);
        return item.wrong_type("a SHA-256 in 64 hexadecimal digits", None, faults);
    };
    let digest = KeyDigest::from_hex(text);
    if digest.is_none() {
        item.hide(faults);
        let why = "not a SHA-256: expected 64 hexadecimal digits";
        let suggestion = "write what printf %s KEY | sha256sum gives".to_owned();
        return item.refuse(codes::SECRET, why, Some(suggestion), faults);
    }
    digest
}

/// A point in time, in seconds since 1970.
fn expires(item: &Item<'_>, faults: &mut Faults) -> Option<u64> {
    const EXPECTED: &str = "a time in UTC such as \"2027-01-31T00:00:00Z\"";
    let meant = |text: &str| meant(text).map(|meant| format!("write {}", quoted(&meant)));
    let text = match (item.value(), item.datetime()) {
        (Value::String(text), _) => text,
        (_, Some(text)) => return item.wrong_type(EXPECTED, meant(text), faults),
        (Value::Table(_) | Value::Array(_) | Value::Other, None) => {
            return item.wrong_type(EXPECTED, None, faults);
        }
    };
    let unix = moment::read(text);
    if unix.is_none() {
        let why = format!("expected {EXPECTED}, found {}", quoted(text));
        return item.refuse(codes::MOMENT, why, meant(text), faults);
    }
    unix
}

/// The moment that another way to write it stands for: a day, a space for the `T`, without a zone, or with another than UTC.
fn meant(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(unix) = moment::read(text) {
        return Some(moment::show(unix));
    }
    let upper = text.to_ascii_uppercase().replacen(' ', "T", 1);
    let day = format!("{upper}T00:00:00Z");
    let plain = [upper.clone(), day, format!("{upper}Z")];
    let plain = plain.iter().find_map(|text| moment::read(text));
    let zoned = || {
        let (local, zone) = upper.split_at_checked(upper.len().checked_sub("+00:00".len())?)?;
        let (hours, minutes) = zone.get(1..)?.split_once(':')?;
        let ahead = hours.parse::<u64>().ok()? * 3_600 + minutes.parse::<u64>().ok()? * 60;
        let unix = moment::read(&format!("{local}Z"))?;
        match zone.as_bytes().first()? {
            b'+' => unix.checked_sub(ahead),
            b'-' => unix.checked_add(ahead),
            _ => None,
        }
    };
    plain.or_else(zoned).map(moment::show)
}

/// Reports what stands twice in a list; `first` is its other place, where that is not beside it.
pub(super) fn twice(what: &str, item: &Item<'_>, first: Option<Range<usize>>, faults: &mut Faults) {
    let message = format!("{}: {what} stands twice", shown(item.path()));
    let fault = Diagnostic::error(codes::LISTED_TWICE, item.value_span(), message);
    let fault = match first {
        Some(first) => fault.also(first, "first here"),
        None => fault,
    };
    faults.push(fault.suggest("remove one of them".to_owned()));
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn moments_in_other_forms() {
        for (text, expected) in [
            ("2027-01-31", Some("2027-01-31T00:00:00Z")),
            ("2027-01-31 12:30:00", Some("2027-01-31T12:30:00Z")),
            ("2027-01-31T12:30:00", Some("2027-01-31T12:30:00Z")),
            ("2027-01-31t12:30:00z", Some("2027-01-31T12:30:00Z")),
            ("2027-01-31T12:30:00+02:00", Some("2027-01-31T10:30:00Z")),
            ("2027-01-31 12:30:00-05:30", Some("2027-01-31T18:00:00Z")),
            ("1970-01-01T00:00:00+02:00", None),
            ("tomorrow", None),
            ("", None),
            ("é:ü", None),
        ] {
            assert_eq!(meant(text).as_deref(), expected, "{text}");
        }
    }
}
