//! Slips of the pen in a line that is not TOML, and what to write instead.
//!
//! A line is repaired by itself: what is suggested is TOML, and the line as it stands is not. So nothing is suggested where
//! the fault lies in the lines above, such as an array that was left open.

use crate::item::quoted;

/// Characters that word processors make of straight quotes.
pub(crate) const CURLY: [char; 8] = ['“', '”', '„', '‟', '‘', '’', '«', '»'];

/// What else stands between a key and its value, the longer ones first.
const SEPARATORS: [&str; 6] = ["==", ":=", "=>", "->", "=", ":"];

/// What may follow a value: nothing, a comment, or how lines end elsewhere.
const ENDS: [&str; 4] = ["#", "//", ";", ","];

/// The line as it should be, if it can be told; `is_toml` says whether a text is TOML.
pub(crate) fn repaired(line: &str, is_toml: impl Fn(&str) -> bool) -> Option<String> {
    if is_toml(line) {
        return None;
    }
    if let Some(comment) = line.trim().strip_prefix("//") {
        return Some(format!("#{comment}"));
    }
    let straight = line.trim().replace(CURLY, "\"");
    let candidates = match straight.strip_prefix('[') {
        Some(header) => headers(header),
        None => pairs(&straight)?,
    };
    candidates.into_iter().find(|candidate| is_toml(candidate))
}

/// What was perhaps meant by a header, which is given without its first bracket.
fn headers(header: &str) -> [String; 2] {
    let (open, close) = if header.starts_with('[') { ("[[", "]]") } else { ("[", "]") };
    let end = ENDS.iter().filter_map(|end| header.find(end)).min().unwrap_or(header.len());
    let name = header.get(..end).unwrap_or_default();
    let name = name.trim_matches(|c: char| matches!(c, '[' | ']') || c.is_whitespace());
    let dotted = name.split_whitespace().collect::<Vec<_>>().join(".");
    // Hosts and paths stand in quotes.
    let apart = match header.split_once('.') {
        Some((top, _)) => {
            let rest = name.get(top.len() + 1..).unwrap_or_default();
            format!("{top}.{}", quoted(rest.trim_matches(['"', '\''])))
        }
        None => name.to_owned(),
    };
    [dotted, apart].map(|name| format!("{open}{name}{close}"))
}

/// What was perhaps meant by a key and its value.
fn pairs(line: &str) -> Option<[String; 2]> {
    let (key, value) = halves(line)?;
    let value = value.trim();
    let values = match value.chars().next()? {
        quote @ ('"' | '\'') => texts(value, quote),
        '[' | '{' => brackets(value),
        _ => bare(value),
    };
    Some(values?.map(|value| format!("{key} = {value}")))
}

/// A value that begins with a quote.
fn texts(value: &str, quote: char) -> Option<[String; 2]> {
    let inner = value.get(1..)?;
    let (inner, rest) = match inner.rsplit_once(quote) {
        Some((inner, rest)) => (inner, rest.trim()),
        None => (inner.trim_end_matches([';', ',']), ""),
    };
    // Several texts are an array of them; backslashes mean themselves between single quotes.
    let values = match inner.contains(quote) {
        true => [format!("[{quote}{inner}{quote}]"), String::new()],
        false => [format!("\"{inner}\""), format!("'{inner}'")],
    };
    ends(rest).then_some(values)
}

/// An array or a table within a line.
fn brackets(value: &str) -> Option<[String; 2]> {
    let Some(end) = value.rfind([']', '}']) else {
        // It may go on in the next line.
        let whole = value.starts_with('[') && !value.ends_with(['[', ',']);
        return whole.then(|| [format!("{value}]"), format!("{value}\"]")]);
    };
    let (inner, rest) = value.split_at_checked(end + 1)?;
    let (before, close) = inner.split_at_checked(end)?;
    ends(rest.trim()).then(|| [inner.to_owned(), format!("{}\"{close}", before.trim_end())])
}

/// A value without quotes.
fn bare(value: &str) -> Option<[String; 2]> {
    let end = [" #", " //"].iter().filter_map(|end| value.find(end)).min();
    let value = value.get(..end.unwrap_or(value.len()))?.trim_end();
    let value = value.trim_end_matches([';', ',']).trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| [value.to_owned(), quoted(value)])
}

/// Whether this may stand behind a value.
fn ends(rest: &str) -> bool {
    rest.is_empty() || ENDS.iter().any(|end| rest.starts_with(end))
}

/// The key, in quotes where it needs them, and what stands behind the sign that parts it from its value.
fn halves(line: &str) -> Option<(String, &str)> {
    if let Some(open) = line.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let end = 1 + line.get(1..)?.find(open)? + 1;
        let (key, rest) = line.split_at_checked(end)?;
        let rest = rest.trim_start();
        let value = SEPARATORS.iter().find_map(|sign| rest.strip_prefix(sign));
        let value = value.or(Some(rest).filter(|rest| rest.starts_with(['"', '\''])))?;
        return Some((key.to_owned(), value));
    }
    // The first that there is; a colon within a word parts nothing.
    let place = |sign: &&str| {
        let at = line.find(*sign)?;
        let parts = *sign != ":" || line.get(at + 1..)?.starts_with([' ', '"', '[', '{']);
        parts.then_some((at, sign.len()))
    };
    let found = SEPARATORS.iter().filter_map(place).min_by_key(|(at, _)| *at);
    let (key, value) = match found {
        Some((at, length)) => (line.get(..at)?.trim(), line.get(at + length..)?),
        None => line.split_once(' ')?,
    };
    let key = key.trim_matches(['"', '\'']);
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if key.is_empty() {
        return None;
    }
    let is_bare = key.chars().all(bare);
    // Without a sign between them only two words are a key and its value.
    let alone = found.is_some() || (is_bare && !value.trim().contains(char::is_whitespace));
    let key = if is_bare { key.to_owned() } else { quoted(key) };
    alone.then_some((key, value))
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    #[test]
    fn lines() {
        let pair = Some("\"/users/*\" = \"users\"");
        let listen = Some("listen = \"127.0.0.1:8080\"");
        for (line, expected) in [
            ("/users/* = users", pair),
            ("“/users/*” = “users”", pair),
            ("/users/*\" = \"users", pair),
            ("  \"/users/*\" = \"users,", pair),
            ("\"/users/*\": \"users\"", pair),
            ("\"/users/*\" -> \"users\"", pair),
            ("'/users/*' => users;", Some("'/users/*' = \"users\"")),
            ("/users/*: users  # mine", pair),
            ("\"/users/*\" = \"users\"; // mine", pair),
            ("// mine", Some("# mine")),
            ("//", Some("#")),
            ("GET /a = 'users'", Some("\"GET /a\" = \"users\"")),
            ("listen 127.0.0.1:8080", listen),
            ("listen: \"127.0.0.1:8080\"", listen),
            ("listen = 127.0.0.1:8080\"", listen),
            ("a = [“b”, ‘c’]", Some("a = [\"b\", \"c\"]")),
            ("a = ['b'],", Some("a = ['b']")),
            ("a = [\"b\"", Some("a = [\"b\"]")),
            ("a = [\"b]", Some("a = [\"b\"]")),
            ("a = [\"b", Some("a = [\"b\"]")),
            ("a = \"b\", \"c\"", Some("a = [\"b\", \"c\"]")),
            ("a == \"b\"", Some("a = \"b\"")),
            ("\"/users/*\" \"users\"", pair),
            ("a = [", None),
            ("a = [\"b\",", None),
            ("a = \"^/a\\.php$\"", Some("a = '^/a\\.php$'")),
            ("workers: 4", Some("workers = 4")),
            ("[routes", Some("[routes]")),
            ("[services users] # mine", Some("[services.users]")),
            ("[[tests]", Some("[[tests]]")),
            ("[[tests", Some("[[tests]]")),
            ("[routes./users/*]", Some("[routes.\"/users/*\"]")),
            ("[routes.*.example.com]", Some("[routes.\"*.example.com\"]")),
            // These are TOML, or nobody knows.
            ("listen = \"a\"", None),
            ("[routes]", None),
            ("listen =", None),
            ("listen", None),
            ("\"127.0.0.1:9001\"", None),
            ("one two three", None),
            ("= 3", None),
            ("“", None),
            ("[", None),
            ("", None),
        ] {
            let found = repaired(line, |text| DeTable::parse_recoverable(text).1.is_empty());
            assert_eq!(found.as_deref(), expected, "{line:?}");
        }
    }
}
