//! Addresses for gateways: below the ports that the kernel gives to connects, so that none of those is in the way later.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// So many loopback addresses on which nobody listens.
pub fn free(count: usize) -> io::Result<Vec<SocketAddr>> {
    // Two programs begin at different ports.
    let span = LAST - FIRST + 1;
    let from = (std::process::id() % u32::from(span)) as u16;
    let ports = (0..span).map(|at| FIRST + (from + at) % span);
    let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let free: Vec<_> =
        addresses.filter(|address| TcpListener::bind(address).is_ok()).take(count).collect();
    match free.len() == count {
        true => Ok(free),
        false => Err(io::Error::other(format!("no {count} free ports from {FIRST} to {LAST}"))),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_is_another() {
        let free = super::free(3).unwrap_or_default();
        assert_eq!(free.len(), 3);
        assert!(free[0] != free[1] && free[1] != free[2]);
    }
}
