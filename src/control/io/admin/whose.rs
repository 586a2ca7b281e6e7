//! Which bucket of a rate, or count of a quota, somebody asks for: read from a query, and held against what the limit tells apart.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{StatusCode, Uri};
use coregate_core::http::head::Head;
use coregate_core::http::parse::{self, RequestLimits};
use coregate_core::policy::quota::Whose;
use coregate_core::policy::rate::Facts;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::consumers::Consumer;
use coregate_core::snapshot::plan::Per;
use coregate_core::snapshot::routes::Route;

use super::asking::query;
use super::problem::Problem;

/// Which bucket somebody asks for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    consumer: Option<String>,
    address: Option<String>,
    headers: Vec<(String, String)>,
    route: Option<String>,
    service: Option<String>,
}

/// The same, of a limit.
pub(super) struct Named<'s> {
    consumer: Option<&'s Consumer>,
    address: Option<IpAddr>,
    head: Head,
    route: String,
    service: String,
    /// In words.
    pub(super) of: Vec<String>,
}

impl Named<'_> {
    pub(super) fn facts(&self) -> Facts<'_> {
        let Self { consumer, address, head, route, service, .. } = self;
        Facts { consumer: *consumer, address: *address, head, route, service }
    }

    pub(super) fn whose(&self) -> Whose<'_> {
        Whose { consumer: self.consumer, route: &self.route, service: &self.service }
    }
}

impl Wanted {
    pub(super) fn read(uri: &Uri) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in query::<Vec<(String, String)>>(uri)? {
            let place = match name.as_str() {
                "consumer" => &mut wanted.consumer,
                "address" => &mut wanted.address,
                "route" => &mut wanted.route,
                "service" => &mut wanted.service,
                "header" => {
                    let pair = value.split_once(':').ok_or_else(|| {
                        Problem::bad(format!("header {value:?}: expected NAME:VALUE"))
                    })?;
                    let blank = [' ', '\t'];
                    let (name, value) = (pair.0.trim_matches(blank), pair.1.trim_matches(blank));
                    wanted.headers.push((name.to_owned(), value.to_owned()));
                    continue;
                }
                _ => return Err(Problem::bad(format!("there is no parameter {name:?}"))),
            };
            if place.replace(value).is_some() {
                return Err(Problem::bad(format!("{name} stands twice")));
            }
        }
        Ok(wanted)
    }

    /// What this means for a limit of this name that these routes have; `per`: what has a bucket or a count of its own.
    pub(super) fn named<'s>(
        &self,
        (name, per): (&str, &[Per]),
        routes: &[&Arc<Route>],
        snapshot: &'s Snapshot,
    ) -> Result<Named<'s>, Problem> {
        let needs = |what: &str| Problem::bad(format!("limit {name:?} is per {what}: say which"));
        let mut named = Named {
            consumer: None,
            address: None,
            head: self.head()?,
            route: String::new(),
            service: String::new(),
            of: Vec::new(),
        };
        if let Some(consumer) = &self.consumer {
            let missing = || {
                let detail = format!("there is no consumer {consumer:?}");
                Problem::new(StatusCode::NOT_FOUND, detail)
            };
            named.consumer = Some(&**snapshot.consumers().named(consumer).ok_or_else(missing)?);
            named.of.push(format!("consumer {consumer}"));
        }
        for per in per {
            match per {
                Per::Consumer => {
                    named.consumer.ok_or_else(|| needs("consumer"))?;
                }
                Per::Address { .. } => {
                    let text = self.address.as_deref().ok_or_else(|| needs("address"))?;
                    named.address = address(text)?;
                    named.of.push(format!("address {text}"));
                }
                Per::Header(field) => named.of.push(match named.head.value_named(field) {
                    Some(value) => format!("header {field}: {}", value.escape_ascii()),
                    None => format!("requests without {field}"),
                }),
                Per::Route => {
                    let names = routes.iter().map(|route| &*route.name);
                    named.route =
                        one_of(self.route.as_deref(), names).ok_or_else(|| needs("route"))?;
                    named.of.push(format!("route {}", named.route));
                }
                Per::Service => {
                    let names = routes.iter().flat_map(|route| route.plan.services());
                    let one = one_of(self.service.as_deref(), names);
                    named.service = one.ok_or_else(|| needs("service"))?;
                    named.of.push(format!("service {}", named.service));
                }
            }
        }
        Ok(named)
    }

    /// A request with these header fields.
    fn head(&self) -> Result<Head, Problem> {
        let bad = || Problem::bad("header: expected NAME:VALUE as a request may have it");
        let mut head = Head::default();
        let mut text = "GET / HTTP/1.0\r\n".to_owned();
        for (name, value) in &self.headers {
            if value.contains(['\r', '\n']) || name.contains(['\r', '\n', ':']) {
                return Err(bad());
            }
            text += &format!("{name}: {value}\r\n");
        }
        head.page.extend_from_slice(format!("{text}\r\n").as_bytes());
        match parse::request(&mut head, &RequestLimits::default()) {
            Ok(Some(_)) => Ok(head),
            Ok(None) | Err(_) => Err(bad()),
        }
    }
}

/// The one that is named, or that there is.
fn one_of<'n>(wanted: Option<&str>, mut names: impl Iterator<Item = &'n str>) -> Option<String> {
    match wanted {
        Some(wanted) => names.find(|name| *name == wanted).map(str::to_owned),
        None => {
            let first = names.next()?;
            names.all(|name| name == first).then(|| first.to_owned())
        }
    }
}

fn address(text: &str) -> Result<Option<IpAddr>, Problem> {
    if text == "unix" {
        return Ok(None);
    }
    let bad = |error| {
        Problem::bad(format!("address {text:?}: {error}; expected one such as 10.0.0.7, or unix"))
    };
    text.parse().map(Some).map_err(bad)
}
