//! The PROXY protocol: who the client was, told by a proxy at the very start of a connection.
//!
//! Both versions of HAProxy's `proxy-protocol.txt`: `v1` is a line of text, `v2` is binary. [`parse`] reads whichever
//! comes; [`write()`] and [`write_local`] write one. Who may send a header is not decided here: a listener has a list of
//! peers that are trusted with it.
//!
//! ```text
//! PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n                                    version 1, at most 107 bytes
//!
//! | signature, 12 | version, command | family, transport | length, 2 | addresses | TLVs |      version 2
//!                                                                     '----- length ------'
//! ```
//!
//! Strict where leniency would let two readers see different clients, and bounded: a header is at most
//! [`HEADER_BYTES_MAX`] long, and bytes that cannot begin one are refused at the first that is wrong.
//!
//! IPv4 addresses mapped into IPv6 are read as IPv4, so that limits and trust see one form of an address. Where only one of
//! the two addresses is IPv4, both versions write it mapped into IPv6 (`::ffff:192.0.2.7`): `UNKNOWN` would lose the client.

mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::BytesMut;

use crate::base::limits;

/// The longest header of either version that [`parse`] takes, in bytes.
pub const HEADER_BYTES_MAX: usize = v2::FIXED_BYTES + limits::PROXY_HEADER_BYTES;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// A header at the front of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed {
    /// Its length, in bytes; what follows is the client's.
    pub consumed: usize,
    /// What it says.
    pub source: Source,
}

/// Whom a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The connection's own addresses count: the proxy speaks for itself (version 2's LOCAL, as in health checks), or does not
    /// know (UNKNOWN, UNSPEC), or its client came by a Unix socket.
    Local,
    /// A client whose connection the proxy passes on.
    Peer {
        /// The client's address.
        client: SocketAddr,
        /// The address that the client connected to.
        server: SocketAddr,
    },
}

/// Why the front of a connection is no header. The proxy that sent it is at fault, and nothing can be answered: the
/// connection is closed, since its client is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first bytes are neither version's.
    #[error("no PROXY protocol header")]
    NoHeader,
    /// The header is longer than it may be.
    #[error("a header of {length} bytes or more: expected at most {most}")]
    TooLong {
        /// How long it is at least, in bytes.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// Version 1: a line end other than one CRLF.
    #[error("the line does not end in CRLF")]
    LineEnd,
    /// Version 1: not `TCP4`, `TCP6` or `UNKNOWN`.
    #[error("neither TCP4, TCP6 nor UNKNOWN")]
    Protocol,
    /// Version 1: not two addresses and two ports with one space before each.
    #[error("expected two addresses and two ports, with one space before each")]
    Form,
    /// Version 1: an address that is not of the family named.
    #[error("not an address of the family named")]
    Address,
    /// Version 1: not 0 to 65535 in decimal, without leading zeros.
    #[error("not a port: expected 0 to 65535 without leading zeros")]
    Port,
    /// Version 2: a version other than 2.
    #[error("version {0}: expected 2")]
    Version(u8),
    /// Version 2: neither LOCAL nor PROXY.
    #[error("command {0}: expected 0 or 1")]
    Command(u8),
    /// Version 2: an unknown pair of family and transport.
    #[error("family and transport {0:#04x}: expected 0x00, 0x11, 0x21 or 0x31")]
    Family(u8),
    /// Version 2: a transport of datagrams, which this connection is not.
    #[error("a transport of datagrams on a stream")]
    Datagrams,
    /// Version 2: shorter than the family's addresses.
    #[error("{length} bytes after the fixed part: the family needs {least}")]
    TooShort {
        /// How many there are.
        length: usize,
        /// How many there must be.
        least: usize,
    },
    /// Version 2: a TLV that ends beyond the header.
    #[error("a TLV does not end with the header")]
    Tlv,
    /// Version 2: a CRC-32C that is wrong, or not 4 bytes, or stands twice.
    #[error("the checksum is wrong")]
    Checksum,
}

/// Reads the header at the front of `bytes`. `None`: not all of it is there; it never needs more than
/// [`HEADER_BYTES_MAX`] bytes.
pub fn parse(bytes: &[u8]) -> Result<Option<Parsed>, Fault> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => v1::parse(bytes),
        Some(_) => v2::parse(bytes),
    }
}

/// Appends the header that says who the client is and where it came in. See the module's docs for mixed families.
pub fn write(version: ProxyVersion, client: SocketAddr, server: SocketAddr, out: &mut BytesMut) {
    let (client, server) = (canonical(client), canonical(server));
    match version {
        ProxyVersion::V1 => v1::write(client, server, out),
        ProxyVersion::V2 => v2::write(client, server, out),
    }
}

/// Appends the header that says that the connection's own addresses count: for the proxy's own requests, and for clients
/// without an address.
pub fn write_local(version: ProxyVersion, out: &mut BytesMut) {
    match version {
        ProxyVersion::V1 => v1::write_local(out),
        ProxyVersion::V2 => v2::write_local(out),
    }
}

/// The address as IPv4 if it is one mapped into IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The addresses of both ends in one family, IPv6 unless both are IPv4.
enum Pair {
    V4([Ipv4Addr; 2]),
    V6([Ipv6Addr; 2]),
}

fn one_family(client: IpAddr, server: IpAddr) -> Pair {
    let mapped = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    match (client, server) {
        (IpAddr::V4(client), IpAddr::V4(server)) => Pair::V4([client, server]),
        (client, server) => Pair::V6([mapped(client), mapped(server)]),
    }
}

/// Whether `bytes` begin with `start`, or could when more come.
fn may_begin_with(bytes: &[u8], start: &[u8]) -> bool {
    let length = bytes.len().min(start.len());
    bytes[..length] == start[..length]
}
