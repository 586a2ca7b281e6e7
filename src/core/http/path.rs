//! The one normal form of a host and of a target: matched, authenticated, logged and forwarded alike.
//!
//! Path: dot segments resolved (above the root is a fault, never clamped), escapes of unreserved characters decoded, other
//! escapes kept with upper-case digits, repeated slashes kept, `%2F` and `%5C` never decoded. Characters that RFC 3986
//! does not allow in a path but that clients send (`|`, `"`, `{` ...) are escaped; a raw backslash in the path, a control
//! character, raw or escaped, a byte above 0x7E and a bad escape are faults. Query: kept, with such characters escaped; its
//! own escapes stay byte by byte, since signatures of requests are made over them.
//!
//! Sources: RFC 3986 §2.3, §5.2.4, §6.2.2; the policy is a decision of `src/README.md`.

use std::net::Ipv6Addr;
use std::ops::Range;

use crate::base::limits;

/// Why a target or a host has no normal form. All of them are the sender's fault: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    /// The path does not begin with a slash.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// A `%` without two hexadecimal digits.
    #[error("a % without two hexadecimal digits")]
    BadEscape,
    /// A control character, a space, a backslash in the path, `#`, or a byte above 0x7E.
    #[error("a character that may not stand in a target")]
    BadCharacter,
    /// `..` above the root.
    #[error("the path climbs above its root")]
    AboveRoot,
    /// A host that is empty, too long, or has a character that no host name has.
    #[error("not a host name or address")]
    BadHost,
    /// A port that is no number up to 65535.
    #[error("not a port")]
    BadPort,
}

/// What [`normal_target`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The target is in normal form already; its path has this length.
    Same {
        /// Length of the path, without `?` and query.
        path_len: usize,
    },
    /// The normal form was written to `out`; its path has this length.
    Rewritten {
        /// Length of the path, without `?` and query.
        path_len: usize,
    },
}

const PLAIN: u8 = 1; // stands as it is, in path and query
const ESCAPE: u8 = 2; // must be written as an escape
const BAD: u8 = 3;
const SPECIAL: u8 = 4; // `%`, `.`, `?`: the caller looks closer
const BACKSLASH: u8 = 5;

/// The class of each byte in a target.
static CLASS: [u8; 256] = {
    let mut table = [BAD; 256];
    let mut byte = 0x21;
    while byte < 0x7F {
        table[byte] = match byte as u8 {
            b'%' | b'.' | b'?' => SPECIAL,
            b'#' => BAD,
            b'\\' => BACKSLASH,
            b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => ESCAPE,
            _ => PLAIN,
        };
        byte += 1;
    }
    table
};

/// Brings an origin-form target (path and query) into normal form. `out` is cleared and used only if it changes.
pub fn normal_target(raw: &[u8], out: &mut Vec<u8>) -> Result<Target, FormFault> {
    if raw.first() != Some(&b'/') {
        return Err(FormFault::NotAbsolute);
    }
    match plain_path(raw) {
        Some(path_len) => Ok(Target::Same { path_len }),
        None => rewrite(raw, out).map(|path_len| Target::Rewritten { path_len }),
    }
}

/// The length of the path if the whole target is in normal form; `None` if somebody must look closer.
fn plain_path(raw: &[u8]) -> Option<usize> {
    let mut previous = 0u8;
    for (at, &byte) in raw.iter().enumerate() {
        match CLASS[byte as usize] {
            PLAIN => {}
            SPECIAL if byte == b'.' && previous != b'/' => {}
            SPECIAL if byte == b'?' => return is_plain_query(&raw[at + 1..]).then_some(at),
            _ => return None,
        }
        previous = byte;
    }
    Some(raw.len())
}

fn is_plain_query(query: &[u8]) -> bool {
    let mut bytes = query.iter();
    while let Some(&byte) = bytes.next() {
        let plain = match CLASS[byte as usize] {
            PLAIN => true,
            SPECIAL if byte == b'%' => {
                let mut digit = || bytes.next().is_some_and(u8::is_ascii_hexdigit);
                digit() && digit()
            }
            class => class == SPECIAL,
        };
        if !plain {
            return false;
        }
    }
    true
}

fn rewrite(raw: &[u8], out: &mut Vec<u8>) -> Result<usize, FormFault> {
    out.clear();
    let end = raw.iter().position(|&byte| byte == b'?').unwrap_or(raw.len());
    let mut rest = &raw[..end];
    while !rest.is_empty() {
        // One segment with the slash before it.
        let length = 1 + rest[1..].iter().position(|&b| b == b'/').unwrap_or(rest.len() - 1);
        let (segment, after) = rest.split_at(length);
        let start = out.len();
        copy_part(segment, Part::Path, out)?;
        match &out[start..] {
            b"/." => {
                out.truncate(start);
                if after.is_empty() {
                    out.push(b'/');
                }
            }
            b"/.." => {
                out.truncate(start);
                let parent = out.iter().rposition(|&b| b == b'/').ok_or(FormFault::AboveRoot)?;
                out.truncate(parent);
                if after.is_empty() {
                    out.push(b'/');
                }
            }
            _ => {}
        }
        rest = after;
    }
    let path_len = out.len();
    copy_part(&raw[end..], Part::Query, out)?;
    Ok(path_len)
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Path,
    Query,
}

/// Copies a piece of a path or a query, with the escapes it should have.
fn copy_part(raw: &[u8], part: Part, out: &mut Vec<u8>) -> Result<(), FormFault> {
    let mut at = 0;
    while at < raw.len() {
        let byte = raw[at];
        match CLASS[byte as usize] {
            PLAIN => out.push(byte),
            SPECIAL if byte != b'%' => out.push(byte),
            SPECIAL => {
                let escape = raw.get(at + 1..at + 3).ok_or(FormFault::BadEscape)?;
                let value = hex(escape[0])? << 4 | hex(escape[1])?;
                match part {
                    Part::Query => out.extend_from_slice(&raw[at..at + 3]),
                    Part::Path if value < 0x20 || value == 0x7F => {
                        return Err(FormFault::BadCharacter);
                    }
                    Part::Path if is_unreserved(value) => out.push(value),
                    Part::Path => push_escape(value, out),
                }
                at += 2;
            }
            ESCAPE => push_escape(byte, out),
            BACKSLASH if part == Part::Query => push_escape(byte, out),
            _ => return Err(FormFault::BadCharacter),
        }
        at += 1;
    }
    Ok(())
}

fn push_escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

fn hex(digit: u8) -> Result<u8, FormFault> {
    (digit as char).to_digit(16).map(|value| value as u8).ok_or(FormFault::BadEscape)
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A host and, if one stood there, its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Where the host stands in the bytes given, without port and trailing dot; brackets of an IPv6 address included.
    pub name: Range<usize>,
    /// The port, if there is one.
    pub port: Option<u16>,
}

/// Brings `host [ ":" port ]` into normal form: lower case (written in place), no trailing dot, the port a number.
///
/// Refused: an empty host, user information, characters that no name has (RFC 9110 §7.2, RFC 9112 §3.2: such a request
/// is answered with 400). An underscore is allowed: names of containers have it.
pub fn normal_host(authority: &mut [u8]) -> Result<Host, FormFault> {
    let name_len = if authority.first() == Some(&b'[') {
        let close = authority.iter().position(|&b| b == b']').ok_or(FormFault::BadHost)?;
        let inner = std::str::from_utf8(&authority[1..close]).map_err(|_| FormFault::BadHost)?;
        inner.parse::<Ipv6Addr>().map_err(|_| FormFault::BadHost)?;
        close + 1
    } else {
        let length = authority.iter().position(|&b| b == b':').unwrap_or(authority.len());
        let legal = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if !authority[..length].iter().all(legal) {
            return Err(FormFault::BadHost);
        }
        length
    };
    let port = match &authority[name_len..] {
        [] | [b':'] => None,
        [b':', digits @ ..] => Some(port(digits)?),
        _ => return Err(FormFault::BadHost),
    };
    let name = &mut authority[..name_len];
    name.make_ascii_lowercase();
    let name_len = if name.ends_with(b".") { name_len - 1 } else { name_len };
    let name = &name[..name_len];
    if name.is_empty()
        || name_len > limits::HOST_BYTES
        || name.starts_with(b".")
        || name.ends_with(b".")
    {
        return Err(FormFault::BadHost);
    }
    Ok(Host { name: 0..name_len, port })
}

fn port(digits: &[u8]) -> Result<u16, FormFault> {
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FormFault::BadPort);
    }
    let value = digits.iter().fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    u16::try_from(value).map_err(|_| FormFault::BadPort)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(raw: &str) -> Result<String, FormFault> {
        let mut out = Vec::new();
        Ok(match normal_target(raw.as_bytes(), &mut out)? {
            Target::Same { path_len } => format!("={}", &raw[..path_len]),
            Target::Rewritten { .. } => String::from_utf8(out).unwrap(),
        })
    }

    #[track_caller]
    fn check(raw: &str, expected: Result<&str, FormFault>) {
        assert_eq!(normal(raw), expected.map(String::from), "{raw:?}");
    }

    #[test]
    fn targets() {
        use FormFault::*;
        check("/", Ok("=/"));
        check("/users/7", Ok("=/users/7"));
        check("/users/7?a=b.c", Ok("=/users/7"));
        check("/a.b/c..d", Ok("=/a.b/c..d"));
        check("/a/./b", Ok("/a/b"));
        check("/a/b/../c", Ok("/a/c"));
        check("/a/b/..", Ok("/a/"));
        check("/a/.", Ok("/a/"));
        check("/a//b", Ok("=/a//b"));
        check("/a//../b", Ok("/a/b"));
        check("/..", Err(AboveRoot));
        check("/a/../../b", Err(AboveRoot));
        check("/%2e%2e/x", Err(AboveRoot));
        check("/a/%2E./b", Ok("/b"));
        check("/%61%7e%2f%5c", Ok("/a~%2F%5C"));
        check("/%c0%af", Ok("/%C0%AF"));
        check("/%00", Err(BadCharacter));
        check("/%0d", Err(BadCharacter));
        check("/%zz", Err(BadEscape));
        check("/%2", Err(BadEscape));
        check("/?q=%", Err(BadEscape));
        check("/a\\b", Err(BadCharacter));
        check("/?a\\b", Ok("/?a%5Cb"));
        check("/a|b?{c}", Ok("/a%7Cb?%7Bc%7D"));
        check("/a#b", Err(BadCharacter));
        check("/a?b#c", Err(BadCharacter));
        check("/ä", Err(BadCharacter));
        check("/a b", Err(BadCharacter));
        check("a", Err(NotAbsolute));
        check("/...", Ok("/..."));
        check("/.hidden", Ok("/.hidden"));
        check("/?../..", Ok("=/"));
        check("/?%2f%00%7e", Ok("=/"));
        check("/.?%2f%7e|", Ok("/?%2f%7e%7C"));
        check("/?%2", Err(BadEscape));
        check("/?%g0", Err(BadEscape));
    }

    #[test]
    fn hosts() {
        let host = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            normal_host(&mut bytes)
                .map(|h| (String::from_utf8(bytes[h.name.clone()].to_vec()).unwrap(), h.port))
        };
        assert_eq!(host("Shop.Example.COM"), Ok(("shop.example.com".into(), None)));
        assert_eq!(host("shop.example.com.:8080"), Ok(("shop.example.com".into(), Some(8080))));
        assert_eq!(host("a:"), Ok(("a".into(), None)));
        assert_eq!(host("[::1]:80"), Ok(("[::1]".into(), Some(80))));
        assert_eq!(host("my_app"), Ok(("my_app".into(), None)));
        for bad in
            ["", ".", "a b", "a/b", "u@a", "a,b", ":80", "[::1", "[::1]x", "[a]", "a..", ".a", "ä"]
        {
            assert_eq!(host(bad), Err(FormFault::BadHost), "{bad:?}");
        }
        for bad in ["a:99999", "a:x", "a:+1", "a:000080", "a:80:81"] {
            assert_eq!(host(bad), Err(FormFault::BadPort), "{bad:?}");
        }
    }

    proptest! {
        /// The normal form is a fixed point, has no dot segment, and only characters that RFC 3986 allows.
        #[test]
        fn the_normal_form_is_stable(raw in "/[a-z./%25eEfF|?\\\\{]{0,24}") {
            let mut once = Vec::new();
            let form = match normal_target(raw.as_bytes(), &mut once) {
                Ok(Target::Same { .. }) => raw.clone().into_bytes(),
                Ok(Target::Rewritten { .. }) => once,
                Err(_) => return Ok(()),
            };
            let mut again = Vec::new();
            match normal_target(&form, &mut again).unwrap() {
                Target::Same { path_len } => {
                    prop_assert!(!form[..path_len].split(|b| *b == b'/').any(|s| s == b"." || s == b".."));
                }
                Target::Rewritten { .. } => prop_assert_eq!(&again, &form),
            }
            prop_assert!(form.iter().all(|b| matches!(CLASS[*b as usize], PLAIN | SPECIAL)));
        }

        #[test]
        fn no_bytes_panic(raw in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = normal_target(&raw, &mut Vec::new());
            let _ = normal_host(&mut raw.clone());
        }
    }
}
