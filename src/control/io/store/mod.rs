//! The store: what was registered, in one file of the state directory, so that neither the end of the process nor a loss of power
//! takes back what was answered.
//!
//! ```text
//!  registry ── batches ──▶ store's thread ── commits of what waits ──▶ registry.redb      registry.lock: one owner
//!                            │ fails: said, counted; batches are settled unwritten     registry.redb.corrupt-N: kept aside
//!                            └ after 1 s, 2 s, … 30 s: registry.redb.new, whole ─ renamed ─▶ registry.redb
//! ```
//!
//! - [`book`]: the file's tables (door of redb). [`folder`]: the directory, its lock, and what is put aside. [`thread`]: the loop.
//! - A commit is on the disk when it is settled as durable: redb syncs it, in two phases, so that a start after a crash opens
//!   the file without going through it.
//! - Whoever is told that something is durable finds it there after a restart: each commit looks whether the file still has its name, and
//!   the lock too. Where it was taken away, or another put in its place, all of it is written anew.
//! - The file is never changed but by commits, and a new one takes its place whole: whatever is cut off, the last commit is there.
//! - What is read is checked as a whole at the start. A file that is damaged, or of a later format, is put aside, never deleted.

mod book;
mod folder;
mod thread;

use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crate::registry::keep::{Asked, Stored};
use crate::registry::log::Waker;

use book::{Book, Fault};
use folder::Folder;
use thread::Thread;

/// Why a state directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has it.
    #[error(
        "state directory {}: {} has it: one gateway, one directory; see --state", .path.display(),
        .by.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The directory.
        path: PathBuf,
        /// Who.
        by: Option<u32>,
    },
    /// It cannot be written to.
    #[error("state directory {}: {error}{}", .path.display(), hint(.error))]
    Io {
        /// The directory, or a file in it.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// What is to be looked at.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ": the user that coregate runs as must own it; see ls -ld, or choose another by --state"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            ": choose one that can be written to by --state, or --state memory"
        }
        io::ErrorKind::NotADirectory => ": choose a directory by --state",
        _ => "",
    }
}

/// What the store's thread works on: a directory, or what a test has in its place.
trait Disk: Send + 'static {
    /// Takes possession.
    fn claim(&mut self) -> Result<(), StoreError>;
    /// Lets another process have it.
    fn release(&mut self);
    /// Opens what is there.
    fn open(&mut self) -> Result<(Book, Stored), Fault>;
    /// Begins anew, beside what is there.
    fn fresh(&mut self) -> Result<Book, Fault>;
    /// Puts what was begun anew in the place of what was there.
    fn adopt(&mut self) -> Result<(), Fault>;
    /// Whether what is written to is still what the next start will find.
    fn look(&self) -> Result<(), Fault>;
}

/// A state directory that this process has, and no thread yet.
#[derive(Debug)]
pub struct Store {
    disk: Folder,
    book: Result<Book, Fault>,
    /// Whether nothing may be written at all.
    sealed: bool,
}

/// What was found in a state directory.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What was stored.
    pub stored: Stored,
    /// What is to be said of it.
    pub notes: Vec<String>,
}

/// Opens a state directory, which is made if it is not there.
///
/// # Errors
/// Where it is another process's, is no directory, or cannot be written to. What is wrong with the file in it is no error: what can
/// be read of it is, and the registry goes on in memory until it can be written again.
pub fn open(path: &Path) -> Result<Opened, StoreError> {
    let mut disk = Folder::new(path)?;
    disk.claim()?;
    let mut notes = Vec::new();
    let (book, stored, sealed) = match disk.open() {
        Ok((book, stored)) => (Ok(book), stored, false),
        Err(Fault::Held) => return Err(StoreError::Held { path: path.into(), by: None }),
        Err(Fault::Absent) => (begin(&mut disk), Stored::default(), false),
        Err(fault @ (Fault::Damaged(_) | Fault::Newer(_))) => match disk.put_aside(&fault) {
            Ok(aside) => {
                let aside = aside.display();
                notes.push(format!("{fault}: it is kept as {aside}, and a fresh one is begun"));
                (begin(&mut disk), Stored::default(), false)
            }
            Err(why) => {
                notes.push(format!("{fault}, and cannot be put aside: {why}"));
                (Err(fault), Stored::default(), true)
            }
        },
        Err(fault @ Fault::Io(_)) => {
            // It may be that only its repair finds no room.
            let stored =
                disk.read().map_err(|error| StoreError::Io { path: path.into(), error })?;
            (Err(fault), stored, false)
        }
    };
    if let Err(fault) = &book {
        notes.push(format!(
            "{}: {fault}: registrations are kept in memory alone, and lost at a restart",
            path.display()
        ));
    }
    Ok(Opened { store: Store { disk, book, sealed }, stored, notes })
}

fn begin(disk: &mut Folder) -> Result<Book, Fault> {
    let book = disk.fresh()?;
    disk.adopt()?;
    Ok(book)
}

impl Store {
    /// Starts the thread. It ends with the registry. `tell` is what it says by itself.
    ///
    /// # Errors
    /// Where there is no thread.
    pub fn start(
        self,
        asked: Asked,
        waker: Waker,
        tell: impl Fn(&str) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let Self { disk, book, sealed } = self;
        Thread::new(disk, book, sealed, asked, waker, Box::new(tell)).start()
    }
}

#[cfg(test)]
mod tests;
