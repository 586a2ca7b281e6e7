//! The regular expressions of a configuration: each text is compiled once, and all of them together are bounded, so that the
//! worst file is checked in a short time and its routes take little memory.

use std::collections::HashMap;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Regex, RegexError};

use crate::codes;
use crate::item::{Item, quoted, shown};
use crate::read::text;
use crate::report::{Diagnostic, Faults};

/// Those that were read.
#[derive(Debug, Default)]
pub(super) struct Regexes<'t> {
    /// What became of each text.
    known: HashMap<&'t str, Result<Regex, RegexError>>,
    /// What it took to make them, in bytes.
    bytes: usize,
    /// There are too many, which was said: nothing is compiled any more.
    full: bool,
}

impl<'t> Regexes<'t> {
    /// Reads a regular expression.
    pub(super) fn read(&mut self, item: &Item<'t>, faults: &mut Faults) -> Option<Regex> {
        let text = text(item, "a regular expression", "^/a/[0-9]+$", faults)?;
        let compiled = match self.known.get(text) {
            Some(known) => known.clone(),
            None => self.compile(item, text, faults)?,
        };
        match compiled {
            Ok(regex) => Some(regex),
            Err(why @ RegexError::TooLarge) => {
                let suggestion =
                    "write a shorter one, such as [0-9]{1,10} for [0-9]{1,1000}".to_owned();
                item.refuse(codes::REGEX, why, Some(suggestion), faults)
            }
            Err(why @ RegexError::Syntax(_)) => {
                let suggestion = format!("for this text itself write {}", quoted(&literal(text)));
                item.refuse(codes::REGEX, why, Some(suggestion), faults)
            }
        }
    }

    /// Compiles a text that is not known yet; nothing if there are too many.
    fn compile(
        &mut self,
        item: &Item<'t>,
        text: &'t str,
        faults: &mut Faults,
    ) -> Option<Result<Regex, RegexError>> {
        if self.full {
            return None;
        }
        if self.known.len() >= limits::REGEXES {
            let most = limits::REGEXES;
            return self.too_many(item, &format!("more than {most} in all"), faults);
        }
        let compiled = text.parse::<Regex>();
        self.bytes += match &compiled {
            Ok(regex) => regex.made_of_bytes(),
            Err(RegexError::TooLarge) => limits::REGEX_AUTOMATON_BYTES,
            Err(RegexError::Syntax(_)) => 0,
        };
        self.known.insert(text, compiled.clone());
        let most = limits::REGEX_AUTOMATA_BYTES;
        if self.bytes > most {
            let what = format!("with those before it it takes more than {most} bytes to compile");
            return self.too_many(item, &what, faults);
        }
        Some(compiled)
    }

    fn too_many<T>(&mut self, item: &Item<'_>, what: &str, faults: &mut Faults) -> Option<T> {
        self.full = true;
        let message = format!("too many regular expressions at {}: {what}", shown(item.path()));
        let fault = Diagnostic::error(codes::TOO_MANY, item.value_span(), message);
        let suggestion = "write { prefix = \"...\" } or a path with parameters where they will do";
        faults.push(fault.suggest(suggestion.to_owned()));
        None
    }
}

/// The expression that finds just this text.
fn literal(text: &str) -> String {
    let mut literal = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}
