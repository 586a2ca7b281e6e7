//! Both ends of a tunnel after a 101.

use super::client::Peer;
use super::origin::Origin;
use coregate_strict::Framing;

/// Asks for another protocol.
pub const ASKS: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// Agrees to it.
pub const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                            Sec-WebSocket-Accept: s\r\n\r\n";

/// An instance that agrees to every upgrade, and then does this.
pub fn agreeing(then: impl Fn(&mut Peer) + Send + Sync + 'static) -> Origin {
    Origin::scripted(move |peer, _| {
        let request = peer.request();
        assert_eq!(request.head.get("upgrade"), Some("websocket"));
        assert_eq!(request.head.get("connection"), Some("Upgrade"));
        assert_eq!(request.head.get("sec-websocket-key"), Some("k"));
        peer.send(SWITCHES);
        then(peer);
    })
}

/// Sends back what comes, until it ends.
pub fn echo(peer: &mut Peer) {
    let mut writer = Peer::new(peer.reader.stream.try_clone());
    let _ = peer.reader.body(Framing::Close, |piece| {
        let _ = writer.try_send(piece);
    });
}

/// Makes a tunnel of a client's connection: it has its 101.
#[track_caller]
pub fn switched(mut client: Peer) -> Peer {
    let response = client.send(ASKS).response();
    assert_eq!(response.status, 101, "{}", response.head.text());
    assert_eq!(response.head.get("upgrade"), Some("websocket"));
    assert_eq!(response.head.get("connection"), Some("Upgrade"));
    assert_eq!(response.head.get("sec-websocket-accept"), Some("s"));
    client
}

/// Says something and hears it again.
#[track_caller]
pub fn says(tunnel: &mut Peer, word: &str) {
    tunnel.send(word).expect(word);
}
