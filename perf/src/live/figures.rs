//! What a crowd saw, and what of it must not be.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Faults of each kind that are told in words; the others are counted.
const TOLD: u64 = 3;

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Another status than 200, another body than the right one, or no HTTP.
    WrongAnswer,
    /// The end of the connection while a request was out; none had been answered on it.
    ClosedUnderFirst,
    /// The same on a connection that had answered before, and had not announced its end.
    ClosedUnderLater,
    /// The end of an idle connection that had not announced it.
    ClosedIdle,
    /// Nobody listened where somebody should.
    Refused,
    /// A connect that failed in another way.
    NotConnected,
    /// No answer, no connection, or no end that was announced, in time.
    Late,
}

impl Fault {
    const fn word(self) -> &'static str {
        match self {
            Self::WrongAnswer => "wrong answers",
            Self::ClosedUnderFirst => "closed under a first request",
            Self::ClosedUnderLater => "closed under a later request",
            Self::ClosedIdle => "closed idle",
            Self::Refused => "refused",
            Self::NotConnected => "not connected",
            Self::Late => "late",
        }
    }
}

/// What a crowd saw.
#[derive(Debug, Default, Clone)]
pub struct Figures {
    /// Clients.
    pub clients: usize,
    /// Requests that were answered rightly.
    pub answered: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Ends of connections that had been announced.
    pub announced: u64,
    /// Connects that were refused where that was right.
    pub refused_rightly: u64,
    /// The longest time from a request, or the connect before it, to its answer.
    pub longest: Duration,
    faults: BTreeMap<Fault, u64>,
    told: Vec<String>,
}

impl Figures {
    /// Of so many clients that have seen nothing yet.
    pub fn of(clients: usize) -> Self {
        Self { clients, ..Self::default() }
    }

    /// Something that must not be; `words` say more of the first few.
    pub fn fault(&mut self, fault: Fault, words: impl FnOnce() -> String) {
        let count = self.faults.entry(fault).or_default();
        *count += 1;
        if *count <= TOLD {
            self.told.push(format!("{}: {}", fault.word(), words()));
        }
    }

    /// How often it was.
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// The first few, in words.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// Adds those of another crowd.
    pub fn add(&mut self, other: Self) {
        self.clients = self.clients.max(other.clients);
        self.answered += other.answered;
        self.connections += other.connections;
        self.announced += other.announced;
        self.refused_rightly += other.refused_rightly;
        self.longest = self.longest.max(other.longest);
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.told.extend(other.told);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |faults: &[Fault]| -> u64 {
            faults.iter().filter_map(|fault| self.faults.get(fault)).sum()
        };
        let closed = [Fault::ClosedUnderFirst, Fault::ClosedUnderLater, Fault::ClosedIdle];
        write!(
            f,
            "{} requests of {} clients, {} failed, {} connections closed unannounced of {} ({} announced), {} refused \
             wrongly, longest answer {} ms",
            self.answered,
            self.clients,
            self.faults() - of(&[Fault::ClosedIdle]),
            of(&closed),
            self.connections,
            self.announced,
            of(&[Fault::Refused]),
            self.longest.as_millis(),
        )?;
        for (fault, count) in &self.faults {
            write!(f, "; {count} {}", fault.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_add_up() {
        let mut figures = Figures { clients: 3, answered: 5, ..Figures::default() };
        figures.fault(Fault::ClosedIdle, || "one".into());
        let mut other = Figures { clients: 3, answered: 7, ..Figures::default() };
        (0..20).for_each(|_| other.fault(Fault::Refused, || "two".into()));
        figures.add(other);
        assert_eq!((figures.faults(), figures.told().len(), figures.answered), (21, 4, 12));
        let text = figures.to_string();
        assert!(text.contains("20 failed, 1 connections closed unannounced"), "{text}");
        assert!(text.contains("20 refused wrongly") && text.contains("1 closed idle"), "{text}");
    }
}
