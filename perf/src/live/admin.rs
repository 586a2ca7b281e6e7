//! The gateway's admin listener, over its Unix socket: a connection for each question.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use memchr::memmem;
use serde_json::Value;

use crate::frame::status_of;

/// An upgrade may take both sides half a minute.
const PATIENCE: Duration = Duration::from_secs(65);

/// Where to ask.
#[derive(Debug, Clone)]
pub struct Admin(PathBuf);

/// What it said.
#[derive(Debug)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The body; text that is no JSON is a string.
    pub body: Value,
}

impl Admin {
    /// On this socket.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// GET.
    pub fn get(&self, target: &str) -> io::Result<Said> {
        self.ask("GET", target, "")
    }

    /// POST, with a body or none.
    pub fn post(&self, target: &str, body: Option<&Value>) -> io::Result<Said> {
        self.ask("POST", target, &body.map(Value::to_string).unwrap_or_default())
    }

    /// PUT.
    pub fn put(&self, target: &str, body: &Value) -> io::Result<Said> {
        self.ask("PUT", target, &body.to_string())
    }

    /// DELETE.
    pub fn delete(&self, target: &str) -> io::Result<Said> {
        self.ask("DELETE", target, "")
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> io::Result<Said> {
        let mut stream = UnixStream::connect(&self.0)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let about = match body.is_empty() {
            true => String::new(),
            false => "Content-Type: application/json\r\n".into(),
        };
        let length = body.len();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{about}Content-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        read(&answer).ok_or_else(|| io::Error::other(format!("{method} {target}: no answer")))
    }
}

fn read(answer: &[u8]) -> Option<Said> {
    let end = memmem::find(answer, b"\r\n\r\n")? + 4;
    let status = status_of(&answer[..end])?;
    let text = String::from_utf8_lossy(&answer[end..]);
    let body = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()));
    Some(Said { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let said = read(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n{\"x\":1}");
        assert!(said.is_some_and(|said| said.status == 200 && said.body["x"] == 1));
        let said = read(b"HTTP/1.1 503 No\r\n\r\nno\n");
        assert!(said.is_some_and(|said| said.status == 503 && said.body == "no\n"));
        assert!(read(b"HTTP/1.1 200 OK\r\n").is_none());
    }
}
