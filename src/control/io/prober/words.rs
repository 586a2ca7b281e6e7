//! What is said of probes that fail: short, and nothing of what the peer sent.

use std::error::Error;
use std::io;
use std::time::Duration;

/// A connect that came to nothing: why, if it is the instance's fault, and nothing if it is ours.
pub(super) fn of_connect(error: &io::Error) -> Option<&'static str> {
    use rustix::io::Errno;
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    match number {
        // No descriptor, no memory, no port of our own.
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL) => {
            None
        }
        Some(Errno::CONNREFUSED) => Some("connection refused"),
        Some(Errno::HOSTUNREACH | Errno::HOSTDOWN) => Some("host unreachable"),
        Some(Errno::NETUNREACH | Errno::NETDOWN) => Some("network unreachable"),
        Some(Errno::TIMEDOUT) => Some("no answer to the connect"),
        Some(Errno::CONNRESET) => Some("connection reset"),
        Some(Errno::NOENT) => Some("no such socket"),
        Some(Errno::ACCESS | Errno::PERM) => Some("connection not permitted"),
        // A Unix socket whose queue is full.
        Some(Errno::AGAIN) => Some("too many connections wait"),
        _ => Some("connection failed"),
    }
}

/// Why there is no answer, or not all of what is looked for in it.
pub(super) fn of_exchange(error: &hyper::Error) -> &'static str {
    if error.is_parse_too_large() {
        return "head of the answer too large";
    }
    match kind(error) {
        Some(io::ErrorKind::FileTooLarge) => return "answer without an end",
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            return "connection reset";
        }
        _ => {}
    }
    if error.is_parse() {
        return "answer is not HTTP/1.1";
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return "connection closed without an answer";
    }
    "answer broken off"
}

fn kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

pub(super) fn no_connection(within: Duration) -> String {
    format!("no connection within {} s", within.as_secs_f64())
}

pub(super) fn no_answer(within: Duration) -> String {
    format!("no answer within {} s", within.as_secs_f64())
}

pub(super) fn no_whole_body(within: Duration) -> String {
    format!("no whole body within {} s", within.as_secs_f64())
}

pub(super) fn status(status: u16) -> String {
    format!("status {status}")
}

/// The body is there, and is not as expected.
pub(super) const OTHER_BODY: &str = "body without the expected text";
/// The answer does not say who it is from.
pub(super) const NO_ID: &str = "no instance id";
/// Somebody else answers at this address.
pub(super) const OTHER_ID: &str = "instance id is another";
/// What is to be sent is no request.
pub(super) const NO_REQUEST: &str = "the check is no request that can be sent";

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_this_host_lacks_is_not_the_instances_failure() {
        let said = |number: Errno| of_connect(&io::Error::from_raw_os_error(number.raw_os_error()));
        for own in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL] {
            assert_eq!(said(own), None, "{own:?}");
        }
        assert_eq!(said(Errno::CONNREFUSED), Some("connection refused"));
        assert_eq!(said(Errno::AGAIN), Some("too many connections wait"));
        assert_eq!(said(Errno::INVAL), Some("connection failed"));
    }
}
