//! Request targets: their four forms (RFC 9112 §3.2), and which host counts.

use std::ops::Range;

use crate::http::head::{Head, Method, Span, TargetAt};
use crate::http::hop::Role;
use crate::http::parse::RequestFault;
use crate::http::path::{self, FormFault, Target};

/// A request's host and target, in normal form.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) target: TargetAt,
    pub(super) path_len: usize,
    pub(super) host: Span,
    pub(super) port: Option<u16>,
}

/// RFC 9112 §3.2: the four forms of a target, and which host counts.
pub(super) fn normal_form(
    head: &mut Head,
    method: Method,
    target_at: Range<usize>,
    http10: bool,
) -> Result<Form, RequestFault> {
    if matches!(method, Method::Connect | Method::Trace) {
        return Err(RequestFault::MethodNotAllowed);
    }
    let mut hosts = head.fields.iter().filter(|field| field.role == Role::Host);
    let host_field = match (hosts.next(), hosts.next()) {
        (Some(field), None) => Some(field.value.range()),
        (None, None) if http10 => None,
        _ => return Err(RequestFault::Host),
    };
    let (host, port) = match host_field {
        Some(range) => host_in(&mut head.page, range)?,
        None => (Span::default(), None),
    };
    match &head.page[target_at.clone()] {
        [b'/', ..] => origin_form(head, target_at, host, port),
        b"*" if method == Method::Options => {
            Ok(Form { target: TargetAt::Asterisk, path_len: 1, host, port })
        }
        target => {
            let scheme = scheme_len(target).ok_or(FormFault::NotAbsolute)?;
            let authority = target[scheme..].iter().position(|b| matches!(b, b'/' | b'?'));
            let authority = authority.map_or(target.len(), |length| scheme + length);
            let path = target_at.start + authority..target_at.end;
            // RFC 9112 §3.2.2: the target's host counts, not the field's.
            let range = target_at.start + scheme..target_at.start + authority;
            let (host, port) = host_in(&mut head.page, range)?;
            if method == Method::Options && path.is_empty() {
                // RFC 9112 §3.2.4: what a client of a proxy says for `*`.
                return Ok(Form { target: TargetAt::Asterisk, path_len: 1, host, port });
            }
            absolute_form(head, path, host, port)
        }
    }
}

/// The length of `http://` or `https://`.
fn scheme_len(target: &[u8]) -> Option<usize> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .map(<[u8]>::len)
}

fn host_in(page: &mut [u8], range: Range<usize>) -> Result<(Span, Option<u16>), RequestFault> {
    let host = path::normal_host(&mut page[range.clone()])?;
    Ok((Span::new(range.start + host.name.start..range.start + host.name.end), host.port))
}

fn origin_form(
    head: &mut Head,
    at: Range<usize>,
    host: Span,
    port: Option<u16>,
) -> Result<Form, RequestFault> {
    let (target, path_len) = match path::normal_target(&head.page[at.clone()], &mut head.side)? {
        Target::Same { path_len } => (TargetAt::Page(Span::new(at)), path_len),
        Target::Rewritten { path_len } => (TargetAt::Side, path_len),
    };
    Ok(Form { target, path_len, host, port })
}

/// `http://host`, `http://host?query` and `http://host/path`: an empty path is `/` (RFC 9112 §3.2.1).
fn absolute_form(
    head: &mut Head,
    at: Range<usize>,
    host: Span,
    port: Option<u16>,
) -> Result<Form, RequestFault> {
    if head.page.get(at.start) == Some(&b'/') && !at.is_empty() {
        return origin_form(head, at, host, port);
    }
    let mut with_slash = vec![b'/'];
    with_slash.extend_from_slice(&head.page[at]);
    let path_len = match path::normal_target(&with_slash, &mut head.side)? {
        Target::Same { path_len } => {
            head.side.clear();
            head.side.extend_from_slice(&with_slash);
            path_len
        }
        Target::Rewritten { path_len } => path_len,
    };
    Ok(Form { target: TargetAt::Side, path_len, host, port })
}
