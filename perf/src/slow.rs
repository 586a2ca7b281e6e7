//! What slow clients cost a proxy, and whether it sheds them in time.
//!
//! [`crowd`] holds thousands of slow connections on one thread, [`servers`] configures the proxies
//! with the same deadlines, [`phase`] measures one proxy under one crowd, [`report`] puts the
//! phases together and checks the bars. Polite requests come from the program `load` meanwhile.

pub mod crowd;
pub mod phase;
pub mod report;
pub mod servers;

/// In which way a client is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// A request head that goes on and on, a byte at a time.
    Head,
    /// A request body that comes a byte at a time.
    Body,
    /// A request body whose first byte is the last.
    Stall,
    /// A reader that takes a byte of a large answer at a time.
    Read,
    /// A reader that takes nothing.
    Refuse,
}

impl Manner {
    /// All, in the order of the table.
    pub const ALL: [Manner; 5] =
        [Manner::Head, Manner::Body, Manner::Stall, Manner::Read, Manner::Refuse];

    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Manner::Head => "head",
            Manner::Body => "body",
            Manner::Stall => "body that stops",
            Manner::Read => "reading",
            Manner::Refuse => "reading nothing",
        }
    }

    /// What such a client sends first.
    fn opening(self) -> &'static [u8] {
        match self {
            Manner::Head => b"GET / HTTP/1.1\r\nhost: slow\r\nx-slow: a",
            Manner::Body | Manner::Stall => {
                b"POST / HTTP/1.1\r\nhost: slow\r\ncontent-length: 1000000\r\n\r\na"
            }
            Manner::Read | Manner::Refuse => b"GET /large HTTP/1.1\r\nhost: slow\r\n\r\n",
        }
    }

    fn reads(self) -> bool {
        matches!(self, Manner::Read | Manner::Refuse)
    }

    /// Whether it moves a byte now and then.
    fn trickles(self) -> bool {
        matches!(self, Manner::Head | Manner::Body | Manner::Read)
    }
}

/// How many clients of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Slow heads.
    pub head: usize,
    /// Slow bodies.
    pub body: usize,
    /// Slow readers.
    pub read: usize,
}

impl Counts {
    /// All together.
    pub fn total(self) -> usize {
        self.head + self.body + self.read
    }

    /// The kinds one by one where there are several, then all together; each with its name.
    pub fn split(self) -> Vec<(&'static str, Counts)> {
        let alone = [
            ("head", Counts { head: self.head, ..Counts::default() }),
            ("body", Counts { body: self.body, ..Counts::default() }),
            ("read", Counts { read: self.read, ..Counts::default() }),
        ];
        let mut all: Vec<_> = alone.into_iter().filter(|(_, one)| one.total() > 0).collect();
        if all.len() > 1 {
            all.push(("all", self));
        }
        all
    }

    /// The clients, the kinds mixed as evenly as their numbers allow. Half of the bodies and of the
    /// readers stand still where `some_stop`; else each moves a byte now and then.
    pub fn manners(self, some_stop: bool) -> Vec<Manner> {
        let mut left = [self.head, self.body, self.read];
        let mut manners = Vec::with_capacity(self.total());
        while left.iter().any(|count| *count > 0) {
            let stops = some_stop && (manners.len() / 3) % 2 == 1;
            let kinds = [
                Manner::Head,
                if stops { Manner::Stall } else { Manner::Body },
                if stops { Manner::Refuse } else { Manner::Read },
            ];
            for (manner, count) in kinds.into_iter().zip(&mut left) {
                if *count > 0 {
                    *count -= 1;
                    manners.push(manner);
                }
            }
        }
        manners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(manners: &[Manner], of: Manner) -> usize {
        manners.iter().filter(|manner| **manner == of).count()
    }

    #[test]
    fn kinds_are_measured_alone_and_together() {
        let names = |counts: Counts| counts.split().iter().map(|s| s.0).collect::<Vec<_>>();
        assert_eq!(names(Counts { head: 3, body: 3, read: 3 }), ["head", "body", "read", "all"]);
        assert_eq!(names(Counts { head: 0, body: 3, read: 0 }), ["body"]);
        assert!(names(Counts::default()).is_empty());
    }

    #[test]
    fn every_client_has_its_kind() {
        let counts = Counts { head: 10, body: 20, read: 30 };
        let manners = counts.manners(false);
        assert_eq!(manners.len(), 60);
        assert_eq!(count(&manners, Manner::Head), 10);
        assert_eq!(count(&manners, Manner::Body), 20);
        assert_eq!(count(&manners, Manner::Read), 30);
        let manners = Counts { head: 60, body: 60, read: 60 }.manners(true);
        for manner in Manner::ALL {
            let expected = if manner == Manner::Head { 60 } else { 30 };
            assert_eq!(count(&manners, manner), expected, "{manner:?}");
        }
    }
}
