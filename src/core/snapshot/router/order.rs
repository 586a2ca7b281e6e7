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

/// The routes at each place where there are several: of one host, and of paths that take the same. Places are in order, and so
/// are their routes.
#[derive(Debug)]
pub struct Places<'p, 'r> {
    plans: &'p [&'r RoutePlan],
    /// All routes, those of one place together.
    sorted: Vec<usize>,
}

impl<'p, 'r> Places<'p, 'r> {
    /// The places of these routes.
    pub fn of(plans: &'p [&'r RoutePlan]) -> Self {
        let mut sorted: Vec<_> = (0..plans.len()).collect();
        sorted.sort_unstable_by(|a, b| by_place(plans[*a], plans[*b]).then(a.cmp(b)));
        Self { plans, sorted }
    }

    fn all(&self) -> impl Iterator<Item = &[usize]> {
        self.sorted.chunk_by(|a, b| by_place(self.plans[*a], self.plans[*b]).is_eq())
    }

    /// Places where more routes are told apart by predicates than may be ([`limits::ROUTES_AT_ONE_PLACE`]): the first route
    /// there, and how many there are.
    pub fn crowds(&self) -> Vec<(usize, usize)> {
        let counted = self.all().map(|place| (place[0], place.len()));
        above(counted, limits::ROUTES_AT_ONE_PLACE)
    }

    /// Places where a request may be held against more regular expressions than it may ([`limits::REGEXES_AT_ONE_PLACE`]):
    /// the first route there, and how many there are.
    pub fn regex_crowds(&self) -> Vec<(usize, usize)> {
        let regexes = |place: &[usize]| place.iter().map(|at| self.plans[*at].regexes()).sum();
        let counted = self.all().map(|place| (place[0], regexes(place)));
        above(counted, limits::REGEXES_AT_ONE_PLACE)
    }

    /// Pairs of routes that may take the same request and of which neither comes first: their places in the list, the later one
    /// first, in order. Of each route at most one pair.
    pub fn ties(&self) -> Vec<(usize, usize)> {
        let mut ties = Vec::new();
        for place in self.all().filter(|place| place.len() > 1) {
            let mut equals: HashMap<_, Vec<usize>> = HashMap::new();
            for &at in place {
                let plan = self.plans[at];
                let earlier = equals.entry((plan.when.count(), plan.priority)).or_default();
                let excludes = |first: &&usize| !plan.when.excludes(&self.plans[**first].when);
                match earlier.iter().find(excludes) {
                    Some(first) => ties.push((at, *first)),
                    None => earlier.push(at),
                }
            }
        }
        ties.sort_unstable();
        ties
    }

    /// Routes that are never reached, since another takes all that they would: their places in `plans`, and the other's.
    pub fn hidden(&self) -> Vec<(usize, usize)> {
        let plans = self.plans;
        let mut hidden = Vec::new();
        for place in self.all().filter(|place| place.len() > 1) {
            let mut together = place.to_vec();
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
}

/// Those of which there are more than may be, in order.
fn above(counted: impl Iterator<Item = (usize, usize)>, most: usize) -> Vec<(usize, usize)> {
    let mut above: Vec<_> = counted.filter(|(_, count)| *count > most).collect();
    above.sort_unstable();
    above
}

/// An order in which routes are equal that take the same hosts and paths; those by regular expression of one host are, too.
fn by_place(a: &RoutePlan, b: &RoutePlan) -> Ordering {
    a.host.cmp(&b.host).then_with(|| match (&a.path, &b.path) {
        (PathPattern::Segments(a), PathPattern::Segments(b)) => {
            let tail = |path: &Segments| path.tail != Tail::None;
            segments_in_order(a, b).then_with(|| tail(a).cmp(&tail(b)))
        }
        (PathPattern::Segments(_), PathPattern::Regex(_)) => Ordering::Less,
        (PathPattern::Regex(_), PathPattern::Segments(_)) => Ordering::Greater,
        (PathPattern::Regex(_), PathPattern::Regex(_)) => Ordering::Equal,
    })
}

/// Whatever parameters are called, they are equal.
fn segments_in_order(a: &Segments, b: &Segments) -> Ordering {
    fn texts(path: &Segments) -> impl Iterator<Item = Option<&str>> {
        path.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            Segment::Param(_) => None,
        })
    }
    texts(a).cmp(texts(b))
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
