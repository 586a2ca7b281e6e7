//! Queries, as forms write them: pairs of names and values, with escapes undone to be compared (WHATWG URL,
//! application/x-www-form-urlencoded).

/// The name and the value of each pair, as they came; empty pairs are none.
pub fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(split_pair)
}

/// The name and the value of `name=value`.
pub fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, &[]),
    }
}

/// Whether the text is this one once its escapes are undone.
pub fn is_plain(escaped: &[u8], expected: &str) -> bool {
    plain(escaped).eq(expected.bytes())
}

/// The bytes of a text whose escapes are undone, `+` being a space. What is no escape stands for itself.
pub fn plain(escaped: &[u8]) -> impl Iterator<Item = u8> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *escaped.get(at)?;
        at += 1;
        match byte {
            b'+' => Some(b' '),
            b'%' => {
                let digit = |at: usize| (*escaped.get(at)? as char).to_digit(16);
                let Some((high, low)) = digit(at).zip(digit(at + 1)) else { return Some(b'%') };
                at += 2;
                Some((high << 4 | low) as u8)
            }
            byte => Some(byte),
        }
    })
}

/// Takes every parameter of this name off a target whose path has this length; what else there is stays byte by byte. Gives the new
/// length: without anything left, the `?` goes too.
#[must_use]
pub fn take_off(target: &mut [u8], path_len: usize, name: &str) -> usize {
    let Some(query) = target.get_mut(path_len + 1..) else { return target.len() };
    let is_other = |pair: &[u8]| pair.is_empty() || !is_plain(split_pair(pair).0, name);
    path_len + retain(query, b'&', is_other).map_or(0, |left| 1 + left)
}

/// Moves the pieces of a text that are to stay to its front, with the separator between them. Gives the new length; `None`: no piece
/// stays.
pub(super) fn retain(
    text: &mut [u8],
    separator: u8,
    mut stays: impl FnMut(&[u8]) -> bool,
) -> Option<usize> {
    let (mut from, mut to) = (0, None);
    while from <= text.len() {
        let rest = &text[from..];
        let end = from + rest.iter().position(|byte| *byte == separator).unwrap_or(rest.len());
        if stays(&text[from..end]) {
            let at = to.map_or(0, |to| {
                text[to] = separator;
                to + 1
            });
            text.copy_within(from..end, at);
            to = Some(at + end - from);
        }
        from = end + 1;
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_goes_and_the_rest_stays_byte_by_byte() {
        for (target, expected) in [
            ("/p?k=1", "/p"),
            ("/p?k", "/p"),
            ("/p?k=1&a=%2f&b", "/p?a=%2f&b"),
            ("/p?a=%2f&k=1&b=+", "/p?a=%2f&b=+"),
            ("/p?a&&k=1", "/p?a&"),
            ("/p?&k=1&", "/p?&"),
            ("/p?%6b=1&%6B=2&kk=k=3", "/p?kk=k=3"),
            ("/p", "/p"),
            ("/p?", "/p?"),
            ("/p?a=k=1&K=2", "/p?a=k=1&K=2"),
        ] {
            let mut left = target.as_bytes().to_vec();
            let length = take_off(&mut left, 2, "k");
            left.truncate(length);
            assert_eq!(String::from_utf8(left).unwrap(), expected, "{target}");
        }
    }
}
