//! What stands in the files of a configuration, put together: from the disk ([`include`](crate::include)), or as the history
//! kept it ([`bundle`](crate::bundle)).

use std::ops::Range;

use crate::include::{INCLUDE, Inputs, names};
use crate::merge::{merge, only_main};
use crate::node::Table;
use crate::report::{Diagnostic, Faults};
use crate::sources::Sources;
use crate::tree::{Doubts, Tree};
use crate::{bundle, codes};

/// The files of a configuration, and what stands in them.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) sources: Sources,
    /// What stands in all of them.
    pub(crate) root: Table,
    /// One a source.
    pub(crate) doubts: Vec<Doubts>,
    pub(crate) inputs: Inputs,
    /// Whether any of them includes others.
    includes: bool,
    /// Whether the main file could not be read, or is not UTF-8.
    lost: bool,
}

impl Files {
    /// Those of a configuration that was not read.
    pub(crate) fn unread(name: &str) -> Self {
        let mut files = Self::default();
        files.lost(name);
        files
    }

    /// Takes a text apart that [`Files::text`] gave, or takes one that stands for itself. Nothing is read from the disk.
    pub(crate) fn kept(name: &str, text: &str, faults: &mut Faults) -> Self {
        let mut files = Self::default();
        match bundle::unpack(text) {
            Some(texts) => {
                for (at, (file, text)) in texts.into_iter().enumerate() {
                    files.add(&format!("{name}, {file}"), text.into(), at > 0, faults);
                }
            }
            None => {
                if let Some((_, place)) = files.add(name, text.into(), false, faults).first() {
                    let message =
                        "`include` in a text that is no file: there is no folder to look in";
                    faults.push(Diagnostic::error(codes::INCLUDE, place.clone(), message));
                    files.doubt();
                }
            }
        }
        files
    }

    /// Parses a file and puts what it says beside what the others say; gives what it includes, with the places.
    pub(crate) fn add(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
        included: bool,
        faults: &mut Faults,
    ) -> Vec<(String, Range<usize>)> {
        let (text, bad) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                // The bytes before the first bad one keep their places, which is all that is shown.
                let at = error.utf8_error().valid_up_to();
                let byte = error.as_bytes().get(at).copied().unwrap_or_default();
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some((at, byte)))
            }
        };
        let index = self.sources.add(name, text);
        let Some(source) = self.sources.get(index) else { return Vec::new() };
        if let Some((at, byte)) = bad {
            let message = format!("byte {byte:#04x} is not UTF-8: expected a file in UTF-8");
            let at = source.base + at;
            let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
            faults.push(Diagnostic::error(codes::NOT_UTF8, span, message));
            self.doubts.push(Doubts::default());
            self.doubt();
            self.lost |= !included;
            return Vec::new();
        }
        let Tree { mut root, doubts } = Tree::parse(source, faults);
        self.doubts.push(doubts);
        self.includes |= root.contains_key(INCLUDE);
        let names = names(&root, faults);
        root.remove(INCLUDE);
        if included {
            only_main(&mut root, faults);
        }
        merge(&mut self.root, root, faults);
        names
    }

    /// Notes that what is missing may stand in a file that was not read.
    pub(crate) fn doubt(&mut self) {
        if let Some(doubts) = self.doubts.first_mut() {
            doubts.lose();
        }
    }

    /// Notes that the main file could not be read.
    pub(crate) fn lost(&mut self, name: &str) {
        self.sources.add(name, String::new());
        self.lost = true;
    }

    /// Whether the main file could not be read, or is not UTF-8.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// The texts of all of them as one.
    pub(crate) fn text(&self) -> Option<String> {
        if self.lost { None } else { bundle::pack(&self.sources, self.includes) }
    }
}
