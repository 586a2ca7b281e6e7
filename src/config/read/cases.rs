//! `[[tests]]`: requests, and what is expected of them. Read and checked here, run elsewhere.

use std::collections::{BTreeSet, HashMap};

use coregate_core::base::limits;
use coregate_core::http::hop::is_token;
use coregate_core::http::path::{normal_host, normal_target};
use coregate_core::snapshot::plan::{HostPattern, RoutePlan};

use super::policies::{Policies, guard};
use super::services::Declared;
use super::{methods, status, strings, text, too_many};
use crate::cases::{Expectation, RouteTest};
use crate::codes;
use crate::fields::Fields;
use crate::item::{Item, Value, quoted, shown};
use crate::language::{self, known};
use crate::nearest::nearest;
use crate::report::{Diagnostic, Faults};

const KEYS: &[&str] = known!(language::TEST);
const EXPECT: &[&str] = known!(language::EXPECT);
const EXAMPLE: &str = "GET https://shop.example.com/users/7";

/// Reads the tests. Without routes, which were refused, names of routes are not checked.
pub(super) fn read<'t>(
    root: &Fields<'t>,
    services: &Declared<'t>,
    (routes, policies): (Option<&Vec<RoutePlan>>, &Policies<'t>),
    faults: &mut Faults,
) -> Vec<RouteTest> {
    let Some(item) = root.get("tests") else { return Vec::new() };
    let Value::Array(items) = item.value() else {
        let suggestion = "write [[tests]] and below it request = \"GET /users/7\"".to_owned();
        item.wrong_type::<()>("an array of tables", Some(suggestion), faults);
        return Vec::new();
    };
    too_many(&item, "tests", items.len(), limits::ROUTE_TESTS, faults);
    let names = routes.map(|routes| Names::of(routes));
    let mut tests = Vec::with_capacity(items.len());
    for item in &items {
        if let Some(fields) = item.table(faults) {
            tests.extend(test(item, &fields, (services, policies), names.as_ref(), faults));
        }
    }
    tests
}

/// What routes can be called in a test: their names, and those without the host where that is one route alone.
struct Names {
    full: BTreeSet<String>,
    short: HashMap<String, Vec<String>>,
}

impl Names {
    fn of(routes: &[RoutePlan]) -> Self {
        let mut names = Self { full: BTreeSet::new(), short: HashMap::new() };
        for route in routes {
            let name = route.name();
            if route.given_name.is_none() && route.host != HostPattern::Any {
                let bare = RoutePlan { host: HostPattern::Any, ..route.clone() };
                names.short.entry(bare.name()).or_default().push(name.clone());
            }
            names.full.insert(name);
        }
        names
    }

    /// The route that a text names.
    fn find(&self, text: &str, item: &Item<'_>, faults: &mut Faults) -> Option<String> {
        if self.full.contains(text) {
            return Some(text.to_owned());
        }
        let hosts = self.short.get(text).map(Vec::as_slice).unwrap_or_default();
        let (why, suggestion) = match hosts {
            [one] => return Some(one.clone()),
            [] => {
                let any =
                    || self.full.first().map(|any| format!("a route is called {}", quoted(any)));
                let near = match faults.is_full() {
                    false => nearest(text, self.full.iter().map(String::as_str)),
                    true => None,
                };
                let near = near.map(|near| format!("did you mean {}?", quoted(near)));
                (format!("there is no route {}", quoted(text)), near.or_else(any))
            }
            [first, ..] => {
                let why =
                    format!("{} routes of several hosts are called {}", hosts.len(), quoted(text));
                (why, Some(format!("write the host too, as in {}", quoted(first))))
            }
        };
        item.refuse(codes::UNKNOWN_ROUTE, why, suggestion, faults)
    }
}

fn test<'t>(
    item: &Item<'t>,
    fields: &Fields<'t>,
    known: (&Declared<'t>, &Policies<'t>),
    names: Option<&Names>,
    faults: &mut Faults,
) -> Option<RouteTest> {
    fields.check(KEYS, faults);
    let missing = |key: &str, example: &str, faults: &mut Faults| {
        if !fields.misspells(&[key], KEYS) {
            let message = format!("a test has no `{key}`");
            let fault = Diagnostic::error(codes::MISSING, item.span(), message);
            faults.push(fault.suggest(format!("write {example}")));
        }
    };
    let request = match fields.get("request") {
        Some(item) => request(&item, faults),
        None => {
            missing("request", &format!("request = \"{EXAMPLE}\""), faults);
            None
        }
    };
    let headers = fields.get("headers").map(|item| headers(&item, faults));
    let expect = match fields.get("expect") {
        Some(item) => expectation(&item, known, names, faults),
        None => {
            missing("expect", "expect = { route = \"/users/*\" }", faults);
            None
        }
    };
    let (text, method, url) = request?;
    Some(RouteTest {
        request: text,
        method,
        url,
        headers: headers.unwrap_or_default(),
        expect: expect?,
        span: item.span(),
        file: "".into(),
        line: 0,
    })
}

/// The request as it is written, its method and its target.
fn request(item: &Item<'_>, faults: &mut Faults) -> Option<(String, String, String)> {
    let text = text(item, "a request", EXAMPLE, faults)?;
    let Some((method, url)) = text.split_once(' ') else {
        let meant = Some(format!("GET {text}")).filter(|_| target(text).is_ok());
        let suggestion = meant.unwrap_or_else(|| "GET /users/7".to_owned());
        let why = format!("{}: expected a method, a space and a URL", quoted(text));
        let suggestion = Some(format!("write {}", quoted(&suggestion)));
        return item.refuse(codes::REQUEST, why, suggestion, faults);
    };
    let write = |method: &str| quoted(&format!("{method} {url}"));
    let method = methods::read(method, item.value_span(), write, faults);
    if let Err(why) = target(url) {
        let bare = url.trim();
        let fragment = bare.split('#').next().unwrap_or_default();
        let whole = format!("https://{bare}");
        let slash = format!("/{}", bare.trim_start_matches(['/', '.']));
        let escaped = bare.replace(' ', "%20");
        let meant = [bare, fragment, &whole, &slash, &escaped];
        let meant = meant.into_iter().find(|meant| target(meant).is_ok()).unwrap_or("/users/7");
        let suggestion = Some(format!(
            "write {}",
            quoted(&format!("{} {meant}", method.as_deref().unwrap_or("GET")))
        ));
        return item.refuse(codes::REQUEST, format!("{}: {why}", quoted(url)), suggestion, faults);
    }
    Some((text.to_owned(), method?, url.to_owned()))
}

/// Checks a target: `https://host/path?query`, or a path alone.
fn target(url: &str) -> Result<(), &'static str> {
    if url.contains('#') {
        return Err("a request carries no fragment");
    }
    let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let target = match rest {
        None => url,
        Some(rest) => {
            let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            let mut authority = authority.as_bytes().to_vec();
            normal_host(&mut authority).map_err(|_| "expected a host behind `://`")?;
            target
        }
    };
    let whole = match rest {
        // RFC 9112 §3.2.1: an empty path is its root.
        Some(_) if !target.starts_with('/') => format!("/{target}"),
        Some(_) | None => target.to_owned(),
    };
    match normal_target(whole.as_bytes(), &mut Vec::new()) {
        Ok(_) if whole.len() <= limits::REQUEST_TARGET_BYTES => Ok(()),
        Ok(_) => Err("longer than a request's target may be"),
        Err(_) => Err("expected a URL such as https://shop.example.com/users/7, or a path"),
    }
}

fn headers(item: &Item<'_>, faults: &mut Faults) -> Vec<(String, String)> {
    let items = item.table(faults).map(|fields| fields.items()).unwrap_or_default();
    let mut headers = Vec::new();
    for item in &items {
        if !is_token(item.key.as_bytes()) {
            let message = format!("{}: expected the name of a header", quoted(item.key));
            let meant = item.key.trim().trim_end_matches(':').replace(' ', "-");
            let legal = is_token(meant.as_bytes());
            let fault = Diagnostic::error(codes::HEADER, item.span(), message);
            faults.push(fault.suggest(legal.then(|| format!("write {meant}"))));
            continue;
        }
        for (text, value) in strings(item, "value of a header", "1", faults) {
            if text.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
                let why = format!("{}: no header field has control characters", quoted(text));
                let meant: String = text.chars().filter(|c| !c.is_control()).collect();
                let suggestion = Some(format!("write {}", quoted(&meant)));
                value.refuse::<()>(codes::HEADER, why, suggestion, faults);
                continue;
            }
            headers.push((item.key.to_owned(), text.trim().to_owned()));
        }
    }
    headers
}

fn expectation<'t>(
    item: &Item<'t>,
    (services, policies): (&Declared<'t>, &Policies<'t>),
    names: Option<&Names>,
    faults: &mut Faults,
) -> Option<Expectation> {
    let fields = item.table(faults)?;
    let before = faults.errors();
    fields.check(EXPECT, faults);
    let mut expect = Expectation::default();
    if let Some(item) = fields.get("route")
        && let Some(text) = text(&item, "the name of a route", "/users/*", faults)
    {
        expect.route = match names {
            Some(names) => names.find(text, &item, faults),
            None => Some(text.to_owned()),
        };
    }
    if let Some(item) = fields.get("service") {
        let names = strings(&item, "name of a service", services.any(), faults);
        too_many(&item, "services in a test", names.len(), limits::SPLIT_SERVICES, faults);
        for (name, item) in names.into_iter().take(limits::SPLIT_SERVICES) {
            services.check(name, item.value_span(), faults);
            if !expect.services.iter().any(|known| known == name) {
                expect.services.push(name.to_owned());
            }
        }
    }
    fields.read("status", &mut expect.status, faults, |item, faults| {
        status::of_answer(item, faults).map(Some)
    });
    fields.read("location", &mut expect.location, faults, |item, faults| {
        text(item, "the location of a redirect", "/new", faults).map(|text| Some(text.to_owned()))
    });
    fields.read("path", &mut expect.path, faults, path);
    if let Some(item) = fields.get("auth") {
        let before = faults.errors();
        let auth = guard::auth(&item, policies, faults);
        expect.auth = (faults.errors() == before).then_some(auth);
    }
    if expect == Expectation::default() && faults.errors() == before {
        let message = format!("{} says nothing", shown(item.path()));
        let fault = Diagnostic::error(codes::MISSING, item.span(), message);
        faults.push(fault.suggest("write expect = { route = \"/users/*\" }".to_owned()));
        return None;
    }
    Some(expect)
}

/// A path that goes upstream, in its normal form.
fn path(item: &Item<'_>, faults: &mut Faults) -> Option<Option<String>> {
    let text = text(item, "the path that goes upstream", "/users/7", faults)?;
    if text.starts_with('/') && !text.contains(['?', '#']) && target(text).is_ok() {
        return Some(Some(text.to_owned()));
    }
    let why = format!("{}: expected a path without a query", quoted(text));
    let before = text.split(['?', '#']).next().unwrap_or_default();
    let slash = format!("/{before}");
    let meant = [before, &slash].into_iter().find(|it| it.starts_with('/') && target(it).is_ok());
    let suggestion = meant.map(|meant| format!("write {}", quoted(meant)));
    item.refuse(codes::PATH, why, suggestion, faults)
}
