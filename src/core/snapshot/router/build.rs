//! Building a router: tries that grow, then lie still.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::base::ids::{RouteId, ServiceId};
use crate::snapshot::plan::{
    HostPattern, PathPattern, Regex, RoutePlan, Segment, Segments, Tail, When,
};
use crate::snapshot::router::edges::{Edges, NOWHERE, NodeId};
use crate::snapshot::router::{
    Candidate, Fork, Host, KNOWN, LEAF_BYTES, Leaf, Methods, Node, PARAM, Router, order,
};
use crate::snapshot::routes::{Guard, Route};

impl HostPattern {
    /// Where the edges by which hosts are found come from: by their whole name, and by a suffix of it. No node has such an id.
    pub(super) const EXACT: NodeId = NOWHERE - 1;
    pub(super) const BELOW: NodeId = NOWHERE - 2;
}

/// A node that grows.
#[derive(Debug, Default)]
struct Growing<'r> {
    literals: BTreeMap<&'r str, Growing<'r>>,
    param: Option<Box<Growing<'r>>>,
    exact: Vec<&'r Route>,
    tail: Vec<&'r Route>,
}

/// The routes of a host.
#[derive(Debug, Default)]
struct OfHost<'r> {
    root: Growing<'r>,
    regexes: Vec<(&'r Regex, &'r Route)>,
}

impl Router {
    /// The table for routes whose ids are their places, at most [`limits::ROUTES`](crate::base::limits::ROUTES), to look
    /// things up before there is a snapshot.
    pub fn of_plans(plans: &[&RoutePlan]) -> Self {
        let route = |(at, plan): (usize, &&RoutePlan)| {
            Route::new((RouteId(at as u16), &plan.name()), plan, |_| ServiceId(0), Guard::default())
        };
        let routes: Vec<_> = plans.iter().enumerate().map(route).collect();
        Self::new(&routes)
    }

    /// Builds the table. Which of two routes that tie comes first is not defined: [`order::Places::ties`] finds them.
    pub(crate) fn new<'r>(routes: impl IntoIterator<Item = &'r Route>) -> Self {
        let mut hosts: BTreeMap<&HostPattern, OfHost<'_>> = BTreeMap::new();
        for route in routes {
            let host = hosts.entry(&route.plan.host).or_default();
            match &route.plan.path {
                PathPattern::Segments(path) => host.root.grow(path, route),
                PathPattern::Regex(regex) => host.regexes.push((regex, route)),
            }
        }
        let mut still = Still::default();
        let mut any = None;
        for (at, (pattern, OfHost { root, regexes })) in hosts.into_iter().enumerate() {
            let at = at as NodeId;
            match pattern {
                HostPattern::Exact(name) => {
                    still.edges.push((HostPattern::EXACT, name.as_bytes(), at));
                }
                HostPattern::Below(suffix) => {
                    still.edges.push((HostPattern::BELOW, suffix.as_bytes(), at));
                }
                HostPattern::Any => any = Some(at),
            }
            let root = still.lay(root);
            let regexes = still.put_regexes(regexes);
            still.hosts.push(Host { root, regexes });
        }
        let has = |kind| still.edges.iter().any(|(from, _, _)| *from == kind);
        Router {
            has_exact: has(HostPattern::EXACT),
            has_below: has(HostPattern::BELOW),
            edges: Edges::new(&still.edges),
            nodes: still.nodes.into(),
            candidates: still.candidates.into(),
            regexes: still.regexes.into(),
            whens: still.whens.into(),
            hosts: still.hosts.into(),
            any,
        }
    }
}

impl<'r> Growing<'r> {
    fn grow(&mut self, path: &'r Segments, route: &'r Route) {
        let mut at = self;
        for segment in &path.segments {
            at = match segment {
                Segment::Literal(text) => at.literals.entry(text).or_default(),
                Segment::Param(_) => at.param.get_or_insert_default(),
            };
        }
        match path.tail {
            Tail::None => at.exact.push(route),
            Tail::Any | Tail::Named(_) => at.tail.push(route),
        }
    }

    /// The one route that leads through here, if there is only one: what is left of its path as a [`Leaf`] has it, and whether
    /// it has a tail.
    fn only(&self) -> Option<(&'r Route, Vec<u8>, bool)> {
        let (mut at, mut path) = (self, Vec::new());
        loop {
            let here = at.exact.len() + at.tail.len();
            let on = at.literals.len() + usize::from(at.param.is_some());
            match (here, on, at.literals.first_key_value(), &at.param) {
                (1, 0, _, _) => {
                    let route = at.exact.first().or(at.tail.first())?;
                    return Some((route, path, at.exact.is_empty()));
                }
                (0, 1, Some((text, next)), _) => {
                    path.extend_from_slice(text.as_bytes());
                    at = next;
                }
                (0, 1, None, Some(next)) => {
                    path.push(PARAM);
                    at = next;
                }
                _ => return None,
            }
            path.push(b'/');
        }
    }
}

/// What lies still.
#[derive(Debug, Default)]
struct Still<'r> {
    edges: Vec<(NodeId, &'r [u8], NodeId)>,
    nodes: Vec<Node>,
    hosts: Vec<Host>,
    candidates: Vec<Candidate>,
    regexes: Vec<(Regex, Candidate)>,
    whens: Vec<When>,
}

impl<'r> Still<'r> {
    /// Lays a node down, and all that it leads to right behind it. No deeper than the longest pattern.
    fn lay(&mut self, node: Growing<'r>) -> NodeId {
        let at = self.nodes.len();
        if let Some(leaf) = node.only().and_then(|(route, path, tail)| self.leaf(route, path, tail))
        {
            self.nodes.push(Node::Leaf(leaf));
            return at as NodeId;
        }
        let (exact, tail) = (self.put(node.exact), self.put(node.tail));
        let fork = Fork { param: NOWHERE, literals: !node.literals.is_empty(), exact, tail };
        self.nodes.push(Node::Fork(fork.clone()));
        for (by, next) in node.literals {
            let next = self.lay(next);
            self.edges.push((at as NodeId, by.as_bytes(), next));
        }
        if let Some(next) = node.param {
            let param = self.lay(*next);
            self.nodes[at] = Node::Fork(Fork { param, ..fork });
        }
        at as NodeId
    }

    /// A leaf, if what is left of the path fits into one.
    fn leaf(&mut self, route: &Route, path: Vec<u8>, tail: bool) -> Option<Leaf> {
        let mut text = [0; LEAF_BYTES];
        text.get_mut(..path.len())?.copy_from_slice(&path);
        Some(Leaf { candidate: self.candidate(route), tail, length: path.len() as u8, text })
    }

    /// Puts the routes of one place down, the most precise first.
    fn put(&mut self, mut routes: Vec<&Route>) -> Range<u32> {
        let start = self.candidates.len() as u32;
        routes.sort_by(|a, b| order::at_one_place(&a.plan, &b.plan));
        for route in routes {
            let candidate = self.candidate(route);
            self.candidates.push(candidate);
        }
        start..self.candidates.len() as u32
    }

    fn put_regexes(&mut self, mut routes: Vec<(&Regex, &Route)>) -> Range<u32> {
        let start = self.regexes.len() as u32;
        routes.sort_by(|(one, a), (other, b)| {
            let by_place = || order::at_one_place(&a.plan, &b.plan);
            let by_priority = Reverse(a.plan.priority).cmp(&Reverse(b.plan.priority));
            by_priority.then_with(by_place).then_with(|| one.cmp(other))
        });
        for (regex, route) in routes {
            let candidate = self.candidate(route);
            self.regexes.push((regex.clone(), candidate));
        }
        start..self.regexes.len() as u32
    }

    fn candidate(&mut self, route: &Route) -> Candidate {
        let when = &route.plan.when;
        let methods = match when.methods.is_empty() {
            true => Methods::ANY,
            false => Methods(when.methods.iter().fold(0, |all, name| all | bits(name))),
        };
        let known = |name: &String| KNOWN.contains(&name.as_str());
        let more = when.headers.len() + when.query.len() > 0 || !when.methods.iter().all(known);
        let mut place = NOWHERE;
        if when.count() > 0 {
            place = self.whens.len() as u32;
            self.whens.push(when.clone());
        }
        Candidate { route: route.id, methods, when: place, more }
    }
}

/// The bits of a method; `GET` brings `HEAD`.
fn bits(name: &str) -> u16 {
    let implied = if name == "GET" { Methods::of(KNOWN[1].as_bytes()).0 } else { 0 };
    Methods::of(name.as_bytes()).0 | implied
}
