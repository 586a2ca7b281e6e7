//! Finding a route: host exact > longest wildcard suffix > any; then path exact > longest prefix.
//!
//! A more specific host that has no matching path does not hide a less specific one. Look-ups borrow and do not allocate.
//! Flat for now: a sorted table of hosts, and per host a list of paths, longest first.

use crate::base::ids::{RouteId, ServiceId};
use crate::snapshot::plan::{HostPattern, PathPattern};

/// A route as workers see it.
#[derive(Debug)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// What it is called in counters and logs: its host, unless that is any, and its path.
    pub name: Box<str>,
    /// The hosts it takes.
    pub host: HostPattern,
    /// The paths it takes.
    pub path: PathPattern,
    /// Where its requests go.
    pub service: ServiceId,
}

/// The compiled look-up table.
#[derive(Debug, Default)]
pub(crate) struct Router {
    /// Sorted by name.
    exact: Box<[(Box<str>, Paths)]>,
    /// Suffixes with their leading dot, longest first.
    below: Box<[(Box<str>, Paths)]>,
    any: Paths,
}

impl Router {
    /// Builds the table. Ids are positions in `routes`.
    pub(crate) fn new<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Self {
        let mut exact: Vec<(Box<str>, Paths)> = Vec::new();
        let mut below: Vec<(Box<str>, Paths)> = Vec::new();
        let mut any = Paths::default();
        let mut routes: Vec<_> = routes.into_iter().collect();
        routes.sort_by(|a, b| a.host.cmp(&b.host));
        for route in routes {
            let paths = match &route.host {
                HostPattern::Exact(name) => paths_of(&mut exact, name),
                HostPattern::Below(suffix) => paths_of(&mut below, suffix),
                HostPattern::Any => &mut any,
            };
            paths.0.push((route.path.clone(), route.id));
        }
        below.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        exact.iter_mut().chain(&mut below).for_each(|(_, paths)| paths.sort());
        any.sort();
        Self { exact: exact.into(), below: below.into(), any }
    }

    #[inline]
    pub(crate) fn find(&self, host: &[u8], path: &[u8]) -> Option<RouteId> {
        if !self.exact.is_empty()
            && let Ok(at) = self.exact.binary_search_by(|(name, _)| (*name).as_bytes().cmp(host))
            && let Some(route) = self.exact[at].1.find(path)
        {
            return Some(route);
        }
        self.below
            .iter()
            .filter(|(suffix, _)| host.len() > suffix.len() && host.ends_with(suffix.as_bytes()))
            .find_map(|(_, paths)| paths.find(path))
            .or_else(|| self.any.find(path))
    }
}

/// The paths of the host that was added last, or of a new one. Hosts come sorted.
fn paths_of<'t>(table: &'t mut Vec<(Box<str>, Paths)>, name: &str) -> &'t mut Paths {
    if table.last().is_none_or(|(last, _)| **last != *name) {
        table.push((name.into(), Paths::default()));
    }
    let last = table.len() - 1;
    &mut table[last].1
}

/// The paths of one host: exact ones first, then prefixes, the longest first.
#[derive(Debug, Default)]
struct Paths(Vec<(PathPattern, RouteId)>);

impl Paths {
    fn sort(&mut self) {
        self.0.sort_by_key(|(pattern, _)| match pattern {
            PathPattern::Exact(path) => (0, std::cmp::Reverse(path.len())),
            PathPattern::Below(prefix) => (1, std::cmp::Reverse(prefix.len())),
        });
    }

    #[inline]
    fn find(&self, path: &[u8]) -> Option<RouteId> {
        self.0.iter().find(|(pattern, _)| matches(pattern, path)).map(|(_, id)| *id)
    }
}

/// `/users/*` takes `/users` and `/users/...`, never `/usersx`.
fn matches(pattern: &PathPattern, path: &[u8]) -> bool {
    match pattern {
        PathPattern::Exact(exact) => path == exact.as_bytes(),
        PathPattern::Below(prefix) => path
            .strip_prefix(prefix.as_bytes())
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'/'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(patterns: &[(&str, &str)]) -> Router {
        let routes: Vec<_> = patterns
            .iter()
            .enumerate()
            .map(|(at, (host, path))| Route {
                id: RouteId(at as u16),
                name: (*path).into(),
                host: host.parse().unwrap(),
                path: path.parse().unwrap(),
                service: ServiceId(0),
            })
            .collect();
        Router::new(&routes)
    }

    #[test]
    fn the_most_specific_wins_whatever_the_order() {
        let mut patterns = vec![
            ("*", "/*"),
            ("*", "/users/*"),
            ("*", "/users"),
            ("*", "/users/admin/*"),
            ("a.com", "/x/*"),
            ("*.com", "/*"),
            ("*.a.com", "/x/*"),
        ];
        let cases = [
            ("b.org", "/", "*/*"),
            ("b.org", "/users", "*/users"),
            ("b.org", "/users/", "*/users/*"),
            ("b.org", "/usersx", "*/*"),
            ("b.org", "/users/admin/7", "*/users/admin/*"),
            ("a.com", "/x", "a.com/x/*"),
            ("a.com", "/y", "*.com/*"),
            ("q.a.com", "/x/1", "*.a.com/x/*"),
            ("q.a.com", "/y", "*.com/*"),
            ("com", "/y", "*/*"),
            ("", "/y", "*/*"),
        ];
        for _ in 0..patterns.len() {
            patterns.rotate_left(1);
            let router = router(&patterns);
            for (host, path, expected) in cases {
                let found = router.find(host.as_bytes(), path.as_bytes()).unwrap();
                let (host_pattern, path_pattern) = patterns[found.index()];
                assert_eq!(format!("{host_pattern}{path_pattern}"), expected, "{host} {path}");
            }
        }
        assert_eq!(router(&[("a.com", "/x/*")]).find(b"a.com", b"/y"), None);
    }
}
