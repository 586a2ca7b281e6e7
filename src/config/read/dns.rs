//! `[dns]`: how names of instances are looked up.

use coregate_core::snapshot::plan::DnsTerms;
use std::net::SocketAddr;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;

use super::addresses::elements;
use super::too_many;
use crate::address::{self, Seen};
use crate::fields::Fields;
use crate::item::{Item, shown};
use crate::language::{self, known};
use crate::report::{Diagnostic, Faults};
use crate::{codes, units};

const KEYS: &[&str] = known!(language::DNS);

/// What suggestions show.
const PORT: u16 = 53;

pub(super) fn read(root: &Fields<'_>, faults: &mut Faults) -> DnsTerms {
    let mut dns = DnsTerms::default();
    let Some(fields) = root.get("dns").and_then(|item| item.table(faults)) else { return dns };
    fields.check(KEYS, faults);
    fields.read("servers", &mut dns.servers, faults, servers);
    fields.read("timeout", &mut dns.timeout, faults, Item::duration);
    let ttls = || limits::DNS_TTL_MIN..=limits::TIMEOUT_MAX;
    let ttl = |key, faults: &mut Faults| {
        fields.get(key).and_then(|item| Some((item.duration_in(ttls(), faults)?, item)))
    };
    match (ttl("min_ttl", faults), ttl("max_ttl", faults)) {
        (Some((least, first)), Some((most, last))) if least > most => {
            let [least, most] = [least, most].map(units::show_duration);
            let message = format!(
                "{} = {most}: expected at least {least}, which is `min_ttl`",
                shown(last.path())
            );
            let fault = Diagnostic::error(codes::OUT_OF_RANGE, last.value_span(), message);
            let fault = fault.also(first.value_span(), "the least");
            faults.push(fault.suggest(format!("write max_ttl = \"{least}\" or more")));
        }
        // With one of them and no word about the other, that one gives way.
        (least, most) => {
            if let Some((least, _)) = &least {
                (dns.min_ttl, dns.max_ttl) = (*least, dns.max_ttl.max(*least));
            }
            if let Some((most, _)) = &most {
                (dns.min_ttl, dns.max_ttl) = (dns.min_ttl.min(*most), *most);
            }
        }
    }
    dns
}

/// Addresses of name servers, at least one.
fn servers(item: &Item<'_>, faults: &mut Faults) -> Option<Vec<SocketAddr>> {
    let items = elements(item, PORT, faults)?;
    if items.is_empty() {
        let suggestion = "remove it, and those of the machine are asked".to_owned();
        let why = "expected at least one name server";
        return item.refuse(codes::MISSING, why, Some(suggestion), faults);
    }
    too_many(item, "name servers", items.len(), limits::DNS_SERVERS, faults);
    let mut seen = Seen::default();
    let servers = items.iter().filter_map(|item| server(item, &mut seen, faults));
    Some(servers.collect())
}

fn server(item: &Item<'_>, seen: &mut Seen, faults: &mut Faults) -> Option<SocketAddr> {
    let address = address::read(item, PORT, faults)?;
    seen.note(&address, item, faults);
    match address {
        Address::Tcp(server) if server.port() > 0 => Some(server),
        Address::Tcp(_) => item.refuse(codes::ADDRESS, "port 0: expected 1 to 65535", None, faults),
        Address::Unix(_) => {
            let why = "name servers are asked by UDP and TCP: expected an IP address and port";
            let suggestion = format!("write \"127.0.0.1:{PORT}\"");
            item.refuse(codes::ADDRESS, why, Some(suggestion), faults)
        }
    }
}
