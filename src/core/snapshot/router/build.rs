//! Building a router: tries that grow, then lie still.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use crate::base::ids::{RouteId, ServiceId};
use crate::snapshot::plan::{
    HostPattern, PathPattern, Regex, RoutePlan, Segment, Segments, Tail, When,
};
use crate::snapshot::router::edges::{Edges, NodeId};
use crate::snapshot::router::{Candidate, Host, KNOWN, Methods, Node, Router, order};
use crate::snapshot::routes::Route;

impl HostPattern {
    /// Where the edges by which hosts are found come from: by their whole name, and by a suffix of it. No node has such an id.
    pub(super) const EXACT: NodeId = NodeId::MAX - 1;
    pub(super) const BELOW: NodeId = NodeId::MAX - 2;
}

/// A node that grows.
#[derive(Debug, Default)]
struct Growing<'r> {
    literals: HashMap<&'r str, usize>,
    param: Option<usize>,
    exact: Vec<&'r Route>,
    tail: Vec<&'r Route>,
}

#[derive(Debug, Default)]
struct Builder<'r> {
    nodes: Vec<Growing<'r>>,
    /// Where the trie of each host begins, and its routes by regular expression.
    hosts: Vec<(&'r HostPattern, usize, Regexes<'r>)>,
}

/// Routes by regular expression.
type Regexes<'r> = Vec<(&'r Regex, &'r Route)>;

impl Router {
    /// The table for routes whose ids are their places, at most [`limits::ROUTES`](crate::base::limits::ROUTES), to look
    /// things up before there is a snapshot.
    pub fn of_plans(plans: &[&RoutePlan]) -> Self {
        let route = |(at, plan): (usize, &&RoutePlan)| {
            Route::new(RouteId(at as u16), plan, |_| ServiceId(0))
        };
        let routes: Vec<_> = plans.iter().enumerate().map(route).collect();
        Self::new(&routes)
    }

    /// Builds the table. Which of two routes that tie comes first is not defined: [`order::ties`] finds them.
    pub(crate) fn new<'r>(routes: impl IntoIterator<Item = &'r Route>) -> Self {
        let mut builder = Builder::default();
        let mut places = HashMap::new();
        for route in routes {
            let host = *places.entry(&route.plan.host).or_insert_with(|| {
                let root = builder.node();
                builder.hosts.push((&route.plan.host, root, Vec::new()));
                builder.hosts.len() - 1
            });
            match &route.plan.path {
                PathPattern::Segments(path) => builder.grow(builder.hosts[host].1, path, route),
                PathPattern::Regex(regex) => builder.hosts[host].2.push((regex, route)),
            }
        }
        builder.finish()
    }
}

impl<'r> Builder<'r> {
    fn node(&mut self) -> usize {
        self.nodes.push(Growing::default());
        self.nodes.len() - 1
    }

    fn grow(&mut self, root: usize, path: &'r Segments, route: &'r Route) {
        let mut at = root;
        for segment in &path.segments {
            let known = match segment {
                Segment::Literal(text) => self.nodes[at].literals.get(text.as_str()).copied(),
                Segment::Param(_) => self.nodes[at].param,
            };
            let next = known.unwrap_or_else(|| self.node());
            match segment {
                Segment::Literal(text) => drop(self.nodes[at].literals.insert(text, next)),
                Segment::Param(_) => self.nodes[at].param = Some(next),
            }
            at = next;
        }
        match path.tail {
            Tail::None => self.nodes[at].exact.push(route),
            Tail::Any | Tail::Named(_) => self.nodes[at].tail.push(route),
        }
    }

    fn finish(self) -> Router {
        let mut router = Router::default();
        let mut still = Still::default();
        let mut edges: Vec<(NodeId, &[u8], NodeId)> = Vec::new();
        let mut hosts = Vec::with_capacity(self.hosts.len());
        for (at, (pattern, root, regexes)) in self.hosts.into_iter().enumerate() {
            match pattern {
                HostPattern::Exact(name) => {
                    router.has_exact = true;
                    edges.push((HostPattern::EXACT, name.as_bytes(), at as NodeId));
                }
                HostPattern::Below(suffix) => {
                    router.has_below = true;
                    edges.push((HostPattern::BELOW, suffix.as_bytes(), at as NodeId));
                }
                HostPattern::Any => router.any = Some(at as u32),
            }
            hosts.push(Host { root: root as NodeId, regexes: still.put_regexes(regexes) });
        }
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.into_iter().enumerate() {
            nodes.push(Node {
                param: node.param.map(|node| node as NodeId),
                literals: !node.literals.is_empty(),
                exact: still.put(node.exact),
                tail: still.put(node.tail),
            });
            let literals = node.literals.into_iter();
            edges.extend(literals.map(|(by, to)| (at as NodeId, by.as_bytes(), to as NodeId)));
        }
        Router {
            edges: Edges::new(&edges),
            nodes: nodes.into(),
            candidates: still.candidates.into(),
            regexes: still.regexes.into(),
            whens: still.whens.into(),
            hosts: hosts.into(),
            ..router
        }
    }
}

/// What lies still.
#[derive(Debug, Default)]
struct Still {
    candidates: Vec<Candidate>,
    regexes: Vec<(Regex, Candidate)>,
    whens: Vec<When>,
}

impl Still {
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

    fn put_regexes(&mut self, mut routes: Regexes<'_>) -> Range<u32> {
        let start = self.regexes.len() as u32;
        routes.sort_by_key(|(regex, _)| *regex);
        routes.sort_by(|(_, a), (_, b)| {
            let by_place = || order::at_one_place(&a.plan, &b.plan);
            Reverse(a.plan.priority).cmp(&Reverse(b.plan.priority)).then_with(by_place)
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
        let place = (when.count() > 0).then(|| {
            self.whens.push(when.clone());
            (self.whens.len() - 1) as u32
        });
        Candidate { route: route.id, methods, when: place }
    }
}

/// The bits of a method; `GET` brings `HEAD`.
fn bits(name: &str) -> u16 {
    let implied = if name == "GET" { Methods::of(KNOWN[1].as_bytes()).0 } else { 0 };
    Methods::of(name.as_bytes()).0 | implied
}
