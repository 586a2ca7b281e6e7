//! What tells whose bucket a request draws on, and the key that is made of it.

use std::net::IpAddr;

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
    pub(super) fn part(&self, parts: &mut BucketHasher, per: &Per) {
        match per {
            Per::Consumer => match self.consumer {
                Some(consumer) => {
                    parts.number(1);
                    parts.bytes(consumer.name.as_bytes());
                }
                None => parts.number(0),
            },
            Per::Address { v4, v6 } => match self.address.map(|address| address.to_canonical()) {
                Some(IpAddr::V4(address)) => {
                    parts.number(3);
                    parts.number(u64::from(first_bits(address.to_bits().into(), 32, *v4) as u32));
                }
                Some(IpAddr::V6(address)) => {
                    let network = first_bits(address.to_bits(), 128, *v6);
                    parts.number(4);
                    parts.number((network >> 64) as u64);
                    parts.number(network as u64);
                }
                None => parts.number(2),
            },
            Per::Header(name) => match self.head.value_named(name) {
                Some(value) => {
                    parts.number(6);
                    parts.bytes(value);
                }
                None => parts.number(5),
            },
            Per::Route => {
                parts.number(7);
                parts.bytes(self.route.as_bytes());
            }
            Per::Service => {
                parts.number(8);
                parts.bytes(self.service.as_bytes());
            }
        }
    }
}

/// The first `prefix` of so many bits, the others being zero.
fn first_bits(address: u128, bits: u8, prefix: u8) -> u128 {
    let rest = bits.saturating_sub(prefix);
    if rest >= 128 { 0 } else { address >> rest << rest }
}
