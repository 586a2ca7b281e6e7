//! What tells whose bucket a request draws on, and the key that is made of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::cells::BucketHasher;
use crate::http::head::Head;
use crate::snapshot::consumers::Consumer;
use crate::snapshot::plan::Per;

/// What tells whose bucket a request draws on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'r> {
    /// Who calls, once that is known.
    pub consumer: Option<&'r Consumer>,
    /// Where from; `None`: a Unix socket.
    pub address: Option<IpAddr>,
    /// What was asked.
    pub head: &'r Head,
    /// The name of the route.
    pub route: &'r str,
    /// The name of the service; empty: it has none.
    pub service: &'r str,
}

impl Facts<'_> {
    /// Adds what tells a bucket from others. Each part begins with what it is: a consumer is no route of the same name.
    #[inline]
    pub(super) fn part(&self, parts: &mut BucketHasher, per: &Per) {
        match per {
            Per::Consumer => match self.consumer {
                Some(consumer) => parts.bytes(1, consumer.name.as_bytes()),
                None => parts.word(0),
            },
            Per::Address { v4, v6 } => match self.address {
                Some(IpAddr::V4(address)) => parts.word(network4(address, *v4)),
                Some(IpAddr::V6(address)) => {
                    let [first, high, low] = network6(address, *v4, *v6);
                    parts.word(first);
                    if first == V6 {
                        parts.word(high);
                        parts.word(low);
                    }
                }
                None => parts.word(2),
            },
            Per::Header(name) => self.header(parts, name),
            Per::Route => parts.bytes(7, self.route.as_bytes()),
            Per::Service => parts.bytes(8, self.service.as_bytes()),
        }
    }

    #[inline(never)]
    fn header(&self, parts: &mut BucketHasher, name: &str) {
        match self.head.value_named(name) {
            Some(value) => parts.bytes(6, value),
            None => parts.word(5),
        }
    }
}

/// What the word of a network of IPv6 says.
const V6: u64 = 4;

/// The word of a network of IPv4.
#[inline]
fn network4(address: Ipv4Addr, prefix: u8) -> u64 {
    let rest = 32_u32.saturating_sub(prefix.into());
    let network = u64::from(address.to_bits()) >> rest << rest;
    3 | network << 8
}

/// The words of a network of IPv6, or the first alone of one of IPv4 that is mapped into it. Not inlined: it would be worked out for all
/// who come by IPv4, too.
#[inline(never)]
fn network6(address: Ipv6Addr, v4: u8, v6: u8) -> [u64; 3] {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return [network4(mapped, v4), 0, 0];
    }
    let rest = 128_u32.saturating_sub(v6.into());
    let network = address.to_bits().checked_shr(rest).map_or(0, |bits| bits << rest);
    [V6, (network >> 64) as u64, network as u64]
}
