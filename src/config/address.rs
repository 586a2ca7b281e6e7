//! Addresses as operators write them, and what they perhaps meant.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use coregate_core::snapshot::plan::Address;

use crate::codes;
use crate::item::{Item, quoted, shown};
use crate::report::{Diagnostic, Faults};

/// Reads an address. `port` is the one that suggestions show where there is none.
pub(crate) fn read(item: &Item<'_>, port: u16, faults: &mut Faults) -> Option<Address> {
    let text =
        item.string("an address such as \"127.0.0.1:8080\" or \"unix:/run/app.sock\"", faults)?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(why) => item.refuse(codes::ADDRESS, why, meant(text, port), faults),
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

fn meant(text: &str, port: u16) -> Option<String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim().trim_end_matches('/');
    let candidates = [
        bare.to_owned(),
        bare.replacen("localhost", "127.0.0.1", 1),
        format!("{bare}:{port}"),
        format!("0.0.0.0{bare}"),
        format!("0.0.0.0:{bare}"),
        format!("unix:{bare}"),
    ];
    if let Ok(IpAddr::V6(address)) = bare.parse() {
        return Some(format!("write \"[{address}]:{port}\""));
    }
    let meant = candidates.into_iter().find(|text| text.parse::<Address>().is_ok())?;
    Some(format!("write {}", quoted(&meant)))
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
            ("http://10.0.0.1:9000/", Some("10.0.0.1:9000")),
            (" 10.0.0.1:9000", Some("10.0.0.1:9000")),
            ("/run/a.sock", Some("unix:/run/a.sock")),
            ("shop.example.com:80", None),
            ("", None),
        ] {
            let expected = expected.map(|expected| format!("write \"{expected}\""));
            assert_eq!(meant(text, 8080), expected, "{text:?}");
        }
    }
}
