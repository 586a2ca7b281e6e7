//! Peers that are trusted to say who the client is: networks, and Unix sockets.
//!
//! The only door of ipnet. Networks are read here and not by it: it would take leading zeros, which other programs read as
//! octal, and bits behind the prefix, which are most often a mistake.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whose word counts, as by a PROXY protocol header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedPeers {
    /// The networks that trusted peers connect from, at most
    /// [`limits::TRUSTED_NETWORKS`](crate::base::limits::TRUSTED_NETWORKS).
    pub networks: Vec<IpNet>,
    /// Whether peers on Unix sockets are trusted.
    pub unix: bool,
}

impl TrustedPeers {
    /// Whether this peer is trusted; `None` is one on a Unix socket.
    ///
    /// An IPv4 address mapped into IPv6 counts as IPv4: `10.0.0.0/8` takes `::ffff:10.0.0.1`, and `::/0` does not.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else { return self.unix };
        self.networks.iter().any(|network| network.contains(&peer))
    }
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// Neither an address nor an address with a prefix.
    #[error("expected an address or a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"")]
    Form,
    /// A prefix longer than the address.
    #[error("prefix {prefix}: expected 0 to {most}")]
    Prefix {
        /// What stands there.
        prefix: u32,
        /// The number of bits of the address.
        most: u8,
    },
    /// Bits are set behind the prefix.
    #[error("bits are set behind the prefix: the network is {0}")]
    HostBits(IpNet),
}

/// Reads an address, which is a network of its own, or `ADDRESS/PREFIX`. IPv4 mapped into IPv6 becomes IPv4.
pub fn network(text: &str) -> Result<IpNet, NetworkFault> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| NetworkFault::Form)?;
    let Some(prefix) = prefix else { return Ok(IpNet::from(address.to_canonical())) };
    let canonical = prefix.bytes().all(|b| b.is_ascii_digit())
        && (prefix == "0" || !prefix.starts_with('0'))
        && prefix.len() <= 9;
    let prefix: u32 = match prefix.parse() {
        Ok(prefix) if canonical => prefix,
        _ => return Err(NetworkFault::Form),
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let fault = NetworkFault::Prefix { prefix, most };
    // The first 96 bits of a mapped address say no more than that it is one.
    let mapped = address.is_ipv6() && address.to_canonical().is_ipv4() && prefix >= 96;
    let (address, own) = match mapped {
        true => (address.to_canonical(), prefix.checked_sub(96)),
        false => (address, Some(prefix)),
    };
    let own = own.and_then(|prefix| u8::try_from(prefix).ok());
    let network = own.and_then(|prefix| IpNet::new(address, prefix).ok()).ok_or(fault)?;
    if network != network.trunc() {
        return Err(NetworkFault::HostBits(network.trunc()));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/32", "192.0.2.7/32"),
            ("::1", "::1/128"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "010.0.0.0/8",
            "10.0/16",
            "10.0.0.0 /8",
            "shop.example/8",
            "::1%lo",
            "[::1]",
            "10.0.0.1:80",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/9999999999",
        ] {
            assert_eq!(network(text), Err(NetworkFault::Form), "{text:?}");
        }
        for (text, prefix, most) in
            [("10.0.0.0/33", 33, 32), ("::/129", 129, 128), ("::/999", 999, 128)]
        {
            assert_eq!(network(text), Err(NetworkFault::Prefix { prefix, most }), "{text}");
        }
        for (text, right) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("1.2.3.4/0", "0.0.0.0/0"),
        ] {
            let right = right.parse().unwrap();
            assert_eq!(network(text), Err(NetworkFault::HostBits(right)), "{text}");
        }
    }

    #[test]
    fn who_is_trusted() {
        let networks = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"];
        let networks = networks.map(|text| network(text).unwrap()).to_vec();
        let trusted = TrustedPeers { networks, unix: false };
        for (peer, expected) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.0.0.1", true),
            ("::ffff:11.0.0.1", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("::10.0.0.1", false),
        ] {
            assert_eq!(trusted.trusts(Some(peer.parse().unwrap())), expected, "{peer}");
        }
        assert!(!trusted.trusts(None));
        assert!(TrustedPeers { unix: true, ..trusted }.trusts(None));
        let all_v6 = TrustedPeers { networks: vec![network("::/0").unwrap()], unix: false };
        assert!(all_v6.trusts(Some("::1".parse().unwrap())));
        assert!(!all_v6.trusts(Some("::ffff:1.2.3.4".parse().unwrap())));
        assert!(!TrustedPeers::default().trusts(Some("127.0.0.1".parse().unwrap())));
    }
}
