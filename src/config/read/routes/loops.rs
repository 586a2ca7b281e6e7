//! Redirects that lead back to themselves: a sample of what each takes is sent around as a client would go.
//!
//! A route whose sample cannot be built, or is taken by another, is left alone, and so is an address by `https://`, which
//! listens elsewhere. Whether an address by `http://` leads back here the file does not always tell: then the warning says "if".

use std::collections::HashSet;

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::http::head::{Head, Request};
use coregate_core::http::parse::{self, RequestLimits};
use coregate_core::snapshot::plan::{
    Action, HostPattern, Predicate, RoutePlan, Segment, Tail, Test, Values,
};
use coregate_core::snapshot::router::{Asked, Router};

use super::Found;
use crate::codes;
use crate::item::shown;
use crate::report::{Diagnostic, Faults};

/// Warns of redirects that lead back to themselves, of each circle once; `port_80` is whether a listener has it.
pub(super) fn warn(found: &[Found], plans: &[&RoutePlan], port_80: bool, faults: &mut Faults) {
    let redirects = |plan: &RoutePlan| matches!(plan.action, Action::Redirect(_));
    if plans.len() > limits::ROUTES || !plans.iter().any(|plan| redirects(plan)) {
        return;
    }
    let router = Router::of_plans(plans);
    let mut known = HashSet::new();
    for (at, plan) in plans.iter().enumerate() {
        if !redirects(plan) || known.contains(&at) {
            continue;
        }
        let Some((circle, only_if)) = circle(at, plans, &router, port_80) else { continue };
        let name = shown(&plan.name());
        let only_if = only_if.map(|host| format!(" if port 80 of {host} leads here"));
        let only_if = only_if.unwrap_or_default();
        let message = match circle.as_slice() {
            [_] => format!("route {name} redirects to itself, over and over{only_if}"),
            _ => format!("route {name} begins a circle of redirects{only_if}"),
        };
        let mut fault = Diagnostic::warning(codes::REDIRECT_LOOP, found[at].place.clone(), message);
        for other in circle.iter().filter(|other| **other != at) {
            fault = fault.also(found[*other].place.clone(), "leads on");
        }
        let suggestion = "write a path that no redirect takes, or another host";
        faults.push(fault.suggest(suggestion.to_owned()));
        known.extend(circle);
    }
}

/// The routes that a request goes through for ever that this one takes first, itself among them; and the host whose port 80
/// must lead here for that, if the file does not tell.
fn circle(
    start: usize,
    plans: &[&RoutePlan],
    router: &Router,
    port_80: bool,
) -> Option<(Vec<usize>, Option<String>)> {
    let mut only_if = None;
    let mut sample = Sample::of(plans[start])?;
    let mut passed = Vec::new();
    for _ in 0..=limits::REDIRECTS_FOLLOWED {
        let (at, next) = sample.follow(plans, router)?;
        if passed.is_empty() && at != start {
            return None;
        }
        passed.push(at);
        let next = next?;
        if next.by_address && only_if.is_none() {
            only_if = match next.host == sample.host {
                true if port_80 => None,
                true => Some("its host".to_owned()),
                false => Some(shown(&next.host)),
            };
        }
        sample = next;
    }
    // What leads into a circle is not part of it.
    let again = passed.iter().skip(1).position(|at| *at == start)?;
    let mut circle = passed[..=again].to_vec();
    circle.sort_unstable();
    circle.dedup();
    Some((circle, only_if))
}

/// A request, as its client writes it.
#[derive(Debug)]
struct Sample {
    method: String,
    host: String,
    /// Its path and its query.
    target: String,
    headers: String,
    /// It was sent to an address that begins with `http://`.
    by_address: bool,
}

impl Sample {
    /// One that the route surely takes, but for what others take before it.
    fn of(plan: &RoutePlan) -> Option<Self> {
        let host = match &plan.host {
            HostPattern::Exact(name) => name.clone(),
            HostPattern::Below(suffix) => format!("x{suffix}"),
            HostPattern::Any => "any.invalid".to_owned(),
        };
        let path = plan.path.segments()?;
        let mut target = String::new();
        for segment in &path.segments {
            target.push('/');
            target.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Param(_) => "x-sample",
            });
        }
        if path.tail != Tail::None {
            target.push_str("/x-sample");
        }
        let mut headers = String::new();
        for predicate in &plan.when.headers {
            if let Some(value) = value(predicate)? {
                headers += &format!("{}: {value}\r\n", predicate.name);
            }
        }
        let mut mark = '?';
        for predicate in &plan.when.query {
            if let Some(value) = value(predicate)? {
                target.push(mark);
                target += &format!("{}={}", escaped(&predicate.name), escaped(value));
                mark = '&';
            }
        }
        let method = plan.when.methods.first().map_or("GET", String::as_str).to_owned();
        Some(Self { method, host, target, headers, by_address: false })
    }

    /// The route that takes it, and what its client asks next; nothing if that goes elsewhere.
    fn follow(&self, plans: &[&RoutePlan], router: &Router) -> Option<(usize, Option<Self>)> {
        let Self { method, host, target, headers, .. } = self;
        let text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        let mut head = Head::default();
        head.page.extend_from_slice(text.as_bytes());
        let request = parse::request(&mut head, &RequestLimits::default()).ok()??;
        let at = router.find(&Asked::of(&head, &request)).ok()?.index();
        Some((at, self.redirected(plans.get(at)?, &head, &request)))
    }

    fn redirected(&self, plan: &RoutePlan, head: &Head, request: &Request) -> Option<Self> {
        let Action::Redirect(redirect) = &plan.action else { return None };
        let asked = Asked::of(head, request);
        let mut location = BytesMut::new();
        let values = Values { host: asked.host, path: asked.path };
        redirect.location(&values, asked.query, &mut location);
        let location = String::from_utf8(location.to_vec()).ok()?;
        // A client keeps the fragment to itself.
        let location = location.split('#').next().unwrap_or_default().to_owned();
        let address = location.strip_prefix("http://");
        let by_address = address.is_some();
        let (host, target) = match address {
            Some(rest) => {
                let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                // Another port is another listener, perhaps another program.
                let host = host.strip_suffix(":80").unwrap_or(host);
                (Some(host).filter(|host| !host.contains(':'))?.to_owned(), target.to_owned())
            }
            None if location.starts_with('/') => (self.host.clone(), location),
            None => return None,
        };
        let target = if target.starts_with('/') { target } else { format!("/{target}") };
        // RFC 9110 §15.4.4: a client goes on with GET.
        let method = if redirect.status == 303 { "GET" } else { &self.method };
        let headers = self.headers.clone();
        Some(Self { method: method.to_owned(), host, target, headers, by_address })
    }
}

/// A value that surely passes, inner `None` for no value at all; outer `None` where that is not known.
fn value(predicate: &Predicate) -> Option<Option<&str>> {
    match &predicate.test {
        Test::Is(value) | Test::Begins(value) => Some(Some(value)),
        Test::Present => Some(Some("x-sample")),
        Test::Absent => Some(None),
        Test::Matches(_) => None,
    }
}

/// A text as it stands in a query.
fn escaped(text: &str) -> String {
    let escape = |b: u8| match b.is_ascii_alphanumeric() {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    };
    text.bytes().map(escape).collect()
}
