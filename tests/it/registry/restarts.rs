//! The gateway is killed again and again while instances come and go: whatever was answered holds afterwards.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::store::kept_in;
use crate::harness::clock::{PATIENCE, scale, until};
use crate::harness::gateway::Gateway;
use crate::harness::origin::Origin;

/// Clients that register, each with instances of its own.
const CLIENTS: usize = 4;
/// Instances of each.
const OWN: usize = 8;

/// One request on a connection of its own; an error where the gateway is not there, or goes amid the answer.
fn ask(socket: &Path, method: &str, target: &str, body: &str) -> io::Result<(u16, Value)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let about = "Host: localhost\r\nConnection: close\r\nContent-Type: application/json";
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\n{about}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(cut)?;
    Ok((status, serde_json::from_str(body).map_err(|_| cut())?))
}

/// What a client knows of an instance of its own: its weight, where it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It was answered so.
    Is(Option<u32>),
    /// The gateway went before it answered: it is as it was, or as it was asked to be.
    Either(Option<u32>, Option<u32>),
}

struct Client<'a> {
    socket: &'a Path,
    number: usize,
    known: [Known; OWN],
    turn: usize,
    answered: &'a AtomicUsize,
}

impl Client<'_> {
    /// Looks at the next of its instances, then changes it.
    fn turn(&mut self) -> io::Result<()> {
        self.turn += 1;
        let at = self.turn % OWN;
        let target = format!("/v1/services/s/instances/c{}-{at}", self.number);
        let found = match ask(self.socket, "GET", &target, "")? {
            (200, view) => Some(view["weight"].as_u64().unwrap() as u32),
            (404, _) => None,
            other => panic!("{target}: {other:?}"),
        };
        let holds = match self.known[at] {
            Known::Is(known) => found == known,
            Known::Either(one, other) => found == one || found == other,
        };
        assert!(holds, "{target}: {:?} was answered, and {found:?} is so", self.known[at]);
        let wanted = (!self.turn.is_multiple_of(3)).then_some(1 + self.turn as u32 % 60_000);
        self.known[at] = Known::Either(found, wanted);
        let port = 1 + self.number * OWN + at;
        let answer = match wanted {
            Some(weight) => {
                let address = format!("127.0.0.2:{port}");
                let status = "starting";
                let body =
                    json!({ "address": address, "ttl": "1h", "weight": weight, "status": status });
                ask(self.socket, "PUT", &target, &body.to_string())?
            }
            None => ask(self.socket, "DELETE", &target, "")?,
        };
        match answer {
            (404, _) if wanted.is_none() && found.is_none() => {}
            (200 | 201, view) => assert_eq!(view["durable"], true, "{view:#}"),
            other => panic!("{target}: {other:?}"),
        }
        self.known[at] = Known::Is(wanted);
        self.answered.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn what_was_answered_survives_being_killed() {
    let origin = Origin::named("o");
    let mut gateway: Gateway = kept_in("state", &[]).start();
    let socket: PathBuf = gateway.folder.path("admin.sock");
    let body = json!({ "address": origin.address(), "ttl": "1h" });
    let target = "/v1/services/s/instances/stays";
    assert_eq!(gateway.admin_with("PUT", target, &body).status, 201);
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let client = |number| {
            let (socket, answered) = (socket.as_path(), &answered);
            Client { socket, number, known: [Known::Is(None); OWN], turn: 0, answered }
        };
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (mut client, stop) = (client(number), &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        // While it is not there it is asked again.
                        if client.turn().is_err() {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for round in 0..scale(5, 20, 50) {
            let now = answered.load(Ordering::SeqCst);
            until("they are at it", || {
                let any_failed = clients.iter().any(|client| client.is_finished());
                assert!(!any_failed, "a client failed in round {round}");
                (answered.load(Ordering::SeqCst) > now + 40).then_some(())
            });
            gateway.kill_and_start_again();
            // From its first request on: nothing has to be renewed first.
            let mut client = gateway.client();
            assert_eq!(client.get("/").text(), "o GET /", "round {round}");
        }
        stop.store(true, Ordering::SeqCst);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}
