//! Bounds of what is said and shown to people: nothing else depends on them.

use std::time::Duration;

use super::CONFIG_FILE_BYTES;

// What is said of a configuration
/// Diagnostics kept of one configuration; the rest are only counted. More than anybody reads at once.
pub const DIAGNOSTICS: usize = 1_000;
/// Characters of a message, which loses its middle where it quotes more of the file.
pub const DIAGNOSTIC_CHARS: usize = 400;
/// Characters of a name or value that a message quotes.
pub const QUOTED_CHARS: usize = 100;
/// Characters of a number that a message quotes: the longest that fits any type has 39.
pub const NUMBER_CHARS: usize = 40;
/// A line of the file that is shown beneath a message, in bytes; a longer one is only named.
pub const EXCERPT_BYTES: usize = 2_000;
/// A line that is searched for what lacks quotes, in bytes: each fault on a line costs a pass over it.
pub const REPAIRED_LINE_BYTES: usize = 2_000;
/// What is parsed again to find where duplicate keys stood first, in bytes: each costs a pass over the file.
pub const TRACED_BYTES: usize = CONFIG_FILE_BYTES as usize;
/// Keys of a table that are looked at for one that was misspelled.
pub const MISSPELLED_KEYS: usize = 1_000;
/// A word that is compared with others for the nearest, in bytes: the distance costs the product of the lengths.
pub const NEAREST_WORD_BYTES: usize = 64;
/// Words that it is compared with: a file with many services and many faults must not take minutes to refuse.
pub const NEAREST_CANDIDATES: usize = 1_000;
/// Services of a circle of `extends` that are named and pointed at.
pub const CIRCLE_SHOWN: usize = 20;
/// Addresses in one text that are told apart, to suggest an array of them.
pub const ADDRESSES_APART: usize = 4;
/// Characters of a name or value in a line that tells what a reload changed.
pub const CHANGE_CHARS: usize = 400;
/// Lines shown around each difference of two files, as `diff -u` does.
pub const DIFFERENCE_CONTEXT: usize = 3;
/// An array that `config show` writes on one line, in bytes; a longer one has a line for each element.
pub const ARRAY_LINE_BYTES: usize = 80;

// What a reload changed
/// Lines that tell what a reload changed; more than a terminal keeps in sight helps nobody.
pub const CHANGES_SHOWN: usize = 200;
/// Addresses and terms shown in one such line: a service may have thousands of instances.
pub const CHANGE_ITEMS_SHOWN: usize = 20;
/// The difference of two configuration files as text, in bytes; a longer one is cut.
pub const DIFFERENCE_BYTES: usize = 1024 * 1024;
/// Lines of a file that is compared as text; each costs some 50 bytes of memory besides.
pub const DIFFERENCE_LINES: usize = 1_000_000;
/// How long the shortest difference is looked for; then one that is longer will do.
pub const DIFFERENCE_TIME: Duration = Duration::from_secs(1);

// Why a request goes where it goes
/// Candidates that `explain` lists unless all are asked for: a screen.
pub const EXPLAIN_CANDIDATES: usize = 20;
/// Candidates that it lists at most; more than anybody reads, and an answer of a few MiB even with the longest names.
pub const EXPLAIN_CANDIDATES_ALL: usize = 1_000;
/// Instances that it lists of a service.
pub const EXPLAIN_INSTANCES: usize = 16;
/// Characters of what it says of a candidate: a request's path may be quoted there.
pub const EXPLAIN_WORDS: usize = 256;
/// Characters that a column of names takes at most, so that one long name does not push the others off the screen.
pub const EXPLAIN_COLUMN: usize = 60;
