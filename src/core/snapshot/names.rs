//! Dense ids by name: an id is given once per name, and means that name for as long as the process lives.

use std::collections::HashMap;

/// The ids of one kind of thing.
#[derive(Debug, Default, Clone)]
pub struct Names {
    ids: HashMap<Box<str>, u16>,
}

impl Names {
    /// How many names have an id.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The id of a name that has one.
    pub fn known(&self, name: &str) -> Option<u16> {
        self.ids.get(name).copied()
    }

    /// All names, in the order of their ids.
    pub fn in_order(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.ids.iter().map(|(name, id)| (*id, &**name)).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// How many of these names have no id yet. Names may stand twice in `names` and then count twice.
    pub fn unknown<'a>(&self, names: impl Iterator<Item = &'a str>) -> usize {
        names.filter(|name| !self.ids.contains_key(*name)).count()
    }

    /// The id of a name, given now if it has none. The caller has made sure that there is one to give.
    pub fn id(&mut self, name: &str) -> u16 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.ids.len() as u16;
        self.ids.insert(name.into(), id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_id() {
        let mut names = Names::default();
        assert_eq!([names.id("a"), names.id("b"), names.id("a")], [0, 1, 0]);
        assert_eq!(names.unknown(["a", "c"].into_iter()), 1);
        assert_eq!((names.known("b"), names.known("c"), names.len()), (Some(1), None, 2));
    }
}
