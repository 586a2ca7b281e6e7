//! What the sockets of this system do with what they are told.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use socket2::SockRef;

use super::*;

#[test]
fn accepted_connections_inherit_their_options() {
    let (address, mut sockets) = tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).unwrap();
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
