//! Headers, good and bad, as data; and what holds of all of them.

use std::net::{SocketAddrV4, SocketAddrV6};

use proptest::prelude::*;

use super::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// `CLIENT > SERVER` or `local`, and how many bytes are left over.
fn summary(bytes: &[u8]) -> Result<Option<(String, usize)>, Fault> {
    Ok(parse(bytes)?.map(|Parsed { consumed, source }| {
        let said = match source {
            Source::Local => "local".to_owned(),
            Source::Peer { client, server } => format!("{client} > {server}"),
        };
        (said, bytes.len() - consumed)
    }))
}

#[track_caller]
fn good(bytes: &[u8], expected: &str) {
    for rest in [&b""[..], b"GET / HTTP/1.1\r\n", &[0; 600]] {
        let whole = [bytes, rest].concat();
        assert_eq!(summary(&whole), Ok(Some((expected.into(), rest.len()))), "{bytes:?}");
    }
    for length in 0..bytes.len() {
        assert_eq!(summary(&bytes[..length]), Ok(None), "{length} bytes of {bytes:?}");
    }
}

#[track_caller]
fn bad(bytes: &[u8], expected: Fault) {
    assert_eq!(summary(bytes), Err(expected), "{:?}", String::from_utf8_lossy(bytes));
}

/// A header of version 2 with the length that its block has.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = (block.len() as u16).to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

const TCP4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xC8, 0x22, 0x01, 0xBB];
const TCP4_SAID: &str = "192.0.2.7:51234 > 198.51.100.1:443";

#[test]
fn lines() {
    good(b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n", TCP4_SAID);
    good(b"PROXY TCP6 2001:db8::7 ::1 0 65535\r\n", "[2001:db8::7]:0 > [::1]:65535");
    good(b"PROXY TCP6 ::ffff:192.0.2.7 2001:DB8::1 1 2\r\n", "192.0.2.7:1 > [2001:db8::1]:2");
    good(b"PROXY UNKNOWN\r\n", "local");
    good(b"PROXY UNKNOWN ff:f::1 ?? \0 65535 65535\r\n", "local");
    let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let line = format!("PROXY UNKNOWN {long} {long} 65535 65535\r\n");
    assert_eq!(line.len(), 107);
    good(line.as_bytes(), "local");
}

#[test]
fn broken_lines() {
    use Fault::*;
    for text in ["GET / HTTP/1.1\r\n", "PROXX", "Proxy TCP4", "PROXY\r\n", "PROXY\tTCP4", "POST /"]
    {
        bad(text.as_bytes(), NoHeader);
    }
    for text in ["PROXY TCP4 192.0.2.7\n", "PROXY UNKNOWN\rX", "PROXY UNKNOWN\r\r\n", "PROXY \n"] {
        bad(text.as_bytes(), LineEnd);
    }
    for line in ["", "TCP", "tcp4 1.1.1.1 1.1.1.1 1 1", "UDP4 1.1.1.1 1.1.1.1 1 1", "UNKNOWNX"] {
        bad(format!("PROXY {line}\r\n").as_bytes(), Protocol);
    }
    for line in [" TCP4 1.1.1.1 1.1.1.1 1 1", "\tTCP4 1.1.1.1 1.1.1.1 1 1", "TCP4\t1.1.1.1 1 1 1"] {
        bad(format!("PROXY {line}\r\n").as_bytes(), Protocol);
    }
    for line in
        ["TCP4", "TCP4 1.1.1.1 1.1.1.1 1", "TCP4 1.1.1.1 1.1.1.1 1 1 ", "TCP6 ::1 ::1 1 1 1"]
    {
        bad(format!("PROXY {line}\r\n").as_bytes(), Form);
    }
    for (client, server) in [
        ("1.1.1", "1.1.1.1"),
        ("1.1.1.256", "1.1.1.1"),
        ("1.1.1.01", "1.1.1.1"),
        ("0x1.1.1.1", "1.1.1.1"),
        ("1.1.1.1", "::1"),
        ("1.1.1.1", ""),
        ("shop.example", "1.1.1.1"),
        ("1.1.1.1\u{e9}", "1.1.1.1"),
    ] {
        bad(format!("PROXY TCP4 {client} {server} 1 1\r\n").as_bytes(), Address);
    }
    for client in ["1.1.1.1", "fe80::1%eth0", "[::1]", "::1::", "12345::"] {
        bad(format!("PROXY TCP6 {client} ::1 1 1\r\n").as_bytes(), Address);
    }
    for port in ["65536", "99999999999999", "-1", "+1", "01", "00", "1x", "0x1"] {
        bad(format!("PROXY TCP4 1.1.1.1 1.1.1.1 {port} 1\r\n").as_bytes(), Port);
        bad(format!("PROXY TCP4 1.1.1.1 1.1.1.1 1 {port}\r\n").as_bytes(), Port);
    }
    // Two spaces: an empty word stands between them.
    bad(b"PROXY TCP4 1.1.1.1 1.1.1.1 1  1\r\n", Form);
    bad(b"PROXY TCP4 1.1.1.1  1.1.1.1 1 1\r\n", Form);
    let too_long = TooLong { length: 108, most: 107 };
    bad(format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)).as_bytes(), too_long);
    bad(format!("PROXY UNKNOWN {}\r", "x".repeat(92)).as_bytes(), too_long);
    bad(format!("PROXY UNKNOWN {}", "x".repeat(93)).as_bytes(), too_long);
    assert_eq!(summary(format!("PROXY UNKNOWN {}", "x".repeat(92)).as_bytes()), Ok(None));
}

#[test]
fn binary() {
    good(&v2(0x21, 0x11, &TCP4), TCP4_SAID);
    let mut tcp6 = [0; 36];
    (tcp6[15], tcp6[31], tcp6[33], tcp6[35]) = (1, 2, 80, 90);
    good(&v2(0x21, 0x21, &tcp6), "[::1]:80 > [::2]:90");
    tcp6[10..16].copy_from_slice(&[0xFF, 0xFF, 192, 0, 2, 7]);
    good(&v2(0x21, 0x21, &tcp6), "192.0.2.7:80 > [::2]:90");
    good(&v2(0x21, 0x31, &[b'/'; 216]), "local");
    good(&v2(0x20, 0x00, b""), "local");
    // What LOCAL and UNSPEC bring is discarded, whatever it is.
    good(&v2(0x20, 0x11, &TCP4), "local");
    good(&v2(0x20, 0xFF, b"any"), "local");
    good(&v2(0x21, 0x00, b"any"), "local");
    // TLVs: one of two bytes, an empty one, and padding to the longest header.
    good(&v2(0x21, 0x11, &[&TCP4[..], &[0x02, 0, 2, b'h', b'2', 0x04, 0, 0]].concat()), TCP4_SAID);
    let mut longest = vec![0; limits::PROXY_HEADER_BYTES];
    longest[..12].copy_from_slice(&TCP4);
    let tlv = limits::PROXY_HEADER_BYTES - 12 - 3;
    longest[12..15].copy_from_slice(&[0x04, (tlv >> 8) as u8, tlv as u8]);
    good(&v2(0x21, 0x11, &longest), TCP4_SAID);
    assert_eq!(v2(0x21, 0x11, &longest).len(), HEADER_BYTES_MAX);
}

#[test]
fn broken_binary() {
    use Fault::*;
    for at in 0..SIGNATURE.len() {
        let mut header = v2(0x21, 0x11, &TCP4);
        header[at] ^= 0x20;
        // As soon as the byte that is wrong is there.
        bad(&header[..=at], NoHeader);
    }
    for (command, fault) in [(0x11, Version(1)), (0x31, Version(3)), (0x01, Version(0))] {
        bad(&v2(command, 0x11, &TCP4)[..13], fault);
    }
    bad(&v2(0x22, 0x11, &TCP4), Command(2));
    bad(&v2(0x2F, 0x11, &TCP4), Command(15));
    for family in [0x12, 0x22, 0x32] {
        bad(&v2(0x21, family, &[0; 216]), Datagrams);
    }
    for family in [0x01, 0x02, 0x10, 0x13, 0x20, 0x30, 0x41, 0xFF] {
        bad(&v2(0x21, family, &[0; 216]), Family(family));
    }
    for (family, least) in [(0x11, 12), (0x21, 36), (0x31, 216)] {
        bad(&v2(0x21, family, &vec![0; least - 1])[..16], TooShort { length: least - 1, least });
    }
    let long = v2(0x20, 0x00, &vec![0; limits::PROXY_HEADER_BYTES + 1]);
    bad(&long[..16], TooLong { length: HEADER_BYTES_MAX + 1, most: HEADER_BYTES_MAX });
    for tlvs in [&[4][..], &[4, 0], &[4, 0, 1], &[4, 0, 0, 4, 0], &[4, 0xFF, 0xFF, 0]] {
        bad(&v2(0x21, 0x11, &[&TCP4[..], tlvs].concat()), Tlv);
    }
}

#[test]
fn checksums() {
    // The check value of CRC-32C in the catalogues: nothing is taken as zeros here.
    assert_eq!(v2::crc_without(b"123456789", 9), 0xE306_9283);
    let mut header = v2(0x21, 0x11, &[&TCP4[..], &[3, 0, 4, 0, 0, 0, 0, 4, 0, 1, b'x']].concat());
    let place = 16 + 12 + 3;
    let crc = v2::crc_without(&header, place);
    header[place..place + 4].copy_from_slice(&crc.to_be_bytes());
    good(&header, TCP4_SAID);
    // A header spoiled anywhere behind the lengths is refused.
    for at in (16..28).chain([place, header.len() - 1]) {
        let mut spoiled = header.clone();
        spoiled[at] ^= 1;
        bad(&spoiled, Fault::Checksum);
    }
    bad(&v2(0x21, 0x11, &[&TCP4[..], &[3, 0, 3, 0, 0, 0]].concat()), Fault::Checksum);
    let twice = [&TCP4[..], &[3, 0, 4, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0]].concat();
    bad(&v2(0x21, 0x11, &twice), Fault::Checksum);
}

#[test]
fn what_is_written() {
    let written = |version, client: &str, server: &str| {
        let mut out = BytesMut::new();
        write(version, client.parse().unwrap(), server.parse().unwrap(), &mut out);
        out.to_vec()
    };
    let line =
        |client, server| String::from_utf8(written(ProxyVersion::V1, client, server)).unwrap();
    assert_eq!(
        line("192.0.2.7:51234", "198.51.100.1:443"),
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"
    );
    assert_eq!(line("[2001:db8::7]:1", "[::1]:2"), "PROXY TCP6 2001:db8::7 ::1 1 2\r\n");
    assert_eq!(line("[::ffff:1.2.3.4]:1", "5.6.7.8:2"), "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n");
    // Mixed families: the IPv4 address is mapped.
    assert_eq!(
        line("1.2.3.4:1", "[2001:db8::1]:2"),
        "PROXY TCP6 ::ffff:1.2.3.4 2001:db8::1 1 2\r\n"
    );
    assert_eq!(
        written(ProxyVersion::V2, "192.0.2.7:51234", "198.51.100.1:443"),
        v2(0x21, 0x11, &TCP4)
    );
    assert_eq!(written(ProxyVersion::V2, "1.2.3.4:1", "[::1]:2")[13], 0x21);
    for (version, expected) in
        [(ProxyVersion::V1, b"PROXY UNKNOWN\r\n".to_vec()), (ProxyVersion::V2, v2(0x20, 0, b""))]
    {
        let mut out = BytesMut::new();
        write_local(version, &mut out);
        assert_eq!(out.to_vec(), expected);
        assert_eq!(summary(&out), Ok(Some(("local".into(), 0))));
    }
}

fn addresses() -> impl Strategy<Value = SocketAddr> {
    let v4 = (any::<[u8; 4]>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddrV4::new(Ipv4Addr::from(ip), port).into());
    let v6 = (any::<[u8; 16]>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, 0).into());
    let mapped = (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| {
        SocketAddrV6::new(Ipv4Addr::from(ip).to_ipv6_mapped(), port, 0, 0).into()
    });
    prop_oneof![v4, v6, mapped]
}

/// Bytes that begin like a header.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        b"".to_vec(),
        b"PROXY ".to_vec(),
        b"PROXY TCP4 1.1.1.1 ".to_vec(),
        b"PROXY TCP6 ::1 ::1 ".to_vec(),
        b"PROXY UNKNOWN".to_vec(),
        SIGNATURE.to_vec(),
        [SIGNATURE, &[0x21, 0x11, 0]].concat(),
        [SIGNATURE, &[0x21, 0x21, 0]].concat(),
        [SIGNATURE, &[0x21, 0x31, 1]].concat(),
        [SIGNATURE, &[0x20]].concat(),
    ]);
    let rest = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..700),
        prop::collection::vec(prop::sample::select(b" 0123456789.:\r\nf".to_vec()), 0..120),
    ];
    (start, rest).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_written_is_read(client in addresses(), server in addresses(), binary: bool) {
        let mut out = BytesMut::new();
        write(if binary { ProxyVersion::V2 } else { ProxyVersion::V1 }, client, server, &mut out);
        let source = Source::Peer { client: canonical(client), server: canonical(server) };
        prop_assert_eq!(parse(&out), Ok(Some(Parsed { consumed: out.len(), source })));
        for length in 0..out.len() {
            prop_assert_eq!(parse(&out[..length]), Ok(None));
        }
    }

    /// No bytes panic; more bytes change neither a verdict nor what was read; and the bound is kept.
    #[test]
    fn any_bytes_end_in_one_verdict(bytes in nearly()) {
        let whole = parse(&bytes);
        if let Ok(None) = whole {
            prop_assert!(bytes.len() < HEADER_BYTES_MAX);
        }
        if let Ok(Some(parsed)) = whole {
            prop_assert!(parsed.consumed <= bytes.len() && parsed.consumed <= HEADER_BYTES_MAX);
        }
        for length in 0..bytes.len() {
            let part = parse(&bytes[..length]);
            prop_assert!(matches!(part, Ok(None)) || part == whole, "{length}: {part:?}, {whole:?}");
        }
    }
}
