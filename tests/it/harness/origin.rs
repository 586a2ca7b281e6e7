//! Upstreams on threads: one that answers by a closure and records what it read, and raw ones that follow a script.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use coregate_strict::{Fault, Framing, Request};

use super::client::Peer;
use super::clock;
use super::socket::Socket;

/// What an origin saw; shared with its threads.
#[derive(Debug, Default)]
struct Log {
    requests: Mutex<Vec<Request>>,
    /// Requests that were not as RFC 9112 has them, and panics of scripts: none may ever be.
    faults: Mutex<Vec<String>>,
    /// Requests that began and did not end, or whose connection was reset.
    cut: AtomicUsize,
    accepted: AtomicUsize,
    closed: AtomicUsize,
    /// Clones of what is open, to end it with.
    sockets: Mutex<BTreeMap<usize, Socket>>,
}

/// An upstream. Dropped, it closes everything and fails the test if it was sent anything malformed.
#[derive(Debug)]
pub struct Origin {
    address: String,
    log: Arc<Log>,
    listener: Arc<Listener>,
    accepting: Option<JoinHandle<()>>,
}

/// What a serving origin does with a request.
#[derive(Debug)]
pub enum Reply {
    /// These bytes; the connection stays.
    Keep(Vec<u8>),
    /// These bytes, then an end.
    Close(Vec<u8>),
}

impl Reply {
    /// 200 with a body of known length.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::with("200 OK", "", body)
    }

    /// A status, field lines that each end in CRLF, and a body of known length.
    pub fn with(status: &str, fields: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        Self::Keep([head.as_bytes(), body].concat())
    }

    /// Bytes as they are; the connection stays.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self::Keep(bytes.as_ref().to_vec())
    }
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn accept(&self) -> std::io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| stream.into()),
            Self::Unix(listener) => listener.accept().map(|(stream, _)| stream.into()),
        }
    }

    /// Ends a pending `accept`, and every later one.
    fn shutdown(&self) {
        let socket = match self {
            Self::Tcp(listener) => socket2::SockRef::from(listener),
            Self::Unix(listener) => socket2::SockRef::from(listener),
        };
        let _ = socket.shutdown(Shutdown::Both);
    }
}

impl Origin {
    /// Answers every request by `handler`, and keeps connections.
    pub fn serving(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let (listener, address) = tcp();
        Self::start(listener, address, move |peer, _, log| serve(peer, log, &handler))
    }

    /// The same on a Unix socket.
    pub fn serving_unix(
        path: &Path,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = Listener::Unix(UnixListener::bind(path).unwrap());
        let address = format!("unix:{}", path.display());
        Self::start(listener, address, move |peer, _, log| serve(peer, log, &handler))
    }

    /// Answers with its name and what it was asked: `name GET /path`.
    pub fn named(name: &'static str) -> Self {
        Self::serving(move |request| {
            Reply::ok(format!("{name} {} {}", request.method, request.target))
        })
    }

    /// The same behind a socket that listens already.
    pub fn named_at(name: &'static str, listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        Self::start(Listener::Tcp(listener), address, move |peer, _, log| {
            serve(peer, log, &|request: &Request| {
                Reply::ok(format!("{name} {} {}", request.method, request.target))
            });
        })
    }

    /// Answers with the request's body.
    pub fn echo() -> Self {
        Self::serving(|request| Reply::ok(&request.body))
    }

    /// Runs `script` on each connection, with its number from 0. Requests read in it are not recorded; its panic fails
    /// the test.
    pub fn scripted(script: impl Fn(&mut Peer, usize) + Send + Sync + 'static) -> Self {
        let (listener, address) = tcp();
        Self::start(listener, address, move |peer, number, _| script(peer, number))
    }

    fn start(
        listener: Listener,
        address: String,
        run: impl Fn(&mut Peer, usize, &Log) + Send + Sync + 'static,
    ) -> Self {
        let log = Arc::new(Log::default());
        let listener = Arc::new(listener);
        let listening = Arc::clone(&listener);
        let (shared, run) = (Arc::clone(&log), Arc::new(run));
        let accepting = std::thread::spawn(move || {
            while let Ok(mut socket) = listening.accept() {
                socket.allow(clock::scale(
                    clock::PATIENCE,
                    10 * clock::PATIENCE,
                    100 * clock::PATIENCE,
                ));
                let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared.sockets.lock().unwrap().insert(number, socket.try_clone());
                let (log, run) = (Arc::clone(&shared), Arc::clone(&run));
                std::thread::spawn(move || {
                    let mut peer = Peer::new(socket);
                    let run = AssertUnwindSafe(|| run(&mut peer, number, &log));
                    if let Err(panic) = catch_unwind(run) {
                        log.faults.lock().unwrap().push(format!("in a script: {}", told(&*panic)));
                    }
                    // Both must go for the connection to be closed, or reset where a script asked for that.
                    log.sockets.lock().unwrap().remove(&number);
                    drop(peer);
                    log.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, log, listener, accepting: Some(accepting) }
    }

    /// As a configuration names it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The whole requests read so far; they are forgotten.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.log.requests.lock().unwrap())
    }

    /// The only whole request read since the last look.
    #[track_caller]
    pub fn take_one(&self) -> Request {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "requests at the origin: {all:?}");
        all.remove(0)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.log.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are over.
    pub fn closed(&self) -> usize {
        self.log.closed.load(Ordering::SeqCst)
    }

    /// Requests that began and were cut.
    pub fn cut(&self) -> usize {
        self.log.cut.load(Ordering::SeqCst)
    }

    fn stop(&mut self) {
        self.listener.shutdown();
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
        for socket in self.log.sockets.lock().unwrap().values() {
            socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
        let faults = self.log.faults.lock().unwrap();
        if !faults.is_empty() && !std::thread::panicking() {
            panic!("faults at the origin: {faults:#?}");
        }
    }
}

/// What a panic said.
fn told(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

fn tcp() -> (Listener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (Listener::Tcp(listener), address)
}

fn serve(peer: &mut Peer, log: &Log, handler: &(impl Fn(&Request) -> Reply + Sync)) {
    loop {
        let request = match read(peer) {
            Ok(request) => request,
            Err(Fault::Closed) => return,
            Err(fault @ Fault::Malformed(_)) => {
                return log.faults.lock().unwrap().push(format!("{fault:?}"));
            }
            Err(Fault::Truncated | Fault::Io(_)) => {
                log.cut.fetch_add(1, Ordering::SeqCst);
                return;
            }
        };
        let reply = handler(&request);
        let to_head = request.method == "HEAD";
        log.requests.lock().unwrap().push(request);
        let (mut bytes, close) = match reply {
            Reply::Keep(bytes) => (bytes, false),
            Reply::Close(bytes) => (bytes, true),
        };
        if to_head {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
            bytes.truncate(end + 4);
        }
        if peer.try_send(bytes).is_err() || close {
            return;
        }
    }
}

/// Reads a request; says that it may continue if it asks.
fn read(peer: &mut Peer) -> Result<Request, Fault> {
    let mut request = peer.reader.request_head()?;
    let waits = request.head.get("expect") == Some("100-continue");
    if waits && !matches!(request.framing, Framing::None | Framing::Length(0)) {
        peer.try_send("HTTP/1.1 100 Continue\r\n\r\n").map_err(Fault::Io)?;
    }
    let mut body = Vec::new();
    request.trailers = peer.reader.body(request.framing, |piece| body.extend_from_slice(piece))?;
    request.body = body;
    Ok(request)
}

/// An address on which nothing listens: a connect is refused.
pub fn refusing() -> String {
    tcp().1
}

/// An address that leaves connects unanswered: its queue of one is full as long as the value lives.
#[derive(Debug)]
pub struct Blackhole {
    pub address: String,
    _held: (socket2::Socket, Vec<socket2::Socket>),
}

pub fn blackhole() -> Blackhole {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // The queue takes one; the kernel drops the SYNs of the others.
    let fillers = (0..3)
        .map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address);
            filler
        })
        .collect();
    let address = address.as_socket().unwrap().to_string();
    Blackhole { address, _held: (listener, fillers) }
}
