//! What each code means, at length: why it is so, a file that is wrong and one that is right.
//!
//! The texts lie in `help/`, one a code. The tests read their examples: the wrong one has faults of that code alone, the
//! right one none.

macro_rules! texts {
    ($($code:ident)*) => {
        &[$((stringify!($code), include_str!(concat!("help/", stringify!($code), ".txt")))),*]
    };
}

const TEXTS: &[(&str, &str)] = texts! {
    E0001 E0002 E0003 E0004 E0005 E0006 E0007 E0008 E0009 E0010 E0011 E0012 E0013 E0014 E0015 E0016 E0017 E0018 E0019 E0020
    E0021 E0022 E0023 E0024 E0025 E0026 E0027 E0028 E0029 E0030 E0031
    E0040 E0041 E0042 E0043 E0044 E0045 E0046 E0047 E0048 E0049 E0050 E0051
    E0060 E0061
    E0070 E0071 E0072 E0073 E0074 E0075 E0076 E0077
    W0001 W0002 W0003 W0004 W0005 W0010 W0011 W0012 W0013 W0014 W0015 W0016 W0017 W0018
    W0020 W0021 W0022 W0023 W0024
};

/// What a code of a diagnostic means, in lines; upper and lower case are the same. None if there is no such code.
pub fn help(code: &str) -> Option<&'static str> {
    let found = TEXTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(code));
    found.map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codes, parse};

    /// What no single text in TOML can show: a file that cannot be read, one that is not UTF-8, what takes several files, or
    /// hundreds of instances.
    const WITHOUT_EXAMPLES: [&str; 7] = [
        codes::UNREADABLE,
        codes::NOT_UTF8,
        codes::TWO_FILES,
        codes::NOT_INCLUDED,
        codes::INCLUDED_TWICE,
        codes::NO_FILE,
        codes::TOO_MANY_PROBES,
    ];

    /// The lines below a title, without what indents them.
    fn example(text: &str, title: &str) -> Option<String> {
        let (_, below) = text.split_once(&format!("\n{title}:\n\n"))?;
        let lines = below.lines().map_while(|line| line.strip_prefix("    "));
        Some(lines.map(|line| format!("{line}\n")).collect())
    }

    #[test]
    fn every_code_has_a_text() {
        let known: Vec<_> = TEXTS.iter().map(|(code, _)| *code).collect();
        assert_eq!(known, codes::ALL);
        for (code, text) in TEXTS {
            let title = text.lines().next().unwrap();
            assert!(title.starts_with(&format!("{code}: ")), "{title}");
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{code}");
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{code}");
        }
        assert!(help("e0012").is_some_and(|text| text.starts_with("E0012: ")));
        assert_eq!((help("E9999"), help("")), (None, None));
    }

    #[test]
    fn examples_are_wrong_and_right() {
        for (code, text) in TEXTS {
            let examples = example(text, "Wrong").zip(example(text, "Right"));
            assert_eq!(examples.is_none(), WITHOUT_EXAMPLES.contains(code), "{code}");
            let Some((wrong, right)) = examples else { continue };
            let report = parse("wrong.toml", &wrong).report;
            let found: Vec<_> = report.diagnostics().iter().map(|fault| fault.code).collect();
            let alone = !found.is_empty() && found.iter().all(|found| found == code);
            assert!(alone, "{code}:\n{}", report.render(false));
            let report = parse("right.toml", &right).report;
            assert!(report.diagnostics().is_empty(), "{code}:\n{}", report.render(false));
        }
    }
}
