//! The router: which route takes a request.
//!
//! Precedence is total and does not depend on the order of the routes: the host exact, then by its longest wildcard suffix,
//! then any; the path segment by segment, where a literal comes before a parameter and a parameter before a tail; then more
//! predicates, then a higher `priority`. Paths by regular expression come last within their host, by `priority`. What is more
//! precise and does not take the request hides nothing that is less so.
//!
//! ```text
//!  host ──▶ root of a trie of segments ──literal──▶ node ──{param}──▶ node ─▶ candidates that end here
//!                                                    └ tail ─▶ candidates          more predicates first
//! ```
//!
//! All tries lie in one array of nodes, a cache line each; literal edges lie in one hash table, and so do hosts ([`edges`]). Where
//! only one route leads on, as beneath most nodes, all that is left of its path lies in a leaf, with the route itself. So a look-up
//! touches few lines that are cold, however many routes there are. It borrows and allocates nothing.
//!
//! - [`judge`]: one route held against one request, the slow and obvious way; `explain` shows what it says.
//! - [`order`]: which of two routes comes first, which tie, which are never reached.

mod build;
mod edges;
pub mod judge;
pub mod order;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::base::ids::RouteId;
use crate::http::head::{Head, Request, TargetAt};
use crate::snapshot::plan::{HostPattern, Regex, Unmet, When};
use crate::snapshot::router::edges::{Edges, NOWHERE, NodeId};

/// What is asked of the router: a request, as far as routes look at it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a [u8],
    /// Its host in normal form, without port; empty if it names none.
    pub host: &'a [u8],
    /// Its path in normal form.
    pub path: &'a [u8],
    /// What stands behind the `?`, if there is one.
    pub query: Option<&'a [u8]>,
    /// Its header fields.
    pub head: &'a Head,
}

impl<'a> Asked<'a> {
    /// What a request asks.
    pub fn of(head: &'a Head, request: &Request) -> Self {
        let (path, query) = match request.target {
            // RFC 9112 §3.2.4: `*` is about the server as a whole, which is whoever takes its root.
            TargetAt::Asterisk => (&b"/"[..], None),
            TargetAt::Page(_) | TargetAt::Side => {
                let (path, query) = request.target(head).split_at(request.path_len);
                (path, query.split_first().map(|(_, query)| query))
            }
        };
        let method = head.bytes(request.method_at);
        Self { method, host: request.host(head), path, query, head }
    }
}

/// Why no route takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// None takes its host and path, or something else is missing.
    Route,
    /// Some would take it, had it another method: [`Router::allowed`] names them.
    Method,
}

/// The compiled look-up table.
#[derive(Debug, Default)]
pub struct Router {
    edges: Edges,
    nodes: Box<[Node]>,
    candidates: Box<[Candidate]>,
    regexes: Box<[(Regex, Candidate)]>,
    whens: Box<[When]>,
    hosts: Box<[Host]>,
    /// Whether there are hosts that are named, and such by a suffix.
    has_exact: bool,
    has_below: bool,
    any: Option<u32>,
}

/// The routes of a host.
#[derive(Debug, Clone)]
struct Host {
    root: NodeId,
    /// Those by regular expression.
    regexes: Range<u32>,
}

/// A place between two segments.
#[derive(Debug, Clone)]
#[repr(align(64))]
enum Node {
    /// Several routes lead through here.
    Fork(Fork),
    /// One does.
    Leaf(Leaf),
}

/// Where several routes lead on.
#[derive(Debug, Clone)]
struct Fork {
    /// Where any segment that is not empty leads; [`NOWHERE`] if nowhere.
    param: NodeId,
    /// Whether there are literal edges.
    literals: bool,
    /// Who takes a path that ends here.
    exact: Range<u32>,
    /// Who takes a path that ends here or goes on.
    tail: Range<u32>,
}

/// The end of a path that only one route has.
#[derive(Debug, Clone)]
struct Leaf {
    candidate: Candidate,
    /// Whether a path may go on behind the segments.
    tail: bool,
    /// How long `text` is.
    length: u8,
    /// The segments that are left, each with a slash behind it; one that begins with [`PARAM`] is a parameter.
    text: [u8; LEAF_BYTES],
}

/// How much of a path lies in a leaf: what is left of a cache line.
const LEAF_BYTES: usize = 44;

/// What no literal in normal form has.
const PARAM: u8 = b'{';

impl Leaf {
    /// Whether it takes what is left of a path; `None` where that has ended.
    #[inline]
    fn takes(&self, mut rest: Option<&[u8]>) -> bool {
        let mut text = &self.text[..usize::from(self.length)];
        while let Some(end) = text.iter().position(|b| *b == b'/') {
            let Some(path) = rest else { return false };
            let (segment, after) = first_segment(path);
            let takes = match text[0] == PARAM {
                true => !segment.is_empty(),
                false => *segment == text[..end],
            };
            if !takes {
                return false;
            }
            (text, rest) = (&text[end + 1..], after);
        }
        self.tail || rest.is_none()
    }
}

/// The first segment of what is left of a path, and what is left behind it; `None` where the path ends.
#[inline]
fn first_segment(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    match rest.iter().position(|b| *b == b'/') {
        Some(slash) => (&rest[..slash], Some(&rest[slash + 1..])),
        None => (rest, None),
    }
}

/// A route at its place in a trie.
#[derive(Debug, Clone)]
struct Candidate {
    route: RouteId,
    /// The methods it takes, a bit each; [`Methods::ANY`] without a predicate.
    methods: Methods,
    /// Its predicates, in `whens`; [`NOWHERE`] without any.
    when: u32,
    /// Whether there are any but methods that have a bit.
    more: bool,
}

/// A set of methods: a bit for each that is known, and one for all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Methods(u16);

const KNOWN: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

impl Methods {
    const ANY: Self = Self(u16::MAX);

    #[inline]
    fn of(method: &[u8]) -> Self {
        let known = KNOWN.iter().position(|known| known.as_bytes() == method);
        Self(1 << known.unwrap_or(KNOWN.len()))
    }

    #[inline]
    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Router {
    /// The route that takes a request.
    #[inline]
    pub fn find(&self, asked: &Asked<'_>) -> Result<RouteId, Missed> {
        let method = Methods::of(asked.method);
        let mut missed = Missed::Route;
        let found = self.visit(asked.host, asked.path, &mut |candidate| {
            let when = candidate.more.then(|| &self.whens[candidate.when as usize]);
            let takes = candidate.methods.has(method)
                && when.is_none_or(|when| when.takes_method(asked.method));
            let others = || when.is_none_or(|when| Self::unmet(when, asked).is_none());
            if takes {
                return others();
            }
            if missed == Missed::Route && others() {
                missed = Missed::Method;
            }
            false
        });
        found.ok_or(missed)
    }

    /// The methods with which a request that was refused for its own would be taken, each once.
    pub fn allowed(&self, asked: &Asked<'_>) -> Vec<&str> {
        let mut names = Vec::new();
        self.visit(asked.host, asked.path, &mut |candidate| {
            let Some(when) = self.whens.get(candidate.when as usize) else { return false };
            if Self::unmet(when, asked).is_none() {
                for name in &when.methods {
                    names.push(name.as_str());
                    names.extend((name == "GET").then_some("HEAD"));
                }
            }
            false
        });
        names.sort_unstable();
        names.dedup();
        names
    }

    fn unmet(when: &When, asked: &Asked<'_>) -> Option<Unmet> {
        when.unmet_but_method(asked.head, asked.query.unwrap_or_default())
    }

    /// Offers all routes that take this host and path to `take`, the most precise first, until it takes one.
    #[inline]
    fn visit(
        &self,
        host: &[u8],
        path: &[u8],
        take: &mut impl FnMut(&Candidate) -> bool,
    ) -> Option<RouteId> {
        if self.has_exact
            && let Some(named) = self.edges.get(HostPattern::EXACT, host)
            && let Some(found) = self.visit_host(named, path, take)
        {
            return Some(found);
        }
        if self.has_below {
            // From the first dot on: the longest suffix first. The name itself is not below it.
            let dots = host.iter().enumerate().skip(1).filter(|(_, b)| **b == b'.');
            for (at, _) in dots {
                if let Some(below) = self.edges.get(HostPattern::BELOW, &host[at..])
                    && let Some(found) = self.visit_host(below, path, take)
                {
                    return Some(found);
                }
            }
        }
        self.any.and_then(|any| self.visit_host(any, path, take))
    }

    #[inline]
    fn visit_host(
        &self,
        host: u32,
        path: &[u8],
        take: &mut impl FnMut(&Candidate) -> bool,
    ) -> Option<RouteId> {
        let Host { root, regexes } = &self.hosts[host as usize];
        let rest = path.strip_prefix(b"/").unwrap_or(path);
        self.walk(*root, Some(rest), take).or_else(|| {
            let regexes = &self.regexes[regexes.start as usize..regexes.end as usize];
            let mut found = regexes.iter().filter(|(regex, _)| regex.is_in(path));
            found.find(|(_, candidate)| take(candidate)).map(|(_, candidate)| candidate.route)
        })
    }

    /// Goes on from a node with what is left of the path; `None` where it ends there. No deeper than the longest pattern.
    fn walk(
        &self,
        node: NodeId,
        rest: Option<&[u8]>,
        take: &mut impl FnMut(&Candidate) -> bool,
    ) -> Option<RouteId> {
        let at = match &self.nodes[node as usize] {
            Node::Fork(fork) => fork,
            Node::Leaf(leaf) => {
                let takes = leaf.takes(rest) && take(&leaf.candidate);
                return takes.then_some(leaf.candidate.route);
            }
        };
        let Some(rest) = rest else {
            return self.offer(&at.exact, take).or_else(|| self.offer(&at.tail, take));
        };
        let (segment, after) = first_segment(rest);
        if at.literals
            && let Some(next) = self.edges.get(node, segment)
            && let Some(found) = self.walk(next, after, take)
        {
            return Some(found);
        }
        if at.param != NOWHERE
            && !segment.is_empty()
            && let Some(found) = self.walk(at.param, after, take)
        {
            return Some(found);
        }
        self.offer(&at.tail, take)
    }

    #[inline]
    fn offer(
        &self,
        range: &Range<u32>,
        take: &mut impl FnMut(&Candidate) -> bool,
    ) -> Option<RouteId> {
        let candidates = &self.candidates[range.start as usize..range.end as usize];
        candidates.iter().find(|candidate| take(candidate)).map(|candidate| candidate.route)
    }
}
