//! Name servers: dnsmasq as Debian has it, and one behind it that fails in every way.

use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use super::clock::until;
use super::gateway::Folder;

/// dnsmasq on a port of its own. It knows hosts below `.test` from a file, and asks an [`Upstream`] for those below `.up`.
#[derive(Debug)]
pub struct Dnsmasq {
    process: Child,
    address: SocketAddr,
    folder: Folder,
}

impl Dnsmasq {
    /// Answers for these hosts, which count for a second: `127.0.0.1 name.test`. `more`: further arguments.
    #[track_caller]
    pub fn start(hosts: &str, upstream: SocketAddr, more: &[&str]) -> Self {
        let folder = Folder::new();
        let path = folder.write("hosts", hosts);
        let address = free_port();
        let process = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"])
            .args(["--listen-address=127.0.0.1", "--bind-interfaces", "--cache-size=0"])
            .args(["--local=/test/", "--local-ttl=1", "--pid-file=", "--user=", "--log-facility=-"])
            .arg(format!("--port={}", address.port()))
            .arg(format!("--addn-hosts={}", path.display()))
            .arg(format!("--server=/up/{}#{}", upstream.ip(), upstream.port()))
            .args(more)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("dnsmasq: {error}: apt-get install dnsmasq-base"));
        let mut dnsmasq = Self { process, address, folder };
        until("dnsmasq answers", || {
            let ended = dnsmasq.process.try_wait().unwrap();
            assert!(ended.is_none(), "dnsmasq ended: {ended:?}");
            let socket = std::net::TcpStream::connect(dnsmasq.address);
            socket.ok()
        });
        dnsmasq
    }

    /// As `dns.servers` names it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// It answers for these hosts from now on.
    pub fn hosts(&self, hosts: &str) {
        self.folder.write("hosts", hosts);
        let pid = Pid::from_raw(self.process.id() as i32).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
    }

    /// Ends it, as a crash would.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody has over UDP and TCP. Another process may take it in between, which fails the test loudly.
fn free_port() -> SocketAddr {
    until("a free port", || {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        TcpListener::bind(address).ok().map(|_| address)
    })
}

/// Lines of a hosts file that give one name many addresses.
pub fn hosts(name: &str, addresses: impl IntoIterator<Item = String>) -> String {
    let mut text = String::new();
    for address in addresses {
        writeln!(text, "{address} {name}").unwrap();
    }
    text
}

/// How an [`Upstream`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    /// Each name is 127.0.0.2, for a second.
    Well,
    /// SERVFAIL.
    Failing,
    /// Not at all.
    Silent,
    /// There are no such names.
    Empty,
}

/// A name server that does as it is told, over UDP.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    mood: Arc<AtomicU8>,
    asked: Arc<Mutex<u64>>,
}

impl Upstream {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (mood, asked) = (Arc::new(AtomicU8::new(0)), Arc::<Mutex<u64>>::default());
        let (told, count) = (Arc::clone(&mood), Arc::clone(&asked));
        // It ends with the tests.
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                *count.lock().unwrap() += 1;
                if let Some(answer) = answer(&query[..length], told.load(Ordering::SeqCst)) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { address, mood, asked }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn is(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// Waits until it was asked so many more times.
    #[track_caller]
    pub fn was_asked(&self, more: u64) {
        let before = *self.asked.lock().unwrap();
        until("it is asked", || (*self.asked.lock().unwrap() >= before + more).then_some(()));
    }
}

/// The question again, behind a head that says how it went (RFC 1035 §4.1).
fn answer(query: &[u8], mood: u8) -> Option<Vec<u8>> {
    let code = match mood {
        mood if mood == Mood::Silent as u8 => return None,
        mood if mood == Mood::Failing as u8 => 2,
        mood if mood == Mood::Empty as u8 => 3,
        _ => 0,
    };
    let name = query[12..].iter().position(|byte| *byte == 0)?;
    let question = query.get(12..12 + name + 5)?;
    let is_a = question.ends_with(&[0, 1, 0, 1]);
    let answers = u8::from(is_a && code == 0);
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend(question);
    if answers == 1 {
        // The name stands at byte 12; A, IN, one second, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 2]);
    }
    Some(answer)
}
