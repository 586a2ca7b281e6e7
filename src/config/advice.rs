//! What to write for a key that nobody knows, where its value or what stands beside it tells what was meant.

use std::time::Duration;

use coregate_core::base::limits;

use crate::fields::Fields;
use crate::item::{Item, Value, quoted};
use crate::node::is_bare;
use crate::{rates, units, words};

/// What to write for `item`, which stands in `beside`, where `known` are the keys that may stand.
pub(crate) fn of(item: &Item<'_>, beside: &Fields<'_>, known: &[&str]) -> Option<String> {
    let knows = |key: &str| known.contains(&key);
    match item.key {
        "return" if knows("respond") => {
            item.decimal().map(|status| format!("write respond = {status}"))
        }
        "header" | "query" | "method" | "methods" if knows("when") => {
            let key = if item.key == "methods" { "method" } else { item.key };
            let write = |value| format!("write when = {{ {key} = {value} }}");
            written(item).map(write).or_else(|| words::hint(key).map(str::to_owned))
        }
        "status" | "code" | "status_code" if knows("redirect") => answer(item, beside),
        "rate" | "average" | "requests" | "count" if knows("limit") => limit(item, beside),
        "key" | "limit_by" if knows("per") => match item.value() {
            Value::String(text) if text.contains("addr") || text == "ip" => {
                Some("write per = \"address\"".to_owned())
            }
            _ => None,
        },
        "second" | "minute" | "hour" | "day" if knows("limit") => {
            let unit = match item.key {
                "second" => "s",
                "minute" => "min",
                "hour" => "h",
                _ => "day",
            };
            item.decimal().map(|count| format!("write limit = \"{count}/{unit}\""))
        }
        "connect_timeout" | "first_byte_timeout" | "body_timeout" | "tunnel_timeout"
            if knows("timeout") =>
        {
            let key = item.key.trim_end_matches("_timeout");
            written(item).map(|value| format!("write timeout = {{ {key} = {value} }}"))
        }
        "max_fails" if knows("outlier") => {
            written(item).map(|value| format!("write outlier = {{ failures = {value} }}"))
        }
        "fail_timeout" if knows("outlier") => {
            written(item).map(|value| format!("write outlier = {{ ejected = {value} }}"))
        }
        "retries" | "max_retries" if knows("retry") => {
            let tries = item.decimal()?.parse::<u32>().ok()?.checked_add(1)?;
            Some(format!("write retry = {{ attempts = {tries} }}, the first included"))
        }
        "health_check" | "healthcheck" | "check" if knows("health") => match item.value() {
            Value::String(_) => written(item).map(|value| format!("write health = {value}")),
            Value::Table(_) | Value::Array(_) | Value::Other => None,
        },
        name if knows("header") && knows("query") && is_header(name) => {
            written(item).map(|value| format!("write header = {{ {} = {value} }}", key(name)))
        }
        _ => None,
    }
}

/// A limit that is written in another way, or of which the time stands in a key of its own.
fn limit(item: &Item<'_>, beside: &Fields<'_>) -> Option<String> {
    let write = |text: String| Some(format!("write limit = {}", quoted(&text)));
    if let Value::String(text) = item.value() {
        return write(match rates::read(text) {
            Ok((count, window)) => rates::show(count, window),
            Err(fault) => fault.meant?,
        });
    }
    let count = item.decimal()?.parse().ok().filter(|count| *count > 0)?;
    let period = ["period", "window", "time_window"].iter().find_map(|key| beside.get(key));
    let window = match period.as_ref().map(Item::value) {
        Some(Value::String(text)) => units::duration(text).ok()?,
        _ => Duration::from_secs(1),
    };
    let whole = window.as_secs() > 0 && window <= limits::RATE_WINDOW && window.subsec_nanos() == 0;
    whole.then(|| rates::show(count, window)).and_then(write)
}

/// Whether this is rather the name of a header than of anything else.
fn is_header(name: &str) -> bool {
    let short = ["accept", "authorization", "cookie", "origin", "referer"];
    name.contains('-') || short.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// A `split` of what stands where one service does, or shares do: a table of shares, or an array of names.
pub(crate) fn split(item: &Item<'_>) -> Option<String> {
    let shares = match item.value() {
        Value::Table(fields) => {
            let items = fields.items();
            let share = |item: &Item<'_>| match item.value() {
                Value::String(text) if text.ends_with('%') => Some(quoted(text)),
                _ => item.decimal().map(|number| quoted(&format!("{number}%"))),
            };
            let pair = |item: &Item<'_>| Some(format!("{} = {}", key(item.key), share(item)?));
            items.iter().map(pair).collect::<Option<Vec<_>>>()?
        }
        Value::Array(items) => {
            let name = |item: &Item<'_>| match item.value() {
                Value::String(name) => Some(name.to_owned()),
                Value::Table(_) | Value::Array(_) | Value::Other => None,
            };
            let names = items.iter().map(name).collect::<Option<Vec<_>>>()?;
            if let [name] = names.as_slice() {
                return Some(format!("write {}", quoted(name)));
            }
            return even(&names);
        }
        Value::String(_) | Value::Other => return None,
    };
    let some = (1..=limits::ADDRESSES_APART).contains(&shares.len());
    some.then(|| format!("write split = {{ {} }}", shares.join(", ")))
}

/// Each as much as the others, and what cannot be shared out to the first.
fn even(names: &[String]) -> Option<String> {
    let count = Some(names.len()).filter(|count| (2..=limits::ADDRESSES_APART).contains(count))?;
    let each = 100 / count;
    let share = |(at, name): (usize, &String)| {
        let percent = if at == 0 { 100 - each * (count - 1) } else { each };
        format!("{} = \"{percent}%\"", key(name))
    };
    let all: Vec<_> = names.iter().enumerate().map(share).collect();
    Some(format!("write split = {{ {} }}", all.join(", ")))
}

/// A status beside the answer that it belongs to.
fn answer(status: &Item<'_>, beside: &Fields<'_>) -> Option<String> {
    let status = status.decimal()?;
    let text = |key| match beside.get(key)?.value() {
        Value::String(text) => Some(quoted(text)),
        Value::Table(_) | Value::Array(_) | Value::Other => None,
    };
    let redirect =
        text("redirect").map(|to| format!("write redirect = {{ to = {to}, status = {status} }}"));
    let respond = || {
        let body = text("respond")?;
        Some(format!("write respond = {{ status = {status}, body = {body} }}"))
    };
    redirect.or_else(respond)
}

/// A text, a number, or a few of them, as they are written.
fn written(item: &Item<'_>) -> Option<String> {
    let one = |item: &Item<'_>| match item.value() {
        Value::String(text) => Some(quoted(text)),
        Value::Table(_) | Value::Array(_) => None,
        Value::Other => item.decimal(),
    };
    let few = |items: &[Item<'_>]| (1..=limits::ADDRESSES_APART).contains(&items.len());
    match item.value() {
        Value::String(_) | Value::Other => one(item),
        Value::Array(items) if few(&items) => {
            let all = items.iter().map(one).collect::<Option<Vec<_>>>()?;
            Some(format!("[{}]", all.join(", ")))
        }
        Value::Table(fields) if few(&fields.items()) => {
            let pair = |item: &Item<'_>| Some(format!("{} = {}", key(item.key), one(item)?));
            let all = fields.items().iter().map(pair).collect::<Option<Vec<_>>>()?;
            Some(format!("{{ {} }}", all.join(", ")))
        }
        Value::Array(_) | Value::Table(_) => None,
    }
}

/// A key, in quotes where it needs them.
fn key(key: &str) -> String {
    if is_bare(key) { key.to_owned() } else { quoted(key) }
}
