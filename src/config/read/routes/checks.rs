//! What holds between routes: none ties with another, none is called like another, all are reached.

use std::collections::{HashMap, HashSet};

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Action, PathPattern, RoutePlan, Segments, Tail};
use coregate_core::snapshot::router::order::Places;

use super::{Found, loops};
use crate::codes;
use crate::item::{quoted, shown};
use crate::report::{Diagnostic, Faults};

/// Reports what is wrong between routes, and warns of what is hardly meant; `port_80` is whether a listener has it.
pub(super) fn all(found: &[Found], port_80: bool, faults: &mut Faults) {
    let plans: Vec<_> = found.iter().map(|found| &found.plan).collect();
    let places = Places::of(&plans);
    let crowds = places.crowds();
    let mut too_many = |(at, count): (usize, usize), what: &str, most: usize, instead: &str| {
        let name = shown(&found[at].plan.name());
        let message = format!("{count} {what} of {name}: at most {most}");
        let fault = Diagnostic::error(codes::TOO_MANY, found[at].place.clone(), message);
        faults.push(fault.suggest(instead.to_owned()));
    };
    for crowd in &crowds {
        let instead = "write { prefix = \"...\" } or { regex = \"...\" } for several values";
        let most = limits::ROUTES_AT_ONE_PLACE;
        too_many(*crowd, "routes take the host and path", most, instead);
    }
    for crowd in places.regex_crowds() {
        let instead = "write one expression for several, such as \"^(a|b)$\"";
        let most = limits::REGEXES_AT_ONE_PLACE;
        too_many(crowd, "regular expressions at the place", most, instead);
    }
    // Each would be compared with each of its crowd.
    let ties = if crowds.is_empty() { places.ties() } else { Vec::new() };
    for (later, first) in &ties {
        faults.push(tie(&found[*later], &found[*first]));
    }
    let tied: HashSet<_> = ties.iter().map(|(later, _)| *later).collect();
    let rest = || found.iter().enumerate().filter(|(at, _)| !tied.contains(at));
    names(rest().map(|(_, found)| found), faults);
    slashes(rest().map(|(_, found)| found), faults);
    normal(rest().map(|(_, found)| found), faults);
    if ties.is_empty() && crowds.is_empty() {
        for (at, first) in places.hidden() {
            faults.push(hidden(&found[at], &found[first]));
        }
        loops::warn(found, &plans, port_80, faults);
    }
}

/// Two routes of which neither comes first.
fn tie(later: &Found, first: &Found) -> Diagnostic {
    let (a, b) = (&later.plan, &first.plan);
    let (name, other) = (shown(&a.name()), shown(&b.name()));
    let same = a.when == b.when && (a.path == b.path || a.path.segments().is_some());
    let (message, label, suggestion) = if same {
        let message = match name == other {
            true => format!("route {name} stands twice"),
            false => format!("routes {name} and {other} take the same requests"),
        };
        (message, "takes the same requests", "remove one of them, or tell them apart by `when`")
    } else {
        let message =
            format!("{name} and {other} may take the same request, and neither comes first");
        let suggestion = match &a.path {
            PathPattern::Regex(_) => {
                "write a higher `priority` for the one that is to be asked first"
            }
            PathPattern::Segments(_) => {
                "write priority = 1 for the one that is to be asked first, or one more predicate into its `when`"
            }
        };
        (message, "may take the same", suggestion)
    };
    let fault = Diagnostic::error(codes::ROUTE_TWICE, later.place.clone(), message);
    fault.also(first.place.clone(), label).suggest(suggestion.to_owned())
}

/// No two may be called the same: counters and logs could not tell them apart. Nor may a name be longer than those can bear.
fn names<'f>(found: impl Iterator<Item = &'f Found>, faults: &mut Faults) {
    let mut places: HashMap<String, &Found> = HashMap::new();
    for found in found {
        let name = found.plan.name();
        if name.len() > limits::ROUTE_NAME_BYTES {
            let (bytes, most) = (name.len(), limits::ROUTE_NAME_BYTES);
            let message = format!(
                "route {} is called by {bytes} bytes: expected at most {most}",
                shown(&name)
            );
            let fault = Diagnostic::error(codes::NAME, found.place.clone(), message);
            faults.push(fault.suggest("write name = \"...\" into it".to_owned()));
        }
        let Some(first) = places.get(&name) else {
            places.insert(name, found);
            continue;
        };
        let message = format!("two routes are called {}", shown(&name));
        let fault = Diagnostic::error(codes::NAME_TWICE, found.place.clone(), message);
        let suggestion = match (&found.plan.given_name, &first.plan.given_name) {
            (None, None) => "write name = \"...\" into one of them",
            _ => "write another `name` into one of them",
        };
        let fault = fault.also(first.place.clone(), "called so too");
        faults.push(fault.suggest(suggestion.to_owned()));
    }
}

/// Warns of `/users/`, unless `/users/*` stands there too: then it is known that it takes nothing below it.
fn slashes<'f>(found: impl Iterator<Item = &'f Found> + Clone, faults: &mut Faults) {
    let seen: HashSet<_> = found
        .clone()
        .filter_map(|found| Some((&found.plan.host, found.plan.path.segments()?.shape())))
        .collect();
    let mut warned = HashSet::new();
    for found in found {
        let RoutePlan { host, path, action, .. } = &found.plan;
        let text = path.to_string();
        let Some(prefix) = text.strip_suffix('/') else { continue };
        // A redirect or an answer is for that path alone.
        let (Action::Forward(_), Some(segments)) = (action, path.segments()) else { continue };
        let kept = segments.segments.len().saturating_sub(1);
        let segments = segments.segments[..kept].to_vec();
        let below = (host, Segments { segments, tail: Tail::Any }.shape());
        if !seen.contains(&below) && warned.insert(found.key.start) {
            let message = format!("route {} matches only {}", quoted(&text), quoted(&text));
            let fault = Diagnostic::warning(codes::SLASH_ALONE, found.key.clone(), message);
            let below = quoted(&format!("{}{prefix}/*", found.before));
            faults.push(fault.suggest(format!("for all below write {below}")));
        }
    }
}

/// Warns of paths that are matched in another form than they are written in.
fn normal<'f>(found: impl Iterator<Item = &'f Found>, faults: &mut Faults) {
    let mut warned = HashSet::new();
    for Found { plan, key, before, written, .. } in found {
        let normal = plan.path.to_string();
        if plan.path.segments().is_some() && normal != *written && warned.insert(key.start) {
            let (written, normal) = (format!("{before}{written}"), format!("{before}{normal}"));
            let message = format!("route {} is {}", quoted(&written), quoted(&normal));
            let fault = Diagnostic::warning(codes::NOT_NORMAL, key.clone(), message);
            faults.push(fault.suggest(format!("write {}", quoted(&normal))));
        }
    }
}

/// A route whose requests another takes first.
fn hidden(found: &Found, first: &Found) -> Diagnostic {
    let (name, other) = (shown(&found.plan.name()), shown(&first.plan.name()));
    let message = format!("route {name} is never reached: {other} takes all of its requests first");
    let suggestion = match (&found.plan.path, &first.plan.path) {
        (PathPattern::Regex(_), PathPattern::Segments(_)) => {
            "paths are asked before expressions: write path_regex = \"^/\" with a lower `priority` into the other"
        }
        _ => "remove it, or write a higher `priority` into it",
    };
    let fault = Diagnostic::warning(codes::NEVER_REACHED, found.place.clone(), message);
    fault.also(first.place.clone(), "takes them").suggest(suggestion.to_owned())
}
