//! What stands where a host or a path must, what is wrong with it and what was perhaps meant.

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{HostPattern, PathPattern};

use super::key::is_path;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::read::methods;
use crate::report::{Diagnostic, Faults};

/// Reads the path of a key; `before` are the methods that stand before it.
pub(super) fn path(
    item: &Item<'_>,
    before: &str,
    path: &str,
    faults: &mut Faults,
) -> Option<PathPattern> {
    let write = |path: &str| format!("write {}", quoted(&format!("{before}{path}")));
    let foreign = path.bytes().any(|b| !b.is_ascii_graphic());
    let fault = |message: String| Diagnostic::error(codes::PATH, item.span(), message);
    let fault = if let Some(meant) = with_params(path) {
        let message = format!("{}: a parameter is a segment in braces", quoted(item.key));
        fault(message).suggest(write(&meant))
    } else if is_regex(path) {
        match meant(path) {
            Some(meant) => regex(item).suggest(write(&meant)),
            None => regex(item),
        }
    } else if let Some((host, path)) = url(path) {
        let table = format!("write [routes.{}] and below it", quoted(host));
        let path = if path.is_empty() { "/*" } else { path };
        let suggestion = format!("{table} {} = ...", quoted(&format!("{before}{path}")));
        fault(format!("{}: a host and its paths stand apart", quoted(item.key))).suggest(suggestion)
    } else if path.starts_with('/') && foreign {
        let what = "spaces and letters beyond ASCII stand as escapes";
        let escaped = escaped(path);
        let legal = escaped.parse::<PathPattern>().is_ok();
        fault(format!("{}: {what}", quoted(item.key))).suggest(legal.then(|| write(&escaped)))
    } else {
        match path.parse::<PathPattern>() {
            Ok(path) => return Some(path),
            Err(why) => {
                let slash =
                    Some(format!("/{path}")).filter(|path| path.parse::<PathPattern>().is_ok());
                let suggestion = meant(path).or(slash).or_else(|| without_query(path));
                let suggestion = suggestion.or_else(|| renamed(path));
                fault(why.to_string()).suggest(suggestion.as_deref().map(write))
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
    if is_regex(key) {
        return Some(regex(item));
    }
    if let Some(fault) = methods(item) {
        return Some(fault);
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

/// What is wrong with a key that is a path with methods, as others write them.
pub(super) fn methods(item: &Item<'_>) -> Option<Diagnostic> {
    let key = item.key;
    let letter = |b: u8| b.is_ascii_alphabetic() || b",|".contains(&b);
    let method = |word: &str| word == "*" || (!word.is_empty() && word.bytes().all(letter));
    let (word, path) = key.split_once('/')?;
    let apart = word.strip_suffix(' ').filter(|word| method(word));
    let close = Some(word).filter(|word| methods::KNOWN.contains(word));
    let (message, meant) = match apart.or(close)? {
        "*" => ("a path alone is for all methods", format!("/{path}")),
        word => {
            let meant = word.to_ascii_uppercase().replace('|', ",");
            let message = match (meant == word, word.contains('|')) {
                (true, _) => "expected a space between the method and the path",
                (false, true) => "expected methods with commas, such as GET,POST",
                (false, false) => "expected a method in capitals, such as GET",
            };
            (message, format!("{meant} /{path}"))
        }
    };
    let message = format!("{}: {message}", quoted(key));
    let fault = Diagnostic::error(codes::METHOD, item.span(), message);
    Some(fault.suggest(format!("write {}", quoted(&meant))))
}

/// What is wrong with a table of routes that is a route with its `path` in it, as others have them.
pub(super) fn path_within(fields: &Fields<'_>) -> Option<Diagnostic> {
    let item = fields.get("path")?;
    let Value::String(path) = item.value() else { return None };
    let others = fields.items().len() - 1;
    let value = match fields.get("to").map(|to| to.value()) {
        Some(Value::String(to)) if others == 1 => quoted(to),
        Some(Value::String(to)) => format!("{{ to = {}, ... }}", quoted(to)),
        Some(_) | None => "{ ... }".to_owned(),
    };
    let path = format!("/{}", path.trim_start_matches('/'));
    let message = format!("{}: a path is the key of its route", shown(item.path()));
    let fault = Diagnostic::error(codes::UNKNOWN_KEY, item.span(), message);
    Some(fault.suggest(format!("under [routes] write {} = {value}", quoted(&path))))
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
        Value::String(service) if matches!(item.key, "to" | "*") => {
            format!("write \"/*\" = {}", quoted(service))
        }
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
    let message = format!("{}: regular expressions stand in `path_regex`", quoted(item.key));
    let fault = Diagnostic::error(codes::PATH, item.span(), message);
    let regex = item.key.trim_start_matches('~');
    let (flags, regex) = match regex.strip_prefix('*') {
        // As nginx marks those without case.
        Some(regex) => ("(?i)", regex),
        None => ("", regex),
    };
    let regex = quoted(&format!("{flags}{}", regex.trim_start()));
    fault.suggest(format!("write \"/*\" = {{ path_regex = {regex}, priority = 1, to = ... }}"))
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
    let (prefix, rest) = path.split_once('*')?;
    if prefix.ends_with('/') && rest.trim_end_matches('/').starts_with('/') {
        // One segment in the middle.
        let mut names = ["id".to_owned()].into_iter().chain((2..).map(|at| format!("id_{at}")));
        let named = path.trim_end_matches("/*").split('/').map(|segment| match segment {
            "*" => names.next().map_or_else(String::new, |name| format!("{{{name}}}")),
            segment => segment.to_owned(),
        });
        let tail = if path.ends_with("/*") { "/*" } else { "" };
        let meant = named.collect::<Vec<_>>().join("/") + tail;
        if meant.parse::<PathPattern>().is_ok() {
            return Some(meant);
        }
    }
    let meant = format!("{}/*", prefix.trim_end_matches(['/', '.']));
    meant.parse::<PathPattern>().is_ok().then_some(meant)
}

/// The same without a query or a fragment.
fn without_query(path: &str) -> Option<String> {
    let (path, _) = path.split_once(['?', '#'])?;
    path.parse::<PathPattern>().is_ok().then(|| path.to_owned())
}

/// The path whose parameters are whole segments with names that may stand, each once.
fn renamed(path: &str) -> Option<String> {
    // The names are compared with each other.
    if path.len() > limits::REQUEST_TARGET_BYTES {
        return None;
    }
    let mut seen = Vec::new();
    let mut rename = |segment: &str| {
        let Some((_, from)) = segment.split_once('{') else { return segment.to_owned() };
        let (inner, _) = from.split_once('}').unwrap_or((from, ""));
        let (name, star) = match inner.strip_suffix('*') {
            Some(name) => (name, "*"),
            None => (inner, ""),
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut name: String = name.chars().map(|c| if legal(c) { c } else { '_' }).collect();
        let reserved = format!("/{{{name}}}").parse::<PathPattern>().is_err();
        if reserved || name.is_empty() {
            name.insert_str(0, "the_");
        }
        if seen.contains(&name) {
            name += &format!("_{}", seen.len() + 1);
        }
        seen.push(name.clone());
        format!("{{{name}{star}}}")
    };
    let meant = path.split('/').map(&mut rename).collect::<Vec<_>>().join("/");
    meant.parse::<PathPattern>().is_ok().then_some(meant)
}

/// The path whose parameters others write `/:id`, `/<id>`, `/<int:id>`, `/{id:[0-9]+}`, `/{*rest}`, `/*rest`.
fn with_params(path: &str) -> Option<String> {
    let named = |segment: &str| {
        let braced = segment.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        if let Some(name) = segment.strip_prefix(':') {
            return Some(format!("{{{name}}}"));
        }
        if let Some(name) = segment.strip_prefix('<').and_then(|it| it.strip_suffix('>')) {
            let (kind, name) = name.rsplit_once(':').unwrap_or(("", name));
            return Some(format!("{{{name}{}}}", if kind == "path" { "*" } else { "" }));
        }
        if let Some((name, what)) = braced.and_then(|inner| inner.split_once(':')) {
            return Some(format!("{{{name}{}}}", if what == ".*" { "*" } else { "" }));
        }
        if braced == Some("*") {
            return Some("*".to_owned());
        }
        let star = segment.strip_prefix('*').filter(|name| !name.starts_with('*'));
        let tail = braced.and_then(|inner| inner.strip_prefix('*')).or(star);
        tail.filter(|name| !name.is_empty()).map(|name| format!("{{{name}*}}"))
    };
    let segments =
        path.split('/').map(|segment| named(segment).unwrap_or_else(|| segment.to_owned()));
    let meant = segments.collect::<Vec<_>>().join("/");
    (meant != path && meant.parse::<PathPattern>().is_ok()).then_some(meant)
}
