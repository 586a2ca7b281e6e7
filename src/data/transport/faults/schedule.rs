//! What a schedule of faults says: which calls there are, what each may meet, and how often. See the table of `faults`.

use std::str::FromStr;

use rustix::io::Errno;

macro_rules! named {
    ($(#[$doc:meta])* $kind:ident { $($(#[$item:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $kind { $($(#[$item])* $name,)* }

        impl $kind {
            /// Every one, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As a schedule names it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

named! {
    /// A kind of call; see the table above.
    Call {
        /// `accept4`.
        Accept = "accept",
        /// Making a connection.
        Connect = "connect",
        /// Giving a socket to the driver.
        Adopt = "adopt",
        /// Reading.
        Read = "read",
        /// Writing.
        Write = "write",
        /// Polling.
        Ready = "ready",
        /// Looking at an idle connection.
        Peek = "peek",
        /// Shutting down.
        Shutdown = "shutdown",
    }
}

named! {
    /// What a call may meet; see the table above.
    Fault {
        /// EMFILE.
        Emfile = "emfile",
        /// ENFILE.
        Enfile = "enfile",
        /// ENOBUFS.
        Enobufs = "enobufs",
        /// ENOMEM.
        Enomem = "enomem",
        /// ECONNABORTED.
        Aborted = "aborted",
        /// ECONNREFUSED.
        Refused = "refused",
        /// ECONNRESET, at both ends.
        Reset = "reset",
        /// EPIPE; the other end is reset.
        Pipe = "pipe",
        /// ETIMEDOUT; the other end is reset.
        Timeout = "timeout",
        /// EINTR.
        Intr = "intr",
        /// EAGAIN.
        Again = "again",
        /// One byte.
        Short = "short",
        /// A part of what could be.
        Part = "part",
        /// It takes a while to hear of it.
        Delay = "delay",
    }
}

impl Call {
    pub(super) fn may_meet(self) -> &'static [Fault] {
        use Fault::{
            Aborted, Again, Delay, Emfile, Enfile, Enobufs, Enomem, Intr, Part, Pipe, Refused,
            Reset, Short, Timeout,
        };
        match self {
            Self::Accept => &[Emfile, Enfile, Enobufs, Enomem, Again, Intr, Aborted],
            Self::Connect => {
                &[Emfile, Enfile, Enobufs, Enomem, Again, Refused, Reset, Timeout, Delay]
            }
            Self::Adopt => &[Enomem],
            Self::Read => &[Enobufs, Enomem, Reset, Timeout, Again, Intr, Short, Part, Delay],
            Self::Write => &[Enobufs, Enomem, Reset, Pipe, Timeout, Intr, Short, Part, Delay],
            Self::Ready => &[Enomem, Again, Delay],
            Self::Peek => &[Enomem, Reset],
            Self::Shutdown => &[Reset],
        }
    }
}

impl Fault {
    /// The error that it is; `None`: the call goes on, differently.
    pub(super) fn errno(self) -> Option<Errno> {
        Some(match self {
            Self::Emfile => Errno::MFILE,
            Self::Enfile => Errno::NFILE,
            Self::Enobufs => Errno::NOBUFS,
            Self::Enomem => Errno::NOMEM,
            Self::Aborted => Errno::CONNABORTED,
            Self::Refused => Errno::CONNREFUSED,
            Self::Reset => Errno::CONNRESET,
            Self::Pipe => Errno::PIPE,
            Self::Timeout => Errno::TIMEDOUT,
            Self::Intr => Errno::INTR,
            Self::Again => Errno::AGAIN,
            Self::Short | Self::Part | Self::Delay => return None,
        })
    }

    /// Whether no exchange may come to another end because of it.
    pub(super) fn is_harmless(self) -> bool {
        matches!(self, Self::Again | Self::Short | Self::Part | Self::Delay)
    }
}

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Odds {
    /// In so many of `of` calls, on average.
    pub hits: u32,
    /// More than 0.
    pub of: u32,
    /// Never more often than this, on each worker.
    pub most: u64,
}

impl Odds {
    const NEVER: Self = Self { hits: 0, of: 1, most: 0 };

    /// One call in `of`.
    pub fn one_in(of: u32) -> Self {
        Self { hits: 1, of: of.max(1), most: u64::MAX }
    }
}

/// Which faults strike which calls, and how often.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub(super) seed: u64,
    pub(super) odds: [[Odds; Fault::ALL.len()]; Call::ALL.len()],
}

/// A schedule that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// A part without `=`, or with something else than a number behind it.
    #[error("{0}: expected seed=NUMBER or CALL.FAULT=HITS/OF[*MOST]")]
    Malformed(String),
    /// No such call, no such fault, or a call that cannot meet it.
    #[error("{0}: no call meets that; it may be one of {1}")]
    Unknown(String, String),
}

impl Schedule {
    /// Nothing strikes.
    pub fn quiet(seed: u64) -> Self {
        Self { seed, odds: [[Odds::NEVER; Fault::ALL.len()]; Call::ALL.len()] }
    }

    /// Everything that may strike does, with these odds each.
    pub fn everything(seed: u64, odds: Odds) -> Self {
        let all = Call::ALL.iter().flat_map(|call| call.may_meet().iter().map(|f| (*call, *f)));
        all.fold(Self::quiet(seed), |schedule, (call, fault)| schedule.with(call, fault, odds))
    }

    /// The same with these odds for one fault of one call; those of a fault that it cannot meet mean nothing.
    #[must_use]
    pub fn with(mut self, call: Call, fault: Fault, odds: Odds) -> Self {
        if call.may_meet().contains(&fault) {
            self.odds[call as usize][fault as usize] = odds;
        }
        self
    }
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let mut schedule = Self::quiet(0);
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let malformed = || BadSchedule::Malformed(part.into());
            let (name, value) = part.split_once('=').ok_or_else(malformed)?;
            if name == "seed" {
                schedule.seed = value.parse().map_err(|_| malformed())?;
                continue;
            }
            let known = Call::ALL
                .iter()
                .flat_map(|call| call.may_meet().iter().map(move |fault| (*call, *fault)));
            let named = |(call, fault): (Call, Fault)| format!("{}.{}", call.name(), fault.name());
            let Some((call, fault)) = known.clone().find(|both| named(*both) == name) else {
                let all: Vec<_> = known.map(named).collect();
                return Err(BadSchedule::Unknown(name.into(), all.join(" ")));
            };
            let (odds, most) = match value.split_once('*') {
                Some((odds, most)) => (odds, most.parse().map_err(|_| malformed())?),
                None => (value, u64::MAX),
            };
            let (hits, of) = odds.split_once('/').ok_or_else(malformed)?;
            let (hits, of) = (hits.parse().ok(), of.parse().ok().filter(|of| *of > 0));
            let (Some(hits), Some(of)) = (hits, of) else { return Err(malformed()) };
            schedule = schedule.with(call, fault, Odds { hits, of, most });
        }
        Ok(schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_read_or_its_fault_named() {
        let schedule: Schedule = "seed=7, read.reset=1/50,accept.emfile=1/1*20,".parse().unwrap();
        assert_eq!(schedule.seed, 7);
        let odds = |call: Call, fault: Fault| schedule.odds[call as usize][fault as usize];
        assert_eq!(odds(Call::Read, Fault::Reset), Odds::one_in(50));
        assert_eq!(odds(Call::Accept, Fault::Emfile), Odds { hits: 1, of: 1, most: 20 });
        assert_eq!(odds(Call::Write, Fault::Reset), Odds::NEVER);
        for bad in ["read.reset", "read.reset=1", "read.reset=1/0", "seed=x", "read.short=1/1*x"] {
            let error = bad.parse::<Schedule>().unwrap_err();
            assert_eq!(error, BadSchedule::Malformed(bad.into()));
        }
        for bad in ["reed.reset=1/2", "read.rest=1/2", "accept.short=1/2"] {
            let error = bad.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(" read.short "), "{error}");
        }
    }
}
