//! What an operator expects of the routes: `[[tests]]`, read and checked but not run.

use std::ops::Range;

/// A request, and what should become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTest {
    /// The request as it is written: `GET https://shop.example.com/users/7`.
    pub request: String,
    /// Its method.
    pub method: String,
    /// Its target as it is written: a whole `http://` or `https://` address, or a path alone for a request that names no
    /// host. Host and path have a normal form, and there is no fragment.
    pub url: String,
    /// Its header fields, in order; a name may stand more than once.
    pub headers: Vec<(String, String)>,
    /// What should become of it.
    pub expect: Expectation,
    /// Where it stands, in bytes of the file.
    pub span: Range<usize>,
    /// The line of its first byte, from 1.
    pub line: usize,
}

/// What should become of a request: all of what is named, and something is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The name of the route that takes it, as
    /// [`RoutePlan::name`](coregate_core::snapshot::plan::RoutePlan::name) has it.
    pub route: Option<String>,
    /// The services that it may go to, each once: those of the route with a share, no others; empty where nothing is said.
    pub services: Vec<String>,
    /// The status of the answer that the gateway gives by itself: of a `respond`, a `redirect`, or a refusal such as 404.
    pub status: Option<u16>,
    /// The `Location` of a redirect.
    pub location: Option<String>,
    /// The path that goes upstream, without the query.
    pub path: Option<String>,
}
