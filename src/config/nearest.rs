//! "Did you mean": the known word nearest to an unknown one.

/// Longer words are not compared: the distance costs the product of the lengths.
const LENGTH_MAX: usize = 64;

/// Candidates that are looked at: a file with many services and many faults must not take minutes to refuse.
const CANDIDATES_MAX: usize = 1_000;

/// The candidate that differs least from `word`, unless all differ in more than a third of it.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    if word.len() > LENGTH_MAX {
        return None;
    }
    let most = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(CANDIDATES_MAX)
        .filter(|candidate| candidate.len() <= LENGTH_MAX)
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
