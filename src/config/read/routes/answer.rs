//! `redirect` and `respond`: what the gateway answers by itself.

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{PathPattern, Redirect, Respond, Template};

use super::template;
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, shown};
use crate::language::{self, known};
use crate::read::{headers, status, text, too_many};
use crate::report::{Diagnostic, Faults};

const REDIRECT: &[&str] = known!(language::REDIRECT);
const RESPOND: &[&str] = known!(language::RESPOND);

const TEXT: &str = "text/plain; charset=utf-8";

/// Where clients are sent.
pub(super) fn redirect(
    item: &Item<'_>,
    pattern: Option<&PathPattern>,
    faults: &mut Faults,
) -> Option<Redirect> {
    const EXPECTED: &str = "a path or an address such as \"https://example.com/new\"";
    let (to, status) = match item.value() {
        Value::String(_) => (item.clone(), Some(307)),
        Value::Table(fields) => {
            fields.check(REDIRECT, faults);
            let status = match fields.get("status") {
                Some(item) => status::redirect(&item, faults),
                None => Some(307),
            };
            let Some(to) = fields.get("to") else {
                if !fields.misspells(&["to"], REDIRECT) {
                    let message = format!("{} leads nowhere", shown(item.path()));
                    let fault = Diagnostic::error(codes::MISSING, item.span(), message);
                    faults.push(fault.suggest("write to = \"/new\"".to_owned()));
                }
                return None;
            };
            (to, status)
        }
        Value::Array(_) | Value::Other => {
            let suggestion = "write redirect = { to = \"/new\", status = 301 }".to_owned();
            return item.wrong_type(EXPECTED, Some(suggestion), faults);
        }
    };
    let text = text(&to, EXPECTED, "/new", faults)?;
    let template = template::read(&to, text, pattern?, Template::location, faults)?;
    // Many paths may well lead to one page of this host.
    if text.contains("://") {
        template::warn_of_one_place(&to, text, pattern?, faults);
    }
    Some(Redirect { status: status?, to: template })
}

/// An answer that is always the same.
pub(super) fn respond(item: &Item<'_>, faults: &mut Faults) -> Option<Respond> {
    let empty = Respond { status: 200, headers: Vec::new(), body: Vec::new() };
    match item.value() {
        Value::String(text) => {
            let body = body(item, faults)?;
            if text.len() == 3 && text.parse().is_ok_and(|status| (100..600u16).contains(&status)) {
                let message = format!("{}: a text in quotes is a body", shown(item.path()));
                let fault = Diagnostic::warning(codes::STATUS_TEXT, item.value_span(), message);
                faults.push(fault.suggest(format!("write respond = {text}")));
            }
            Some(Respond { headers: vec![content_type(TEXT)], body, ..empty })
        }
        Value::Table(fields) => {
            fields.check(RESPOND, faults);
            let status = match fields.get("status") {
                Some(item) => status::of_answer(&item, faults),
                None => Some(200),
            };
            let headers = fields_of(&fields, faults);
            let body = match fields.get("body") {
                Some(item) => bodied(&item, status, faults),
                None => Some(Vec::new()),
            };
            let mut respond = Respond { status: status?, headers: headers?, body: body? };
            let typed = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
            if !respond.body.is_empty() && !respond.headers.iter().any(typed) {
                respond.headers.insert(0, content_type(TEXT));
            }
            Some(respond)
        }
        Value::Other if item.decimal().is_some() => {
            status::of_answer(item, faults).map(|status| Respond { status, ..empty })
        }
        Value::Array(_) | Value::Other => {
            let expected = "a status such as 204, a text or a table such as { status = 404 }";
            item.wrong_type(expected, Some("write respond = 204".to_owned()), faults)
        }
    }
}

fn content_type(value: &str) -> (String, String) {
    ("content-type".to_owned(), value.to_owned())
}

fn body(item: &Item<'_>, faults: &mut Faults) -> Option<Vec<u8>> {
    let text = text(item, "a text", "not here", faults)?;
    if text.len() > limits::RESPOND_BYTES {
        let most = limits::RESPOND_BYTES;
        let why = format!("{} bytes: expected at most {most}", text.len());
        let suggestion = "write to = ..., a service that serves it".to_owned();
        return item.refuse(codes::OUT_OF_RANGE, why, Some(suggestion), faults);
    }
    Some(text.as_bytes().to_vec())
}

/// The body of an answer with this status.
fn bodied(item: &Item<'_>, status: Option<u16>, faults: &mut Faults) -> Option<Vec<u8>> {
    let body = body(item, faults)?;
    // RFC 9110 §15.3.5, §15.3.6, §15.4.5.
    match status.filter(|status| matches!(status, 204 | 205 | 304)) {
        Some(status) if !body.is_empty() => {
            let why = format!("an answer with status {status} has no body");
            let suggestion = "remove `body`, or write status = 200".to_owned();
            item.refuse(codes::CONFLICT, why, Some(suggestion), faults)
        }
        Some(_) | None => Some(body),
    }
}

/// The header fields, `content_type` among them.
fn fields_of(fields: &Fields<'_>, faults: &mut Faults) -> Option<Vec<(String, String)>> {
    let before = faults.errors();
    let mut found: Vec<(String, String)> = Vec::new();
    let typed = fields.get("content_type");
    if let Some(item) = &typed
        && let Some(text) = text(item, "a media type", "application/json", faults)
        && let Some(value) = headers::value(text, item, faults)
    {
        found.push(content_type(&value));
    }
    let table = fields.get("headers");
    let items = table.as_ref().and_then(|item| item.table(faults)).map(|fields| fields.items());
    let items = items.unwrap_or_default();
    if let Some(table) = table.as_ref().filter(|_| items.len() > limits::RESPOND_FIELDS) {
        too_many(table, "header fields", items.len(), limits::RESPOND_FIELDS, faults);
        return None;
    }
    for item in items {
        let name = headers::name(&item, faults);
        let example = item.decimal().unwrap_or_else(|| "coregate".to_owned());
        let text = text(&item, "the value of a header", &example, faults);
        let value = text.and_then(|text| headers::value(text, &item, faults));
        let (Some(name), Some(value)) = (name, value) else { continue };
        if found.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            let typed = typed.as_ref().filter(|_| name.eq_ignore_ascii_case("content-type"));
            headers::twice(&item, &name, typed, faults);
            continue;
        }
        found.push((name, value));
    }
    let bytes: usize = found.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if let Some(table) = table.filter(|_| bytes > limits::RESPOND_HEADER_BYTES) {
        let most = limits::RESPOND_HEADER_BYTES;
        let why = format!("{bytes} bytes of header fields: expected at most {most}");
        let fault = Diagnostic::error(codes::OUT_OF_RANGE, table.span(), why);
        faults.push(fault.suggest("write fewer or shorter ones".to_owned()));
    }
    (faults.errors() == before).then_some(found)
}
