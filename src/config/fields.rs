//! Tables, read key by key: what stands in them, and which keys nobody knows.

use std::ops::Range;

use coregate_core::base::limits;

use crate::advice;
use crate::item::Item;
use crate::node::{Entry, Table, joined};
use crate::report::Faults;
use crate::words;

/// A table, to be read key by key.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'t> {
    path: String,
    /// The key that holds it.
    span: Option<Range<usize>>,
    /// Whether it was written elsewhere, and taken over whole.
    inherited: bool,
    /// Keys that are not looked at.
    hidden: &'static [&'static str],
    table: &'t Table,
}

impl<'t> Fields<'t> {
    pub(crate) fn root(table: &'t Table) -> Self {
        Self { path: String::new(), span: None, inherited: false, hidden: &[], table }
    }

    /// The table that the key at `path` and `span` holds.
    pub(crate) fn of(path: &str, span: Range<usize>, inherited: bool, table: &'t Table) -> Self {
        Self { path: path.to_owned(), span: Some(span), inherited, hidden: &[], table }
    }

    /// The same table as if these keys did not stand there.
    pub(crate) fn without(self, hidden: &'static [&'static str]) -> Self {
        Self { hidden, ..self }
    }

    /// Reports every key that is not one of `known`; those that are inherited are reported where they are written.
    pub(crate) fn check(&self, known: &[&str], faults: &mut Faults) {
        let own = self.entries().filter(|(_, entry)| !self.inherited && entry.heritage.is_none());
        let mut unknown: Vec<_> = own
            .filter(|(key, _)| !known.contains(&key.as_str()))
            .map(|(key, entry)| self.item(key, entry))
            .collect();
        unknown.sort_by_key(|item| item.span().start);
        for item in unknown {
            if faults.is_full() {
                faults.push(item.unknown());
                continue;
            }
            let meant = words::meant(item.key, known);
            // Whatever is wrong with it, it must not be seen.
            if [Some(item.key), meant].iter().flatten().any(|key| words::SECRET.contains(key)) {
                item.hide(faults);
            }
            let advice = advice::of(&item, self, known);
            let fault = match item.elsewhere() {
                // Where `bind` stands for it, `listen` is the wrong word and not in the wrong place.
                Some(fault) if !meant.is_some_and(|near| known.contains(&near)) => fault,
                _ => item.unknown().suggest(match meant {
                    _ if advice.is_some() => advice.unwrap_or_default(),
                    _ if self.path.is_empty() && words::RUNTIME.contains(&item.key) => {
                        format!("write [runtime] and below it {} = ...", item.key)
                    }
                    Some(near) if !known.contains(&near) => {
                        format!("did you mean `{near}`? it is not supported yet")
                    }
                    Some(near) => format!("did you mean `{near}`?"),
                    None if self.path.is_empty() && item.has("instances") => {
                        format!("write [{}]", joined("services", item.key))
                    }
                    None if self.path.is_empty() && item.has("bind") => {
                        format!("write [{}]", joined("listeners", item.key))
                    }
                    None => words::hint(item.key).map_or_else(
                        || format!("the keys here are {}", known.join(", ")),
                        str::to_owned,
                    ),
                }),
            };
            faults.push(fault);
        }
    }

    /// Whether one of `keys` stands here under a wrong name, of which [`Fields::check`] tells: then it is not missing.
    pub(crate) fn misspells(&self, keys: &[&str], known: &[&str]) -> bool {
        let unknown = self.table.keys().take(limits::MISSPELLED_KEYS).map(String::as_str);
        let mut unknown = unknown.filter(|key| !known.contains(key));
        unknown.any(|key| words::meant(key, known).is_some_and(|meant| keys.contains(&meant)))
    }

    /// Whether `key` stands here or in a table within, at most `depth` down.
    pub(crate) fn has_within(&self, key: &str, depth: usize) -> bool {
        let mut tables = self.table.values().filter_map(|entry| entry.node.as_table());
        self.table.contains_key(key)
            || (depth > 0 && tables.any(|table| Fields::root(table).has_within(key, depth - 1)))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Item<'t>> {
        let found = self.table.get_key_value(key).filter(|(key, _)| self.sees(key));
        let (key, entry) = found?;
        Some(self.item(key, entry))
    }

    fn sees(&self, key: &str) -> bool {
        !self.hidden.contains(&key)
    }

    fn entries(&self) -> impl Iterator<Item = (&'t String, &'t Entry)> {
        self.table.iter().filter(|(key, _)| self.sees(key))
    }

    fn item(&self, key: &'t str, entry: &'t Entry) -> Item<'t> {
        Item::new(&self.path, key, entry, self.inherited)
    }

    /// Whether one of these keys stands here.
    pub(crate) fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.table.contains_key(*key))
    }

    /// What the table holds, in the order of the file.
    pub(crate) fn items(&self) -> Vec<Item<'t>> {
        let mut items: Vec<_> = self.entries().map(|(key, entry)| self.item(key, entry)).collect();
        items.sort_by_key(|item| item.span().start);
        items
    }

    /// Reads `key` into `into`, if it is there and right.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        into: &mut T,
        faults: &mut Faults,
        reader: impl FnOnce(&Item<'t>, &mut Faults) -> Option<T>,
    ) {
        if let Some(value) = self.get(key).and_then(|item| reader(&item, faults)) {
            *into = value;
        }
    }

    /// The key that holds the table; none for the file itself.
    pub(crate) fn span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }
}
