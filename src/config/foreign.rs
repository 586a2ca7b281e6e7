//! Files in other languages: YAML, JSON, or what other proxies have.

use crate::codes;
use crate::report::Diagnostic;
use crate::words::MINIMAL;

/// The one fault of a file in another language; what the parser says of its lines helps nobody.
pub(crate) fn foreign(text: &str) -> Option<Diagnostic> {
    let mut lines = text.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let language = language(first)?;
    let start = text.find(first)?;
    let help = format!("this looks like {language}; coregate reads TOML, such as\n{MINIMAL}");
    let fault = Diagnostic::error(codes::SYNTAX, start..start + first.len(), "not TOML");
    Some(fault.suggest(help))
}

/// The language that a file is in whose first line is this, if it is not TOML.
fn language(line: &str) -> Option<&'static str> {
    let word = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let pair = line.split_once(':');
    let mut words = line.split_whitespace();
    let section = matches!(words.next(), Some("global" | "defaults" | "frontend" | "backend"))
        && words.clone().count() < 2
        && words.all(word);
    if line.starts_with('{') {
        Some("JSON")
    } else if !line.contains('=') && line.ends_with(['{', ';']) {
        Some("the language of nginx or Caddy")
    } else if section {
        Some("the language of HAProxy")
    } else if line == "---"
        || pair.is_some_and(|(key, rest)| word(key) && (rest.is_empty() || rest.starts_with(' ')))
    {
        Some("YAML")
    } else {
        None
    }
}
