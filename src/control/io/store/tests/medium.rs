//! A disk that can be cut off: what was not synced is dropped, or written in part, in any order.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::super::book::{Book, Fault};
use super::super::{Disk, StoreError};
use crate::registry::keep::Stored;

/// What a drive writes whole, in bytes.
const SECTOR: usize = 512;

/// Numbers that a seed decides.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }
}

/// How a medium treats what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Honesty {
    /// What is synced stays.
    Honest,
    /// It says so, and does nothing.
    Lies,
}

#[derive(Debug, Clone)]
enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

/// The bytes of one file.
#[derive(Debug, Clone)]
pub(super) struct Medium {
    /// What stays.
    synced: Vec<u8>,
    /// What is read.
    seen: Vec<u8>,
    /// What was changed since the last sync.
    pending: Vec<Change>,
}

fn apply(to: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => to.resize(*length as usize, 0),
        Change::Bytes(at, bytes) => {
            let at = *at as usize;
            if to.len() < at + bytes.len() {
                to.resize(at + bytes.len(), 0);
            }
            to[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

impl Medium {
    fn of(bytes: Vec<u8>) -> Self {
        Self { synced: bytes.clone(), seen: bytes, pending: Vec::new() }
    }

    /// What is left after the power was cut: of what was not synced, any sectors.
    fn after_cut(&self, dice: &mut Dice) -> Vec<u8> {
        let mut left = self.synced.clone();
        let mut pending = self.pending.clone();
        for last in (1..pending.len()).rev() {
            pending.swap(last, dice.below(last + 1));
        }
        for change in &pending {
            match change {
                Change::Length(_) if dice.below(2) == 0 => apply(&mut left, change),
                Change::Length(_) => {}
                Change::Bytes(at, bytes) => {
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        if dice.below(2) == 0 {
                            let at = at + (number * SECTOR) as u64;
                            apply(&mut left, &Change::Bytes(at, sector.to_vec()));
                        }
                    }
                }
            }
        }
        left
    }
}

/// The files of a state directory, in memory.
#[derive(Debug)]
pub(super) struct Files {
    file: Option<Arc<Mutex<Medium>>>,
    new: Option<Arc<Mutex<Medium>>>,
    /// Calls until all of them fail; none: they do not.
    left: Option<usize>,
    honesty: Honesty,
    /// Calls so far.
    pub(super) calls: usize,
}

/// A state directory in memory; clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Platter(pub(super) Arc<Mutex<Files>>);

impl Platter {
    /// With this file in it.
    pub(super) fn new(bytes: Option<Vec<u8>>, honesty: Honesty) -> Self {
        let file = bytes.map(|bytes| Arc::new(Mutex::new(Medium::of(bytes))));
        Self(Arc::new(Mutex::new(Files { file, new: None, left: None, honesty, calls: 0 })))
    }

    /// So many calls more succeed.
    pub(super) fn fail_after(&self, calls: Option<usize>) {
        self.0.lock().unwrap().left = calls;
    }

    /// What the file is after the power was cut.
    pub(super) fn after_cut(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let file = self.0.lock().unwrap().file.clone()?;
        let left = file.lock().unwrap().after_cut(dice);
        Some(left)
    }

    /// What it is after the process has died: the kernel has all that it was given.
    pub(super) fn after_death(&self) -> Option<Vec<u8>> {
        let file = self.0.lock().unwrap().file.clone()?;
        let seen = file.lock().unwrap().seen.clone();
        Some(seen)
    }

    fn storage(&self, medium: &Arc<Mutex<Medium>>) -> Storage {
        Storage { platter: self.clone(), medium: Arc::clone(medium) }
    }

    /// One more call; whether it only pretends to sync.
    fn call(&self) -> io::Result<Honesty> {
        let mut files = self.0.lock().unwrap();
        files.calls += 1;
        match &mut files.left {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(files.honesty)
    }
}

impl Disk for Platter {
    fn claim(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn release(&mut self) {}

    fn open(&mut self) -> Result<(Book, Stored), Fault> {
        let medium = self.0.lock().unwrap().file.clone().ok_or(Fault::Absent)?;
        Book::open(self.storage(&medium))
    }

    fn fresh(&mut self) -> Result<Book, Fault> {
        let medium = Arc::new(Mutex::new(Medium::of(Vec::new())));
        self.0.lock().unwrap().new = Some(Arc::clone(&medium));
        Book::fresh(self.storage(&medium))
    }

    fn adopt(&mut self) -> Result<(), Fault> {
        self.call()?;
        let mut files = self.0.lock().unwrap();
        files.file = files.new.take();
        Ok(())
    }

    fn look(&self) -> Result<(), Fault> {
        Ok(())
    }
}

#[derive(Debug)]
struct Storage {
    platter: Platter,
    medium: Arc<Mutex<Medium>>,
}

impl Storage {
    fn change(&self, change: Change) -> io::Result<()> {
        self.platter.call()?;
        let mut medium = self.medium.lock().unwrap();
        apply(&mut medium.seen, &change);
        medium.pending.push(change);
        Ok(())
    }
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.medium.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let medium = self.medium.lock().unwrap();
        let range = offset as usize..offset as usize + out.len();
        let bytes = medium.seen.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let honesty = self.platter.call()?;
        if honesty == Honesty::Honest {
            let mut medium = self.medium.lock().unwrap();
            let pending = std::mem::take(&mut medium.pending);
            pending.iter().for_each(|change| apply(&mut medium.synced, change));
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes(offset, data.to_vec()))
    }
}
