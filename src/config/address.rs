//! Addresses as operators write them, and what they perhaps meant.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Address, AddressError};

use crate::codes;
use crate::item::{Item, Value, quoted, shown};
use crate::report::{Diagnostic, Faults};

/// Reads an address. `port` is the one that suggestions show where there is none.
pub(crate) fn read(item: &Item<'_>, port: u16, faults: &mut Faults) -> Option<Address> {
    let Value::String(text) = item.value() else {
        let expected = "an address such as \"127.0.0.1:8080\" or \"unix:/run/app.sock\"";
        return item.wrong_type(expected, of_port(item), faults);
    };
    match text.parse() {
        Ok(address) => Some(address),
        Err(why) => match bad_port(text) {
            Some(port) => {
                let why = format!("port {port}: expected 1 to 65535");
                item.refuse(codes::ADDRESS, why, None, faults)
            }
            None => item.refuse(codes::ADDRESS, why, meant(text, port, host(item)), faults),
        },
    }
}

/// What to write for a number that stands where an address does.
pub(crate) fn of_port(item: &Item<'_>) -> Option<String> {
    let port = item.decimal()?.parse::<u16>().ok().filter(|port| *port > 0)?;
    Some(format!("write \"{}:{port}\"", host(item)))
}

/// Where a bare port is meant to be: clients come from anywhere, all else is taken to be on this machine.
fn host(item: &Item<'_>) -> &'static str {
    if matches!(item.key, "listen" | "bind") { "0.0.0.0" } else { "127.0.0.1" }
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

/// What to write for a text that is no address; `host` is where a port alone would be.
fn meant(text: &str, port: u16, host: &str) -> Option<String> {
    if let Some(all) = several(text) {
        return Some(all);
    }
    let url = ["http://", "https://"].iter().find_map(|scheme| text.trim().strip_prefix(scheme));
    let bare = match url {
        Some(url) => url.split(['/', '?', '#']).next()?,
        None => text.trim().trim_end_matches('/'),
    };
    let candidates = [
        bare.to_owned(),
        bare.replacen("localhost", "127.0.0.1", 1),
        format!("{bare}:{port}"),
        format!("{host}{bare}"),
        bare.replacen('*', host, 1),
        format!("{host}:{bare}"),
        format!("unix:{bare}"),
    ];
    // The last group is a port where what stands before it is an address too.
    if let Some((host, port)) = bare.rsplit_once(':')
        && let Ok(IpAddr::V6(host)) = host.parse()
        && port.len() > 1
        && port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        return Some(format!("write \"[{host}]:{port}\""));
    }
    if let Ok(IpAddr::V6(address)) = bare.parse() {
        return Some(format!("write \"[{address}]:{port}\""));
    }
    let meant = candidates.into_iter().find(|text| text.parse::<Address>().is_ok());
    meant.map(|meant| format!("write {}", quoted(&meant))).or_else(|| look_up(bare))
}

/// Addresses that stand in one text, each in its own.
fn several(text: &str) -> Option<String> {
    let parts = text.split([',', ' ', ';']).filter(|part| !part.is_empty());
    let parts = parts.take(limits::ADDRESSES_APART + 1).collect::<Vec<_>>();
    let right = parts.iter().all(|part| part.parse::<Address>().is_ok());
    let all = parts.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(", ");
    ((2..=limits::ADDRESSES_APART).contains(&parts.len()) && right).then(|| format!("write {all}"))
}

/// How to find the address of a host that is named.
fn look_up(text: &str) -> Option<String> {
    let name = text.split([':', '/']).next()?;
    // What is shown is typed into a shell.
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let legal = legal
        && name.len() <= limits::DOMAIN_BYTES
        && name.starts_with(|c: char| c.is_alphabetic());
    (legal && name != "unix").then(|| format!("write its IP address: getent hosts {name}"))
}

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
            ("::1:9000", Some("[::1]:9000")),
            ("1:2:3:4:5:6:7:8:9000", Some("[1:2:3:4:5:6:7:8]:9000")),
            ("2001:db8::1", Some("[2001:db8::1]:8080")),
            ("http://10.0.0.1:9000/", Some("10.0.0.1:9000")),
            (" 10.0.0.1:9000", Some("10.0.0.1:9000")),
            ("/run/a.sock", Some("unix:/run/a.sock")),
            ("*:80", Some("0.0.0.0:80")),
            ("unix:a", None),
            ("http://10.0.0.1:9000/users?a", Some("10.0.0.1:9000")),
            ("10.0.0.1:1, 10.0.0.2:2", Some("10.0.0.1:1\", \"10.0.0.2:2")),
            ("$(reboot):80", None),
            ("", None),
        ] {
            let expected = expected.map(|expected| format!("write \"{expected}\""));
            assert_eq!(meant(text, 8080, "0.0.0.0"), expected, "{text:?}");
        }
        for text in ["users.internal:9000", "users.internal", "https://users.internal:9000/a"] {
            let expected = "write its IP address: getent hosts users.internal";
            assert_eq!(meant(text, 8080, "0.0.0.0").as_deref(), Some(expected));
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
