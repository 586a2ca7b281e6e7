//! Tables, read key by key: what stands in them, and which keys nobody knows.
//!
//! With the items and the tree this is the door of `toml`.

use std::ops::Range;

use toml::de::DeTable;

use crate::item::Item;
use crate::report::Faults;
use crate::words;

/// Keys looked at for one that was misspelled.
const MISSPELLED_MAX: usize = 1_000;

/// A table, to be read key by key.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'t> {
    path: String,
    /// The key that holds it.
    span: Option<Range<usize>>,
    table: &'t DeTable<'t>,
}

impl<'t> Fields<'t> {
    pub(crate) fn root(table: &'t DeTable<'t>) -> Self {
        Self { path: String::new(), span: None, table }
    }

    /// The table that the key at `path` and `span` holds.
    pub(crate) fn of(path: &str, span: Range<usize>, table: &'t DeTable<'t>) -> Self {
        Self { path: path.to_owned(), span: Some(span), table }
    }

    /// Reports every key that is not one of `known`.
    pub(crate) fn check(&self, known: &[&str], faults: &mut Faults) {
        for item in self.items().iter().filter(|item| !known.contains(&item.key)) {
            if faults.is_full() {
                faults.push(item.unknown());
                continue;
            }
            let meant = words::meant(item.key, known);
            // Whatever is wrong with it, it must not be seen.
            if [Some(item.key), meant].iter().flatten().any(|key| words::SECRET.contains(key)) {
                item.hide(faults);
            }
            let fault = match item.elsewhere() {
                // Where `bind` stands for it, `listen` is the wrong word and not in the wrong place.
                Some(fault) if !meant.is_some_and(|near| known.contains(&near)) => fault,
                _ => item.unknown().suggest(match meant {
                    Some(near) if !known.contains(&near) => {
                        format!("did you mean `{near}`? it is not supported yet")
                    }
                    Some(near) => format!("did you mean `{near}`?"),
                    None if self.path.is_empty() && words::RUNTIME.contains(&item.key) => {
                        format!("write [runtime] and below it {} = ...", item.key)
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
        let unknown = self.table.keys().take(MISSPELLED_MAX).map(|key| key.get_ref().as_ref());
        let mut unknown = unknown.filter(|key| !known.contains(key));
        unknown.any(|key| words::meant(key, known).is_some_and(|meant| keys.contains(&meant)))
    }

    /// Whether `key` stands here or in a table within, at most `depth` down.
    pub(crate) fn has_within(&self, key: &str, depth: usize) -> bool {
        let mut tables = self.table.values().filter_map(|value| value.get_ref().as_table());
        self.table.contains_key(key)
            || (depth > 0 && tables.any(|table| Fields::root(table).has_within(key, depth - 1)))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Item<'t>> {
        let (key, value) = self.table.get_key_value(key)?;
        Some(Item::new(&self.path, key.get_ref(), key.span(), value))
    }

    /// Whether one of these keys stands here.
    pub(crate) fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.table.contains_key(*key))
    }

    /// What the table holds, in the order of the file.
    pub(crate) fn items(&self) -> Vec<Item<'t>> {
        let items = self.table.iter();
        let mut items: Vec<_> = items
            .map(|(key, value)| Item::new(&self.path, key.get_ref(), key.span(), value))
            .collect();
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
