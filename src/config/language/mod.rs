//! The configuration language as one table: every section and key with its kind, default, an example and a sentence.
//!
//! The typed readers take the keys that they know from here, and [`schema`](crate::schema) writes the whole down for
//! editors, so that neither can name a key that the other lacks. How a value is read, and what is said of a wrong one, is the
//! readers' alone; the tests hold both against each other, key by key.
//!
//! A section says nothing of what must stand in it where `[defaults]`, `extends` or another file can supply it.

mod bulkhead;
mod forms;
mod health;
mod listeners;
mod policies;
mod routes;
mod services;
#[cfg(test)]
mod tests;
mod top;

use std::time::Duration;

pub(crate) use self::bulkhead::{BULKHEAD, CLASSES};
pub(crate) use self::forms::Form;
pub(crate) use self::health::{HEALTH, OUTLIER, PASSING, RETRY};
pub(crate) use self::listeners::{
    LIMITS as LISTENER_LIMITS, LISTENER, PROXY_PROTOCOL, TIMEOUT as LISTENER_TIMEOUT,
};
pub(crate) use self::policies::{
    AUTH, CONSUMER_KEY, CONSUMER_TABLE as CONSUMER, COST, EVERY, KEY_PLACE, QUOTA, RATE_OF_GROUP,
    RATE_TABLE as RATE, SCOPE,
};
pub(crate) use self::routes::{
    DEFAULTS as ROUTE_DEFAULTS, LIMITS as ROUTE_LIMITS, REDIRECT, RESPOND, ROUTE,
    TIMEOUT as ROUTE_TIMEOUT, VALUE_LIKE, WHEN,
};
pub(crate) use self::services::{POOL, REGISTER, SERVICE, TIMEOUT as SERVICE_TIMEOUT};
#[cfg(test)]
pub(crate) use self::top::SCOPES;
pub(crate) use self::top::{DEFAULTS, DNS, EXPECT, GRANT, RUNTIME, SECRET, TEST, TOP};

/// A table of the language.
#[derive(Debug)]
pub(crate) struct Section {
    /// What it is called where it is referred to; no two sections share it.
    pub(crate) name: &'static str,
    /// What it is, in a sentence.
    pub(crate) doc: &'static str,
    /// What may stand in it, in groups that sections share.
    pub(crate) keys: &'static [&'static [Key]],
    /// At least one of these must stand in it, where there are any.
    pub(crate) one_of: &'static [&'static str],
    /// Keys of which no two of a row can stand together.
    pub(crate) apart: &'static [&'static [&'static str]],
}

impl Section {
    /// A section whose keys are free of each other.
    const fn new(name: &'static str, doc: &'static str, keys: &'static [&'static [Key]]) -> Self {
        Self { name, doc, keys, one_of: &[], apart: &[] }
    }

    /// What may stand in it.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().copied().flatten()
    }
}

/// A key and what may stand behind it.
#[derive(Debug)]
pub(crate) struct Key {
    /// The key as it is written.
    pub(crate) name: &'static str,
    /// The values that it takes.
    pub(crate) kind: Kind,
    /// A value in JSON, other than the default; empty for tables, whose keys have examples.
    pub(crate) example: &'static str,
    /// What it does, in a sentence.
    pub(crate) doc: &'static str,
    /// What holds without it.
    pub(crate) default: Builtin,
    /// Whether the section is wrong without it.
    pub(crate) must: bool,
}

impl Key {
    /// A key that holds a value.
    const fn new(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        Self { name, kind, example, doc, default: Builtin::None, must: false }
    }

    /// A key that holds a table.
    const fn table(name: &'static str, section: &'static Section) -> Self {
        Self::new(name, Kind::Table(section), "", section.doc)
    }

    const fn default(self, default: Builtin) -> Self {
        Self { default, ..self }
    }

    const fn must(self) -> Self {
        Self { must: true, ..self }
    }
}

/// What may stand behind a key.
#[derive(Debug)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Boolean,
    /// This one of them alone.
    Constant(bool),
    /// An integer from the first to the second, both included.
    Integer(i64, u64),
    /// One of these integers.
    Number(&'static [u64]),
    /// A size in bytes from the first to the second, as an integer or as text such as `"16KiB"`.
    Size(u64, u64),
    /// A text of this form.
    Text(&'static Form),
    /// One of these texts.
    Word(&'static [&'static str]),
    /// A table with keys of its own.
    Table(&'static Section),
    /// A table whose keys are names; what stands behind one follows from its form, and no name has two of them.
    Map(&'static [(&'static Form, Kind)]),
    /// An array, perhaps empty.
    List(&'static Kind),
    /// An array of at least one.
    Some(&'static Kind),
    /// Any of these.
    Any(&'static [Kind]),
}

/// What holds where a key is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Builtin {
    /// Nothing that could be written down.
    None,
    Boolean(bool),
    Integer(u64),
    Text(&'static str),
    Time(Duration),
    /// In bytes.
    Size(u64),
}

/// How many keys a section has.
pub(crate) const fn count(section: &Section) -> usize {
    let (mut group, mut count) = (0, 0);
    while group < section.keys.len() {
        count += section.keys[group].len();
        group += 1;
    }
    count
}

/// The keys of a section; there are [`count`] of them.
pub(crate) const fn names<const N: usize>(section: &Section) -> [&'static str; N] {
    let mut names = [""; N];
    let (mut group, mut count) = (0, 0);
    while group < section.keys.len() {
        let mut at = 0;
        while at < section.keys[group].len() {
            names[count] = section.keys[group][at].name;
            count += 1;
            at += 1;
        }
        group += 1;
    }
    names
}

/// The keys of a section, as a constant.
macro_rules! known {
    ($section:expr) => {
        &$crate::language::names::<{ $crate::language::count(&$section) }>(&$section)
    };
}
pub(crate) use known;
