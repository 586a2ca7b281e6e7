//! What an operator expects of the routes: `[[tests]]`, read and checked but not run.

use std::ops::Range;
use std::sync::Arc;

pub use coregate_core::snapshot::explain::expect::Expected as Expectation;

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
    /// The file that it stands in.
    pub file: Arc<str>,
    /// Where it stands, in bytes of the file.
    pub span: Range<usize>,
    /// The line of its first byte, from 1.
    pub line: usize,
}
