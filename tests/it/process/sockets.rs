//! Where it listens: both families on one socket, addresses that overlap, socket files.

use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use socket2::{Domain, Socket, Type};

use crate::harness::client::{Peer, get};
use crate::harness::gateway::{Folder, Gateway, Setup, config};
use crate::harness::origin::Origin;
use crate::harness::told::{Told, v1};

/// A port of both families that the kernel gives to nobody else as long as the socket lives. It does not listen, so that
/// a gateway may have it.
fn held_port() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    socket.set_only_v6(false).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

/// Listens as `bind` says: a string or an array.
fn bound(bind: &str, listener: &str, service: &str, origin: &Origin) -> Setup {
    let text = config(listener, service, &[origin.address()]);
    Setup::run(&text.replace("\"127.0.0.1:0\"", bind))
}

/// The same port of both loopback addresses.
fn loopbacks(gateway: &Gateway) -> [String; 2] {
    let port = gateway.address().rsplit_once(':').unwrap().1;
    [format!("127.0.0.1:{port}"), format!("[::1]:{port}")]
}

#[test]
fn a_wildcard_of_ipv6_takes_ipv4_too() {
    let origin = Origin::named("o");
    let trusted = "proxy_protocol = { from = [\"127.0.0.1\"] }";
    let gateway = bound("\"[::]:0\"", "", "", &origin).start();
    for (address, client) in loopbacks(&gateway).iter().zip(["127.0.0.1", "::1"]) {
        assert_eq!(Peer::connect(address).get("/").text(), "o GET /");
        assert_eq!(origin.take_one().head.get("x-forwarded-for"), Some(client));
    }
    // Trusted as what it is, and told as that.
    let gateway = bound("\"[::]:0\"", trusted, "", &origin).start();
    let header = v1("192.0.2.7:51234", "198.51.100.1:443");
    let [four, six] = loopbacks(&gateway);
    let mut client = Peer::connect(&four);
    assert_eq!(client.send([&header, get("/").as_bytes()].concat()).response().status, 200);
    assert_eq!(origin.take_one().head.get("x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(Peer::connect(&six).get("/").status, 200);
    assert_eq!(origin.take_one().head.get("x-forwarded-for"), Some("::1"));
    Peer::connect(&four).send(get("/")).expect_closed();
    assert!(origin.take().is_empty());
}

#[test]
fn instances_are_told_of_both_families() {
    for version in [1, 2] {
        let origin = Origin::scripted(move |peer, number| {
            let Some((of, Told::Client(client, server))) = peer.told() else { panic!("nothing") };
            assert_eq!((of, client.ip(), server.ip()), (version, server.ip(), client.ip()));
            assert_eq!(client.is_ipv4(), number == 0, "{client}");
            peer.request();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            let _ = peer.reader.rest();
        });
        let service = format!("proxy_protocol = \"v{version}\"");
        let gateway = bound("\"[::]:0\"", "", &service, &origin).start();
        for address in loopbacks(&gateway) {
            assert_eq!(Peer::connect(&address).get("/").status, 200, "{address}");
        }
    }
}

/// As the example of all keys has it.
#[test]
fn both_wildcards_of_a_port() {
    let origin = Origin::named("o");
    let (_held, port) = held_port();
    let (four, six) = (format!("0.0.0.0:{port}"), format!("[::]:{port}"));
    let other = format!("[listeners.other]\nbind = {six:?}\n[services.s]");
    let one = |bind: String| bound(&bind, "", "", &origin);
    let text = config("", "", &[origin.address()]).replace("127.0.0.1:0", &four);
    for (setup, listeners) in [
        (one(format!("[{four:?}, {six:?}]")), ["default"; 2]),
        (one(format!("[{six:?}, {four:?}]")), ["default"; 2]),
        (Setup::run(&text.replace("[services.s]", &other)), ["default", "other"]),
    ] {
        let mut gateway = setup.with(&["--workers", "2"]).start();
        for (listener, address) in listeners.iter().zip([&four, &six]) {
            assert!(gateway.addresses_of(listener).contains(&address.as_str()));
        }
        for (address, client) in loopbacks(&gateway).iter().zip(["127.0.0.1", "::1"]) {
            assert_eq!(Peer::connect(address).get("/").text(), "o GET /");
            assert_eq!(origin.take_one().head.get("x-forwarded-for"), Some(client));
        }
        gateway.signal(rustix::process::Signal::TERM);
        assert_eq!(gateway.wait().code(), Some(0));
    }
}

#[test]
fn addresses_that_overlap_are_named() {
    let origin = Origin::named("o");
    let (_held, port) = held_port();
    for (first, second) in [("[::]", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("[::1]", "[::]")] {
        let [first, second] = [first, second].map(|ip| format!("{ip}:{port}"));
        let ended = bound(&format!("[{first:?}, {second:?}]"), "", "", &origin).output();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let line = format!("{second}: overlaps with {first} of listener default");
        assert!(ended.messages.contains(&line), "{line}: {ended:?}");
    }
}

#[test]
fn a_file_that_is_no_socket_stays() {
    let origin = Origin::named("o");
    let folder = Folder::new();
    let file = folder.write("g.sock", "letters");
    let address = format!("\"unix:{}\"", file.display());
    let ended = bound(&address, "", "", &origin).output();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.messages.contains("not a socket"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "letters");
    // Nor is a link to a socket one.
    let (link, behind) = (folder.path("l.sock"), folder.path("b.sock"));
    drop(UnixListener::bind(&behind).unwrap());
    std::os::unix::fs::symlink(&behind, &link).unwrap();
    let ended = bound(&format!("\"unix:{}\"", link.display()), "", "", &origin).output();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(behind.exists() && link.symlink_metadata().unwrap().is_symlink());
}

/// Its own file goes with it, on every way out that it can help.
#[test]
fn a_socket_file_goes_with_its_process() {
    let origin = Origin::named("o");
    let folder = Folder::new();
    let path = folder.path("g.sock");
    let address = format!("\"unix:{}\"", path.display());
    for _ in 0..2 {
        let mut gateway = bound(&address, "", "", &origin).start();
        assert_eq!(gateway.client().get("/").status, 200);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_ne!(mode & 0o600, 0);
        gateway.signal(rustix::process::Signal::TERM);
        assert_eq!(gateway.wait().code(), Some(0));
        assert!(!path.exists());
    }
    // A start that fails for another reason leaves none behind.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = taken.local_addr().unwrap().to_string();
    let ended = bound(&format!("[{address}, {other:?}]"), "", "", &origin).output();
    assert_eq!((ended.code, path.exists()), (Some(1), false), "{ended:?}");
}

/// One whose queue is full is alive too, and nothing to wait for.
#[test]
fn a_busy_unix_socket_is_no_leftover() {
    let origin = Origin::named("o");
    let folder = Folder::new();
    let path = folder.path("g.sock");
    let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    busy.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    busy.listen(0).unwrap();
    let _queued = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let ended = bound(&format!("\"unix:{}\"", path.display()), "", "", &origin).output();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.messages.contains("address in use") && path.exists(), "{ended:?}");
}
