//! What a file looks like from outside: one system call says whether it has changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a file looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Looks at a file, if it is there; what a link leads to.
pub fn look(path: &Path) -> Option<Look> {
    let file = fs::metadata(path).ok()?;
    Some(Look {
        device: file.dev(),
        inode: file.ino(),
        size: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
}
