//! Where a key stands in a request: found there, and taken out before the request goes on.
//!
//! Whoever stands behind the gateway may read a request in another way. So what stands in one place twice is nobody's key, be it
//! the same twice; and a key is taken out of every place where it could stand, not only of the one that decided.

use crate::base::limits;
use crate::http::cookie;
use crate::http::head::{Field, Head, Request, Span};
use crate::http::hop::Role;
use crate::http::query;
use crate::policy::credential::KeyDigest;
use crate::snapshot::plan::KeyPlace;

/// What a request shows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// The key of this digest.
    Key(KeyDigest),
    /// What is nobody's key: there are two, or it is longer than [`limits::KEY_BYTES_MAX`].
    Nobodys,
}

/// What the first place says that has anything. `query`: what stands behind the `?`.
#[inline]
pub fn shown(places: &[KeyPlace], head: &Head, query: &[u8]) -> Shown {
    for place in places {
        match shown_at(place, head, query) {
            Shown::Nothing => {}
            shown => return shown,
        }
    }
    Shown::Nothing
}

fn shown_at(place: &KeyPlace, head: &Head, query: &[u8]) -> Shown {
    match place {
        KeyPlace::Header(name) => plain(values(head, name)),
        KeyPlace::Cookie(name) => {
            let pairs = values(head, cookie::NAME).flat_map(cookie::pairs);
            plain(pairs.filter(|(named, _)| *named == name.as_bytes()).map(|(_, value)| value))
        }
        KeyPlace::Query(name) => {
            let pairs = query::pairs(query).filter(|(named, _)| query::is_plain(named, name));
            let mut values = pairs.map(|(_, value)| value);
            match (values.next(), values.next()) {
                (None | Some([]), None) => Shown::Nothing,
                // Most have nothing to undo.
                (Some(value), None) if !value.iter().any(|byte| matches!(byte, b'%' | b'+')) => {
                    plain([value].into_iter())
                }
                (Some(value), None) if query::plain(value).count() <= limits::KEY_BYTES_MAX => {
                    Shown::Key(KeyDigest::of_bytes(query::plain(value)))
                }
                _ => Shown::Nobodys,
            }
        }
    }
}

/// What there is to see of a key that may stand here and there as it is.
#[inline]
fn plain<'h>(mut values: impl Iterator<Item = &'h [u8]>) -> Shown {
    match (values.next(), values.next()) {
        (None | Some([]), None) => Shown::Nothing,
        (Some(value), None) if value.len() <= limits::KEY_BYTES_MAX => {
            Shown::Key(KeyDigest::of(value))
        }
        _ => Shown::Nobodys,
    }
}

/// The values of the fields of this name.
#[inline]
fn values<'h>(head: &'h Head, name: &str) -> impl Iterator<Item = &'h [u8]> {
    let named = head.fields.iter().filter(move |field| is_named(head, field, name));
    named.map(|field| head.bytes(field.value))
}

#[inline]
fn is_named(head: &Head, field: &Field, name: &str) -> bool {
    head.bytes(field.name).eq_ignore_ascii_case(name.as_bytes())
}

/// Takes keys out of all these places. What else there is stays byte by byte.
pub fn take_off(places: &[KeyPlace], head: &mut Head, request: &mut Request) {
    for place in places {
        match place {
            KeyPlace::Query(name) => request.take_off_query(head, name),
            KeyPlace::Header(name) => {
                each_named(head, name, |head, at| head.fields[at].role = Role::HopByHop);
            }
            KeyPlace::Cookie(name) => {
                each_named(head, cookie::NAME, |head, at| take_off_cookie(head, at, name));
            }
        }
    }
}

fn each_named(head: &mut Head, name: &str, mut then: impl FnMut(&mut Head, usize)) {
    for at in 0..head.fields.len() {
        if is_named(head, &head.fields[at], name) {
            then(head, at);
        }
    }
}

fn take_off_cookie(head: &mut Head, at: usize, name: &str) {
    let all = head.fields[at].value.range();
    let left = cookie::take_off(&mut head.page[all.clone()], name);
    let value = &head.page[all.start..all.start + left];
    let start = all.start + (left - value.trim_ascii_start().len());
    let field = &mut head.fields[at];
    field.value = Span::new(start..all.start + left);
    if field.value.is_empty() && !all.is_empty() {
        field.role = Role::HopByHop;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse::{self, RequestLimits};

    fn parsed(target: &str, fields: &str) -> (Head, Request) {
        let mut head = Head::with_capacity(16_384);
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        head.page.extend_from_slice(text.as_bytes());
        let most = RequestLimits { head_bytes: 16_384, ..RequestLimits::default() };
        let request = parse::request(&mut head, &most).unwrap().unwrap();
        (head, request)
    }

    fn places(text: &str) -> Vec<KeyPlace> {
        let place = |word: &str| match word.split_once(':').unwrap() {
            ("header", name) => KeyPlace::Header(name.into()),
            ("query", name) => KeyPlace::Query(name.into()),
            ("cookie", name) => KeyPlace::Cookie(name.into()),
            other => unreachable!("{other:?}"),
        };
        text.split(' ').map(place).collect()
    }

    #[track_caller]
    fn check(at: &str, target: &str, fields: &str, expected: &str) {
        let (head, request) = parsed(target, fields);
        let query = &request.target(&head)[request.path_len..];
        let expected = match expected {
            "" => Shown::Nothing,
            "nobody's" => Shown::Nobodys,
            key => Shown::Key(KeyDigest::of(key.as_bytes())),
        };
        let query = query.strip_prefix(b"?").unwrap_or_default();
        assert_eq!(shown(&places(at), &head, query), expected, "{target} {fields}");
    }

    #[test]
    fn in_a_header() {
        const AT: &str = "header:x-key";
        check(AT, "/", "X-KEY:  secret \r\n", "secret");
        check(AT, "/", "", "");
        check(AT, "/", "X-Key:\r\n", "");
        check(AT, "/?x-key=secret", "Cookie: x-key=secret\r\n", "");
        check(AT, "/", "X-Key: a, b\r\n", "a, b");
        check(AT, "/", "x-key: a\r\nX-Key: a\r\n", "nobody's");
        check(AT, "/", "x-key: a\r\nX-Key:\r\n", "nobody's");
        check(AT, "/", "x_key: a\r\n", "");
        check(AT, "/", "x-key: a\r\nConnection: x-key\r\n", "a");
        let long = |length| format!("x-key: {}\r\n", "k".repeat(length));
        check(AT, "/", &long(limits::KEY_BYTES_MAX), &"k".repeat(limits::KEY_BYTES_MAX));
        check(AT, "/", &long(limits::KEY_BYTES_MAX + 1), "nobody's");
    }

    #[test]
    fn in_a_query() {
        const AT: &str = "query:k";
        check(AT, "/?a=1&k=secret&b", "", "secret");
        check(AT, "/?%6B=s%65cret%2B+", "", "secret+ ");
        check(AT, "/?k", "", "");
        check(AT, "/?k=", "", "");
        check(AT, "/?K=a&kk=b", "k: c\r\n", "");
        check(AT, "/?k=a&k=a", "", "nobody's");
        check(AT, "/?k=a&%6b", "", "nobody's");
        check(AT, "/k=a", "", "");
        check(AT, &format!("/?k={}", "k".repeat(limits::KEY_BYTES_MAX + 1)), "", "nobody's");
    }

    /// RFC 6265 §4.2.
    #[test]
    fn in_a_cookie() {
        const AT: &str = "cookie:k";
        check(AT, "/", "Cookie: a=1; k=secret; b=2\r\n", "secret");
        check(AT, "/", "Cookie: k=\"secret\"\r\n", "secret");
        check(AT, "/", "Cookie: a=1\r\nCookie: k=secret\r\n", "secret");
        check(AT, "/", "Cookie: k=\"\"\r\n", "");
        check(AT, "/", "Cookie: K=a; kk=b; k\r\n", "");
        check(AT, "/", "Cookie: k=a; k=b\r\n", "nobody's");
        check(AT, "/", "Cookie: k=a\r\ncookie: k=\r\n", "nobody's");
    }

    #[test]
    fn the_first_place_that_has_anything_decides() {
        const AT: &str = "header:x-key query:k cookie:k";
        check(AT, "/?k=b", "X-Key: a\r\nCookie: k=c\r\n", "a");
        check(AT, "/?k=b", "X-Key:\r\nCookie: k=c\r\n", "b");
        check(AT, "/?k=", "Cookie: k=c\r\n", "c");
        check(AT, "/?k=b", "X-Key: a\r\nX-Key: a\r\n", "nobody's");
    }

    #[test]
    fn the_rest_of_a_request_stays() {
        let (mut head, mut request) = parsed(
            "/p?k=1&a=%2f&%6b=2",
            "X-Key: s\r\nx-key: t\r\nCookie: k=1; a=\"2\";  b\r\nCookie: k=3\r\nAccept: */*\r\n",
        );
        take_off(&places("header:x-key query:k cookie:k"), &mut head, &mut request);
        assert_eq!(request.target(&head), b"/p?a=%2f");
        let left = head.fields.iter().filter(|field| field.role == Role::EndToEnd);
        let left = left.map(|field| (head.bytes(field.name), head.bytes(field.value)));
        let expected: [(&[u8], &[u8]); 2] = [(b"Cookie", b"a=\"2\";  b"), (b"Accept", b"*/*")];
        assert_eq!(left.collect::<Vec<_>>(), expected);
        // In the side buffer it is the same.
        let (mut head, mut request) = parsed("/./p?k=1&b", "");
        take_off(&places("query:k"), &mut head, &mut request);
        assert_eq!((request.target(&head), request.path(&head)), (&b"/p?b"[..], &b"/p"[..]));
    }
}
