//! `health`: how the instances of a service are probed.

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{HealthCheck, HttpProbe, Probe};

use super::statuses;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::read::{conflict, headers, methods, text, too_many};
use crate::report::{Diagnostic, Faults};
use crate::units;
use crate::words;

const KEYS: &[&str] = known!(language::HEALTH);

/// What is asked, in one way or another.
pub(crate) const QUESTIONS: [&str; 3] = ["get", "request", "tcp"];

/// What means nothing where only a connection is asked for.
pub(crate) const FOR_HTTP: [&str; 5] = ["host", "headers", "status", "body", "instance_id"];

const EXPECTED: &str = "a path such as \"/healthz\", \"tcp\" or a table";

/// Reads a health check; none where it is switched off, and where it is wrong.
pub(super) fn read(item: &Item<'_>, faults: &mut Faults) -> Option<HealthCheck> {
    match item.value() {
        Value::Table(fields) => table(item, &fields, faults),
        // What is right in short was made a table before anything was inherited.
        Value::String(text) => {
            let meant = meant(text).filter(|_| text != "TCP").unwrap_or_else(|| "tcp".to_owned());
            let why = format!("{}: expected {EXPECTED}", quoted(text));
            item.refuse(codes::PROBE, why, Some(format!("write {}", quoted(&meant))), faults)
        }
        Value::Array(_) => item.wrong_type(EXPECTED, Some(write("/healthz")), faults),
        Value::Other => match item.is_false() {
            true => None,
            false => item.wrong_type(EXPECTED, Some(write("/healthz")), faults),
        },
    }
}

fn write(target: &str) -> String {
    format!("write health = {}", quoted(target))
}

fn table(item: &Item<'_>, fields: &Fields<'_>, faults: &mut Faults) -> Option<HealthCheck> {
    fields.check(KEYS, faults);
    let probe = probe(item, fields, faults);
    let mut check = HealthCheck::of(Probe::Tcp);
    pace(fields, &mut check, faults);
    fields.read("port", &mut check.port, faults, |item, faults| {
        let port = item.integer(1..=u64::from(u16::MAX), faults)?;
        u16::try_from(port).ok().map(Some)
    });
    Some(HealthCheck { probe: probe?, ..check })
}

/// When an instance is probed, and what that decides.
fn pace(fields: &Fields<'_>, check: &mut HealthCheck, faults: &mut Faults) {
    let range = limits::PROBE_EVERY_MIN..=limits::TIMEOUT_MAX;
    fields.read("every", &mut check.every, faults, |item, faults| item.duration_in(range, faults));
    // With a short time between probes and no word about the timeout, the timeout is as short.
    check.timeout = check.timeout.min(check.every);
    let longest = check.every;
    fields.read("timeout", &mut check.timeout, faults, |item, faults| {
        let timeout = item.duration(faults)?;
        if timeout <= longest {
            return Some(timeout);
        }
        let [timeout, longest] = [timeout, longest].map(units::show_duration);
        let message = format!(
            "{} = {timeout}: expected at most {longest}, which is from one probe to the next",
            shown(item.path())
        );
        let fault = Diagnostic::error(codes::OUT_OF_RANGE, item.value_span(), message);
        let fault = match fields.get("every") {
            Some(every) => fault.also(every.span(), "from one probe to the next"),
            None => fault,
        };
        faults.push(
            fault.suggest(format!("write timeout = \"{longest}\", or every = \"{timeout}\"")),
        );
        None
    });
    for (key, into) in [("rise", &mut check.rise), ("fall", &mut check.fall)] {
        fields.read(key, into, faults, |item, faults| {
            let count = item.integer(1..=u64::from(limits::PROBE_COUNT_MAX), faults)?;
            u32::try_from(count).ok()
        });
    }
}

/// What is asked: exactly one of [`QUESTIONS`].
fn probe(item: &Item<'_>, fields: &Fields<'_>, faults: &mut Faults) -> Option<Probe> {
    let mut asked = QUESTIONS.iter().filter_map(|key| fields.get(key));
    let Some(question) = asked.next() else {
        if !fields.misspells(&QUESTIONS, KEYS) {
            let message =
                format!("{} asks nothing: expected `get`, `request` or `tcp`", shown(item.path()));
            let fault = Diagnostic::error(codes::MISSING, item.span(), message);
            faults.push(fault.suggest("write get = \"/healthz\", or tcp = true".to_owned()));
        }
        return None;
    };
    if let Some(other) = asked.next() {
        conflict(&question, &other, faults);
        return None;
    }
    match question.key {
        "tcp" => tcp(&question, fields, faults),
        "request" => http(request(&question, faults), fields, faults),
        _ => {
            let get = path(&question, faults).map(|target| ("GET".to_owned(), target));
            http(get, fields, faults)
        }
    }
}

fn tcp(item: &Item<'_>, fields: &Fields<'_>, faults: &mut Faults) -> Option<Probe> {
    for key in FOR_HTTP.iter().filter_map(|key| fields.get(key)) {
        let message = format!("{} is for requests, and with `tcp` none is sent", shown(key.path()));
        let fault = Diagnostic::error(codes::CONFLICT, key.span(), message);
        let fault = fault.also(item.span(), "a connection is all that is asked for");
        faults.push(
            fault.suggest("remove it, or write get = \"/healthz\" instead of tcp".to_owned()),
        );
    }
    if item.is_true() {
        return Some(Probe::Tcp);
    }
    if !item.is_false() {
        return item.wrong_type("true", Some("write tcp = true".to_owned()), faults);
    }
    let suggestion = "write health = false for no probes".to_owned();
    item.refuse(codes::PROBE, "expected true", Some(suggestion), faults)
}

/// A method and a target.
fn request(item: &Item<'_>, faults: &mut Faults) -> Option<(String, String)> {
    let written = text(item, "a method and a path", "HEAD /healthz", faults)?;
    let Some((method, target)) = written.split_once(' ') else {
        let target = meant(written).unwrap_or_else(|| "/healthz".to_owned());
        let why = format!("{}: expected a method and a path", quoted(written));
        let suggestion = format!("write {}", quoted(&format!("GET {target}")));
        return item.refuse(codes::PROBE, why, Some(suggestion), faults);
    };
    let write = |method: &str| quoted(&format!("{method} {target}"));
    let method = methods::read(method, item.value_span(), write, faults);
    if method.as_deref() == Some("CONNECT") {
        let why = "CONNECT: expected a method that asks for a path";
        return item.refuse(codes::METHOD, why, Some(format!("write {}", write("GET"))), faults);
    }
    let right = right(target).map_err(|why| {
        let meant = meant(target).zip(method.as_deref());
        let meant = meant.map(|(target, method)| format!("{method} {target}"));
        item.refuse::<()>(
            codes::PROBE,
            why,
            meant.map(|it| format!("write {}", quoted(&it))),
            faults,
        );
    });
    method.zip(right.ok().map(|()| target.to_owned()))
}

/// The target of a `GET`.
fn path(item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let target = text(item, "a path", "/healthz", faults)?;
    if let Err(why) = right(target) {
        let method = target
            .split_once(' ')
            .filter(|(method, rest)| methods::KNOWN.contains(method) && right(rest).is_ok());
        let meant = match method {
            Some(("GET", rest)) => Some(format!("write {}", quoted(rest))),
            Some(_) => Some(format!("write request = {}", quoted(target))),
            None => meant(target).map(|meant| format!("write {}", quoted(&meant))),
        };
        return item.refuse(codes::PROBE, why, meant, faults);
    }
    Some(target.to_owned())
}

/// Why a text is not the target of a request.
fn right(target: &str) -> Result<(), String> {
    let most = limits::PROBE_TEXT_BYTES;
    if target.len() > most {
        return Err(format!("{} bytes: expected at most {most}", target.len()));
    }
    let visible = target.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    match target.starts_with('/') && visible {
        true => Ok(()),
        false => {
            let why = "expected a path that begins with / and has neither blanks nor # in it";
            Err(format!("{}: {why}", quoted(target)))
        }
    }
}

/// The target that was perhaps meant: the path of a URL, what lacks its slash, what is before `#`.
fn meant(text: &str) -> Option<String> {
    let text = text.trim();
    let url = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let path = match url {
        Some(url) => url.find('/').map_or("/", |at| &url[at..]).to_owned(),
        None if text.starts_with('/') => text.to_owned(),
        None => format!("/{text}"),
    };
    let path = path.split('#').next().unwrap_or_default();
    // As it is in a head, and in `option httpchk` of HAProxy.
    let path =
        [" HTTP/1.0", " HTTP/1.1"].iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path);
    let path = path.replace(' ', "%20");
    (path.len() > 1 && right(&path).is_ok()).then_some(path)
}

/// A request as a probe; `asked` is its method and its target.
fn http(
    asked: Option<(String, String)>,
    fields: &Fields<'_>,
    faults: &mut Faults,
) -> Option<Probe> {
    let before = faults.errors();
    let (method, target) = asked.clone().unwrap_or_default();
    let mut probe = HttpProbe { method, ..HttpProbe::get(&target) };
    fields.read("host", &mut probe.host, faults, |item, faults| host(item, faults).map(Some));
    if let Some(item) = fields.get("headers") {
        probe.headers = sent(&item, faults);
    }
    fields.read("status", &mut probe.statuses, faults, statuses::read);
    fields.read("body", &mut probe.body, faults, |item, faults| body(item, faults).map(Some));
    fields.read("instance_id", &mut probe.instance_id, faults, Item::boolean);
    if let (Some(body), "HEAD") = (fields.get("body"), probe.method.as_str()) {
        let why = "an answer to HEAD has no body";
        let suggestion = "write get = ... instead of request, or remove body".to_owned();
        body.refuse::<()>(codes::CONFLICT, why, Some(suggestion), faults);
    }
    asked.filter(|_| faults.errors() == before)?;
    Some(Probe::Http(Box::new(probe)))
}

/// The value of `Host`.
fn host(item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let host = text(item, "a host", "users.internal", faults)?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    // A port, and the point in front of it.
    let most = limits::DOMAIN_BYTES + 6;
    let right = |host: &str| (1..=most).contains(&host.len()) && host.bytes().all(legal);
    if !right(host) {
        let why = format!("{}: expected a host, perhaps with a port", quoted(host));
        let bare = host.trim().trim_start_matches("http://").trim_start_matches("https://");
        let bare = bare.split('/').next().filter(|bare| right(bare)).unwrap_or("users.internal");
        return item.refuse(codes::HOST, why, Some(format!("write {}", quoted(bare))), faults);
    }
    Some(host.to_owned())
}

/// Header fields, by their names in lower case.
fn sent(item: &Item<'_>, faults: &mut Faults) -> Vec<(String, String)> {
    let Some(items) = item.fields().map(|fields| fields.items()) else {
        let suggestion = words::example("services", "headers");
        item.wrong_type::<()>("a table of header fields", suggestion, faults);
        return Vec::new();
    };
    if items.len() > limits::PROBE_FIELDS {
        too_many(item, "header fields of a probe", items.len(), limits::PROBE_FIELDS, faults);
        return Vec::new();
    }
    let mut found: Vec<(String, String)> = Vec::new();
    for item in items {
        if item.key.eq_ignore_ascii_case("host") {
            let message = "the host is no header of a probe";
            let fault = Diagnostic::error(codes::OWN_HEADER, item.span(), message);
            faults.push(fault.suggest("write host = ... beside headers".to_owned()));
            continue;
        }
        let name = headers::name(&item, faults).map(|name| name.to_ascii_lowercase());
        let example = item.decimal().unwrap_or_else(|| "coregate".to_owned());
        let text = text(&item, "the value of a header", &example, faults);
        let value = text.and_then(|text| headers::value(text, &item, faults));
        let value = value.filter(|value| is_short(&item, value, faults));
        let (Some(name), Some(value)) = (name, value) else { continue };
        if found.iter().any(|(known, _)| *known == name) {
            headers::twice(&item, &name, None, faults);
            continue;
        }
        found.push((name, value));
    }
    found.sort();
    found
}

/// What the answer must hold.
fn body(item: &Item<'_>, faults: &mut Faults) -> Option<String> {
    let body = text(item, "a text", "ok", faults)?;
    if body.is_empty() {
        let why = "every answer holds an empty text: expected another";
        return item.refuse(codes::PROBE, why, Some("remove it".to_owned()), faults);
    }
    is_short(item, body, faults).then(|| body.to_owned())
}

/// Whether a text has no more bytes than a probe's may have.
fn is_short(item: &Item<'_>, text: &str, faults: &mut Faults) -> bool {
    let (bytes, most) = (text.len(), limits::PROBE_TEXT_BYTES);
    if bytes > most {
        let why = format!("{bytes} bytes: expected at most {most}");
        item.refuse::<()>(codes::OUT_OF_RANGE, why, None, faults);
    }
    bytes <= most
}
