//! What operators and clients wrote, as it is shown: on one line, with nothing in it that a terminal obeys.

use std::fmt::{self, Write};

/// A text whose control characters are shown as escapes.
#[derive(Debug, Clone, Copy)]
pub struct Plain<'t>(pub &'t str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(char::is_control) {
            return f.write_str(self.0);
        }
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_debug()),
            false => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escapes() {
        for (text, shown) in
            [("a b", "a b"), ("a\nb", "a\\nb"), ("\u{1b}[31m\"é", "\\u{1b}[31m\"é")]
        {
            assert_eq!(Plain(text).to_string(), shown);
        }
    }
}
