//! What stands where a host or a path must, what is wrong with it and what was perhaps meant.

use coregate_core::snapshot::plan::{HostPattern, PathPattern};

use crate::codes;
use crate::item::{Item, Value, not_supported, quoted, shown};
use crate::report::{Diagnostic, Faults};

/// Whether a key under `[routes]` is a path: it begins with a slash or a method.
pub(crate) fn is_path(key: &str) -> bool {
    let method =
        |method: &str| !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
    key.starts_with('/') || key.split_once(' ').is_some_and(|(word, _)| method(word))
}

/// Reads a key that [`is_path`].
pub(super) fn path(item: &Item<'_>, faults: &mut Faults) -> Option<PathPattern> {
    let key = item.key;
    let foreign = key.bytes().any(|b| !b.is_ascii_graphic());
    let fault = if is_regex(key) {
        regex(item).suggest(meant(key))
    } else if key.starts_with('/') && foreign {
        let message = format!("{}: spaces and letters beyond ASCII stand as escapes", quoted(key));
        let escaped = escaped(key);
        let legal = escaped.parse::<PathPattern>().is_ok();
        let suggestion = legal.then(|| format!("write {}", quoted(&escaped)));
        Diagnostic::error(codes::PATH, item.span(), message).suggest(suggestion)
    } else if key.contains(' ') {
        not_supported(item.span(), &format!("{}: a method in a route", quoted(key)))
    } else if key.contains('{') || (key.starts_with('/') && key.contains("/:")) {
        not_supported(item.span(), &format!("{}: a parameter in a path", quoted(key)))
    } else {
        match key.parse::<PathPattern>() {
            Ok(path) => return Some(path),
            Err(why) => {
                Diagnostic::error(codes::PATH, item.span(), why.to_string()).suggest(meant(key))
            }
        }
    };
    faults.push(fault);
    None
}

/// Reads a key that is no path, and so a host.
pub(super) fn host(item: &Item<'_>, faults: &mut Faults) -> Option<HostPattern> {
    let key = item.key;
    let why = match key.parse::<HostPattern>() {
        Ok(host) => return Some(host),
        Err(why) => why,
    };
    let bare = key.split(':').next().filter(|host| host.parse::<HostPattern>().is_ok());
    let suggestion = match bare {
        Some(host) => Some(format!("write {}: hosts are matched without a port", quoted(host))),
        None if key.contains('*') => {
            Some("`*` stands first only, as in \"*.example.com\"".to_owned())
        }
        None if !key.is_ascii() => {
            Some("write its form in ASCII, which begins with xn--".to_owned())
        }
        None => None,
    };
    faults.push(Diagnostic::error(codes::HOST, item.span(), why.to_string()).suggest(suggestion));
    None
}

/// What is wrong with a key that is neither a path nor a host, where that is all there is to say of it.
pub(super) fn neither(item: &Item<'_>) -> Option<Diagnostic> {
    let key = item.key;
    let method = |word: &str| word.bytes().all(|b| b.is_ascii_alphabetic());
    if is_regex(key) {
        return Some(regex(item));
    }
    if key.split_once(" /").is_some_and(|(word, _)| method(word)) {
        return Some(not_supported(item.span(), &format!("{}: a method in a route", quoted(key))));
    }
    let (host, path) = url(key)?;
    let message = format!("{}: a host and its paths stand apart", quoted(key));
    let table = format!("write [routes.{}]", quoted(host));
    let suggestion = match path {
        "" | "/" => table,
        path => format!("{table} and below it {} = ...", quoted(path)),
    };
    Some(Diagnostic::error(codes::HOST, item.span(), message).suggest(suggestion))
}

/// A key under a host that is no path. `[routes.shop.example.com]` without quotes is three tables in each other.
pub(super) fn not_a_path(host: &str, item: &Item<'_>) -> Diagnostic {
    let mut whole = vec![host, item.key];
    let mut value = item.value();
    while let Value::Table(fields) = &value
        && let [inner] = fields.items().as_slice()
        && !is_path(inner.key)
        && let Value::Table(_) = inner.value()
    {
        whole.push(inner.key);
        value = inner.value();
    }
    let whole = whole.join(".");
    let suggestion = match &value {
        Value::Table(_) if whole.parse::<HostPattern>().is_ok() => {
            format!("write the host in quotes: [routes.{}]", quoted(&whole))
        }
        Value::Table(_) | Value::String(_) | Value::Array(_) | Value::Other => {
            "a path begins with \"/\"".to_owned()
        }
    };
    let message = format!(
        "{}: expected a path such as \"/users/*\" under the host {}",
        quoted(item.key),
        shown(host)
    );
    Diagnostic::error(codes::PATH, item.span(), message).suggest(suggestion)
}

/// The host and the path of `https://x.com:80/a` or `x.com/a`.
fn url(key: &str) -> Option<(&str, &str)> {
    let after = ["http://", "https://"].iter().find_map(|scheme| key.strip_prefix(scheme));
    let rest = after.unwrap_or(key);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.split(':').next()?;
    // `users/*` is a path without its slash.
    let sure = after.is_some() || (host.contains('.') && !path.is_empty());
    (sure && host.parse::<HostPattern>().is_ok()).then_some((host, path))
}

/// As nginx marks regular expressions, or by what no path holds.
fn is_regex(key: &str) -> bool {
    let inside = || [".*", "\\", "(?"].iter().any(|part| key.contains(part));
    key.starts_with(['~', '^']) || (key.starts_with('/') && inside())
}

fn regex(item: &Item<'_>) -> Diagnostic {
    let message = format!("{}: regular expressions are not supported yet", quoted(item.key));
    Diagnostic::error(codes::NOT_SUPPORTED, item.span(), message)
}

fn escaped(path: &str) -> String {
    let escape = |b: u8| match b.is_ascii_graphic() {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    };
    path.bytes().map(escape).collect()
}

/// `/users*`, `/users/**` and `/users/.*` mean `/users/*`.
fn meant(path: &str) -> Option<String> {
    let (prefix, _) = path.split_once('*')?;
    let meant = format!("{}/*", prefix.trim_end_matches(['/', '.']));
    meant.parse::<PathPattern>().ok().map(|_| format!("did you mean {}?", quoted(&meant)))
}
