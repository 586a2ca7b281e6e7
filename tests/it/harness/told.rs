//! What an instance is told by a PROXY protocol header, read without any of the gateway's own code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use coregate_strict::{Fault, Framing};

use super::client::Peer;

pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// `UNKNOWN` of version 1, `LOCAL` of version 2.
    Nothing,
    /// The client, and where it came in.
    Client(SocketAddr, SocketAddr),
}

/// A header of version 1 with its line end.
pub fn v1(client: &str, server: &str) -> Vec<u8> {
    let [client, server] = [client, server].map(|text| text.parse::<SocketAddr>().unwrap());
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let ports = format!("{} {}", client.port(), server.port());
    format!("PROXY {family} {} {} {ports}\r\n", client.ip(), server.ip()).into()
}

/// A header of version 2 with these command and family bytes.
pub fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, block].concat()
}

/// The addresses of a header of version 2.
pub fn block(client: &str, server: &str) -> Vec<u8> {
    let [client, server] = [client, server].map(|text| text.parse::<SocketAddr>().unwrap());
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [client.port().to_be_bytes(), server.port().to_be_bytes()].concat();
    [octets(client.ip()), octets(server.ip()), ports].concat()
}

impl Peer {
    /// Reads the header that a connection begins with: its version and what it says. `None`: the connection has ended.
    #[track_caller]
    pub fn told(&mut self) -> Option<(u8, Told)> {
        let first = match self.exactly(1) {
            Ok(first) => first,
            Err(fault) if fault.is_cut() => return None,
            Err(fault) => panic!("no header: {fault:?}"),
        };
        Some(match first[0] {
            b'P' => (1, self.told_v1()),
            _ => (2, self.told_v2(first)),
        })
    }

    fn told_v1(&mut self) -> Told {
        let mut line = String::from("P");
        while !line.ends_with("\r\n") {
            line.push(char::from(self.exactly(1).unwrap()[0]));
            assert!(line.len() <= 107, "{line:?}");
        }
        let words: Vec<_> = line.trim_end().split(' ').collect();
        let &["PROXY", family, client, server, client_port, server_port] = &words[..] else {
            assert_eq!(line, "PROXY UNKNOWN\r\n");
            return Told::Nothing;
        };
        let [client, server] = [(client, client_port), (server, server_port)].map(|(ip, port)| {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(family == "TCP4", ip.is_ipv4(), "{line:?}");
            SocketAddr::new(ip, port.parse().unwrap())
        });
        Told::Client(client, server)
    }

    fn told_v2(&mut self, mut start: Vec<u8>) -> Told {
        start.extend(self.exactly(15).unwrap());
        assert_eq!(&start[..12], SIGNATURE);
        let length = usize::from(u16::from_be_bytes([start[14], start[15]]));
        let block = self.exactly(length).unwrap();
        let address = |at: usize| match start[13] {
            0x11 => {
                IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(&block[4 * at..][..4]).unwrap()))
            }
            _ => {
                IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(&block[16 * at..][..16]).unwrap()))
            }
        };
        match (start[12], start[13], length) {
            (0x20, 0, 0) => Told::Nothing,
            (0x21, 0x11, 12) | (0x21, 0x21, 36) => {
                let port = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
                Told::Client(
                    SocketAddr::new(address(0), port(length - 4)),
                    SocketAddr::new(address(1), port(length - 2)),
                )
            }
            other => panic!("command, family, length: {other:x?}"),
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        let mut got = Vec::new();
        self.reader.body(Framing::Length(length as u64), |piece| got.extend_from_slice(piece))?;
        Ok(got)
    }
}
