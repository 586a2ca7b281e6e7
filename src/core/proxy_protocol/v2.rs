//! Version 2: a signature, a command, addresses in binary, and TLVs (section 2.2 of `proxy-protocol.txt`).
//!
//! TLVs are skipped, but each must end within the header, and a CRC-32C (section 2.2.3) must be right where there is one.
//! Behind LOCAL and UNSPEC the whole of the rest is discarded unread, as the text demands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{BufMut, BytesMut};

use super::{Fault, Pair, Parsed, Source, canonical, may_begin_with, one_family};
use crate::base::limits;

/// Signature, command, family and length, in bytes.
pub(super) const FIXED_BYTES: usize = 16;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPEC: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
/// Two addresses and two ports.
const TCP4_BYTES: usize = 12;
/// The same in IPv6.
const TCP6_BYTES: usize = 36;
/// Two paths of 108 bytes.
const UNIX_BYTES: usize = 216;
const TLV_CRC32C: u8 = 0x03;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Parsed>, Fault> {
    if !may_begin_with(bytes, SIGNATURE) {
        return Err(Fault::NoHeader);
    }
    let &[command, ref rest @ ..] = bytes.get(SIGNATURE.len()..).unwrap_or_default() else {
        return Ok(None);
    };
    match command {
        LOCAL | PROXY => {}
        _ if command >> 4 != 2 => return Err(Fault::Version(command >> 4)),
        _ => return Err(Fault::Command(command & 0x0F)),
    }
    let &[family, first, second, ref rest @ ..] = rest else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([first, second]));
    if length > limits::PROXY_HEADER_BYTES {
        let most = super::HEADER_BYTES_MAX;
        return Err(Fault::TooLong { length: FIXED_BYTES + length, most });
    }
    let addresses = match (command, family) {
        (LOCAL, _) | (_, UNSPEC) => None,
        (_, TCP4) => Some(TCP4_BYTES),
        (_, TCP6) => Some(TCP6_BYTES),
        (_, UNIX_STREAM) => Some(UNIX_BYTES),
        (_, 0x12 | 0x22 | 0x32) => return Err(Fault::Datagrams),
        (_, other) => return Err(Fault::Family(other)),
    };
    if let Some(least) = addresses.filter(|least| length < *least) {
        return Err(Fault::TooShort { length, least });
    }
    let Some(block) = rest.get(..length) else { return Ok(None) };
    let consumed = FIXED_BYTES + length;
    let Some((addresses, tlvs)) = addresses.and_then(|length| block.split_at_checked(length))
    else {
        return Ok(Some(Parsed { consumed, source: Source::Local }));
    };
    check_tlvs(&bytes[..consumed], tlvs)?;
    Ok(Some(Parsed { consumed, source: source(family, addresses) }))
}

/// What the addresses of a family say.
fn source(family: u8, block: &[u8]) -> Source {
    let pair = match family {
        TCP4 => two::<4>(block).map(|pair| pair.map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)))),
        TCP6 => two::<16>(block).map(|pair| pair.map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)))),
        _ => None,
    };
    let ports = block.last_chunk::<4>();
    let (Some([client, server]), Some(&[c1, c2, s1, s2])) = (pair, ports) else {
        return Source::Local;
    };
    Source::Peer {
        client: canonical(SocketAddr::new(client, u16::from_be_bytes([c1, c2]))),
        server: canonical(SocketAddr::new(server, u16::from_be_bytes([s1, s2]))),
    }
}

/// The two addresses of `N` bytes at the front of a block.
fn two<const N: usize>(block: &[u8]) -> Option<[[u8; N]; 2]> {
    let (first, rest) = block.split_first_chunk::<N>()?;
    Some([*first, *rest.first_chunk::<N>()?])
}

/// Walks the TLVs at the end of `header`: type, length in two bytes, value.
fn check_tlvs(header: &[u8], mut tlvs: &[u8]) -> Result<(), Fault> {
    let mut checksum = None;
    while !tlvs.is_empty() {
        let &[kind, first, second, ref rest @ ..] = tlvs else { return Err(Fault::Tlv) };
        let length = usize::from(u16::from_be_bytes([first, second]));
        let (value, after) = rest.split_at_checked(length).ok_or(Fault::Tlv)?;
        if kind == TLV_CRC32C {
            let value = value.try_into().map_err(|_| Fault::Checksum)?;
            let place = header.len() - rest.len();
            if checksum.replace((place, u32::from_be_bytes(value))).is_some() {
                return Err(Fault::Checksum);
            }
        }
        tlvs = after;
    }
    match checksum {
        Some((place, value)) if value != crc_without(header, place) => Err(Fault::Checksum),
        Some(_) | None => Ok(()),
    }
}

/// The checksum of the header with the four bytes of its value, at `place`, taken as zeros.
pub(super) fn crc_without(header: &[u8], place: usize) -> u32 {
    let bytes = header.iter().enumerate();
    !bytes.fold(!0, |crc, (at, byte)| {
        let byte = if (place..place + 4).contains(&at) { 0 } else { *byte };
        CRC32C[usize::from(crc as u8 ^ byte)] ^ (crc >> 8)
    })
}

/// What each byte adds to a CRC-32C: RFC 4960 appendix B, with the bits of the polynomial reversed. A header is short and
/// comes once a connection, so a crate with instructions of the processor would gain nothing.
static CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

pub(super) fn write(client: SocketAddr, server: SocketAddr, out: &mut BytesMut) {
    match one_family(client.ip(), server.ip()) {
        Pair::V4(pair) => {
            fixed(PROXY, TCP4, TCP4_BYTES, out);
            pair.iter().for_each(|address| out.put_slice(&address.octets()));
        }
        Pair::V6(pair) => {
            fixed(PROXY, TCP6, TCP6_BYTES, out);
            pair.iter().for_each(|address| out.put_slice(&address.octets()));
        }
    }
    out.put_u16(client.port());
    out.put_u16(server.port());
}

pub(super) fn write_local(out: &mut BytesMut) {
    fixed(LOCAL, UNSPEC, 0, out);
}

fn fixed(command: u8, family: u8, length: usize, out: &mut BytesMut) {
    out.put_slice(SIGNATURE);
    out.put_slice(&[command, family]);
    // At most [`UNIX_BYTES`].
    out.put_u16(length as u16);
}
