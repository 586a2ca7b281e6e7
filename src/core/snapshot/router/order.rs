//! Which of two routes comes first: total, and the same whatever order they are written in.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use crate::base::limits;
use crate::snapshot::plan::{
    HostPattern, PathPattern, Predicate, RoutePlan, Segment, Segments, Tail, Test, When,
};

/// The order in which routes that take the same host and path are asked: more predicates, then a higher priority, then those
/// that name HEAD before those that take it with GET. What is equal then takes no request in common, or ties; it stands in
/// the order of its name.
pub(super) fn at_one_place(a: &RoutePlan, b: &RoutePlan) -> Ordering {
    let key = |plan: &RoutePlan| {
        let names_head = plan.when.names_method(b"HEAD");
        (Reverse(plan.when.count()), Reverse(plan.priority), Reverse(names_head))
    };
    key(a).cmp(&key(b)).then_with(|| a.when.cmp(&b.when))
}

/// The order of precedence of all routes, those first that are asked first.
pub fn precedence(a: &RoutePlan, b: &RoutePlan) -> Ordering {
    let host = |plan: &RoutePlan| match &plan.host {
        HostPattern::Exact(_) => (0, Reverse(0)),
        HostPattern::Below(suffix) => (1, Reverse(suffix.len())),
        HostPattern::Any => (2, Reverse(0)),
    };
    host(a)
        .cmp(&host(b))
        .then_with(|| a.host.cmp(&b.host))
        .then_with(|| match (&a.path, &b.path) {
            (PathPattern::Segments(a), PathPattern::Segments(b)) => by_segments(a, b),
            (PathPattern::Segments(_), PathPattern::Regex(_)) => Ordering::Less,
            (PathPattern::Regex(_), PathPattern::Segments(_)) => Ordering::Greater,
            (PathPattern::Regex(_), PathPattern::Regex(_)) => b.priority.cmp(&a.priority),
        })
        .then_with(|| at_one_place(a, b))
        .then_with(|| a.path.cmp(&b.path))
}

/// Segment by segment: a literal before a parameter, that before the end of a path, that before a tail.
fn by_segments(a: &Segments, b: &Segments) -> Ordering {
    for (a, b) in a.segments.iter().zip(&b.segments) {
        let order = match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a.cmp(b),
            (Segment::Literal(_), Segment::Param(_)) => Ordering::Less,
            (Segment::Param(_), Segment::Literal(_)) => Ordering::Greater,
            (Segment::Param(_), Segment::Param(_)) => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    // A longer one takes no path that a shorter one without a tail takes; one with a tail comes behind.
    let tail = |path: &Segments| path.tail != Tail::None;
    b.segments.len().cmp(&a.segments.len()).then(tail(a).cmp(&tail(b)))
}

/// What two routes have in common that may tie.
#[derive(PartialEq, Eq, Hash)]
enum Place<'r> {
    Segments(&'r HostPattern, Segments),
    Regex(&'r HostPattern),
}

fn places<'r>(plans: &[&'r RoutePlan]) -> Vec<Vec<usize>> {
    let mut places: HashMap<Place<'r>, Vec<usize>> = HashMap::new();
    for (at, plan) in plans.iter().enumerate() {
        let place = match &plan.path {
            PathPattern::Segments(path) => Place::Segments(&plan.host, path.shape()),
            PathPattern::Regex(_) => Place::Regex(&plan.host),
        };
        places.entry(place).or_default().push(at);
    }
    places.into_values().filter(|together| together.len() > 1).collect()
}

/// Places where more routes are told apart by predicates than may be ([`limits::ROUTES_AT_ONE_PLACE`]): the first route
/// there, and how many there are.
pub fn crowds(plans: &[&RoutePlan]) -> Vec<(usize, usize)> {
    let crowds = places(plans).into_iter().filter(|at| at.len() > limits::ROUTES_AT_ONE_PLACE);
    let mut crowds: Vec<_> = crowds.map(|at| (at[0], at.len())).collect();
    crowds.sort_unstable();
    crowds
}

/// Places where a request may be held against more regular expressions than it may
/// ([`limits::REGEXES_AT_ONE_PLACE`]): the first route there, and how many there are.
pub fn regex_crowds(plans: &[&RoutePlan]) -> Vec<(usize, usize)> {
    // A route that is alone at its place may have too many by itself.
    let together = places(plans).into_iter().chain((0..plans.len()).map(|at| vec![at]));
    let counted = together.map(|at| (at[0], at.iter().map(|at| plans[*at].regexes()).sum()));
    let mut crowds: Vec<_> =
        counted.filter(|(_, count)| *count > limits::REGEXES_AT_ONE_PLACE).collect();
    crowds.sort_unstable();
    crowds.dedup_by_key(|(at, _)| *at);
    crowds
}

/// Pairs of routes that may take the same request and of which neither comes first: their places in `plans`, the later one
/// first, in order. Of each route at most one pair.
pub fn ties(plans: &[&RoutePlan]) -> Vec<(usize, usize)> {
    let mut ties = Vec::new();
    for together in places(plans) {
        let mut equals: HashMap<_, Vec<usize>> = HashMap::new();
        for at in together {
            let plan = plans[at];
            let earlier = equals.entry((plan.when.count(), plan.priority)).or_default();
            let tie = earlier.iter().find(|first| !plan.when.excludes(&plans[**first].when));
            match tie {
                Some(first) => ties.push((at, *first)),
                None => earlier.push(at),
            }
        }
    }
    ties.sort_unstable();
    ties
}

/// Routes that are never reached, since another takes all that they would: their places in `plans`, and the other's.
pub fn hidden(plans: &[&RoutePlan]) -> Vec<(usize, usize)> {
    let mut hidden = Vec::new();
    for mut together in places(plans) {
        together.sort_by(|a, b| precedence(plans[*a], plans[*b]));
        for (n, &at) in together.iter().enumerate() {
            let all = |first: &&usize| {
                plans[at].when.implies(&plans[**first].when)
                    && plans[**first].path.takes_all_of(&plans[at].path)
            };
            hidden.extend(together[..n].iter().find(all).map(|first| (at, *first)));
        }
    }
    // A tail at the root takes whatever a regular expression would be asked for.
    let takes_all = |plan: &RoutePlan| {
        let path = plan.path.segments();
        let tail = |path: &Segments| path.segments.is_empty() && path.tail != Tail::None;
        path.is_some_and(tail) && plan.when == When::default()
    };
    let all: HashMap<_, _> = plans
        .iter()
        .enumerate()
        .filter(|(_, plan)| takes_all(plan))
        .map(|(at, plan)| (&plan.host, at))
        .collect();
    for (at, plan) in plans.iter().enumerate() {
        if let (PathPattern::Regex(_), Some(first)) = (&plan.path, all.get(&plan.host)) {
            hidden.push((at, *first));
        }
    }
    hidden.sort_unstable();
    hidden.dedup_by_key(|(at, _)| *at);
    hidden
}

impl PathPattern {
    /// Whether it surely takes every path that the other, which stands at the same place, takes.
    fn takes_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Regex(one), Self::Regex(other)) => one == other,
            (Self::Segments(_), Self::Segments(_)) => true,
            (Self::Segments(_), Self::Regex(_)) | (Self::Regex(_), Self::Segments(_)) => false,
        }
    }
}

impl When {
    /// Whether whatever passes this surely passes the other.
    fn implies(&self, other: &Self) -> bool {
        let methods = other.methods.is_empty()
            || (!self.methods.is_empty()
                && self.methods.iter().all(|method| other.takes_method(method.as_bytes())));
        let held = |mine: &[Predicate], theirs: &[Predicate]| {
            theirs.iter().all(|other| {
                mine.iter().any(|one| one.name == other.name && implies(&one.test, &other.test))
            })
        };
        methods && held(&self.headers, &other.headers) && held(&self.query, &other.query)
    }
}

fn implies(one: &Test, other: &Test) -> bool {
    match (one, other) {
        (Test::Absent, other) => *other == Test::Absent,
        (_, Test::Present) => true,
        (Test::Is(whole), Test::Begins(start)) | (Test::Begins(whole), Test::Begins(start)) => {
            whole.starts_with(start.as_str())
        }
        (Test::Is(value), Test::Matches(regex)) => regex.is_in(value.as_bytes()),
        (one, other) => one == other,
    }
}
