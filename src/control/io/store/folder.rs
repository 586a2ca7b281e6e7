//! The state directory: who has it, which files are in it, and what was put aside.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use coregate_core::base::limits;

use super::book::{Book, Fault, FileBackend};
use super::{Disk, StoreError};
use crate::registry::keep::Stored;

/// The file.
const FILE: &str = "registry.redb";
/// The one that is to take its place.
const NEW: &str = "registry.redb.new";
/// Who holds a lock on this one has the directory, and says who it is in it.
const LOCK: &str = "registry.lock";

/// A state directory.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: Option<File>,
    /// The file that is open, by what it is and not by its name.
    file: Option<Node>,
    /// The one that is to take its place.
    new: Option<Node>,
}

/// Which file it is: its device, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node(u64, u64);

impl From<Metadata> for Node {
    fn from(of: Metadata) -> Self {
        Self(of.dev(), of.ino())
    }
}

impl Folder {
    /// Makes the directory if it is not there, for its owner alone.
    pub(super) fn new(path: &Path) -> Result<Self, StoreError> {
        let folder = Self { path: path.to_owned(), lock: None, file: None, new: None };
        folder.make().map(|()| folder)
    }

    fn make(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::Io { path: self.path.clone(), error };
        // One that is there is no error.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        match fs::metadata(&self.path) {
            Ok(found) if !found.is_dir() => Err(failed(io::ErrorKind::NotADirectory.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(failed(made.err().unwrap_or(error))),
        }
    }

    /// Refuses to go on where another file has this name than the one that is meant, or none. What cannot be seen is believed.
    fn is_named(&self, name: &str, node: Option<Node>) -> Result<(), Fault> {
        let why = match fs::metadata(self.path.join(name)).map(Node::from) {
            Ok(found) if Some(found) != node => "another one was put in its place",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "it was taken away",
            Ok(_) | Err(_) => return Ok(()),
        };
        let path = self.path.join(name);
        Err(Fault::Io(io::Error::other(format!("{}: {why}", path.display()))))
    }

    fn has_lock(&self) -> Result<(), Fault> {
        let lock = self.lock.as_ref().and_then(|lock| lock.metadata().ok());
        self.is_named(LOCK, lock.map(Node::from))
    }

    /// Possession again, where somebody took the lock's file away; it may be another process's by now.
    fn claim_again(&mut self) -> Result<(), Fault> {
        if self.has_lock().is_err() {
            let claimed = self.make().and_then(|()| self.claim());
            claimed.map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(())
    }

    /// What the file says, read without writing anything.
    pub(super) fn read(&self) -> io::Result<Stored> {
        let bytes = fs::read(self.path.join(FILE))?;
        Book::look(&bytes).map_err(io::Error::other)
    }

    /// Gives the file another name, which it keeps; which one.
    pub(super) fn put_aside(&self, fault: &Fault) -> io::Result<PathBuf> {
        let word = if matches!(fault, Fault::Newer(_)) { "newer" } else { "corrupt" };
        let names = |number: usize| self.path.join(format!("{FILE}.{word}-{number}"));
        let free = (1..=limits::STORE_ASIDE).map(names).find(|path| !path.exists());
        let free = free.ok_or_else(|| {
            let many = limits::STORE_ASIDE;
            io::Error::other(format!(
                "{many} such files are kept in {} already: look at them, and take them away",
                self.path.display()
            ))
        })?;
        fs::rename(self.path.join(FILE), &free)?;
        self.sync()?;
        Ok(free)
    }

    /// Names are on the disk once this returns.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Disk for Folder {
    fn claim(&mut self) -> Result<(), StoreError> {
        let path = self.path.join(LOCK);
        let failed = |error| StoreError::Io { path: path.clone(), error };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(&path).map_err(failed)?;
        let give_up = Instant::now() + limits::STORE_CLAIM;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    // Whoever it is, somebody has it.
                    let _ = lock.read_to_string(&mut text);
                    let by = text.trim().parse().ok();
                    return Err(StoreError::Held { path: self.path.clone(), by });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        // For whoever finds it locked. On a full disk it stays empty.
        let _ = lock.set_len(0).and_then(|()| lock.rewind());
        let _ = writeln!(lock, "{}", std::process::id());
        self.lock = Some(lock);
        Ok(())
    }

    fn release(&mut self) {
        // The lock goes with the descriptor.
        self.lock = None;
    }

    fn open(&mut self) -> Result<(Book, Stored), Fault> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(FILE));
        let file = match file {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Fault::Absent),
            other => other?,
        };
        // redb takes an empty one for one that is to be begun; ours are never seen empty.
        let found = file.metadata()?;
        if found.len() == 0 {
            return Err(Fault::Damaged("it is empty".to_owned()));
        }
        self.file = Some(found.into());
        Book::open(backend(file)?)
    }

    fn fresh(&mut self) -> Result<Book, Fault> {
        self.claim_again()?;
        let path = self.path.join(NEW);
        // What was begun before, or a link that somebody put there: nothing that it leads to is touched.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        self.new = Some(file.metadata()?.into());
        Book::fresh(backend(file)?)
    }

    fn adopt(&mut self) -> Result<(), Fault> {
        fs::rename(self.path.join(NEW), self.path.join(FILE))?;
        self.file = self.new.take();
        Ok(self.sync()?)
    }

    fn look(&self) -> Result<(), Fault> {
        self.is_named(FILE, self.file)?;
        self.has_lock()
    }
}

fn backend(file: File) -> Result<FileBackend, Fault> {
    Ok(FileBackend::new(file)?)
}
