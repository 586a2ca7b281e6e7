//! Cookies as a client sends them (RFC 6265 §4.2): `name=value` pairs in a `Cookie` field, with `; ` between them.

use crate::http::query::retain;

/// The name of the field.
pub const NAME: &str = "cookie";

/// The name and the value of each pair, without white space around them. A pair of quotes around a value is no part of it (RFC 6265
/// §4.1.1 has them around the octets).
pub fn pairs(field: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    field.split(|byte| *byte == b';').filter_map(split_pair)
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let value = pair[at + 1..].trim_ascii();
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    Some((pair[..at].trim_ascii(), inner.unwrap_or(value)))
}

/// Takes every cookie of this name out of a field; what else there is stays byte by byte. Gives the new length.
#[must_use]
pub fn take_off(field: &mut [u8], name: &str) -> usize {
    let is_other = |pair: &[u8]| split_pair(pair).is_none_or(|(named, _)| named != name.as_bytes());
    retain(field, b';', is_other).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6265 §4.2.1, §4.1.1.
    #[test]
    fn pairs_of_a_field() {
        let all = |field: &'static str| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let pairs =
                pairs(field.as_bytes()).map(|(name, value)| text(name) + ":" + &text(value));
            pairs.collect::<Vec<_>>().join(",")
        };
        assert_eq!(all("SID=31d4; lang=en-US"), "SID:31d4,lang:en-US");
        assert_eq!(all("a=\"b\";c=\"d; e = f=g ;;h"), "a:b,c:\"d,e:f=g");
        assert_eq!(all("a=\"\"; b=\"; =c"), "a:,b:\",:c");
    }

    #[test]
    fn a_cookie_goes_and_the_rest_stays_byte_by_byte() {
        for (field, expected) in [
            ("k=1", ""),
            ("k=1; a=2", "a=2"),
            ("a=2; k=\"1\"; b=3", "a=2; b=3"),
            ("a=2; k=1", "a=2"),
            ("a=2;k=1;b=3", "a=2;b=3"),
            (" k = 1 ;a=\"x\"", "a=\"x\""),
            ("k=1; k=2", ""),
            ("K=1; kk=2; k", "K=1; kk=2; k"),
        ] {
            let mut left = field.as_bytes().to_vec();
            let length = take_off(&mut left, "k");
            assert_eq!(left[..length].trim_ascii(), expected.as_bytes(), "{field}");
        }
    }
}
