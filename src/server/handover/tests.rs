//! Both sides over one socket pair, with every kind of stranger at the other end; and with real processes.

use std::fs::{self, File};
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use coregate_core::base::limits;
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::channel::Channel;
use super::message::{Hello, Message, PROTOCOL};
use super::parent::{begin_within, hand_over, hear_hello};
use super::*;
use crate::server::listen::bind::FileMark;

/// Longer than anything here takes.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn channel(socket: UnixStream) -> Channel {
    Channel::new(socket.into(), None)
}

fn null() -> Arc<OwnedFd> {
    Arc::new(File::open("/dev/null").unwrap().into())
}

/// Some open file that is no other one.
fn unique() -> Arc<OwnedFd> {
    Arc::new(UnixStream::pair().unwrap().0.into())
}

/// Which open file a descriptor is of.
fn inode(descriptor: &OwnedFd) -> u64 {
    File::from(descriptor.try_clone().unwrap()).metadata().unwrap().ino()
}

fn handed(listener: &str, address: &str, sockets: Vec<Arc<OwnedFd>>) -> Handed {
    let bound = address.parse().unwrap();
    let configured = address.replace(":81", ":0").parse().unwrap();
    let file = address.starts_with("unix").then_some(FileMark { device: 7, inode: u64::MAX });
    Handed { listener: listener.into(), configured, bound, file, sockets }
}

fn inheritance(sockets: Vec<Handed>) -> Inheritance {
    let checkpoint = RawValue::from_string("null".into()).unwrap();
    Inheritance { sockets, admin: Vec::new(), cells: None, generation: 1, checkpoint }
}

#[test]
fn everything_arrives() {
    let checkpoint = format!("{{\"leases\":[\"{}\"]}}", "x".repeat(3_000_000));
    let left = Inheritance {
        // Three batches.
        sockets: vec![
            handed("one", "127.0.0.1:81", (0..130).map(|_| unique()).collect()),
            handed("two", "unix:/run/two", vec![unique()]),
            handed("three", "[::]:80", (0..200).map(|_| unique()).collect()),
        ],
        admin: vec![handed("admin", "unix:/run/admin", vec![unique()])],
        cells: Some(unique()),
        generation: u64::MAX,
        checkpoint: RawValue::from_string(checkpoint).unwrap(),
    };
    let (ours, theirs) = UnixStream::pair().unwrap();
    let successor = thread::spawn(move || {
        let theirs = channel(theirs);
        let got = child::receive(&theirs, 42, soon()).unwrap();
        Predecessor::on(theirs).ready().unwrap();
        got
    });
    let ours = channel(ours);
    let hello = hear_hello(&ours, soon()).unwrap();
    assert_eq!((hello.protocol, hello.layout), (PROTOCOL, 42));
    let answer = hand_over(&ours, &left, soon()).unwrap();
    assert!(matches!(answer, Message::Ready { pid } if pid == std::process::id()), "{answer:?}");
    ours.send(&Message::Go, &[], soon()).unwrap();
    let got = successor.join().unwrap();
    assert_eq!(got.generation, left.generation);
    assert_eq!(got.checkpoint.get(), left.checkpoint.get());
    let facts = |all: &[Handed]| -> Vec<_> {
        let fact = |one: &Handed| {
            let inodes: Vec<_> = one.sockets.iter().map(|socket| inode(socket)).collect();
            (one.listener.clone(), one.configured.clone(), one.bound.clone(), one.file, inodes)
        };
        all.iter().map(fact).collect()
    };
    assert_eq!(facts(&got.sockets), facts(&left.sockets));
    assert_eq!(facts(&got.admin), facts(&left.admin));
    let (cells, theirs) = (got.cells.unwrap(), left.cells.unwrap());
    assert_eq!(inode(&cells), inode(&theirs));
    for descriptor in got.sockets.iter().flat_map(|one| &one.sockets).chain([&cells]) {
        assert!(fcntl_getfd(&**descriptor).unwrap().contains(FdFlags::CLOEXEC));
    }
}

/// A message as it is sent.
fn framed(json: &str) -> Vec<u8> {
    [&(json.len() as u32).to_le_bytes(), json.as_bytes()].concat()
}

#[test]
fn what_is_no_hello() {
    let check = |bytes: &[u8], expected: &str| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).unwrap();
        drop(theirs);
        let error = hear_hello(&channel(ours), soon()).unwrap_err().to_string();
        assert!(error.contains(expected), "{bytes:?}: {error}");
    };
    check(b"", "closed the connection before it said hello");
    check(b"abc", "closed the connection");
    check(&framed("\"go\"")[..6], "closed the connection");
    check(b"garbage: command not found", "sent 1651663207 bytes for hello, where 65536");
    check(&[255; 8], "4294967295 bytes");
    check(&framed(""), "sent something else for hello");
    check(&framed("hello"), "sent something else");
    check(&framed("{\"hello\":{\"protocol\":1}}"), "missing field `version`");
    check(&framed("{\"hello\":{\"protocol\":-1}}"), "sent something else");
    check(&framed(&"[".repeat(60_000)), "sent something else");
    check(&framed("\"\u{fffd}\u{0}\""), "sent something else");
    check(&framed("\"go\""), "said go instead of hello");
    check(&framed("{\"descriptors\":2}"), "sent 0 descriptors beside descriptors, which has 2");
    check(&framed("{\"descriptors\":18446744073709551615}"), "sent 0 descriptors");
}

#[test]
fn who_says_nothing_is_late() {
    for bytes in [&b""[..], b"\x08\0", &framed("\"go\"")[..6]] {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).unwrap();
        let by = Instant::now() + Duration::from_millis(20);
        let error = hear_hello(&channel(ours), by).unwrap_err();
        assert!(matches!(error, ChannelError::Late("hello")), "{error}");
    }
    // Nor does one who does not listen hold us up.
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let reason = "x".repeat(10_000_000);
    let by = Instant::now() + Duration::from_millis(20);
    let error = channel(ours).send(&Message::Failed { reason }, &[], by).unwrap_err();
    assert!(matches!(error, ChannelError::Late("failed")), "{error}");
}

#[test]
fn what_is_too_long_is_not_sent() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut left = inheritance(Vec::new());
    let checkpoint = format!("\"{}\"", "x".repeat(limits::HANDOVER_BYTES));
    left.checkpoint = RawValue::from_string(checkpoint).unwrap();
    let error = hand_over(&channel(ours), &left, soon()).unwrap_err();
    assert!(matches!(error, ChannelError::OursTooLong { .. }), "{error}");
    assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "nothing of it came");
}

/// Sends bytes with so many descriptors of one end of a pair; gives the other end, which is at its end once all are closed.
fn send_descriptors(to: &UnixStream, bytes: &[u8], count: usize) -> UnixStream {
    let (given, kept) = UnixStream::pair().unwrap();
    let descriptors: Vec<BorrowedFd<'_>> = vec![given.as_fd(); count];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(to, &[IoSlice::new(bytes)], &mut control, SendFlags::empty()).unwrap();
    kept
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let hello = framed("{\"hello\":{\"protocol\":1,\"version\":\"1\",\"layout\":0}}");
    let batch = framed("{\"descriptors\":3}");
    let check = |bytes: &[u8], count, expected: &str| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut kept = send_descriptors(&theirs, bytes, count);
        theirs.shutdown(Shutdown::Write).unwrap();
        let error = hear_hello(&channel(ours), soon()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(kept.read(&mut [0]).unwrap(), 0);
    };
    check(&hello, 1, "sent 1 descriptors beside hello, which has 0");
    check(&batch, 2, "sent 2 descriptors beside descriptors, which has 3");
    check(&batch, 4, "sent 4 descriptors");
    check(&batch, 3, "said descriptors instead of hello");
    check(&batch, 129, "more descriptors than there is room for");
    check(&batch, 253, "more descriptors than there is room for");
    check(b"gar", 5, "closed the connection");
}

#[test]
fn a_batch_beside_every_piece_is_too_many() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let batch = framed("{\"descriptors\":3}");
    let mut first = send_descriptors(&theirs, &batch[..4], 100);
    let mut second = send_descriptors(&theirs, &batch[4..], 100);
    let error = hear_hello(&channel(ours), soon()).unwrap_err();
    assert!(matches!(error, ChannelError::Truncated), "{error}");
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    assert_eq!(second.read(&mut [0]).unwrap(), 0);
}

/// What a successor makes of what its predecessor sends, besides the right thing.
#[test]
fn a_successor_believes_nothing() {
    let manifest = |sockets: &str, cells: bool| {
        format!(
            "{{\"manifest\":{{\"sockets\":[{sockets}],\"admin\":[],\"cells\":{cells},\"generation\":1,\"checkpoint\":{{}}}}}}"
        )
    };
    let entry = |address: &str, count: &str| {
        format!(
            "{{\"listener\":\"a\",\"configured\":\"{address}\",\"bound\":\"{address}\",\"descriptors\":{count}}}"
        )
    };
    let check = |messages: &[(String, usize)], expected: &str| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for (json, count) in messages {
            match count {
                0 => theirs.write_all(&framed(json)).unwrap(),
                count => drop(send_descriptors(&theirs, &framed(json), *count)),
            }
        }
        theirs.shutdown(Shutdown::Write).unwrap();
        let error = child::receive(&channel(ours), 0, soon()).unwrap_err().to_string();
        assert!(error.contains(expected), "{messages:?}: {error}");
    };
    let one = |json: String| [(json, 0)];
    let batch = |count: usize| (format!("{{\"descriptors\":{count}}}"), count);
    check(&[], "the old process closed the connection before it said manifest");
    check(&one("\"go\"".into()), "said go instead of manifest");
    check(&one(manifest("{}", false)), "sent something else for manifest");
    check(&one(manifest("", true)), "closed the connection before it said descriptors");
    check(&one(manifest(&entry("1.1.1.1:1", "65537"), false)), "more descriptors than 65536");
    let most = u64::MAX.to_string();
    let twice = format!("{},{}", entry("1.1.1.1:1", &most), entry("1.1.1.1:1", &most));
    check(&one(manifest(&twice, false)), "more descriptors than 65536");
    check(&one(manifest(&entry("1.1.1.1:1", "-1"), false)), "sent something else");
    check(&[(manifest("", true), 0), batch(2)], "2 descriptors, where 1 were named");
    check(&[(manifest("", true), 0), batch(0)], "a batch of no descriptors");
    check(&[(manifest("", true), 0), ("\"go\"".into(), 0)], "said go instead of descriptors");
    check(&[(manifest(&entry("nowhere", "1"), false), 0), batch(1)], "nowhere");
    check(&[(manifest("", true), 1)], "sent 1 descriptors beside manifest");
}

/// What a predecessor makes of the answers.
#[test]
fn a_predecessor_believes_nothing() {
    let check = |answers: &[&str], expected: &str| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for answer in answers {
            theirs.write_all(&framed(answer)).unwrap();
        }
        theirs.shutdown(Shutdown::Write).unwrap();
        let sockets = vec![handed("a", "127.0.0.1:81", vec![null(); 200])];
        let answer = hand_over(&channel(ours), &inheritance(sockets), soon());
        let text = match answer {
            Ok(message) => format!("{message:?}"),
            Err(error) => error.to_string(),
        };
        assert!(text.contains(expected), "{answers:?}: {text}");
    };
    check(&[], "closed the connection before it said got");
    check(&["{\"got\":127}"], "said got instead of got");
    check(&["{\"got\":128}", "{\"got\":128}"], "said got instead of got");
    check(&["{\"got\":128}", "{\"got\":200}"], "closed the connection before it said ready");
    check(&["{\"got\":128}", "{\"ready\":{\"pid\":1}}"], "said ready instead of got");
    check(&["{\"failed\":{\"reason\":\"no room\"}}"], "no room");
    check(&["{\"got\":128}", "{\"got\":200}", "{\"ready\":{\"pid\":1}}"], "Ready { pid: 1 }");
}

#[test]
fn a_successor_that_cannot_says_why() {
    let reason = "\u{1}".repeat(limits::HANDOVER_WORD_BYTES);
    for reason in ["listener a: \u{1b}[31mno such address\nlistener b: neither", &*reason] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        Predecessor::on(channel(theirs)).failed(reason);
        let most = limits::HANDOVER_WORD_BYTES;
        let (message, _) = channel(ours).receive("ready", most, soon()).unwrap();
        let Message::Failed { reason: got } = message else { panic!("{message:?}") };
        assert!(reason.starts_with(&got) && !got.is_empty());
    }
}

#[test]
fn a_successor_does_not_wait_for_ever() {
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let waiting = Predecessor::on(channel(theirs));
    let error = waiting.ready_within(Duration::from_millis(20)).unwrap_err().to_string();
    assert_eq!(error, "the old process did not say go in time");
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(ours);
    let error = Predecessor::on(channel(theirs)).ready().unwrap_err().to_string();
    assert!(error.contains("the old process closed the connection"), "{error}");
}

fn shell(script: &str, time: Duration) -> String {
    let arguments = ["-c".into(), script.into()];
    begin_within(Path::new("/bin/sh"), &arguments, time).unwrap_err().to_string()
}

#[test]
fn binaries_that_are_none_of_ours() {
    let long = Duration::from_secs(60);
    let check = |script: &str, time: Duration, expected: &[&str]| {
        let error = shell(script, time);
        assert!(expected.iter().all(|part| error.contains(part)), "{script}: {error}");
    };
    check("exit 7", long, &["the new process ended (exit status: 7) before it was ready"]);
    check("kill -9 $$", long, &["signal: 9"]);
    // A child of its own, which still has the socket, does not keep us waiting.
    check("sleep 3 <&0 & exit 3", long, &["exit status: 3"]);
    let killed = "it was killed";
    check("echo nothing of yours >&0; exec sleep 600", long, &["is it coregate?", killed]);
    check("exec 0<&-; exec sleep 600", long, &["closed the connection", killed]);
    check("exec sleep 600", Duration::from_millis(50), &["did not say hello in time", killed]);
    // Whoever only reads is sent nothing.
    check("exec cat", Duration::from_millis(50), &["did not say hello in time", killed]);
    let hello = "{\"hello\":{\"protocol\":9,\"version\":\"9\",\"layout\":0}}";
    let stranger = format!("printf '\\{:03o}\\0\\0\\0{hello}' >&0; exec sleep 600", hello.len());
    check(&stranger, long, &["coregate 9 hands over by protocol 9, this one by 1"]);
    let error = begin(Path::new("/nowhere/coregate"), &[]).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/coregate: No such file"), "{error}");
}

#[test]
fn without_a_predecessor() {
    if env::var_os(VARIABLE).is_none() {
        assert!(inherit(0).unwrap().is_none());
    }
}

/// The successor of `two_processes`: does nothing unless it is started by that.
#[test]
fn as_a_successor() {
    if env::var_os(VARIABLE).is_none() {
        return;
    }
    // Where it is ended before it is told to go on, that is what the test is about.
    let Ok(Some((inheritance, predecessor))) = inherit(11) else { return };
    // What was standard input is nobody's any more.
    assert_eq!(io::stdin().read(&mut [0]).unwrap(), 0);
    if inheritance.generation == 2 {
        return predecessor.failed("nothing\nof this works");
    }
    let socket = inheritance.sockets[0].sockets[0].try_clone().unwrap();
    if predecessor.ready().is_err() {
        return;
    }
    let (mut client, _) = TcpListener::from(socket).accept().unwrap();
    client.write_all(inheritance.checkpoint.get().as_bytes()).unwrap();
}

#[test]
fn two_processes() {
    if env::var_os(VARIABLE).is_some() {
        return;
    }
    let name = "server::handover::tests::as_a_successor";
    let arguments = ["--exact", name, "--nocapture", "--quiet"].map(OsString::from);
    let start = || begin(own_binary().unwrap(), &arguments).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = Arc::new(OwnedFd::from(listener));
    let mut left = inheritance(vec![handed("a", &address.to_string(), vec![socket])]);
    left.checkpoint = RawValue::from_string("\"hello\"".into()).unwrap();

    left.generation = 2;
    let error = start().hand_over(&left).unwrap_err().to_string();
    assert_eq!(error, "the new process could not start: nothing\nof this works");
    left.generation = 1;
    // Dropped before or after it is ready, it is ended.
    drop(start());
    drop(start().hand_over(&left).unwrap());

    let successor = start();
    assert_eq!((successor.layout(), successor.version()), (11, env!("CARGO_PKG_VERSION")));
    let ready: Ready = successor.hand_over(&left).unwrap();
    assert_ne!(ready.pid(), std::process::id());
    let mut client = TcpStream::connect(address).unwrap();
    ready.go().unwrap();
    drop(left);
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "\"hello\"");
}

#[test]
fn the_path_it_was_started_by() {
    let folder = env::temp_dir().join(format!("coregate-{}-path", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (binary, link) =
        (folder.canonicalize().unwrap().join("coregate-1"), folder.join("current"));
    fs::write(&binary, "").unwrap();
    symlink(&binary, &link).unwrap();
    assert_eq!(path_of(link.as_os_str(), &binary), Some(link.clone()));
    assert_eq!(path_of(binary.as_os_str(), &binary), Some(binary.clone()));
    // Another, or no file at all, or none that PATH leads to.
    assert_eq!(path_of(OsStr::new("/bin/sh"), &binary), None);
    assert_eq!(path_of(OsStr::new("./nowhere"), &binary), None);
    assert_eq!(path_of(OsStr::new("coregate-1"), &binary), None);
    let shell = Path::new("/bin/sh").canonicalize().unwrap();
    assert_eq!(path_of(OsStr::new("sh"), &shell).unwrap().file_name(), Some(OsStr::new("sh")));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_hello_may_say_more() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let json = "{\"hello\":{\"protocol\":1,\"version\":\"2\",\"layout\":3,\"more\":[]}}";
    theirs.write_all(&framed(json)).unwrap();
    let Hello { protocol, version, layout } = hear_hello(&channel(ours), soon()).unwrap();
    assert_eq!((protocol, &*version, layout), (1, "2", 3));
}
