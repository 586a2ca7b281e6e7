//! Resident memory, and whether it is flat.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Pid;

use crate::machine;

/// How much more there may be at the end than at one tenth of a run, KiB.
pub const MORE_MAX_KIB: u64 = 2048;
/// Looks of which the one in the middle counts.
const LOOKS: usize = 5;
const BETWEEN: Duration = Duration::from_millis(20);

/// Resident memory at two moments of a run, KiB.
#[derive(Debug, Clone, Copy)]
pub struct Flat {
    /// At one tenth.
    pub tenth: u64,
    /// At the end.
    pub end: u64,
}

impl Flat {
    /// Whether it is flat.
    pub fn holds(self) -> bool {
        self.tenth > 0 && self.end > 0 && self.end <= self.tenth + MORE_MAX_KIB
    }
}

impl std::fmt::Display for Flat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more = self.end as i64 - self.tenth as i64;
        write!(f, "RSS {} KiB at a tenth, {} KiB at the end ({more:+} KiB)", self.tenth, self.end)
    }
}

/// Resident memory of a process now, KiB; 0 if it has ended.
pub fn resident_kib(pid: Pid) -> u64 {
    let mut looks: Vec<u64> = (0..LOOKS)
        .map(|_| {
            sleep(BETWEEN);
            machine::resident_kib(&[pid])
        })
        .collect();
    looks.sort_unstable();
    looks[LOOKS / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mebibytes_more_are_flat() {
        assert!(Flat { tenth: 10_000, end: 12_048 }.holds());
        assert!(Flat { tenth: 10_000, end: 5_000 }.holds());
        assert!(!Flat { tenth: 10_000, end: 12_049 }.holds());
        assert!(!Flat { tenth: 10_000, end: 0 }.holds());
    }
}
