//! coregate-config: what the operator wrote, parsed, resolved and explained.
//!
//! The language is TOML. It is read into a tree of values with their places and walked by typed readers, which go on after
//! a fault: deriving would stop at the first, and an operator wants all of them at once. Nothing here looks at the machine:
//! whether there are that many cores or a port is free is the caller's to find out.
//!
//! What a file may hold that this build lacks is an error, never accepted and ignored (rule 9).
//!
//! ```text
//! text -> tree (toml) -> read::{runtime, listeners, services, routes, cases} -> Settings
//!            \_________________________ Faults _________________________/ -> Report
//! ```
//!
//! What differs between two configurations is said in two ways: [`changes::between`] compares what they mean, [`textdiff`]
//! what stands in the files.
//!
//! # Codes
//!
//! | code | what is wrong |
//! |---|---|
//! | E0001 | the file cannot be read, or is too large |
//! | E0002 | the file is not UTF-8 |
//! | E0003 | not TOML |
//! | E0004 | a key or table stands twice |
//! | E0005 | an unknown key |
//! | E0006 | a part of the language that is not supported yet |
//! | E0007 | a value of the wrong type |
//! | E0008 | something is missing: a listener, a route, `bind`, `from`, `instances`, `to`, `priority`, `expect` |
//! | E0009 | a number, a time or a size is out of its range |
//! | E0010 | not a time |
//! | E0011 | not a size |
//! | E0012 | not one of the words that may stand here |
//! | E0013 | not a choice of cores |
//! | E0014 | not an address |
//! | E0015 | not a host |
//! | E0016 | not a path |
//! | E0017 | not a name for a listener or service |
//! | E0018 | two routes may take the same request, and neither comes first |
//! | E0019 | an address stands twice |
//! | E0020 | a route or listener to a service that does not exist |
//! | E0021 | two keys that cannot stand together |
//! | E0022 | too many of something |
//! | E0023 | not a network |
//! | E0024 | an admin address that others than this host reach |
//! | E0025 | a secret that stands in the file, or does not say where it is |
//! | E0040 | two routes are called the same |
//! | E0041 | not a method |
//! | E0042 | not a regular expression, or too large a one |
//! | E0043 | not the name or the value of a header field |
//! | E0044 | not a percent |
//! | E0045 | the shares of a split are not 100 % together |
//! | E0046 | not a template for a path or an address |
//! | E0047 | not a status that may stand here |
//! | E0048 | a header field that the gateway alone writes |
//! | E0049 | a prefix that the path does not begin with |
//! | E0050 | the request of a test is none |
//! | E0051 | a test expects a route that does not exist |
//! | W0001 | a service that nothing uses |
//! | W0002 | a path that ends in a slash and takes nothing below it |
//! | W0003 | a path that is not in normal form |
//! | W0004 | routes, where no listener reads requests |
//! | W0010 | a route that is never reached: another takes its requests first |
//! | W0011 | a redirect that leads back to itself |
//! | W0012 | a method that is hardly meant |
// A test that cannot go on says so by panicking.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod address;
mod cases;
pub mod changes;
mod codes;
mod cores;
mod difference;
mod fields;
mod formats;
mod help;
mod item;
mod language;
mod nearest;
mod read;
mod report;
mod schema;
mod secret;
mod settings;
mod tree;
mod units;
mod words;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::thread;

use coregate_core::base::limits;

pub use crate::cases::{Expectation, RouteTest};
pub use crate::cores::{Cores, CoresError, Io, IoError};
pub use crate::difference::textdiff;
pub use crate::help::help;
pub use crate::report::{Diagnostic, Related, Report, Severity};
pub use crate::schema::schema;
pub use crate::secret::{Secret, SecretError, Token};
pub use crate::settings::{Listener, RuntimeSettings, Settings};

use crate::report::{Faults, Lines};
use crate::tree::Tree;

/// A file that was read.
#[derive(Debug)]
pub struct Loaded {
    /// What it says; none if there was any error.
    pub settings: Option<Settings>,
    /// What is wrong with it.
    pub report: Report,
    /// What stands in it, as it was read; none if it could not be read, was too large or is not UTF-8.
    pub text: Option<String>,
}

/// Reads the file at `path`, at most [`limits::CONFIG_FILE_BYTES`] of it. Blocks.
pub fn load(path: &Path) -> Loaded {
    let name = path.display().to_string();
    let bytes = match read_file(path) {
        Ok(bytes) => bytes,
        Err(why) => {
            let message = format!("cannot read {name}: {why}");
            return unreadable(&name, "", Diagnostic::error(codes::UNREADABLE, None, message));
        }
    };
    if bytes.len() as u64 > limits::CONFIG_FILE_BYTES {
        let message =
            format!("{name} is too large: expected at most {} bytes", limits::CONFIG_FILE_BYTES);
        return unreadable(&name, "", Diagnostic::error(codes::UNREADABLE, None, message));
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse(&name, &text),
        Err(error) => {
            // The bytes before the first bad one keep their places, which is all that is shown.
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(at).copied().unwrap_or_default();
            let message = format!("byte {byte:#04x} is not UTF-8: expected a file in UTF-8");
            let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
            let text = String::from_utf8_lossy(error.as_bytes());
            unreadable(&name, &text, Diagnostic::error(codes::NOT_UTF8, span, message))
        }
    }
}

/// Reads `text`; `name` is what the report calls it.
pub fn parse(name: &str, text: &str) -> Loaded {
    Loaded { text: Some(text.to_owned()), ..parse_apart(name, text) }
}

/// Reads `text` on a thread of its own.
fn parse_apart(name: &str, text: &str) -> Loaded {
    let loaded = thread::scope(|scope| {
        let thread = thread::Builder::new().name("config".into()).stack_size(STACK_BYTES);
        Ok(thread.spawn_scoped(scope, || parse_here(name, text))?.join())
    });
    match loaded {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err::<_, io::Error>(why) => {
            let message = format!("cannot start a thread to read {name}: {why}");
            unreadable(name, "", Diagnostic::error(codes::UNREADABLE, None, message))
        }
    }
}

/// The stack that a file is read on; it takes memory only where it is touched.
///
/// The parser refuses a key of 80 parts and brackets 80 deep, but not 79 keys of 79 parts in each other, and to drop those
/// 6,241 tables takes more than the 2 MiB of a common thread: a file of 13 KB would end the process.
const STACK_BYTES: usize = 64 * 1024 * 1024;

fn parse_here(name: &str, text: &str) -> Loaded {
    let mut faults = Faults::default();
    let tree = Tree::parse(text, &mut faults);
    let mut settings = read::settings(&tree.root(), &mut faults);
    let lines = (!settings.tests.is_empty()).then(|| Lines::of(text));
    for (test, lines) in settings.tests.iter_mut().zip(lines.iter().cycle()) {
        test.line = lines.line(test.span.start) + 1;
    }
    tree.settle(&mut faults);
    let report = Report::new(name, text, faults);
    let settings = (!report.has_errors()).then_some(settings);
    Loaded { settings, report, text: None }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limits::CONFIG_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(name: &str, text: &str, fault: Diagnostic) -> Loaded {
    let mut faults = Faults::default();
    faults.push(fault);
    Loaded { settings: None, report: Report::new(name, text, faults), text: None }
}
