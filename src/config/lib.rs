//! coregate-config: what the operator wrote, parsed, resolved and explained.
//!
//! The language is TOML. It is read into a tree of values with their places and walked by typed readers, which go on after
//! a fault: deriving would stop at the first, and an operator wants all of them at once. Nothing here looks at the machine, but
//! for its clock (which keys have expired): whether there are that many cores or a port is free is the caller's to find out.
//!
//! What a file may hold that this build lacks is an error, never accepted and ignored (rule 9).
//!
//! ```text
//! texts -> trees (toml) -> one tree (include, merge) -> defaults and extends (inherit) -> read::{...} -> Settings
//!             \____________________________________ Faults _________________________________/ -> Report
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
//! | E0008 | something is missing: a listener, a route, `bind`, `from`, `instances`, `to`, `priority`, `expect`, `token`, `services`, `scopes`, `key`, `limit` |
//! | E0009 | a number, a time or a size is out of its range |
//! | E0010 | not a time |
//! | E0011 | not a size |
//! | E0012 | not one of the words that may stand here |
//! | E0013 | not a choice of cores |
//! | E0014 | not an address |
//! | E0015 | not a host |
//! | E0016 | not a path |
//! | E0017 | not a name for a listener, a service, a route, a token, a consumer, a group, a way to authenticate or a rate |
//! | E0018 | two routes may take the same request, and neither comes first |
//! | E0019 | an address, or a source of instances, stands twice |
//! | E0020 | a route, a listener or a token for, or an `extends` of, a service that does not exist |
//! | E0021 | two keys that cannot stand together |
//! | E0022 | too many of something |
//! | E0023 | not a network |
//! | E0024 | an admin address that others than this host reach |
//! | E0025 | a secret that stands in the file, or does not say where it is |
//! | E0026 | the same table or key in two files |
//! | E0027 | what stands in the main file alone, in one that is included |
//! | E0028 | an `include` that cannot be followed |
//! | E0029 | a file that is included twice, or includes itself |
//! | E0030 | a key of `[defaults]` that every table has for itself |
//! | E0031 | services that extend each other |
//! | E0040 | two routes, or a rate and a quota, that are called the same |
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
//! | E0060 | not a source of instances |
//! | E0061 | not a probe |
//! | E0070 | a way to authenticate, or a rate, that does not exist |
//! | E0071 | not a rate |
//! | E0072 | nothing that a rate tells buckets apart by |
//! | E0073 | not a point in time |
//! | E0074 | the same thing twice in a list |
//! | E0075 | a key of two consumers |
//! | E0076 | a route that asks who calls, and does not find out |
//! | E0077 | a rate that never admits a request |
//! | W0001 | a service that nothing uses |
//! | W0002 | a path that ends in a slash and takes nothing below it |
//! | W0003 | a path that is not in normal form |
//! | W0004 | routes, where no listener reads requests |
//! | W0005 | a pattern of `include` that no file matches |
//! | W0010 | a route that is never reached: another takes its requests first |
//! | W0011 | a redirect that leads back to itself |
//! | W0012 | a method that is hardly meant |
//! | W0013 | a rewrite or a redirect that sends every path to one place |
//! | W0014 | a status in quotes, which is the body of an answer |
//! | W0015 | registered instances of which nothing says whether they answer |
//! | W0016 | more probes a second than are sent |
//! | W0017 | probes that ask for an id, of instances that have none |
//! | W0018 | a pattern of `[tokens]` that no service matches |
//! | W0020 | a consumer without a key |
//! | W0021 | a consumer that the file does not have, or a group that nobody is in |
//! | W0022 | a way to authenticate, or a rate, that no route names |
//! | W0023 | a key that has expired |
//! | W0024 | a limit by addresses that clients do not have |
// A test that cannot go on says so by panicking.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod address;
mod advice;
mod bundle;
mod cases;
pub mod changes;
mod codes;
mod cores;
mod difference;
mod faults;
mod fields;
mod files;
#[cfg(test)]
mod folder;
mod foreign;
mod formats;
mod grant;
mod help;
mod include;
mod inherit;
mod item;
mod key;
mod language;
mod merge;
mod nearest;
mod node;
mod rates;
mod read;
mod report;
mod schema;
mod secret;
mod settings;
mod show;
mod slips;
mod sources;
mod tree;
mod units;
mod words;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{io, panic, thread};

use coregate_core::base::limits;

pub use crate::cases::{Expectation, RouteTest};
pub use crate::cores::{Cores, CoresError, Io, IoError};
pub use crate::difference::textdiff;
pub use crate::grant::{Grant, Scope, ServicePattern};
pub use crate::help::help;
pub use crate::include::Inputs;
pub use crate::key::{ConsumerKey, KeyError};
pub use crate::report::{Diagnostic, Related, Report, Severity};
pub use crate::schema::schema;
pub use crate::secret::{Secret, SecretError, Token};
pub use crate::settings::{Listener, RuntimeSettings, Settings, StatePlace, StatePlaceError};
pub use crate::show::{Shown, Wish};

use crate::fields::Fields;
use crate::files::Files;
use crate::report::Faults;
use crate::tree::Doubts;

/// A configuration that was read.
#[derive(Debug)]
pub struct Loaded {
    /// What it says; none if there was any error.
    pub settings: Option<Settings>,
    /// What is wrong with it.
    pub report: Report,
    /// What stands in its files, as it was read: the main file's text, or where it includes others, all of theirs as one, which
    /// [`parse`] takes apart again. None if the main file could not be read, was too large or is not UTF-8.
    pub text: Option<String>,
    /// The files that it was read from.
    pub inputs: Inputs,
}

/// Reads the file at `path`, at most [`CONFIG_FILE_BYTES`](coregate_core::base::limits::CONFIG_FILE_BYTES) of it, and what
/// it includes. Blocks.
pub fn load(path: &Path) -> Loaded {
    apart(&path.display().to_string(), None, |faults| include::load(path, faults)).0
}

/// Reads `text`, what stands in a file or what [`Loaded::text`] was; `name` is what the report calls it. It can include no
/// files but those that it holds.
pub fn parse(name: &str, text: &str) -> Loaded {
    let (loaded, _) = apart(name, None, |faults| Files::kept(name, text, faults));
    Loaded { text: Some(text.to_owned()), ..loaded }
}

/// Shows the file at `path` and what it includes. Secrets are shown as the places where they lie. Blocks.
pub fn show(path: &Path, wish: Wish) -> Shown {
    let name = path.display().to_string();
    let (loaded, text) = apart(&name, Some(wish), |faults| include::load(path, faults));
    Shown { text, report: loaded.report }
}

/// The same for a text, in tests.
#[cfg(test)]
fn show_text(text: &str, wish: Wish) -> Option<String> {
    apart("text", Some(wish), |faults| Files::kept("text", text, faults)).1
}

/// Reads files on a thread of its own, and shows them as it is wished.
fn apart(
    name: &str,
    wish: Option<Wish>,
    files: impl FnOnce(&mut Faults) -> Files + Send,
) -> (Loaded, Option<String>) {
    let read = thread::scope(|scope| {
        let thread =
            thread::Builder::new().name("config".into()).stack_size(limits::CONFIG_STACK_BYTES);
        Ok(thread.spawn_scoped(scope, || here(files, wish))?.join())
    });
    match read {
        Ok(Ok(read)) => read,
        Ok(Err(panic)) => panic::resume_unwind(panic),
        Err::<_, io::Error>(why) => {
            let message = format!("cannot start a thread to read {name}: {why}");
            let none = |faults: &mut Faults| {
                faults.push(Diagnostic::error(codes::UNREADABLE, None, message));
                Files::unread(name)
            };
            here(none, None)
        }
    }
}

fn here(files: impl FnOnce(&mut Faults) -> Files, wish: Option<Wish>) -> (Loaded, Option<String>) {
    let mut faults = Faults::default();
    let mut files = files(&mut faults);
    let written = wish.map(|wish| (wish, files.root.clone()));
    let settings = (!files.is_lost()).then(|| settings(&mut files, &mut faults));
    let settings = settings.filter(|_| faults.errors() == 0);
    let shown = written
        .zip(settings.as_ref())
        .map(|((wish, root), settings)| show::shown(&root, settings, &files.sources, wish));
    let text = files.text();
    let report = Report::new(files.sources, faults);
    (Loaded { settings, report, text, inputs: files.inputs }, shown)
}

/// In seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What the files say. It holds only if there was no error.
fn settings(files: &mut Files, faults: &mut Faults) -> Settings {
    inherit::apply(&mut files.root, faults);
    let mut settings = read::settings(&Fields::root(&files.root), now(), faults);
    for test in &mut settings.tests {
        // From the space of all files to a file of its own.
        if let Some((file, span, line)) = files.sources.locate(&test.span) {
            (test.file, test.span, test.line) = (file, span, line);
        }
    }
    Doubts::settle(&files.doubts, &files.sources, faults);
    settings
}
