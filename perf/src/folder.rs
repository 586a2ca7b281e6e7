//! A folder for the configurations and logs of one run.

use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

/// A folder of this process, removed with everything in it when dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it; `name` is the program's.
    pub fn new(name: &str) -> io::Result<Folder> {
        let path = env::temp_dir().join(format!("coregate-{name}-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
