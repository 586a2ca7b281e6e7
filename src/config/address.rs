//! Addresses as operators write them, and what they perhaps meant.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use coregate_core::snapshot::plan::{Address, AddressError};

use crate::codes;
use crate::item::{Item, quoted, shown};
use crate::report::{Diagnostic, Faults};

/// Reads an address. `port` is the one that suggestions show where there is none.
pub(crate) fn read(item: &Item<'_>, port: u16, faults: &mut Faults) -> Option<Address> {
    let text =
        item.string("an address such as \"127.0.0.1:8080\" or \"unix:/run/app.sock\"", faults)?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(why) => match bad_port(text) {
            Some(port) => {
                let why = format!("port {port}: expected 1 to 65535");
                item.refuse(codes::ADDRESS, why, None, faults)
            }
            None => item.refuse(codes::ADDRESS, why, meant(text, port), faults),
        },
    }
}

/// Where each address stands first, to find those that stand twice.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<Address, Range<usize>>);

impl Seen {
    /// Notes an address, or reports it at both places.
    pub(crate) fn note(&mut self, address: &Address, item: &Item<'_>, faults: &mut Faults) {
        if let Some(first) = self.0.get(address) {
            let message = format!("{}: {address} stands twice", shown(item.path()));
            let fault = Diagnostic::error(codes::ADDRESS_TWICE, item.value_span(), message);
            faults.push(fault.also(first.clone(), "first here"));
        } else {
            self.0.insert(address.clone(), item.value_span());
        }
    }
}

/// The port that is all that is wrong with an address.
fn bad_port(text: &str) -> Option<&str> {
    let (host, port) = text.rsplit_once(':')?;
    let number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let host = match format!("{host}:1").parse::<Address>() {
        Ok(Address::Tcp(_)) | Err(AddressError::HostName(_)) => true,
        Ok(Address::Unix(_)) | Err(_) => false,
    };
    (number && host && port.parse::<u16>().is_err()).then_some(port)
}

fn meant(text: &str, port: u16) -> Option<String> {
    let bare = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let bare = bare.unwrap_or(text).trim().trim_end_matches('/');
    let candidates = [
        bare.to_owned(),
        bare.replacen("localhost", "127.0.0.1", 1),
        format!("{bare}:{port}"),
        format!("0.0.0.0{bare}"),
        bare.replacen('*', "0.0.0.0", 1),
        format!("0.0.0.0:{bare}"),
        format!("unix:{bare}"),
    ];
    if let Ok(IpAddr::V6(address)) = bare.parse() {
        return Some(format!("write \"[{address}]:{port}\""));
    }
    let meant = candidates.into_iter().find(|text| text.parse::<Address>().is_ok());
    meant.map(|meant| format!("write {}", quoted(&meant))).or_else(|| look_up(bare))
}

/// How to find the address of a host that is named.
fn look_up(text: &str) -> Option<String> {
    let name = text.split([':', '/']).next()?;
    // What is shown is typed into a shell.
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let legal = legal && name.len() <= NAME_MAX && name.starts_with(|c: char| c.is_alphabetic());
    (legal && name != "unix").then(|| format!("write its IP address: getent hosts {name}"))
}

/// RFC 1035 §2.3.4, as text.
const NAME_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        for (text, expected) in [
            ("localhost:80", Some("127.0.0.1:80")),
            ("127.0.0.1", Some("127.0.0.1:8080")),
            (":80", Some("0.0.0.0:80")),
            ("80", Some("0.0.0.0:80")),
            ("::1", Some("[::1]:8080")),
            ("http://10.0.0.1:9000/", Some("10.0.0.1:9000")),
            (" 10.0.0.1:9000", Some("10.0.0.1:9000")),
            ("/run/a.sock", Some("unix:/run/a.sock")),
            ("*:80", Some("0.0.0.0:80")),
            ("unix:a", None),
            ("$(reboot):80", None),
            ("", None),
        ] {
            let expected = expected.map(|expected| format!("write \"{expected}\""));
            assert_eq!(meant(text, 8080), expected, "{text:?}");
        }
        for text in ["users.internal:9000", "users.internal", "https://users.internal:9000/a"] {
            let expected = "write its IP address: getent hosts users.internal";
            assert_eq!(meant(text, 8080).as_deref(), Some(expected));
        }
        for (text, expected) in [
            ("10.0.0.1:99000", Some("99000")),
            ("[::1]:65536", Some("65536")),
            ("users:99000", Some("99000")),
            ("10.0.0.1:80", None),
            ("10.0.0.1:", None),
            ("unix:/a:99000", None),
        ] {
            assert_eq!(bad_port(text), expected, "{text:?}");
        }
    }
}
