//! "Did you mean": the known word nearest to an unknown one.

use coregate_core::base::limits;

/// The candidate that differs least from `word`, unless all differ in more than a third of it.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    if word.len() > limits::NEAREST_WORD_BYTES {
        return None;
    }
    let most = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(limits::NEAREST_CANDIDATES)
        .filter(|candidate| candidate.len() <= limits::NEAREST_WORD_BYTES)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        for (word, expected) in [
            ("instnaces", Some("instances")),
            ("too", Some("to")),
            ("t", Some("to")),
            ("xy", None),
            ("Timeout", Some("timeout")),
            ("elephant", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, ["instances", "to", "timeout"]), expected, "{word:?}");
        }
        assert_eq!(nearest(&"a".repeat(1000), ["a"]), None);
    }
}
