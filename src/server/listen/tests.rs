//! What the sockets of this system do with what they are told.

use std::net::{TcpListener, TcpStream};

use socket2::SockRef;

use super::*;

#[test]
fn accepted_connections_inherit_their_options() {
    let (address, mut sockets) = tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false, 1).unwrap();
    let listener = TcpListener::from(sockets.remove(0));
    listener.set_nonblocking(false).unwrap();
    let _client = TcpStream::connect(address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let accepted = SockRef::from(&accepted);
    assert!(accepted.tcp_nodelay().unwrap());
    assert!(accepted.keepalive().unwrap());
    assert_eq!(accepted.tcp_keepalive_time().unwrap(), limits::KEEPALIVE_IDLE);
    assert_eq!(accepted.tcp_keepalive_interval().unwrap(), limits::KEEPALIVE_INTERVAL);
    assert_eq!(accepted.tcp_keepalive_retries().unwrap(), limits::KEEPALIVE_PROBES);
    assert_eq!(accepted.tcp_user_timeout().unwrap(), Some(limits::USER_TIMEOUT));
}

#[test]
fn what_overlaps() {
    let all =
        ["0.0.0.0:1", "[::]:1", "127.0.0.1:2", "[::]:2", "0.0.0.0:3", "127.0.0.1:3", "[::1]:4"]
            .into_iter()
            .chain(["127.0.0.1:4", "[::]:0", "0.0.0.0:0", "[::1]:5", "[::]:5", "10.0.0.1:6"])
            .chain(["127.0.0.1:6", "[::1]:7", "0.0.0.0:7"])
            .map(|text| Listener {
                name: text.to_owned(),
                bind: vec![Address::Tcp(text.parse().unwrap())],
            })
            .collect::<Vec<_>>();
    let found = all.iter().map(|listener| {
        let ours = Ours { all: &all, address: &listener.bind[0] };
        (&*listener.name, ours.ipv4_is_apart(), ours.overlap().map(|(name, _)| name))
    });
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
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
