//! The client against a listener that a test plays.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use serde_json::json;

use super::*;
use crate::io::admin::report::{Answer, MembershipReport, ReloadReport};
use crate::io::admin::view::Status;
use crate::io::admin::{self, tests::Stage};

const SOON: Duration = Duration::from_secs(20);

fn get(target: &str) -> Request<'_> {
    Request::get(target, SOON)
}

#[test]
fn it_speaks_to_a_listener() {
    let stage = Stage::new();
    let unix = Address::Unix(stage.path.clone());
    let reply = request(&unix, &get("/v1/status")).expect("an answer");
    assert!(reply.is_success());
    assert_eq!(reply.json::<Status>().expect("a status"), admin::tests::status());

    let tcp = Address::Tcp(stage.tcp);
    let reply = request(&tcp, &get("/v1/status")).expect("an answer");
    assert_eq!(reply.status, 401);
    assert_eq!(reply.detail(), "over TCP this needs Authorization: Bearer TOKEN");
    assert!(reply.json::<Status>().is_err());
    let with_token = Request { token: Some("secret"), ..get("/v1/status") };
    assert_eq!(request(&tcp, &with_token).expect("an answer").status, 200);

    stage.process.will_answer(Answer::Reload(ReloadReport::default()));
    let reload = Request { method: Method::Post, ..get("/v1/config/reload?confirm=1m") };
    let reply = request(&unix, &reload).expect("an answer");
    assert_eq!(reply.status, 409);
    assert!(!reply.json::<ReloadReport>().expect("a report").applied);

    stage.process.will_answer(Answer::Membership(MembershipReport::default()));
    let body =
        json!({ "changes": [{ "action": "register", "service": "a", "address": "[::1]:1" }] });
    let changes = Request { body: Some(&body), target: "/v1/registry/changes", ..reload };
    assert!(request(&unix, &changes).expect("an answer").is_success());
}

#[test]
fn nobody_there_is_unreachable() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let tcp = Address::Tcp(gone.local_addr().expect("its address"));
    drop(gone);
    let unix = Address::Unix("/nonexistent/admin.sock".into());
    for address in [tcp, unix] {
        let error = request(&address, &get("/livez")).expect_err("nobody listens");
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
        assert!(error.to_string().starts_with(&address.to_string()), "{error}");
    }
}

/// Something that answers one connection with these bytes, or never; gives what it was sent.
fn answers(bytes: Option<Vec<u8>>) -> (Address, thread::JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let address = Address::Tcp(listener.local_addr().expect("its address"));
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut heard = Vec::new();
        match bytes {
            Some(bytes) => {
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).expect("a request");
                heard.extend_from_slice(&buffer[..count]);
                let _ = stream.write_all(&bytes);
            }
            None => drop(stream.read_to_end(&mut heard)),
        }
        String::from_utf8_lossy(&heard).into_owned()
    });
    (address, thread)
}

#[test]
fn what_is_no_answer_is_an_error() {
    for bytes in ["", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"] {
        let (address, thread) = answers(Some(bytes.into()));
        let error = request(&address, &get("/livez")).expect_err("no answer");
        assert!(matches!(error, ClientError::Answer(_)), "{bytes}: {error}");
        thread.join().expect("the other end");
    }
    let (address, thread) = answers(None);
    let hurried = Request { within: Duration::from_millis(50), ..get("/livez") };
    let error = request(&address, &hurried).expect_err("no answer");
    assert!(matches!(error, ClientError::TimedOut(_)), "{error}");
    thread.join().expect("the other end");
}

#[test]
fn an_answer_is_bounded() {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    bytes.resize(head.len() + limits::ADMIN_ANSWER_BYTES + 1, b'a');
    let (address, thread) = answers(Some(bytes));
    let error = request(&address, &get("/metrics")).expect_err("too much");
    assert!(error.to_string().contains("more than"), "{error}");
    thread.join().expect("the other end");
}

#[test]
fn a_token_goes_over_tcp_only_and_into_no_message() {
    let ok = || Some(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let (address, thread) = answers(ok());
    let asked = Request { token: Some("secret"), ..get("/livez") };
    request(&address, &asked).expect("an answer");
    let heard = thread.join().expect("the other end").to_lowercase();
    assert!(heard.contains("authorization: bearer secret\r\n"));
    assert!(heard.contains(&format!("host: {address}\r\n")));
    assert!(!format!("{asked:?}").contains("secret"));
    let unix = message(&Address::Unix("/run/a.sock".into()), &asked).expect("a message");
    assert!(!unix.headers().contains_key(AUTHORIZATION));
    for wrong in ["sec\r\nret", "sec\0ret"] {
        let asked = Request { token: Some(wrong), ..get("/livez") };
        let error = message(&address, &asked).expect_err("no header");
        assert!(!error.to_string().contains("sec"), "{error}");
    }
    let split = get("/livez HTTP/1.1\r\nX: y");
    assert!(matches!(message(&address, &split), Err(ClientError::Request(_))));
}
