//! Secrets: the file says where they lie, never what they are.
//!
//! A configuration is shown in reports, histories and differences, so a [`Secret`] is a place: an environment variable or
//! a file. What lies there is read when it is needed, as a [`Token`], which prints as dots and compares in a time that does
//! not depend on where two differ.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use coregate_core::base::limits;
use coregate_core::policy::credential::{self, KeyDigest};

use crate::item::plain;

/// Where a secret lies. It holds no value, so it can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// In the environment variable of this name.
    Env(String),
    /// In the file at this absolute path.
    File(PathBuf),
}

/// Why a secret cannot be had. It holds no part of the value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such environment variable.
    #[error("{0}: it is not set")]
    NotSet(Secret),
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Unreadable(Secret, io::Error),
    /// It is empty, or too short to be a secret.
    #[error(
        "{0}: {1} characters: expected at least {least}, such as openssl rand -hex 24 gives",
        least = limits::TOKEN_BYTES_MIN
    )]
    Short(Secret, usize),
    /// It is too long.
    #[error("{0}: expected at most {most} bytes", most = limits::SECRET_BYTES)]
    Long(Secret),
    /// It holds spaces, control characters or others than ASCII, which no header field carries unharmed.
    #[error("{0}: byte {at} is not a visible ASCII character", at = .1 + 1)]
    NotVisible(Secret, usize),
}

impl Secret {
    /// Reads the secret: at least [`limits::TOKEN_BYTES_MIN`] and at most [`limits::SECRET_BYTES`] visible ASCII characters;
    /// a line end behind them is not part of it. Blocks.
    pub fn resolve(&self) -> Result<Token, SecretError> {
        self.resolve_in(|name| env::var_os(name))
    }

    fn resolve_in(
        &self,
        environment: impl FnOnce(&str) -> Option<OsString>,
    ) -> Result<Token, SecretError> {
        let bytes = match self {
            Self::Env(name) => environment(name)
                .map(OsStringExt::into_vec)
                .ok_or_else(|| SecretError::NotSet(self.clone()))?,
            Self::File(path) => {
                read(path).map_err(|why| SecretError::Unreadable(self.clone(), why))?
            }
        };
        self.token(bytes)
    }

    fn token(&self, mut bytes: Vec<u8>) -> Result<Token, SecretError> {
        if bytes.pop_if(|last| *last == b'\n').is_some() {
            bytes.pop_if(|last| *last == b'\r');
        }
        if bytes.len() > limits::SECRET_BYTES {
            return Err(SecretError::Long(self.clone()));
        }
        if let Some(at) = bytes.iter().position(|byte| !byte.is_ascii_graphic()) {
            return Err(SecretError::NotVisible(self.clone(), at));
        }
        if bytes.len() < limits::TOKEN_BYTES_MIN {
            return Err(SecretError::Short(self.clone(), bytes.len()));
        }
        Ok(Token(bytes))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {}", plain(name)),
            Self::File(path) => write!(f, "file {}", plain(&path.to_string_lossy())),
        }
    }
}

/// At most one byte more than a secret with its line end may have.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = limits::SECRET_BYTES as u64 + LINE_END_BYTES + 1;
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `\r\n`.
const LINE_END_BYTES: u64 = 2;

/// A secret that was read. It prints as dots.
#[derive(Clone)]
pub struct Token(Vec<u8>);

impl Token {
    /// Whether `given` is the secret. How long it takes tells at most whether the lengths are the same.
    #[must_use = "a token that is not compared lets everybody in"]
    pub fn matches(&self, given: &[u8]) -> bool {
        credential::same(&self.0, given)
    }

    /// Its digest, which is all that is kept of the key of a consumer.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Always as many, whatever its length.
        f.write_str("••••••••")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef";

    fn of(value: &[u8]) -> Result<Token, SecretError> {
        let secret = Secret::Env("COREGATE_TEST".into());
        secret.resolve_in(|name| {
            assert_eq!(name, "COREGATE_TEST");
            Some(OsString::from_vec(value.to_vec()))
        })
    }

    #[test]
    fn what_is_a_token() {
        let longest = "x".repeat(limits::SECRET_BYTES);
        for value in [GOOD, &format!("{GOOD}\n"), &format!("{GOOD}\r\n"), &longest] {
            assert!(of(value.as_bytes()).unwrap().matches(value.trim_end().as_bytes()));
        }
        let long = format!("{longest}x");
        for (value, said) in [
            ("", "0 characters: expected at least 16"),
            ("\n", "0 characters: expected at least 16"),
            ("0123456789abcde", "15 characters: expected at least 16"),
            (&long, "expected at most 4096 bytes"),
            ("0123456789 abcdef", "byte 11 is not a visible ASCII character"),
            ("0123456789abcdef\n\n", "byte 17 is not a visible"),
            ("0123456789abcdef\r", "byte 17 is not a visible"),
            ("é123456789abcdef", "byte 1 is not a visible"),
            ("0123456789abcde\0", "byte 16 is not a visible"),
        ] {
            let error = of(value.as_bytes()).unwrap_err();
            let shown = error.to_string();
            assert!(shown.contains(said) && shown.contains("COREGATE_TEST"), "{shown}");
            let value = value.trim();
            assert!(value.is_empty() || !format!("{error:?} {shown}").contains(value), "{shown}");
        }
        assert!(matches!(of(b"\xff0123456789abcdef"), Err(SecretError::NotVisible(_, 0))));
    }

    #[test]
    fn where_there_is_none() {
        let error = Secret::Env("COREGATE_NOBODY_SETS_THIS".into()).resolve().unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable COREGATE_NOBODY_SETS_THIS: it is not set"
        );
        let error = Secret::File("/nothing/here".into()).resolve().unwrap_err();
        assert!(error.to_string().starts_with("file /nothing/here: "), "{error}");
        assert!(matches!(Secret::File("/".into()).resolve(), Err(SecretError::Unreadable(_, _))));
        // Without an end: no more of it is read than it takes to say no.
        assert!(matches!(Secret::File("/dev/zero".into()).resolve(), Err(SecretError::Long(_))));
    }

    #[test]
    fn from_a_file() {
        let path = env::temp_dir().join(format!("coregate-secret-{}", std::process::id()));
        std::fs::write(&path, format!("{GOOD}\n")).unwrap();
        let token = Secret::File(path.clone()).resolve();
        std::fs::remove_file(&path).unwrap();
        assert!(token.unwrap().matches(GOOD.as_bytes()));
    }

    #[test]
    fn it_compares_whole_and_prints_as_dots() {
        let token = of(GOOD.as_bytes()).unwrap();
        assert!(token.matches(GOOD.as_bytes()));
        for other in ["", "0123456789abcdeg", "1123456789abcdef", "0123456789abcdef0"] {
            assert!(!token.matches(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{token} {token:?}"), "•••••••• ••••••••");
    }
}
