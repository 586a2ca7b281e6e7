//! Connections that are counted on the host: among those to an instance, of a listener, of an address.
//!
//! Each is counted once, by the worker that serves it, where somebody has set a limit: one that a fresh connection is handed to counts it
//! then. What it is counted among lies in its slot, and is given back when that is closed, however its task has ended; what a worker
//! that dies has, by [`Holdings`](crate::worker::holdings::Holdings).

use std::net::IpAddr;

use coregate_core::base::cells::{AddressPlace, ListenerPlace};
use coregate_core::base::ids::InstanceSlot;
use coregate_core::base::limits;

use crate::proxy::reject::Reject;
use crate::worker::context::Worker;
use crate::worker::listeners::Listener;
use crate::worker::slots::PeerText;

/// What a connection is counted among.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Those to an instance.
    pub instance: Option<InstanceSlot>,
    /// Those of a listener.
    pub listener: Option<ListenerPlace>,
    /// Those of an address.
    pub address: Option<AddressPlace>,
}

impl Counted {
    /// Counts a client's connection among those of its listener and, unless a PROXY protocol header is to say whose it is, of its
    /// address; or among none, and why.
    pub fn client(worker: &Worker, listener: &Listener, peer: &PeerText) -> Result<Self, Reject> {
        let mut counted = Self { listener: of_listener(worker, listener)?, ..Self::default() };
        if !listener.must_say(peer) {
            match of_address(worker, listener, peer) {
                Ok(address) => counted.address = address,
                Err(reject) => {
                    counted.give_back(worker);
                    return Err(reject);
                }
            }
        }
        Ok(counted)
    }

    /// The connection is closed, or has come to nothing.
    #[inline]
    pub fn give_back(self, worker: &Worker) {
        if let Some(instance) = self.instance {
            worker.disconnected(instance);
        }
        if self.listener.is_some() || self.address.is_some() {
            self.give_back_client(worker);
        }
    }

    #[cold]
    fn give_back_client(self, worker: &Worker) {
        if let Some(place) = self.listener {
            worker.stats().shared_writes.one();
            worker.holdings().uncount_listener(place);
            worker.cells.listener_connections(place).release(1);
        }
        if let Some(place) = self.address {
            worker.stats().shared_writes.one();
            worker.holdings().uncount_address(place);
            worker.cells.addresses().release(place);
        }
    }
}

fn of_listener(worker: &Worker, listener: &Listener) -> Result<Option<ListenerPlace>, Reject> {
    let Some(limit) = listener.terms.connections else { return Ok(None) };
    let place = worker.cells.listener_place(&listener.name);
    worker.stats().shared_writes.one();
    if !worker.cells.listener_connections(place).take(1, limit) {
        return Err(Reject::ListenerFull);
    }
    worker.holdings().count_listener(place);
    Ok(Some(place))
}

/// Counts a connection among those of its client's address, if that is limited and it has one.
pub fn of_address(
    worker: &Worker,
    listener: &Listener,
    peer: &PeerText,
) -> Result<Option<AddressPlace>, Reject> {
    let Some(limit) = listener.terms.connections_per_address else { return Ok(None) };
    let Some(address) = peer.address() else { return Ok(None) };
    let mut hasher = worker.cells.hasher();
    hasher.bytes(0, listener.name.as_bytes());
    hasher.word(client(address));
    let taken = worker.cells.addresses().take(hasher.key(), limit);
    let stats = worker.stats();
    stats.shared_writes.one();
    if taken.shared {
        stats.address_counts_shared.one();
    }
    let place = taken.place.ok_or(Reject::AddressFull)?;
    worker.holdings().count_address(place);
    Ok(Some(place))
}

/// What tells clients apart: an IPv4 address, or the network of an IPv6 one. None of the latter is below 2^32 (RFC 4291 §2.4: `::/64` is
/// nobody's network).
fn client(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => (u128::from(address) >> limits::CLIENT_PREFIX_BITS) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client_and_an_ipv4_address_is_one() {
        let of = |text: &str| client(text.parse().expect(text));
        assert_eq!(of("2001:db8::1"), of("2001:db8:0:0:ffff::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_ne!(of("10.0.0.1"), of("::1"));
    }
}
