//! Methods, wherever they stand.

use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::http::hop::is_token;

use crate::codes;
use crate::item::quoted;
use crate::nearest::nearest;
use crate::report::{Diagnostic, Faults};

/// The methods that are looked at for one that was misspelled (RFC 9110 §9, RFC 5789).
pub(in crate::read) const KNOWN: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// Those that the gateway answers itself, whatever routes say (RFC 9110 §9.3.6, §9.3.8).
const NO_ROUTES: [&str; 2] = ["CONNECT", "TRACE"];

/// Reads a method that a route takes; `write` shows what to write around another one.
pub(super) fn of_route(
    method: &str,
    span: Range<usize>,
    write: impl Fn(&str) -> String,
    faults: &mut Faults,
) -> Option<String> {
    if NO_ROUTES.contains(&method) {
        let message = format!("{method}: the gateway answers it with 405, no route gets it");
        let fault = Diagnostic::error(codes::METHOD, span, message);
        faults.push(fault.suggest(format!("remove {method}")));
        return None;
    }
    read(method, span, write, faults)
}

/// Reads a method that stands at `span`; `write` shows what to write around another one.
pub(super) fn read(
    method: &str,
    span: Range<usize>,
    write: impl Fn(&str) -> String,
    faults: &mut Faults,
) -> Option<String> {
    let upper = method.trim().to_ascii_uppercase();
    let legal = is_token(method.as_bytes()) && method.len() <= limits::METHOD_BYTES;
    if !legal || method != upper {
        // RFC 9110 §9.1: methods are case-sensitive, and the registered ones upper case.
        let why = "expected a method in capitals, such as GET";
        let message = format!("{}: {why}", quoted(method));
        let meant = KNOWN.iter().find(|known| **known == upper).copied();
        let meant = meant.or_else(|| nearest(&upper, KNOWN)).or(legal.then_some(upper.as_str()));
        let suggestion = meant.map(|meant| format!("write {}", write(meant)));
        faults.push(Diagnostic::error(codes::METHOD, span, message).suggest(suggestion));
        return None;
    }
    if !KNOWN.contains(&method)
        && let Some(near) = nearest(method, KNOWN)
    {
        let message = format!("method {} is not a registered one", quoted(method));
        let fault = Diagnostic::warning(codes::ODD_METHOD, span, message);
        faults.push(fault.suggest(format!("did you mean {}?", write(near))));
    }
    Some(method.to_owned())
}
