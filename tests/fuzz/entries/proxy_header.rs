//! The PROXY protocol: what is read against a slow reading of the text, and against what is written.

use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use coregate_core::base::limits;
use coregate_core::proxy_protocol::{
    HEADER_BYTES_MAX, Parsed, ProxyVersion, Source, parse, write, write_local,
};

use crate::shown;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Section 2.1 of the text.
const LINE_BYTES: usize = 107;

/// The front of a connection.
pub fn proxy_header(data: &[u8]) {
    let found = parse(data);
    match found {
        Ok(Some(parsed)) => {
            assert!(parsed.consumed <= data.len().min(HEADER_BYTES_MAX), "{}", shown(data));
            for length in 0..parsed.consumed {
                assert_eq!(parse(&data[..length]), Ok(None), "{length} of {}", shown(data));
            }
            assert_eq!(parse(&data[..parsed.consumed]), found, "{}", shown(data));
            written_again(parsed.source);
        }
        Ok(None) => assert!(data.len() < HEADER_BYTES_MAX, "waits: {}", shown(data)),
        // What is refused stays refused, whatever comes.
        Err(_) => assert_eq!(parse(&[data, &data[..data.len().min(40)]].concat()), found),
    }
    match reference(data) {
        Verdict::Whole(expected) => assert_eq!(found, Ok(Some(expected)), "{}", shown(data)),
        Verdict::Never => assert!(found.is_err(), "{found:?}: {}", shown(data)),
        // It may be known already that it can never be whole.
        Verdict::NotYet => assert!(!matches!(found, Ok(Some(_))), "{found:?}: {}", shown(data)),
    }
}

/// What is read is written so that it is read alike.
fn written_again(source: Source) {
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        let mut out = BytesMut::new();
        match source {
            Source::Local => write_local(version, &mut out),
            Source::Peer { client, server } => write(version, client, server, &mut out),
        }
        let expected = Parsed { consumed: out.len(), source };
        assert_eq!(parse(&out), Ok(Some(expected)), "{source:?}");
    }
}

enum Verdict {
    Whole(Parsed),
    Never,
    NotYet,
}

fn reference(data: &[u8]) -> Verdict {
    if data.starts_with(b"PROXY ") {
        return line(data);
    }
    if data.starts_with(SIGNATURE) {
        return binary(data);
    }
    let begins = [&b"PROXY "[..], SIGNATURE].iter().any(|start| start.starts_with(data));
    if begins { Verdict::NotYet } else { Verdict::Never }
}

/// Section 2.1.
fn line(data: &[u8]) -> Verdict {
    let Some(end) = data.windows(2).position(|two| two == b"\r\n") else {
        return if data.len() >= LINE_BYTES { Verdict::Never } else { Verdict::NotYet };
    };
    let Ok(text) = str::from_utf8(&data[..end]) else {
        // Nobody reads what follows UNKNOWN.
        let skipped = data.starts_with(b"PROXY UNKNOWN ") && is_line(&data[..end]);
        return if skipped { whole(end + 2, Source::Local) } else { Verdict::Never };
    };
    if !is_line(text.as_bytes()) {
        return Verdict::Never;
    }
    let words: Vec<&str> = text.split(' ').collect();
    let source = match words[..] {
        [_, "UNKNOWN", ..] => Some(Source::Local),
        [_, family @ ("TCP4" | "TCP6"), client, server, client_port, server_port] => {
            let client = address(family, client, client_port);
            let server = address(family, server, server_port);
            client.zip(server).map(|(client, server)| Source::Peer { client, server })
        }
        _ => None,
    };
    source.map_or(Verdict::Never, |source| whole(end + 2, source))
}

fn is_line(text: &[u8]) -> bool {
    text.len() + 2 <= LINE_BYTES && !text.contains(&b'\r') && !text.contains(&b'\n')
}

fn address(family: &str, ip: &str, port: &str) -> Option<SocketAddr> {
    let ip: IpAddr = ip.parse().ok()?;
    let number: u16 = port.parse().ok()?;
    let fits = ip.is_ipv4() == (family == "TCP4") && port == number.to_string();
    fits.then(|| canonical(ip, number))
}

fn canonical(ip: IpAddr, port: u16) -> SocketAddr {
    let mapped = match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    SocketAddr::new(mapped.unwrap_or(ip), port)
}

fn whole(consumed: usize, source: Source) -> Verdict {
    Verdict::Whole(Parsed { consumed, source })
}

/// Section 2.2.
fn binary(data: &[u8]) -> Verdict {
    let Some(&[command, family, high, low]) = data.get(12..16) else { return Verdict::NotYet };
    let length = usize::from(high) << 8 | usize::from(low);
    if command >> 4 != 2 || command & 15 > 1 || length > limits::PROXY_HEADER_BYTES {
        return Verdict::Never;
    }
    let local = command & 15 == 0 || family == 0;
    let least = match family {
        _ if local => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        _ => return Verdict::Never,
    };
    if length < least {
        return Verdict::Never;
    }
    let Some(block) = data.get(16..16 + length) else { return Verdict::NotYet };
    if local {
        return whole(16 + length, Source::Local);
    }
    if !tlvs(&data[..16 + length], 16 + least) {
        return Verdict::Never;
    }
    let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    let v4 = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&block[at..at + 4]).unwrap());
    let v6 = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&block[at..at + 16]).unwrap());
    let source = match family {
        0x11 => {
            Source::Peer { client: canonical(v4(0), port(8)), server: canonical(v4(4), port(10)) }
        }
        0x21 => {
            Source::Peer { client: canonical(v6(0), port(32)), server: canonical(v6(16), port(34)) }
        }
        _ => Source::Local,
    };
    whole(16 + length, source)
}

/// Whether what stands from `at` to the header's end is TLVs, with at most one checksum, which is right.
fn tlvs(header: &[u8], mut at: usize) -> bool {
    let mut checksums = 0;
    while at < header.len() {
        let Some(&[kind, high, low]) = header.get(at..at + 3) else { return false };
        let length = usize::from(high) << 8 | usize::from(low);
        at += 3;
        let Some(value) = header.get(at..at + length) else { return false };
        if kind == 3 {
            checksums += 1;
            let mut zeroed = header.to_vec();
            zeroed[at..at + length].fill(0);
            if checksums > 1 || value != crc32c(&zeroed).to_be_bytes() {
                return false;
            }
        }
        at += length;
    }
    true
}

/// Bit by bit: the polynomial of RFC 4960 appendix B, reversed.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 * (crc & 1)))
    })
}
