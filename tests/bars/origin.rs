//! A small origin: one thread a connection, answers by path.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Starts it; it lives as long as the process.
///
/// `/length/N` is answered with N bytes that end in `endoflength`, `/chunked` with three chunks.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.unwrap();
            thread::spawn(move || serve(connection));
        }
    });
    address
}

fn serve(mut connection: TcpStream) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut seen = Vec::new();
    let mut buf = [0; 4096];
    loop {
        let end = loop {
            if let Some(at) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let length = connection.read(&mut buf).ok().filter(|length| *length > 0)?;
            seen.extend_from_slice(&buf[..length]);
        };
        let head = String::from_utf8(seen[..end].to_vec()).ok()?;
        let body = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |n| n.parse().unwrap());
        while seen.len() < end + body {
            let length = connection.read(&mut buf).ok().filter(|length| *length > 0)?;
            seen.extend_from_slice(&buf[..length]);
        }
        seen.drain(..end + body);
        connection.write_all(&answer(&head)).ok()?;
    }
}

fn answer(head: &str) -> Vec<u8> {
    let path = head.split([' ', '?']).nth(1).unwrap();
    let mut answer = b"HTTP/1.1 200 OK\r\nDate: now\r\n".to_vec();
    match path.strip_prefix("/length/") {
        Some(length) => {
            let length: usize = length.parse().unwrap();
            answer.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
            answer.resize(answer.len() + length - 11, b'.');
            answer.extend_from_slice(b"endoflength");
        }
        None => answer.extend_from_slice(
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n",
        ),
    }
    answer
}
