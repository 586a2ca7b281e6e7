//! Whether the files of the configuration have changed: looked at, not listened for.
//!
//! Editors write a new file beside and rename it, orchestrators turn a link; notifications follow neither on every file system.
//! So the files that the paths lead to are looked at once a second, which costs one system call each, and are read only when
//! one is another or was written to, is gone, or when one more matches a pattern of `include`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use coregate_config::Inputs;
use coregate_control::io::look::{Look, look};

/// What those looked like that are there.
type Looks = BTreeMap<PathBuf, Look>;

/// The files that are watched.
#[derive(Debug)]
pub(crate) struct Watch {
    inputs: Inputs,
    /// What they were like when they were read last.
    read: Looks,
    /// What they were like at the last look: they may still be being written.
    seen: Looks,
    /// What they were like when they were read because somebody asked for it.
    asked: Looks,
}

impl Watch {
    /// Watches files that have just been read.
    pub(crate) fn new(inputs: Inputs) -> Self {
        let now = looks(&inputs);
        Self { inputs, read: now.clone(), asked: now.clone(), seen: now }
    }

    /// Whether they should be read now: they have changed since they were read, and not since the last look.
    pub(crate) fn is_due(&mut self) -> bool {
        let now = looks(&self.inputs);
        let settled = now == self.seen;
        // One that is gone for now is about to come again; without it the others say nothing.
        let there = self.inputs.main().is_some_and(|main| now.contains_key(main));
        let due = settled && there && now != self.read;
        if due {
            self.read = now.clone();
        }
        self.seen = now;
        due
    }

    /// Watches what was read now, which may be other files. Those that were watched before have changed still if they had.
    pub(crate) fn follow(&mut self, inputs: Inputs) {
        let now = looks(&inputs);
        let before = &self.inputs.now();
        self.read.retain(|path, _| now.contains_key(path));
        for (path, look) in &now {
            if !before.contains(path) {
                self.read.insert(path.clone(), *look);
            }
        }
        self.asked.clone_from(&now);
        (self.inputs, self.seen) = (inputs, now);
    }

    /// What was read last was taken back: it is not read again before it is another.
    pub(crate) fn taken_back(&mut self) {
        self.read.clone_from(&self.asked);
    }
}

fn looks(inputs: &Inputs) -> Looks {
    let there = |path: PathBuf| look(&path).map(|look| (path, look));
    inputs.now().into_iter().filter_map(there).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A folder that is gone with its test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("coregate-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            fs::write(self.0.join(name), text).unwrap();
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn inputs(path: &Path) -> Inputs {
        coregate_config::load(path).inputs
    }

    #[test]
    fn a_change_is_seen_once_and_when_it_has_settled() {
        let folder = Folder::new("watch");
        let path = folder.write("main", "one");
        let mut watch = Watch::new(inputs(&path));
        assert!(!watch.is_due());
        folder.write("main", "other");
        assert!(!watch.is_due(), "it may be half written");
        assert!(watch.is_due());
        assert!(!watch.is_due());
        let beside = folder.write("new", "other");
        fs::rename(&beside, &path).unwrap();
        assert!(!watch.is_due() && watch.is_due(), "the same text, another file");
        fs::remove_file(&path).unwrap();
        assert!(!watch.is_due() && !watch.is_due(), "gone is not changed");
    }

    #[test]
    fn what_was_taken_back_is_not_read_again() {
        let folder = Folder::new("watch-back");
        let path = folder.write("main", "one");
        let mut watch = Watch::new(inputs(&path));
        folder.write("main", "other");
        watch.follow(inputs(&path));
        watch.taken_back();
        assert!(!watch.is_due() && !watch.is_due());
        folder.write("main", "put right");
        assert!(!watch.is_due() && watch.is_due());
        folder.write("main", "again");
        watch.follow(inputs(&path));
        folder.write("main", "put right meanwhile");
        watch.taken_back();
        assert!(!watch.is_due() && watch.is_due());
    }

    #[test]
    fn what_is_included_is_watched_too() {
        let folder = Folder::new("watch-included");
        let path = folder.write("main", "include = ['a.toml', '*.part', 'later.toml']");
        folder.write("a.toml", "");
        let mut watch = Watch::new(inputs(&path));
        let changed = |watch: &mut Watch, why: &str| {
            assert!(!watch.is_due() && watch.is_due(), "{why}");
            watch.follow(inputs(&path));
            assert!(!watch.is_due() && !watch.is_due(), "{why}: once");
        };
        assert!(!watch.is_due());
        folder.write("a.toml", "x = 1");
        changed(&mut watch, "an included file");
        folder.write("b.part", "");
        changed(&mut watch, "one more that a pattern takes");
        folder.write("b.part", "y = 1");
        changed(&mut watch, "its text");
        folder.write("later.toml", "");
        changed(&mut watch, "one that was missing");
        fs::remove_file(folder.0.join("b.part")).unwrap();
        changed(&mut watch, "one that is gone");
        folder.write("c.toml", "");
        assert!(!watch.is_due() && !watch.is_due(), "another file beside them");
    }
}
