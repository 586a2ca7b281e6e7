//! Which cores the workers run on, and over which driver: the values of `runtime.cores` and `--cores`, `runtime.io` and
//! `--io`.

use std::fmt;
use std::str::FromStr;

use coregate_core::base::limits;

/// Which cores the workers are pinned to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cores {
    /// As the machine suggests.
    #[default]
    Auto,
    /// This many of those that the process may use.
    Count(usize),
    /// These, in this order; never empty, none twice.
    List(Vec<usize>),
    /// Those that the kernel keeps free of other work (`isolcpus`).
    Isolated,
}

/// Why a text is no [`Cores`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoresError {
    /// None of the four forms.
    #[error(
        "{0:?}: expected \"auto\", \"isolated\", a count such as 4 or a list such as \"0-3,6\""
    )]
    Form(String),
    /// A count out of range.
    #[error("{0} cores: expected 1 to {max}", max = limits::WORKERS)]
    Count(String),
    /// A CPU that no machine has.
    #[error("CPU {0}: expected 0 to {most}", most = limits::CPU_MAX)]
    Cpu(String),
    /// A range that runs backwards.
    #[error("{0}-{1}: expected the lower CPU first")]
    Reversed(usize, usize),
    /// A CPU named twice.
    #[error("CPU {0} stands twice")]
    Twice(usize),
}

impl FromStr for Cores {
    type Err = CoresError;

    fn from_str(text: &str) -> Result<Self, CoresError> {
        match text {
            "auto" => return Ok(Self::Auto),
            "isolated" => return Ok(Self::Isolated),
            _ => {}
        }
        let form = || CoresError::Form(text.chars().take(limits::NUMBER_CHARS).collect());
        if is_number(text) {
            let count = text.parse().ok().filter(|count| (1..=limits::WORKERS).contains(count));
            return count.map(Self::Count).ok_or_else(|| {
                CoresError::Count(text.chars().take(limits::NUMBER_CHARS).collect())
            });
        }
        let mut list = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if !is_number(first) || !is_number(last) {
                return Err(form());
            }
            let (first, last) = (cpu(first)?, cpu(last)?);
            if first > last {
                return Err(CoresError::Reversed(first, last));
            }
            for cpu in first..=last {
                // At most 1,024 of them, so that looking through the list is cheap.
                if list.contains(&cpu) {
                    return Err(CoresError::Twice(cpu));
                }
                list.push(cpu);
            }
        }
        Ok(Self::List(list))
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Isolated => f.write_str("isolated"),
            Self::Count(count) => write!(f, "{count}"),
            Self::List(list) => {
                let runs = list.chunk_by(|a, b| a + 1 == *b).collect::<Vec<_>>();
                for (at, run) in runs.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    match run {
                        // `3` alone would be read back as a count.
                        [cpu] if runs.len() > 1 => write!(f, "{comma}{cpu}")?,
                        [first, .., last] | [first @ last] => write!(f, "{comma}{first}-{last}")?,
                        [] => {}
                    }
                }
                Ok(())
            }
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn cpu(digits: &str) -> Result<usize, CoresError> {
    let cpu = digits.parse().ok().filter(|cpu| *cpu <= limits::CPU_MAX);
    cpu.ok_or_else(|| CoresError::Cpu(digits.chars().take(limits::NUMBER_CHARS).collect()))
}

/// What the workers do their I/O with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Io {
    /// io_uring where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// epoll.
    Epoll,
}

/// A text that is no [`Io`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: expected \"auto\", \"uring\" or \"epoll\"")]
pub struct IoError(String);

impl FromStr for Io {
    type Err = IoError;

    fn from_str(text: &str) -> Result<Self, IoError> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "epoll" => Ok(Self::Epoll),
            _ => Err(IoError(text.chars().take(limits::NUMBER_CHARS).collect())),
        }
    }
}

impl fmt::Display for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores() {
        let list = |list: &[usize]| Ok(Cores::List(list.to_vec()));
        for (text, expected) in [
            ("auto", Ok(Cores::Auto)),
            ("isolated", Ok(Cores::Isolated)),
            ("4", Ok(Cores::Count(4))),
            ("1024", Ok(Cores::Count(1024))),
            ("3-3", list(&[3])),
            ("0-3,6", list(&[0, 1, 2, 3, 6])),
            ("6,0-1", list(&[6, 0, 1])),
            ("0,1023", list(&[0, 1023])),
            ("0", Err(CoresError::Count("0".into()))),
            ("1025", Err(CoresError::Count("1025".into()))),
            ("0-1024", Err(CoresError::Cpu("1024".into()))),
            ("3-1", Err(CoresError::Reversed(3, 1))),
            ("1,0-2", Err(CoresError::Twice(1))),
        ] {
            assert_eq!(text.parse(), expected, "{text:?}");
        }
        for text in ["", ",", "1,", "-1", "1-", "1--2", "+1", "0x1", "a", "1, 2", "Auto"] {
            assert_eq!(text.parse::<Cores>(), Err(CoresError::Form(text.into())));
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for text in ["auto", "isolated", "4", "3-3", "0-3,6", "6,0-1,9", "1-2,7-8"] {
            assert_eq!(text.parse::<Cores>().unwrap().to_string(), text);
        }
        for text in ["auto", "uring", "epoll"] {
            assert_eq!(text.parse::<Io>().unwrap().to_string(), text);
        }
        assert!("uringg".parse::<Io>().is_err());
    }
}
