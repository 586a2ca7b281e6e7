//! The memory of the cells: one anonymous file (memfd) that is mapped shared, so that the next process inherits it.
//!
//! The file is sealed against shrinking, growing and further seals before anybody maps it, and whoever is handed one looks at
//! size and seals first: a file that shrank under a mapping would end the process by SIGBUS at the next load. Its pages
//! come when they are touched, so that a large table costs what is used of it.
//!
//! A mapping is never given back: it lives as long as the process, and every worker reads it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::slice;
use std::sync::atomic::AtomicU64;

use coregate_core::base::cells::{Cells, LayoutMismatch};
use coregate_core::base::limits;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// The words of the host's table.
const WORDS: usize = Cells::words(limits::INSTANCE_SLOTS);
/// Their file, in bytes.
const BYTES: usize = WORDS * size_of::<AtomicU64>();

/// What a file must be sealed against.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// The host's cells, and the descriptor by which another process has them too.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The table.
    pub(crate) cells: Cells,
    descriptor: OwnedFd,
}

/// What became of a table that a predecessor left.
#[derive(Debug)]
pub(crate) enum Inherited {
    /// It goes on.
    Adopted(Shared),
    /// It cannot be used, so limits begin anew.
    Fresh(Shared, Unusable),
}

/// Why a table that a predecessor left cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// The file is not such a file, or the kernel refuses to map it.
    #[error(transparent)]
    File(io::Error),
    /// Another build made it.
    #[error(transparent)]
    Layout(LayoutMismatch),
}

impl Shared {
    /// A fresh table.
    pub(crate) fn create() -> io::Result<Self> {
        let descriptor = rustix::fs::memfd_create(
            "coregate-cells",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        rustix::fs::ftruncate(&descriptor, BYTES as u64)?;
        rustix::fs::fcntl_add_seals(&descriptor, SEALS)?;
        let words = map(descriptor.as_fd())?;
        let cells = Cells::create(words, seed()?).map_err(io::Error::other)?;
        Ok(Self { cells, descriptor })
    }

    /// The table behind a descriptor that a predecessor handed over, or else a fresh one and why; fails where none can be made.
    pub(crate) fn inherit(descriptor: OwnedFd) -> io::Result<Inherited> {
        let adopted = map(descriptor.as_fd())
            .map_err(Unusable::File)
            .and_then(|words| Cells::adopt(words).map_err(Unusable::Layout));
        Ok(match adopted {
            Ok(cells) => Inherited::Adopted(Self { cells, descriptor }),
            Err(reason) => Inherited::Fresh(Self::create()?, reason),
        })
    }

    /// What to hand to a successor; closed on exec, as all our descriptors.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Maps the table's file, shared, for as long as the process lives.
///
/// # Errors
/// If the file has another size, if it is not sealed, or if the kernel does not map it.
#[expect(unsafe_code, reason = "memory that processes share is a mapping")]
fn map(descriptor: BorrowedFd<'_>) -> io::Result<&'static [AtomicU64]> {
    let size = rustix::fs::fstat(descriptor)?.st_size;
    if size != BYTES as i64 {
        return Err(invalid(format_args!("cells of {size} bytes: expected {BYTES}")));
    }
    // EINVAL: not a file that can have seals.
    let seals = rustix::fs::fcntl_get_seals(descriptor)
        .map_err(|error| invalid(format_args!("cells that cannot be sealed: {error}")))?;
    if !seals.contains(SEALS) {
        return Err(invalid(format_args!("cells that are not sealed: their file may shrink")));
    }
    // SAFETY: `mmap` replaces no mapping, because it is not asked for a place (null, no MAP_FIXED). On success it gives BYTES
    // bytes, readable and writable, which begin at a page, so are aligned for `AtomicU64`. All of them lie within the file,
    // whose size was read above and cannot change since (SHRINK and GROW, which cannot be taken off), and nobody unmaps them:
    // the slice is valid for `'static`. Every pattern of 64 bits is an `AtomicU64`. This memory is only reached through
    // such slices, here and in the other processes, which are this program: so only by atomic operations.
    unsafe {
        let start = rustix::mm::mmap(
            ptr::null_mut(),
            BYTES,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            descriptor,
            0,
        )?;
        Ok(slice::from_raw_parts(start.cast::<AtomicU64>(), WORDS))
    }
}

/// What keys of buckets are hashed with, as long as this table lives.
fn seed() -> io::Result<[u64; 2]> {
    let mut halves = [0; 2];
    for half in &mut halves {
        let mut bytes = [0; 8];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        *half = u64::from_le_bytes(bytes);
    }
    Ok(halves)
}

fn invalid(text: fmt::Arguments<'_>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_string())
}

#[cfg(test)]
mod tests {
    use coregate_core::base::cells::{ConnectionPermits, Mark};
    use coregate_core::base::ids::InstanceSlot;

    use super::*;

    fn again(shared: &Shared) -> OwnedFd {
        shared.descriptor().try_clone_to_owned().unwrap()
    }

    fn file(bytes: u64, seals: SealFlags) -> OwnedFd {
        let file = rustix::fs::memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&file, bytes).unwrap();
        rustix::fs::fcntl_add_seals(&file, seals).unwrap();
        file
    }

    #[track_caller]
    fn adopted(descriptor: OwnedFd) -> Shared {
        match Shared::inherit(descriptor).unwrap() {
            Inherited::Adopted(shared) => shared,
            Inherited::Fresh(_, reason) => panic!("not adopted: {reason}"),
        }
    }

    /// It is not taken over, for this reason, and the fresh one works.
    #[track_caller]
    fn refused(descriptor: OwnedFd, expected: &str) {
        let Inherited::Fresh(fresh, reason) = Shared::inherit(descriptor).unwrap() else {
            panic!("adopted: expected {expected}");
        };
        assert!(reason.to_string().contains(expected), "{reason}");
        fresh.cells.verdict(InstanceSlot(0)).begin(1).unwrap();
    }

    #[test]
    fn two_mappings_of_one_file_see_each_other() {
        let ours = Shared::create().unwrap();
        let theirs = adopted(again(&ours));
        assert_eq!(theirs.cells.instances(), limits::INSTANCE_SLOTS);
        for slot in [InstanceSlot(0), InstanceSlot(limits::INSTANCE_SLOTS as u32 - 1)] {
            ours.cells.verdict(slot).begin(3).unwrap();
            assert!(theirs.cells.verdict(slot).load().takes_requests(3));
            theirs.cells.verdict(slot).mark(3, Mark::Down).unwrap();
            assert!(!ours.cells.verdict(slot).load().takes_requests(3));
        }
        let old = ConnectionPermits::new(ours.cells.clone(), 0, 2);
        let new = ConnectionPermits::new(theirs.cells.clone(), 1, 2);
        assert!(old.acquire() && new.acquire() && !old.acquire() && !new.acquire());
        assert_eq!((new.forget(0), old.open()), (1, 1));
    }

    #[test]
    fn tables_are_not_each_others() {
        let (one, other) = (Shared::create().unwrap(), Shared::create().unwrap());
        one.cells.verdict(InstanceSlot(7)).begin(3).unwrap();
        assert_eq!(other.cells.verdict(InstanceSlot(7)).load().generation(), 0);
    }

    #[test]
    fn a_file_of_another_size_is_refused() {
        for bytes in [0, 8, BYTES as u64 - 4096, BYTES as u64 + 4096] {
            refused(file(bytes, SEALS), &format!("cells of {bytes} bytes"));
        }
    }

    #[test]
    fn a_file_that_may_shrink_is_refused() {
        for seals in [
            SealFlags::empty(),
            SealFlags::GROW,
            SealFlags::SHRINK | SealFlags::GROW,
            SealFlags::GROW | SealFlags::SEAL,
        ] {
            refused(file(BYTES as u64, seals), "not sealed");
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let (pipe, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        refused(pipe.into(), "cells of 0 bytes");
        // A file that cannot be written through a mapping.
        refused(file(BYTES as u64, SEALS | SealFlags::WRITE), "os error 1");
        // The right size, and no table in it.
        refused(file(BYTES as u64, SEALS), "no table of cells");
    }

    #[test]
    fn what_was_made_cannot_be_made_shorter() {
        let shared = Shared::create().unwrap();
        assert!(rustix::fs::ftruncate(shared.descriptor(), 0).is_err());
        assert!(rustix::fs::fcntl_add_seals(shared.descriptor(), SealFlags::WRITE).is_err());
    }
}
