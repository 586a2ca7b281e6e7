//! Version 1: `PROXY TCP4 192.0.2.7 198.51.100.1 51234 443` and CRLF (section 2.1 of `proxy-protocol.txt`).
//!
//! Exactly single spaces, ports without leading zeros, addresses as the standard library reads them (which takes no leading
//! zeros in IPv4 and no zones in IPv6). Behind `UNKNOWN` everything up to the CRLF is skipped, as the text demands.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use bytes::BytesMut;

use super::{Fault, Pair, Parsed, Source, canonical, may_begin_with, one_family};

/// The longest line with its CRLF, in bytes: section 2.1.
const LINE_BYTES: usize = 107;

const START: &[u8] = b"PROXY ";

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Parsed>, Fault> {
    if !may_begin_with(bytes, START) {
        return Err(Fault::NoHeader);
    }
    let window = &bytes[..bytes.len().min(LINE_BYTES)];
    let length = match window.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(at) => match (window[at], window.get(at + 1)) {
            (b'\r', Some(b'\n')) => at,
            (b'\r', None) if window.len() < LINE_BYTES => return Ok(None),
            (b'\r', None) => return Err(too_long()),
            _ => return Err(Fault::LineEnd),
        },
        None if window.len() < LINE_BYTES => return Ok(None),
        None => return Err(too_long()),
    };
    // The line end lies behind the start, which has none.
    let source = source(&bytes[START.len().min(length)..length])?;
    Ok(Some(Parsed { consumed: length + 2, source }))
}

fn too_long() -> Fault {
    Fault::TooLong { length: LINE_BYTES + 1, most: LINE_BYTES }
}

/// What follows `PROXY `.
fn source(line: &[u8]) -> Result<Source, Fault> {
    let mut words = line.split(|byte| *byte == b' ');
    match words.next() {
        Some(b"TCP4") => peer::<Ipv4Addr>(words),
        Some(b"TCP6") => peer::<Ipv6Addr>(words),
        Some(b"UNKNOWN") => Ok(Source::Local),
        _ => Err(Fault::Protocol),
    }
}

fn peer<'l, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'l [u8]>,
) -> Result<Source, Fault> {
    let mut next = || words.next().ok_or(Fault::Form);
    let (client, server, client_port, server_port) = (next()?, next()?, next()?, next()?);
    if words.next().is_some() {
        return Err(Fault::Form);
    }
    let client = SocketAddr::new(address::<A>(client)?, port(client_port)?);
    let server = SocketAddr::new(address::<A>(server)?, port(server_port)?);
    Ok(Source::Peer { client: canonical(client), server: canonical(server) })
}

fn address<A: FromStr + Into<IpAddr>>(word: &[u8]) -> Result<IpAddr, Fault> {
    let text = std::str::from_utf8(word).map_err(|_| Fault::Address)?;
    text.parse::<A>().map(Into::into).map_err(|_| Fault::Address)
}

fn port(word: &[u8]) -> Result<u16, Fault> {
    // Ports are canonical: `+80` and `080` are what the standard library would take too.
    let canonical =
        word.iter().all(u8::is_ascii_digit) && (word == b"0" || !word.starts_with(b"0"));
    let text = std::str::from_utf8(word).ok().filter(|_| canonical);
    text.and_then(|text| text.parse().ok()).ok_or(Fault::Port)
}

pub(super) fn write(client: SocketAddr, server: SocketAddr, out: &mut BytesMut) {
    let ports = (client.port(), server.port());
    // Writing to a growing buffer cannot fail.
    let _ = match one_family(client.ip(), server.ip()) {
        Pair::V4([client, server]) => {
            write!(out, "PROXY TCP4 {client} {server} {} {}\r\n", ports.0, ports.1)
        }
        Pair::V6([client, server]) => {
            write!(out, "PROXY TCP6 {client} {server} {} {}\r\n", ports.0, ports.1)
        }
    };
}

pub(super) fn write_local(out: &mut BytesMut) {
    out.extend_from_slice(b"PROXY UNKNOWN\r\n");
}
