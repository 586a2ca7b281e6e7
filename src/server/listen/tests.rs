//! What the sockets of this system do with what they are told, on loopback.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;

use coregate_config::Listener;
use coregate_core::base::ids::SocketId;
use coregate_core::base::limits;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SocketFlags, accept_with};
use socket2::{Domain, SockRef, Socket, Type};

use super::live::{Handed, Live, Step, WorkerSocket};
use super::*;

/// Whether no worker has anything to do.
fn is_empty(step: &Step) -> bool {
    step.added.iter().all(Vec::is_empty) && step.removed.is_empty()
}

/// A folder of its own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("coregate-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn unix(&self, name: &str) -> String {
        format!("unix:{}", self.0.join(name).display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Listeners as `name address address`.
fn listeners(texts: &[&str]) -> Vec<Listener> {
    let one = |text: &&str| {
        let mut words = text.split(' ').map(str::to_owned);
        let name = words.next().unwrap();
        Listener { name, bind: words.map(|address| address.parse().unwrap()).collect() }
    };
    texts.iter().map(one).collect()
}

/// A port that nobody else is given while this is held: bound, but nothing listens on it.
fn held_port() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

fn start(texts: &[&str], workers: usize) -> (Live, Vec<Vec<WorkerSocket>>) {
    Live::bind(&listeners(texts), workers, Vec::new()).unwrap()
}

fn place(live: &Live, at: usize) -> SocketAddr {
    match live.places().nth(at).unwrap().1 {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("{}", path.display()),
    }
}

fn refusal(live: &Live, texts: &[&str]) -> String {
    let errors = live.plan(&listeners(texts)).unwrap_err();
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn is_open(address: SocketAddr) -> bool {
    match TcpStream::connect(address) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{address}");
            false
        }
    }
}

/// Takes one connection from whichever of the sockets it waits in; gives that socket's index.
fn accept(sockets: &[BorrowedFd<'_>]) -> usize {
    let mut polled: Vec<_> =
        sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
    poll(&mut polled, None).unwrap();
    let at = polled.iter().position(|socket| !socket.revents().is_empty()).unwrap();
    accept_with(sockets[at], SocketFlags::CLOEXEC).unwrap();
    at
}

fn sockets(workers: &[Vec<WorkerSocket>]) -> Vec<BorrowedFd<'_>> {
    workers.iter().flatten().map(|own| own.socket.as_fd()).collect()
}

#[test]
fn accepted_connections_inherit_their_options() {
    let (live, mut workers) = start(&["a 127.0.0.1:0"], 1);
    let listener = TcpListener::from(workers[0].remove(0).socket);
    listener.set_nonblocking(false).unwrap();
    let _client = TcpStream::connect(place(&live, 0)).unwrap();
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
fn what_is_added_listens_and_what_is_removed_does_not() {
    let (mut live, workers) = start(&["a 127.0.0.1:0"], 2);
    let first = place(&live, 0);
    let ids: Vec<_> = workers.iter().map(|own| own[0].id).collect();
    assert_eq!((workers[0].len(), workers[1].len(), ids[0]), (1, 1, ids[1]));

    let mut step = live.plan(&listeners(&["a 127.0.0.1:0", "b 127.0.0.2:0"])).unwrap();
    let added = std::mem::take(&mut step.added);
    assert!(added.iter().all(|own| own.len() == 1 && own[0].listener == "b"));
    let new = added[0][0].id;
    assert!(new != ids[0] && step.removed.is_empty());
    live.apply(step);
    // The port that was given for port 0 stays.
    assert_eq!(place(&live, 0), first);
    let second = place(&live, 1);
    let _client = TcpStream::connect(second).unwrap();
    accept(&sockets(&added));

    let step = live.plan(&listeners(&["b 127.0.0.2:0"])).unwrap();
    assert_eq!(step.removed, ids[..1]);
    assert!(is_open(first), "nothing is closed before the step is made");
    live.apply(step);
    assert!(is_open(first), "the workers still hold it");
    drop(workers);
    assert!(!is_open(first) && is_open(second));

    // A number is never given twice.
    let step = live.plan(&listeners(&["b 127.0.0.2:0", "a 127.0.0.1:0"])).unwrap();
    assert!(step.added[0][0].id > new);
}

#[test]
fn who_has_come_when_a_socket_goes_deaf_is_served_and_nobody_else_comes() {
    let (live, workers) = start(&["a 127.0.0.1:0", "b 127.0.0.1:0"], 1);
    let (deaf, hearing) = (place(&live, 0), place(&live, 1));
    let mut client = TcpStream::connect(deaf).unwrap();
    live.deafen(|id| id == workers[0][0].id);
    // It would be connected at once.
    let time = std::time::Duration::from_millis(50);
    assert_eq!(TcpStream::connect_timeout(&deaf, time).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(is_open(hearing));
    let accepted = accept_with(&workers[0][0].socket, SocketFlags::CLOEXEC).unwrap();
    rustix::io::write(&accepted, b"hello").unwrap();
    drop(accepted);
    let mut got = String::new();
    client.read_to_string(&mut got).unwrap();
    assert_eq!(got, "hello");
}

#[test]
fn nothing_to_do() {
    let folder = Folder::new("nothing");
    let texts = ["a 127.0.0.1:0 127.0.0.2:0", &format!("b {}", folder.unix("b"))];
    let (mut live, _workers) = start(&texts, 2);
    let step = live.plan(&listeners(&texts)).unwrap();
    assert!(is_empty(&step));
    live.apply(step);
    let reversed = live.plan(&listeners(&[texts[1], texts[0]])).unwrap();
    assert!(is_empty(&reversed));
    live.apply(reversed);
    assert_eq!(live.places().map(|place| place.0).collect::<Vec<_>>(), ["b", "a", "a"]);
}

#[test]
fn an_address_moves_to_another_listener() {
    let folder = Folder::new("moves");
    let unix = folder.unix("s");
    let (mut live, workers) = start(&["a 127.0.0.1:0", &format!("b {unix}")], 1);
    let address = place(&live, 0);
    let ids: Vec<SocketId> = workers[0].iter().map(|own| own.id).collect();
    // The port that was given may be named, too.
    let step = live.plan(&listeners(&[&format!("b {address}"), &format!("a {unix}")])).unwrap();
    let sockets: HashMap<_, _> = step.sockets().collect();
    assert_eq!(sockets, HashMap::from([(ids[0], "b"), (ids[1], "a")]));
    assert!(step.added[0].is_empty() && step.removed.is_empty());
    live.apply(step);
    assert!(is_open(address) && folder.0.join("s").exists());
    // It is known by its new name now.
    assert!(is_empty(
        &live.plan(&listeners(&[&format!("b {address}"), &format!("a {unix}")])).unwrap()
    ));
}

#[test]
fn all_or_nothing() {
    let folder = Folder::new("all");
    let (live, _workers) = start(&["a 127.0.0.1:0"], 2);
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let (_held, port) = held_port();
    let (tcp, unix) = (format!("b 127.0.0.1:{port}"), folder.unix("c"));
    fs::write(folder.0.join("file"), "letters").unwrap();
    let text = refusal(
        &live,
        &[
            "a 127.0.0.1:0",
            &tcp,
            &format!("c {unix}"),
            &format!("d {taken}"),
            &format!("e {}", folder.unix("file")),
        ],
    );
    assert!(text.contains(&format!("listener d: {taken}: address in use")), "{text}");
    assert!(text.contains("listener e: ") && text.contains("not a socket"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!is_open(tcp[2..].parse().unwrap()) && !folder.0.join("c").exists());
    assert!(is_open(place(&live, 0)));
    drop(holder);
    // Dropped, a step leaves nothing behind.
    let step = live.plan(&listeners(&["a 127.0.0.1:0", &tcp, &format!("c {unix}")])).unwrap();
    assert!(is_open(tcp[2..].parse().unwrap()) && folder.0.join("c").exists());
    drop(step);
    assert!(!is_open(tcp[2..].parse().unwrap()) && !folder.0.join("c").exists());
}

/// Another process of the same user that shares ports is no reason to share them with it.
#[test]
fn the_address_of_another_is_not_shared() {
    let (other, _workers) = start(&["a 127.0.0.1:0"], 1);
    let (live, _own) = start(&["a 127.0.0.2:0"], 1);
    let text = refusal(&live, &["a 127.0.0.2:0", &format!("b {}", place(&other, 0))]);
    assert!(text.contains("address in use"), "{text}");
}

#[test]
fn what_cannot_be_had_beside_what_there_is() {
    let (_held, port) = held_port();
    let check = |old: &str, new: &str, expected: &str| {
        let fill = |text: &str| text.replace("PORT", &port.to_string());
        let (live, _workers) = start(&[&fill(old)], 1);
        let text = refusal(&live, &[&fill(new)]);
        assert!(text.contains(&fill(expected)), "{old} -> {new}: {text}");
        assert_eq!(text.lines().count(), 1, "{old} -> {new}: {text}");
    };
    let gone = "overlaps with";
    check(
        "a 0.0.0.0:PORT",
        "b 127.0.0.1:PORT",
        "127.0.0.1:PORT: overlaps with 0.0.0.0:PORT of listener a, which is to go",
    );
    check("a 127.0.0.1:PORT", "a 0.0.0.0:PORT", gone);
    check("a [::]:PORT", "a 0.0.0.0:PORT", gone);
    check("a 0.0.0.0:PORT", "a [::]:PORT", gone);
    check("a [::]:PORT", "a [::1]:PORT", gone);
    check(
        "a 127.0.0.1:PORT",
        "a 127.0.0.1:PORT 0.0.0.0:PORT",
        "0.0.0.0:PORT: overlaps with 127.0.0.1:PORT of listener a, which takes",
    );
    check(
        "a [::]:PORT",
        "a [::]:PORT 0.0.0.0:PORT",
        "[::]:PORT: whether it takes IPv4 too would change",
    );
    check(
        "a [::]:PORT 0.0.0.0:PORT",
        "a [::]:PORT",
        "[::]:PORT: whether it takes IPv4 too would change",
    );
    check("a [::]:PORT", "a [::]:PORT 127.0.0.1:PORT", "127.0.0.1:PORT: overlaps with [::]:PORT");
}

#[test]
fn same_ports_that_do_not_meet() {
    let (_held, port) = held_port();
    let texts = |list: &str| [format!("a {}", list.replace("PORT", &port.to_string()))];
    let (mut live, workers) = start(&[&texts("127.0.0.1:PORT")[0]], 1);
    drop(workers);
    for next in ["127.0.0.1:PORT 127.0.0.2:PORT", "127.0.0.2:PORT [::1]:PORT", "[::1]:PORT"] {
        let step = live.plan(&listeners(&[&texts(next)[0]])).unwrap();
        live.apply(step);
        assert_eq!(live.places().count(), next.split(' ').count());
    }
    // 0.0.0.0 beside an address of IPv6 changes nothing for that.
    let step = live.plan(&listeners(&[&texts("[::1]:PORT 0.0.0.0:PORT")[0]])).unwrap();
    assert_eq!(step.added[0].len(), 1);
    live.apply(step);
    // Two steps do what one may not.
    let step = live.plan(&listeners(&[&texts("[::1]:PORT")[0]])).unwrap();
    live.apply(step);
    let step = live.plan(&listeners(&[&texts("[::1]:PORT 127.0.0.1:PORT")[0]])).unwrap();
    live.apply(step);
}

#[test]
fn a_socket_file_goes_when_its_listener_does() {
    let folder = Folder::new("file");
    let text = format!("b {} {}", folder.unix("one"), folder.unix("two"));
    let (mut live, workers) = start(&["a 127.0.0.1:0", &text], 2);
    assert_eq!(workers[1].len(), 3);
    assert!(workers[0][1].id == workers[1][1].id, "one socket, shared");
    let _client = UnixStream::connect(folder.0.join("one")).unwrap();
    accept(&[workers[1][1].socket.as_fd()]);
    // Somebody put another file in the place of one.
    fs::remove_file(folder.0.join("two")).unwrap();
    let _other = UnixListener::bind(folder.0.join("two")).unwrap();
    let step = live.plan(&listeners(&["a 127.0.0.1:0"])).unwrap();
    assert!(folder.0.join("one").exists());
    live.apply(step);
    assert!(!folder.0.join("one").exists() && folder.0.join("two").exists());
}

#[test]
fn what_is_closed_listens_as_long_as_the_workers_do() {
    let folder = Folder::new("closed");
    let (mut live, workers) = start(&["a 127.0.0.1:0", &format!("b {}", folder.unix("s"))], 2);
    let address = place(&live, 0);
    live.close();
    assert!(is_open(address));
    drop(workers);
    assert!(!is_open(address));
    assert!(UnixStream::connect(folder.0.join("s")).is_err() && folder.0.join("s").exists());
    drop(live);
    assert!(!folder.0.join("s").exists());
}

#[test]
fn what_is_handed_over_is_not_bound_again() {
    let folder = Folder::new("handed");
    let text = format!("u {}", folder.unix("kept"));
    let going = format!("g {} 127.0.0.1:0", folder.unix("going"));
    let (mut old, _theirs) = start(&["a 127.0.0.1:0", &text, &going], 2);
    let (address, gone) = (place(&old, 0), place(&old, 3));
    let (mut new, workers) =
        Live::bind(&listeners(&["b 127.0.0.1:0", &text]), 2, old.hand_over()).unwrap();
    assert_eq!(place(&new, 0), address);
    assert!(workers.iter().all(|own| own.len() == 2 && own[0].listener == "b"));
    new.open().unwrap();
    // A successor that gives up takes nothing with it.
    drop(workers);
    drop(new);
    assert!(folder.0.join("kept").exists() && folder.0.join("going").exists());
    assert!(is_open(address) && is_open(gone));

    let (mut new, _workers) =
        Live::bind(&listeners(&["b 127.0.0.1:0", &text]), 2, old.hand_over()).unwrap();
    old.disown_files();
    new.take_over().unwrap();
    assert!(folder.0.join("kept").exists() && !folder.0.join("going").exists());
    drop((old, _theirs));
    assert!(folder.0.join("kept").exists());
    assert!(is_open(address) && !is_open(gone));
    drop(new);
    assert!(!folder.0.join("kept").exists());
}

#[test]
fn more_workers_than_sockets_handed_over() {
    let (old, theirs) = start(&["a 127.0.0.1:0"], 1);
    let (mut new, workers) =
        Live::bind(&listeners(&["a 127.0.0.1:0"]), 3, old.hand_over()).unwrap();
    assert!(workers.iter().all(|own| own.len() == 1 && own[0].id == workers[0][0].id));
    let accepts = |socket: &WorkerSocket| SockRef::from(&socket.socket).is_listener().unwrap();
    let listening: Vec<_> = workers.iter().map(|own| accepts(&own[0])).collect();
    assert_eq!(listening, [true, false, false], "not before the workers can begin");
    new.open().unwrap();
    assert!(workers.iter().all(|own| accepts(&own[0])));
    assert_eq!((old.descriptors(), new.descriptors()), (1, 3));
    drop((old, theirs));
    // The kernel spreads connections by their ports: all three get some.
    let mut found = [false; 3];
    while found != [true; 3] {
        let _client = TcpStream::connect(place(&new, 0)).unwrap();
        found[accept(&sockets(&workers))] = true;
    }
    // What is handed on is all of it, and what is added later is one a worker.
    assert_eq!(new.hand_over()[0].sockets.len(), 3);
    let step = new.plan(&listeners(&["a 127.0.0.1:0", "b 127.0.0.1:0"])).unwrap();
    assert!(step.added.iter().all(|own| own.len() == 1));
}

#[test]
fn fewer_workers_than_sockets_handed_over() {
    let (old, theirs) = start(&["a 127.0.0.1:0"], 5);
    let (new, workers) = Live::bind(&listeners(&["a 127.0.0.1:0"]), 2, old.hand_over()).unwrap();
    assert_eq!(workers.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2]);
    drop((old, theirs));
    for _ in 0..32 {
        // None of them is left without a worker.
        let mut client = TcpStream::connect(place(&new, 0)).unwrap();
        accept(&sockets(&workers));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn what_was_handed_over_is_looked_at() {
    let (old, _theirs) = start(&["a 127.0.0.1:0"], 1);
    let check = |change: fn(&mut Handed), expected: &str| {
        let mut handed = old.hand_over();
        change(&mut handed[0]);
        let errors = Live::bind(&listeners(&["a 127.0.0.1:0"]), 1, handed).unwrap_err();
        assert!(errors[0].to_string().contains(expected), "{errors:?}");
    };
    check(|handed| handed.sockets.clear(), "has no socket");
    check(|handed| handed.bound = "127.0.0.1:1".parse().unwrap(), "does not listen there");
    check(|handed| handed.bound = "unix:/x".parse().unwrap(), "does not listen there");
    let file = |handed: &mut Handed| {
        handed.sockets = vec![Arc::new(fs::File::open("/dev/null").unwrap().into())];
    };
    check(file, "is not a socket");
    let deaf = |handed: &mut Handed| {
        handed.sockets = vec![Arc::new(UnixStream::pair().unwrap().0.into())];
    };
    check(deaf, "does not listen there");
}
