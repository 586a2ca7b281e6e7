//! Whether the configuration file has changed: looked at, not listened for.
//!
//! Editors write a new file beside and rename it, orchestrators turn a link; notifications follow neither on every file system.
//! So the file that the path leads to is looked at once a second, which costs one system call, and is read only when it is
//! another one or was written to.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a file looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file that is watched.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    /// What it was like when it was read last.
    read: Option<Look>,
    /// What it was like at the last look: it may still be being written.
    seen: Option<Look>,
}

impl Watch {
    /// Watches a file that has just been read.
    pub(crate) fn new(path: PathBuf) -> Self {
        let now = look(&path);
        Self { path, read: now, seen: now }
    }

    /// Whether it should be read now: it has changed since it was read, and not since the last look.
    pub(crate) fn is_due(&mut self) -> bool {
        let now = look(&self.path);
        let settled = now == self.seen;
        self.seen = now;
        // One that is gone for now is about to come again.
        let due = settled && now.is_some() && now != self.read;
        if due {
            self.read = now;
        }
        due
    }
}

fn look(path: &Path) -> Option<Look> {
    let file = fs::metadata(path).ok()?;
    Some(Look {
        device: file.dev(),
        inode: file.ino(),
        size: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once_and_when_it_has_settled() {
        let path = std::env::temp_dir().join(format!("coregate-watch-{}", std::process::id()));
        fs::write(&path, "one").unwrap();
        let mut watch = Watch::new(path.clone());
        assert!(!watch.is_due());
        fs::write(&path, "other").unwrap();
        assert!(!watch.is_due(), "it may be half written");
        assert!(watch.is_due());
        assert!(!watch.is_due());
        let beside = path.with_extension("new");
        fs::write(&beside, "other").unwrap();
        fs::rename(&beside, &path).unwrap();
        assert!(!watch.is_due() && watch.is_due(), "the same text, another file");
        fs::remove_file(&path).unwrap();
        assert!(!watch.is_due() && !watch.is_due(), "gone is not changed");
    }
}
