//! Which TCP addresses of one port take connections from each other. Pure.
//!
//! `[::]:PORT` takes IPv4 too, whatever `net.ipv6.bindv6only` says, unless `0.0.0.0:PORT` is asked for as well: then each takes
//! its own. Every other pair of which one covers the other overlaps: the kernel would let sockets of one user share a port so,
//! and give a connection to the more exact one, but no two listeners should depend on that.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A TCP address as a socket takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// The address; port 0 stands for a port that nobody else has.
    pub(super) address: SocketAddr,
    /// Of IPv6: whether it leaves IPv4 alone.
    pub(super) ipv6_alone: bool,
}

impl Taken {
    /// Whether one of the two takes connections to the other.
    pub(super) fn overlaps(self, other: Self) -> bool {
        let same_port = self.address.port() == other.address.port() && self.address.port() != 0;
        let covered = self.address == other.address || self.covers(other) || other.covers(self);
        same_port && covered
    }

    fn covers(self, other: Self) -> bool {
        let (own, its) = (self.address, other.address);
        let reaches = own.is_ipv4() == its.is_ipv4() || (own.is_ipv6() && !self.ipv6_alone);
        own.ip().is_unspecified() && reaches
    }

    /// Whether it takes what it took, with this said of IPv4 instead: of one address alone nothing is.
    pub(super) fn is_the_same(self, ipv6_alone: bool) -> bool {
        let both = self.address.is_ipv6() && self.address.ip().is_unspecified();
        !both || self.ipv6_alone == ipv6_alone
    }
}

/// Whether IPv4 has, on this port, a socket of its own for all addresses: then IPv6 leaves it alone.
pub(super) fn ipv4_is_apart(all: impl IntoIterator<Item = SocketAddr>, of: SocketAddr) -> bool {
    let wildcard = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let apart = |one: SocketAddr| one.ip() == wildcard && one.port() == of.port();
    of.ip() == wildcard || (of.port() != 0 && all.into_iter().any(apart))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of these addresses, all asked for at once: is IPv4 apart, and with which other does each overlap?
    #[test]
    fn what_overlaps() {
        let expected = [
            ("0.0.0.0:1", true, None),
            ("[::]:1", true, None),
            ("127.0.0.1:2", false, Some("[::]:2")),
            ("[::]:2", false, Some("127.0.0.1:2")),
            ("0.0.0.0:3", true, Some("127.0.0.1:3")),
            ("127.0.0.1:3", true, Some("0.0.0.0:3")),
            ("[::1]:4", false, None),
            ("127.0.0.1:4", false, None),
            ("[::]:0", false, None),
            ("0.0.0.0:0", true, None),
            ("[::1]:5", false, Some("[::]:5")),
            ("[::]:5", false, Some("[::1]:5")),
            ("10.0.0.1:6", false, None),
            ("127.0.0.1:6", false, None),
            ("[::1]:7", true, None),
            ("0.0.0.0:7", true, None),
        ];
        let all: Vec<SocketAddr> = expected.iter().map(|row| row.0.parse().unwrap()).collect();
        let taken = |address: SocketAddr| {
            let ipv6_alone = ipv4_is_apart(all.iter().copied(), address);
            Taken { address, ipv6_alone }
        };
        for (text, apart, other) in expected {
            let own = taken(text.parse().unwrap());
            assert_eq!(own.ipv6_alone, apart, "{text}");
            let others = all.iter().copied().filter(|address| *address != own.address);
            let found = others.map(taken).find(|one| own.overlaps(*one)).map(|one| one.address);
            assert_eq!(found, other.map(|text| text.parse().unwrap()), "{text}");
        }
    }
}
