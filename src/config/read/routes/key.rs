//! The key of a route: `/users/{id}`, or methods and a path, `GET,POST /users`.

use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::PathPattern;

use super::patterns;
use crate::codes;
use crate::item::{Item, quoted};
use crate::read::{methods, too_many};
use crate::report::{Diagnostic, Faults};

/// A key that was read.
#[derive(Debug)]
pub(super) struct Key {
    /// Its methods, sorted and each once; none for any.
    pub(super) methods: Vec<String>,
    pub(super) path: PathPattern,
    /// The path as it is written, and what stands before it.
    pub(super) written: String,
    pub(super) before: String,
    pub(super) span: Range<usize>,
}

/// Whether a key under `[routes]` is a path: it begins with a slash or a method.
pub(crate) fn is_path(key: &str) -> bool {
    let method = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_,".contains(&b);
    let methods =
        |word: &str| word.starts_with(|c: char| c.is_ascii_uppercase()) && word.bytes().all(method);
    key.starts_with('/') || key.split_once(' ').is_some_and(|(word, _)| methods(word))
}

/// What stands before the path of a key, a space left out, and the path.
pub(super) fn split(key: &str) -> (&str, &str) {
    if key.starts_with('/') {
        return ("", key);
    }
    match key.find(" /") {
        Some(at) => (&key[..at], &key[at + 1..]),
        None => key.rsplit_once(' ').unwrap_or(("", key)),
    }
}

/// Reads a key that [`is_path`].
pub(super) fn read(item: &Item<'_>, faults: &mut Faults) -> Option<Key> {
    let (before, written) = split(item.key);
    let methods = methods(before, written, item, faults);
    let before = match before {
        "" => String::new(),
        before => format!("{before} "),
    };
    let path = patterns::path(item, &before, written, faults)?;
    let (written, span) = (written.to_owned(), item.span());
    Some(Key { methods: methods?, path, written, before, span })
}

fn methods(before: &str, path: &str, item: &Item<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    if before.is_empty() {
        return Some(Vec::new());
    }
    let names = || before.split([',', ' ']).filter(|name| !name.is_empty());
    let tidy = names().collect::<Vec<_>>().join(",");
    if tidy != before && !tidy.is_empty() {
        let message = format!("{}: expected methods, a space and a path", quoted(item.key));
        let suggestion = format!("write {}", quoted(&format!("{tidy} {path}")));
        faults.push(Diagnostic::error(codes::METHOD, item.span(), message).suggest(suggestion));
        return None;
    }
    let count = before.split(',').count();
    if count > limits::ROUTE_METHODS {
        too_many(item, "methods of a route", count, limits::ROUTE_METHODS, faults);
        return None;
    }
    let mut methods = Vec::new();
    for name in before.split(',') {
        // In the whole of the key, so that it can be typed.
        let write = |meant: &str| {
            let other = |one| if one == name { meant } else { one };
            let all: Vec<_> = before.split(',').map(other).collect();
            quoted(&format!("{} {path}", all.join(",")))
        };
        methods.push(methods::of_route(name, item.span(), write, faults));
    }
    let mut methods = methods.into_iter().collect::<Option<Vec<_>>>()?;
    methods.sort_unstable();
    methods.dedup();
    Some(methods)
}
